// Which rows are wanted: window, types, ops, processes. Checked before anything is read.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { allOps } from '../config.ts';
import { nearestName, TapioError } from '../errors.ts';
import type { ProcessSets } from './process-set.ts';

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
}

function unknown(what: string, word: string, names: readonly string[]): TapioError {
  const near = nearestName(word, names);
  return new TapioError(
    'usage',
    `unknown ${what} ${word}${near === null ? '' : ` (did you mean ${near}?)`}`,
  );
}

function selectTypes(names: readonly string[]): EventType[] {
  for (const name of names) {
    if (!(EVENT_TYPES as readonly string[]).includes(name)) {
      throw unknown('type', name, EVENT_TYPES);
    }
  }
  return EVENT_TYPES.filter((type) => names.length === 0 || names.includes(type));
}

/** Ops given as `type.op` or `op`; a bare name means that op of every type that has it. */
function selectOps(names: readonly string[]): Map<EventType, Set<string>> {
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

/** Checks names and puts a selection together; throws TapioError('usage') for what it does not know. */
export function select(given: {
  readonly since: bigint | null;
  readonly until: bigint | null;
  readonly types: readonly string[];
  readonly ops: readonly string[];
  readonly pids: readonly string[];
  readonly comms: readonly string[];
}): Selection {
  const { since, until } = given;
  if (since !== null && until !== null && until <= since) {
    throw new TapioError('usage', '--until is not after --since: swap them');
  }
  const pids = given.pids.map((text) => {
    if (!/^\d+$/.test(text)) throw new TapioError('usage', `--pid ${text} is not a process id`);
    return Number(text);
  });
  const ops = given.ops.length === 0 ? null : selectOps(given.ops);
  const types = selectTypes(given.types).filter((type) => ops?.has(type) ?? true);
  return {
    since,
    until,
    types,
    ops,
    pids: pids.length === 0 ? null : new Set(pids),
    comms: given.comms.length === 0 ? null : new Set(given.comms),
  };
}
