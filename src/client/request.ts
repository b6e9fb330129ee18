// What is asked, as messages of schemas/recorder.proto: 64-bit numbers are decimal text.

import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON } from '../../schemas/events.ts';
import type { Selection } from '../query/select.ts';

type Columns = (type: EventType) => readonly string[];

/** Times before 1970 are none that a request can name, nor any row's. */
const nsText = (ns: bigint): string => String(ns < 0n ? 0n : ns);

/** The window of a request. */
export function windowMessage({ since, until }: Pick<Selection, 'since' | 'until'>): object {
  return {
    ...(since !== null && { since: nsText(since) }),
    ...(until !== null && { until: nsText(until) }),
  };
}

/** The fields whose columns are wanted; none where all are. */
function fieldsOf(types: readonly EventType[], columns: Columns): string[] {
  const hasAll = (type: EventType): boolean => {
    const wanted = new Set(columns(type));
    return EVENT_TABLES[type].columns.every(({ name }) => wanted.has(name));
  };
  if (types.every(hasAll)) return [];
  const wanted = new Set(['seq', 'ts', 'ktime']);
  for (const type of types) {
    for (const name of columns(type)) wanted.add(name in COMMON ? name : `${type}.${name}`);
    // A list of no texts is known by its length.
    if (wanted.has('process.args')) wanted.add('process.args_length');
  }
  return [...wanted];
}

/** A selection without its window. `columns`: those that are wanted of each type; absent: none are named. */
export function selectionMessage(selection: Selection, columns?: Columns): object {
  const { types, ops, pids, comms, filter, not } = selection;
  const named = [...(ops ?? [])].flatMap(([type, own]) => [...own].map((op) => `${type}.${op}`));
  return {
    ...(filter && { filter: filter.text }),
    ...(types.length < EVENT_TYPES.length && { types }),
    ...(ops !== null && { ops: named }),
    ...((pids !== null || comms !== null) && {
      process: { pids: [...(pids ?? [])], comms: [...(comms ?? [])] },
    }),
    ...(not === true && { negate: true }),
    ...(columns !== undefined && { fields: fieldsOf(types, columns) }),
  };
}
