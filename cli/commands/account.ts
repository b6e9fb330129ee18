// tapio-replay account: the sum of a recording, and whether it comes out.

import { stderr, stdout } from 'node:process';
import { LOSS_CAUSES } from '../../schemas/losses.ts';
import { formatTs } from '../../src/event/clock.ts';
import { type Account, accounts, type OpAccount } from '../../src/query/account.ts';
import type { Segment } from '../../src/segment/reader.ts';
import type { OpenedStore } from '../../src/segment/store.ts';
import { countText } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { reading, STORE_FLAG, windowOf } from '../reading.ts';

const COLUMNS = ['issued', 'stored', 'lost', 'sampled', 'filtered', 'waiting', 'late'] as const;
const WIDTH = 13;

const at = (ms: number): string => formatTs(BigInt(ms) * 1_000_000n).replace(/0{6}Z$/, 'Z');

function line(name: string, one: OpAccount): string {
  return `  ${name.padEnd(22)}${COLUMNS.map((column) => countText(one[column]).padStart(WIDTH)).join('')}`;
}

function sumOf(ops: Account['ops']): OpAccount {
  const total = { issued: 0, stored: 0, lost: 0, sampled: 0, filtered: 0, waiting: 0, late: 0 };
  for (const one of Object.values(ops)) for (const c of COLUMNS) total[c] += one[c];
  return total;
}

function causeLines({ causes }: Account): string[] {
  const lines = causes.map(({ stage, cause, type, op, count, known }) => {
    const what = type === null ? '' : ` ${type}.${op}`;
    const number = known ? countText(count) : 'unknown';
    return `  ${`${stage} ${cause}${what}`.padEnd(48)}${number.padStart(WIDTH)}`;
  });
  const named = new Set(causes.map(({ cause }) => cause));
  const remedies = Object.entries(LOSS_CAUSES)
    .filter(([name]) => named.has(name))
    .map(([name, { doc, remedy }]) => `  ${name}: ${doc} ${remedy}`);
  return causes.length === 0 ? ['lost nothing'] : ['lost, by cause:', ...lines, ...remedies];
}

function text(account: Account): string {
  const { recording, segments, from, to, ops, holds, reasons, causes, leftOut } = account;
  const since = from === null ? 'its beginning' : at(from);
  const unknown = causes.some(({ known }) => !known);
  return [
    `recording ${recording}: ${segments.length} segment${segments.length === 1 ? '' : 's'}, from ${since} to ${at(to)}`,
    `  ${''.padEnd(22)}${COLUMNS.map((column) => column.padStart(WIDTH)).join('')}`,
    ...Object.keys(ops)
      .sort()
      .map((name) => line(name, ops[name] as OpAccount)),
    line('all', sumOf(ops)),
    ...causeLines(account),
    ...(leftOut > 0
      ? [
          `an excerpt: an export left out ${countText(leftOut)} rows, which are among those filtered`,
        ]
      : []),
    holds
      ? `it holds: issued = stored + lost + sampled + filtered + waiting${unknown ? ', beside what is unknown above' : ''}`
      : 'IT DOES NOT HOLD:',
    ...reasons.map((reason) => `  ${reason}`),
    '',
  ].join('\n');
}

/** Segments that have to do with a window: accounts are drawn up over whole ones. */
function inWindow(segment: Segment, since: bigint | null, until: bigint | null): boolean {
  const last = segment.commits?.last?.at;
  const begin = segment.commits?.begin?.at;
  if (since !== null && last !== undefined && BigInt(last) * 1_000_000n < since) return false;
  return until === null || begin === undefined || BigInt(begin) * 1_000_000n < until;
}

async function run(flags: Flags): Promise<number> {
  const window = windowOf(flags);
  const { since, until } = window;
  const tell = ({ segments, problems }: OpenedStore): number => {
    const all = accounts(segments.filter((segment) => inWindow(segment, since, until)));
    for (const { segment, text: what } of problems) {
      stderr.write(`tapio-replay: incomplete: ${segment}: ${what}\n`);
    }
    if (flags.output === 'json') {
      for (const one of all) stdout.write(`${JSON.stringify(one)}\n`);
    } else if (all.length === 0) {
      stdout.write('nothing is recorded there\n');
    } else {
      stdout.write(all.map(text).join('\n'));
    }
    return problems.length === 0 && all.every(({ holds }) => holds) ? 0 : 1;
  };
  return await reading(flags, tell, window);
}

export const account: Command = {
  usage: 'account [flags]',
  flags: {
    ...STORE_FLAG,
    since: { type: 'string', describe: 'TIME — from the segment in which it lies' },
    until: { type: 'string', describe: 'TIME — to the segment in which it lies' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'form' },
  },
  examples: [
    [
      'tapio-replay account',
      'issued, stored, lost, filtered, op by op; exit 1 where it does not hold',
    ],
    ['tapio-replay account --since 1h -o json', 'of the last hour, for a machine'],
  ],
  run,
};
