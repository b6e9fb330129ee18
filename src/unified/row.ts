// A row as the mapping sees it: values that a script can count with, whatever their width in the store.

import type { EventType } from '../../schemas/arrow.ts';
import type { COMMON, EVENTS, FieldType } from '../../schemas/events.ts';
import type { Integer } from './event.ts';
import type { Piece } from './text.ts';

interface Values {
  readonly u16: number;
  readonly u32: number;
  readonly i32: number;
  readonly u64: Integer;
  readonly i64: Integer;
  readonly timestamp: Integer;
  readonly name: Piece;
  readonly text: Piece;
  readonly texts: readonly string[];
  readonly u64s: readonly bigint[];
  readonly bytes: never;
}

type ValueOf<F extends { readonly type: FieldType }> = Values[F['type']];

/** Own fields of a row of a type; null where it has none, as in those that its op does not set. */
export type OwnRow<T extends EventType> = {
  readonly [K in keyof (typeof EVENTS)[T]['fields']]:
    | ((typeof EVENTS)[T]['fields'][K] extends { readonly type: FieldType }
        ? ValueOf<(typeof EVENTS)[T]['fields'][K]>
        : never)
    | null;
};

export type CommonName = keyof typeof COMMON;

/** What of a network row is addresses; `saddr` and `sport` are local, or of the packet's source. */
export type NetworkRow = OwnRow<'network'>;

/** A whole number as a double: for comparing, not for telling. */
export function numberOf(value: Integer | null): number {
  if (value === null) return 0;
  return typeof value === 'number' ? value : Number(value.rawJSON);
}
