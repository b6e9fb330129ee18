// tapio-replay segments: what a store holds.

import { stderr, stdout } from 'node:process';
import { formatTs } from '../../src/event/clock.ts';
import type { Segment } from '../../src/segment/reader.ts';
import { openStores } from '../../src/segment/store.ts';
import { bytesText, countText, escapeControls, sumCounts } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { STORE_FLAG, storesOf } from '../reading.ts';

interface SegmentRow {
  readonly name: string;
  readonly state: 'sealed' | 'open';
  readonly from: string | null;
  readonly to: string | null;
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly losses: number;
  /** Only rows that match it were recorded. */
  readonly filter: string | null;
  /** What was masked in command lines: the patterns, and how many secrets each found. */
  readonly mask: readonly string[];
  readonly masked: Readonly<Record<string, number>>;
}

function describe(segment: Segment): SegmentRow {
  const batches = segment.types().flatMap((type) => segment.batches(type));
  const [one] = batches;
  const first = batches.reduce((a, b) => (b.firstTs < a ? b.firstTs : a), one?.firstTs ?? 0n);
  const last = batches.reduce((a, b) => (b.lastTs > a ? b.lastTs : a), one?.lastTs ?? 0n);
  return {
    name: segment.name,
    state: segment.sealed ? 'sealed' : 'open',
    from: one === undefined ? null : formatTs(first),
    to: one === undefined ? null : formatTs(last),
    rows: Object.fromEntries(segment.types().map((type) => [type, segment.rows(type)])),
    bytes: segment.bytes(),
    losses: segment.losses().reduce((sum, loss) => sum + Number(loss.count ?? 0n), 0),
    filter: segment.header.filter ?? null,
    mask: segment.header.mask ?? [],
    masked: segment.commits?.last?.masked ?? {},
  };
}

async function run(flags: Flags): Promise<number> {
  const stores = storesOf(flags);
  const { segments: opened, problems } = openStores(stores);
  try {
    const rows = opened.map(describe);
    for (const note of opened.flatMap((segment) => segment.notes))
      stderr.write(`tapio-replay: ${note}\n`);
    for (const { segment, text } of [...problems, ...opened.flatMap((one) => one.problems)])
      stderr.write(`tapio-replay: damaged: ${segment}: ${text}\n`);
    if (flags.output === 'json') {
      for (const row of rows) stdout.write(`${JSON.stringify(row)}\n`);
      return 0;
    }
    stderr.write(`tapio-replay: reading ${stores.join(', ')}\n`);
    if (rows.length === 0) stdout.write('no segments yet\n');
    for (const row of rows) {
      const counts = Object.entries(row.rows).map(([type, n]) => `${type} ${countText(n)}`);
      const only = row.filter === null ? '' : `  only ${escapeControls(row.filter)}`;
      const secrets = sumCounts(row.masked);
      const masked = secrets > 0 ? `  masked ${countText(secrets)}` : '';
      const lost = row.losses > 0 ? `  LOST ${countText(row.losses)}` : '';
      stdout.write(
        `${row.name}  ${row.state.padEnd(6)}  ${row.from ?? '-'} to ${row.to ?? '-'}  ${bytesText(row.bytes).padStart(10)}  ${counts.join(', ')}${lost}${masked}${only}\n`,
      );
    }
    return 0;
  } finally {
    for (const segment of opened) segment.close();
  }
}

export const segments: Command = {
  usage: 'segments [flags]',
  flags: {
    ...STORE_FLAG,
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'form' },
  },
  examples: [['tapio-replay segments --store ./recording', 'what was recorded when']],
  run,
};
