// What the commands that read rows share: the flags that choose them, and why none were there.

import type { Options } from 'yargs';
import { TapioError } from '../src/errors.ts';
import { formatTs } from '../src/event/clock.ts';
import { type Selection, select } from '../src/query/select.ts';
import { parseTime } from '../src/query/time.ts';
import type { Segment } from '../src/segment/reader.ts';
import type { Flags } from './program.ts';

/** Which store, and which of its rows. */
export const SELECTION_FLAGS: Readonly<Record<string, Options>> = {
  store: { type: 'string', describe: 'DIR — a store, or one segment directory' },
  since: { type: 'string', describe: 'TIME — from then on: RFC 3339, 10m, today 14:00, 14:00' },
  until: { type: 'string', describe: 'TIME — before then (exclusive); +30s counts from --since' },
  type: { type: 'string', describe: 'TYPE,… — process, network, file, memory, syscall' },
  op: { type: 'string', describe: 'OP,… — such as network.connect, or exec' },
  pid: { type: 'string', describe: 'PID,…' },
  comm: { type: 'string', describe: 'NAME,… — thread names' },
};

/** The words of a flag that takes a list: with commas, or given several times. */
export function words(value: unknown): string[] {
  if (value === undefined) return [];
  const parts = Array.isArray(value) ? value : [value];
  return parts.flatMap((part) => String(part).split(',')).filter((part) => part !== '');
}

/** A number of rows, or null where the flag is not given. */
export function count(name: string, value: unknown): number | null {
  if (value === undefined) return null;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) {
    throw new TapioError('usage', `--${name} ${value} is not a number of rows`);
  }
  return number;
}

/** What the flags choose. Throws TapioError('usage') for what they do not know. */
export function selectionOf(flags: Flags): Selection {
  const now = BigInt(Date.now()) * 1_000_000n;
  const since = flags.since === undefined ? null : parseTime(String(flags.since), now);
  const until = flags.until === undefined ? null : parseTime(String(flags.until), now, since);
  return select({
    since,
    until,
    types: words(flags.type),
    ops: words(flags.op),
    pids: words(flags.pid),
    comms: words(flags.comm),
  });
}

/** Why a selection matched nothing: what is held instead. */
export function whyEmpty(segments: readonly Segment[], { since, until }: Selection): string {
  const batches = segments.flatMap((s) => s.types().flatMap((type) => s.batches(type)));
  const [one] = batches;
  if (one === undefined) return 'nothing is recorded yet';
  const first = batches.reduce((a, b) => (b.firstTs < a ? b.firstTs : a), one.firstTs);
  const last = batches.reduce((a, b) => (b.lastTs > a ? b.lastTs : a), one.lastTs);
  const held = `held is ${formatTs(first)} to ${formatTs(last)}`;
  if (since !== null && since > last)
    return `nothing matched: the window begins after what is held; ${held}`;
  if (until !== null && until <= first)
    return `nothing matched: the window ends before what is held; ${held}`;
  return `nothing matched; ${held}`;
}
