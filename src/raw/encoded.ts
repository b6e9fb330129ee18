// Rows that became messages where they were read.

import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import type { EventBlock, RowOrigin } from '../event/stream.ts';
import type { RawMessages } from '../source/raw-events.ts';
import { kindOf, type RawField } from './layout.ts';

/** Rows of all types in order, as messages: they have no columns. */
export class EncodedBlock implements EventBlock {
  readonly type: EventType = 'process';
  readonly origin: RowOrigin;
  readonly tsOffset = 0n;
  readonly columns = new Map<string, never>();
  readonly messages: RawMessages;

  constructor(origin: RowOrigin, messages: RawMessages) {
    this.origin = origin;
    this.messages = messages;
  }

  /** The messages of some of its rows. */
  slice(from: number, to: number): RawMessages {
    const { bytes, ends } = this.messages;
    const begin = ends[from - 1] ?? 0;
    if (from === 0 && to === ends.length) return this.messages;
    return {
      bytes: bytes.subarray(begin, ends[to - 1] ?? 0),
      ends: ends.subarray(from, to).map((end) => end - begin),
    };
  }
}

/** What the addon is told of a type's messages: see LiveNative. */
export function recordLayout(
  type: EventType,
  eventField: number,
  fields: readonly RawField[],
): Uint32Array {
  const { columns } = EVENT_TABLES[type];
  const numbers = fields.flatMap((field) => {
    // A record has the time of the kernel's clock itself.
    const name = field.name === 'ktime' ? null : field.column;
    const source =
      name === null ? columns.length : columns.findIndex((column) => column.name === name);
    return [field.field, kindOf(field), source, field.isOwn ? 1 : 0];
  });
  return Uint32Array.from([eventField, ...numbers]);
}
