// Which rows are wanted: a window, and a predicate for each type. Checked before anything is read.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { allOps } from '../config.ts';
import { nearestName, TapioError } from '../errors.ts';
import type { Filter } from './filter/filter.ts';
import { type Bool, comparePoints } from './predicate.ts';

/** What is wanted. */
export interface Selection {
  /** ns; rows with since <= ts < until. */
  readonly since: bigint | null;
  readonly until: bigint | null;
  /** Types that can match. */
  readonly types: readonly EventType[];
  readonly predicate: (type: EventType) => Bool;
}

/** A process by id and start, ns since boot: ids are given again. */
export interface ProcessKey {
  readonly pid: number;
  readonly pstart: bigint;
}

/** What people give; what is left out chooses nothing. */
export interface SelectionInput {
  readonly since?: bigint | null;
  readonly until?: bigint | null;
  readonly types?: readonly string[];
  readonly ops?: readonly string[];
  readonly pids?: readonly string[];
  readonly comms?: readonly string[];
  /** In place of `pids`. */
  readonly processes?: readonly ProcessKey[];
  readonly filter?: Filter | null;
  /** Rows for which all of this but the window is not true. */
  readonly not?: boolean;
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

function checkedPids(texts: readonly string[]): bigint[] {
  return texts.map((text) => {
    if (!/^\d+$/.test(text)) throw new TapioError('usage', `--pid ${text} is not a process id`);
    return BigInt(text);
  });
}

const oneOf = (field: string, values: Iterable<string>): Bool => ({
  kind: 'oneOf',
  of: { kind: 'field', field },
  values: [...new Set(values)].sort(comparePoints),
});

/** A number in a set, as ranges. */
function isOneOf(field: string, numbers: readonly bigint[]): Bool {
  const sorted = [...new Set(numbers)].sort((a, b) => (a < b ? -1 : 1));
  const ranges: [bigint, bigint][] = [];
  for (const number of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1n === number) last[1] = number;
    else ranges.push([number, number]);
  }
  return { kind: 'within', of: { kind: 'field', field }, ranges };
}

function isProcess(processes: readonly ProcessKey[]): Bool {
  const args = processes.map(
    ({ pid, pstart }): Bool => ({
      kind: 'and',
      args: [isOneOf('pid', [BigInt(pid)]), isOneOf('pstart', [pstart])],
    }),
  );
  return {
    kind: 'and',
    args: [
      isOneOf(
        'pid',
        processes.map(({ pid }) => BigInt(pid)),
      ),
      { kind: 'or', args },
    ],
  };
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

/** Checks names and puts a selection together; throws TapioError('usage') for what it does not know. */
export function select(given: SelectionInput): Selection {
  const { since = null, until = null, filter = null, processes, not = false } = given;
  if (since !== null && until !== null && until <= since) {
    throw new TapioError('usage', '--until is not after --since: swap them');
  }
  const types = checkedTypes(given.types ?? []);
  const ops = given.ops?.length ? checkedOps(given.ops) : null;
  const pids = checkedPids(given.pids ?? []);
  const comms = given.comms ?? [];
  const predicates = new Map(
    EVENT_TYPES.map((type): [EventType, Bool] => {
      const args: Bool[] = [];
      if (!types.includes(type)) args.push({ kind: 'false' });
      if (ops !== null)
        args.push(ops.has(type) ? oneOf('op', ops.get(type) ?? []) : { kind: 'false' });
      if (processes !== undefined) args.push(isProcess(processes));
      else if (pids.length > 0) args.push(isOneOf('pid', pids));
      if (comms.length > 0) args.push(oneOf('comm', comms));
      if (filter !== null) args.push(filter.for(type));
      return [type, not ? untrue(all(args)) : all(args)];
    }),
  );
  const predicate = (type: EventType): Bool => predicates.get(type) as Bool;
  const possible = EVENT_TYPES.filter((type) => !['false', 'error'].includes(predicate(type).kind));
  return { since, until, types: possible, predicate };
}
