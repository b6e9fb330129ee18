// --limit and --sample: how many events of an op become rows.

import type { Given } from './settings.ts';
import { listOf, unknownName, usage } from './values.ts';

/** How many events of an op become rows; its rows' weights stand for the rest. */
export interface CapConfig {
  /** Op id. */
  readonly op: number;
  /** One of so many, at random; 1: each. */
  readonly every: number;
  /** At most so many rows a second; 0: as many as there are. */
  readonly perSecond: number;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6 };
const RATE_MAX = 1e9;
/** So many events may one row stand for. */
const EVERY_MAX = 1e9;

function rateOf(part: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kM]?)\/s$/i.exec(text) ?? [];
  if (number === undefined || unit === undefined) {
    throw usage(`--limit ${part}: ${text} is no rate: write 100/s, 50k/s or 1M/s`);
  }
  const rate = Math.round(Number(number) * (UNITS[unit.toLowerCase()] ?? 1));
  if (rate < 1) throw usage(`--limit ${part} leaves nothing: 1/s or more, or --disable the op`);
  if (rate > RATE_MAX) throw usage(`--limit ${part} limits nothing: ${RATE_MAX / 1e6}M/s or less`);
  return rate;
}

function everyOf(part: string, text: string): number {
  const every = Number(/^1\/(\d+)$/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(every)) {
    throw usage(`--sample ${part}: ${text} is no sample: write 1/N, such as 1/100`);
  }
  if (every < 1) throw usage(`--sample ${part} leaves nothing: 1/1 or less often`);
  if (every > EVERY_MAX)
    throw usage(`--sample ${part} is too seldom: 1/${EVERY_MAX} or more often`);
  return every;
}

/** The values of a setting by op id, each OP=VALUE. */
function byOp(
  name: 'limit' | 'sample',
  value: unknown,
  ops: ReadonlyMap<string, { readonly id: number }>,
  on: readonly number[],
  parse: (part: string, text: string) => number,
): Map<number, number> {
  const out = new Map<number, number>();
  for (const part of value === undefined ? [] : listOf(value)) {
    const at = part.indexOf('=');
    const example = name === 'limit' ? 'OP=RATE, such as file.open=50k/s' : 'OP=1/N';
    if (at <= 0) throw usage(`--${name} ${part}: write ${example}`);
    const op = part.slice(0, at).trim();
    const known = ops.get(op);
    if (known === undefined) throw unknownName('op', op, ops.keys());
    if (!on.includes(known.id)) throw usage(`--${name} ${part}: ${op} is off; --enable ${op}`);
    if (out.has(known.id)) throw usage(`--${name} says two things of ${op}`);
    out.set(known.id, parse(part, part.slice(at + 1).trim()));
  }
  return out;
}

/** Caps by what was given, of ops that are on. */
export function capsOf(
  given: Given,
  ops: ReadonlyMap<string, { readonly id: number }>,
  on: readonly number[],
): CapConfig[] {
  const limits = byOp('limit', given.limit, ops, on, rateOf);
  const samples = byOp('sample', given.sample, ops, on, everyOf);
  const capped = [...new Set([...limits.keys(), ...samples.keys()])];
  if (capped.length > 0 && given.source === 'synthetic') {
    throw usage('--limit and --sample are the kernel’s: synthetic events have --rate and --events');
  }
  return capped.map((op) => ({
    op,
    every: samples.get(op) ?? 1,
    perSecond: limits.get(op) ?? 0,
  }));
}
