// Which rows are wanted: a window, and a predicate for each type. Checked before anything is read.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { allOps } from '../config/config.ts';
import { nearestName, TapioError } from '../errors.ts';
import type { Filter } from './filter/filter.ts';
import { type Bool, comparePoints } from './predicate.ts';
import type { ProcessSet, ProcessSets } from './process-set.ts';

/** What is wanted: rows of which all of this is true. */
export interface Selection {
  /** ns; rows with since <= ts < until. */
  readonly since: bigint | null;
  readonly until: bigint | null;
  /** Types that can match. */
  readonly types: readonly EventType[];
  /** Op names per type; null: all of it. */
  readonly ops: ReadonlyMap<EventType, ReadonlySet<string>> | null;
  readonly pids: ReadonlySet<number> | null;
  readonly comms: ReadonlySet<string> | null;
  /** Only rows of these processes, by the boot of their segment; absent: of all. */
  readonly processes?: ProcessSets;
  readonly filter?: Filter | null;
  /** Rows in the window and of these types for which the rest is not true. */
  readonly not?: boolean;
  /** Only rows for which this is true as well, whatever `not` turns around: what a policy lets be seen. */
  readonly permitted?: Pick<Filter, 'for'>;
}

function unknown(what: string, word: string, names: readonly string[]): TapioError {
  const near = nearestName(word, names);
  return new TapioError(
    'usage',
    `unknown ${what} ${word}${near === null ? '' : ` (did you mean ${near}?)`}`,
  );
}

function checkedTypes(names: readonly string[]): EventType[] {
  for (const name of names) {
    if (!(EVENT_TYPES as readonly string[]).includes(name)) {
      throw unknown('type', name, EVENT_TYPES);
    }
  }
  return EVENT_TYPES.filter((type) => names.length === 0 || names.includes(type));
}

/** Ops given as `type.op` or `op`; a bare name means that op of every type that has it. */
function checkedOps(names: readonly string[]): Map<EventType, Set<string>> {
  const full = [...allOps().keys()];
  const out = new Map<EventType, Set<string>>();
  for (const name of names) {
    const matches = full.filter((op) => op === name || op.split('.')[1] === name);
    if (matches.length === 0) {
      throw unknown('op', name, [...full, ...full.map((op) => op.split('.')[1] ?? '')]);
    }
    for (const match of matches) {
      const [type, op = ''] = match.split('.') as [EventType, string];
      const set = out.get(type) ?? new Set();
      out.set(type, set.add(op));
    }
  }
  return out;
}

const oneOf = (field: string, values: Iterable<string>): Bool => ({
  kind: 'oneOf',
  of: { kind: 'field', field },
  values: [...new Set(values)].sort(comparePoints),
});

/** A number in a set, as ranges. */
function isOneOf(field: string, numbers: Iterable<bigint>): Bool {
  const sorted = [...new Set(numbers)].sort((a, b) => (a < b ? -1 : 1));
  const ranges: [bigint, bigint][] = [];
  for (const number of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1n === number) last[1] = number;
    else ranges.push([number, number]);
  }
  return { kind: 'within', of: { kind: 'field', field }, ranges };
}

const bigints = (numbers: Iterable<number>): bigint[] => Array.from(numbers, BigInt);

/** More processes than this are not tried pair by pair: their starts differ, so that two sets do as well. */
const PAIRS_MAX = 32;

function isProcess(set: ProcessSet | undefined): Bool {
  const pairs = [...(set ?? [])];
  if (pairs.length === 0) return { kind: 'false' };
  const pids = isOneOf('pid', bigints(pairs.map(([pid]) => pid)));
  const starts = isOneOf(
    'pstart',
    pairs.map(([, pstart]) => pstart),
  );
  if (pairs.length > PAIRS_MAX) return { kind: 'and', args: [pids, starts] };
  const either = pairs.map(
    ([pid, pstart]): Bool => ({
      kind: 'and',
      args: [isOneOf('pid', [BigInt(pid)]), isOneOf('pstart', [pstart])],
    }),
  );
  return { kind: 'and', args: [pids, starts, { kind: 'or', args: either }] };
}

/** All of them; what decides alone stands for them. */
function all(args: readonly Bool[]): Bool {
  const left = args.filter(({ kind }) => kind !== 'true');
  const decided = left.find(({ kind }) => kind === 'false');
  if (decided !== undefined) return decided;
  if (left.length === 1) return left[0] as Bool;
  return left.length === 0 ? { kind: 'true' } : { kind: 'and', args: left };
}

function untrue(of: Bool): Bool {
  if (of.kind === 'true') return { kind: 'false' };
  return of.kind === 'false' || of.kind === 'error' ? { kind: 'true' } : { kind: 'untrue', of };
}

/** The predicate of a type's rows in segments of a boot, its window aside. */
export function predicateOf(selection: Selection, type: EventType, boot: string): Bool {
  const { ops, pids, comms, processes, filter, not, permitted } = selection;
  const args: Bool[] = [];
  if (ops !== null) args.push(ops.has(type) ? oneOf('op', ops.get(type) ?? []) : { kind: 'false' });
  if (pids !== null) args.push(isOneOf('pid', bigints(pids)));
  if (processes !== undefined) args.push(isProcess(processes.get(boot)));
  if (comms !== null) args.push(oneOf('comm', comms));
  if (filter) args.push(filter.for(type));
  const wanted = not ? untrue(all(args)) : all(args);
  return permitted === undefined ? wanted : all([permitted.for(type), wanted]);
}

/** Checks names and puts a selection together; throws TapioError('usage') for what it does not know. */
export function select(given: {
  readonly since: bigint | null;
  readonly until: bigint | null;
  readonly types: readonly string[];
  readonly ops: readonly string[];
  readonly pids: readonly string[];
  readonly comms: readonly string[];
  readonly filter?: Filter | null;
  readonly not?: boolean;
}): Selection {
  const { since, until, filter = null, not = false } = given;
  if (since !== null && until !== null && until <= since) {
    throw new TapioError('usage', '--until is not after --since: swap them');
  }
  const pids = given.pids.map((text) => {
    if (!/^\d+$/.test(text)) throw new TapioError('usage', `--pid ${text} is not a process id`);
    return Number(text);
  });
  const selection = {
    since,
    until,
    types: checkedTypes(given.types),
    ops: given.ops.length === 0 ? null : checkedOps(given.ops),
    pids: pids.length === 0 ? null : new Set(pids),
    comms: given.comms.length === 0 ? null : new Set(given.comms),
    filter,
    not,
  };
  const canMatch = (type: EventType): boolean =>
    !['false', 'error'].includes(predicateOf(selection, type, '').kind);
  return { ...selection, types: selection.types.filter(canMatch) };
}
