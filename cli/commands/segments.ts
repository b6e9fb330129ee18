// tapio-replay segments: what a store holds.

import { stderr, stdout } from 'node:process';
import type { HeldSegment } from '../../src/client/segments.ts';
import { formatTs } from '../../src/event/clock.ts';
import type { Segment } from '../../src/segment/reader.ts';
import { openStores } from '../../src/segment/store.ts';
import { bytesText, countText, escapeControls, sumCounts } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { STORE_FLAG, sayReading, serversOf, storesOf, withServers } from '../reading.ts';

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

const timeText = (ts: bigint | undefined): string | null =>
  ts === undefined ? null : formatTs(ts);

function describeHeld({ sealed, time, lost, name, ...segment }: HeldSegment): SegmentRow {
  const { rows, bytes, filter, mask, masked } = segment;
  const [from, to] = [timeText(time?.first), timeText(time?.last)];
  const state = sealed ? 'sealed' : 'open';
  return { name, state, from, to, rows, bytes, losses: lost, filter, mask, masked };
}

/** What a segment lacks is told as damage. */
const tellDamage = (text: string): boolean => stderr.write(`tapio-replay: damaged: ${text}\n`);

function stored(stores: readonly string[]): SegmentRow[] {
  const { segments: opened, problems } = openStores(stores);
  try {
    const rows = opened.map(describe);
    for (const note of opened.flatMap((segment) => segment.notes))
      stderr.write(`tapio-replay: ${note}\n`);
    for (const { segment, text } of [...problems, ...opened.flatMap((one) => one.problems)])
      tellDamage(`${segment}: ${text}`);
    return rows;
  } finally {
    for (const segment of opened) segment.close();
  }
}

async function served(flags: Flags): Promise<SegmentRow[]> {
  if (serversOf(flags).length === 0) return [];
  const { listSegments } = await import('../../src/client/segments.ts');
  return await withServers(flags, async (connections) => {
    const lists = await Promise.all(connections.map(listSegments));
    for (const problem of lists.flatMap(({ problems }) => problems)) tellDamage(problem);
    return lists.flatMap(({ segments: held }) => held.map(describeHeld));
  });
}

async function run(flags: Flags): Promise<number> {
  const stores = storesOf(flags);
  const rows = [...(stores.length === 0 ? [] : stored(stores)), ...(await served(flags))];
  if (flags.output === 'json') {
    for (const row of rows) stdout.write(`${JSON.stringify(row)}\n`);
    return 0;
  }
  sayReading(flags);
  if (rows.length === 0) stdout.write('no segments yet\n');
  for (const row of rows) {
    const counts = Object.entries(row.rows).map(
      ([type, n]) => `${escapeControls(type)} ${countText(n)}`,
    );
    const only = row.filter === null ? '' : `  only ${escapeControls(row.filter)}`;
    const secrets = sumCounts(row.masked);
    const masked = secrets > 0 ? `  masked ${countText(secrets)}` : '';
    const lost = row.losses > 0 ? `  LOST ${countText(row.losses)}` : '';
    const line = `${escapeControls(row.name)}  ${row.state.padEnd(6)}  ${row.from ?? '-'} to ${row.to ?? '-'}  ${bytesText(row.bytes).padStart(10)}  ${counts.join(', ')}`;
    stdout.write(`${line}${lost}${masked}${only}\n`);
  }
  return 0;
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
