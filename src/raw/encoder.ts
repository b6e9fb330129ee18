// Rows as messages of tapio.ebpf.v1.RawEvent (schemas/generated/events.proto): all that the row has, in a form that others
// read without our table.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import { eventField, KTIME_FIELD } from '../../schemas/raw-event.ts';
import { checkFields } from '../event/json.ts';
import type { EventBlock, EventRun } from '../event/stream.ts';
import { rawEventNative } from '../source/binding.ts';
import type { RawMessages } from '../source/raw-events.ts';
import { EncodedBlock, recordLayout } from './encoded.ts';
import { BlockLayout, type Column, type RawField } from './layout.ts';

export type { RawMessages } from '../source/raw-events.ts';
export type { Column } from './layout.ts';

/**
 * What is written in the place of a column of a block; null leaves the field out. The column itself may be given back. It
 * is asked once for each column of a block, with `name` as the table has it; what it says of `ts` goes for `ktime` too,
 * which is made of that. A column must have a value, of its type, or null for each row that has one.
 */
export type Replace = (type: EventType, name: string, column: Column) => Column | null;

export interface RawEventOptions {
  /** Fields that are written, named as `query --fields` has them; null or absent: all. The event's type always is. */
  readonly fields?: readonly string[] | null | undefined;
  /** Absent: columns are written as they are. */
  readonly replace?: Replace | undefined;
}

/** Bytes before each message: a 0, and its length. */
export const FRAME_BYTES = 5;

/** Message `i` without the bytes before it, as long as `bytes` lives; one that is not there is empty. */
export function messageAt({ bytes, ends }: RawMessages, i: number): Buffer {
  return bytes.subarray((ends[i - 1] ?? 0) + FRAME_BYTES, ends[i] ?? 0);
}

const TS = COMMON.ts;
const common = (name: string, { id, type }: FieldSpec): RawField => ({
  ...{ name, column: name, field: id, type },
  isOwn: false,
});

/** Fields of a type's messages; of `wanted`, named as `query --fields` has them, null: all. */
function fieldsOf(type: EventType, wanted: ReadonlySet<string> | null): RawField[] {
  const has = (name: string): boolean => wanted?.has(name) ?? true;
  const own = Object.entries((EVENTS[type] as TypeSpec).fields);
  return [
    ...Object.entries(COMMON).map(([name, spec]) => common(name, spec)),
    { name: 'ktime', column: 'ts', field: KTIME_FIELD, type: TS.type, isOwn: false },
    ...own.map(([name, spec]) => ({ ...common(name, spec), isOwn: true })),
  ].filter(({ name, isOwn }) => has(isOwn ? `${type}.${name}` : name));
}

/** Layouts of messages that are made of records, by type id: of these columns, ts and seq always among them. */
export function recordLayouts(
  columns: (type: EventType) => readonly string[],
): (Uint32Array | null)[] {
  const layouts: (Uint32Array | null)[] = [null];
  for (const type of EVENT_TYPES) {
    const wanted = new Set(['seq', 'ts', ...columns(type)]);
    const fields = fieldsOf(type, null).filter(({ column }) => wanted.has(column));
    const { id } = EVENTS[type];
    layouts[id] = recordLayout(type, eventField(id), fields);
  }
  return layouts;
}

interface Span {
  readonly layout: BlockLayout;
  readonly index: number;
  from: number;
  to: number;
}

/** Encodes rows, of whatever types. What it knows of a block goes with that block. */
export class RawEventEncoder {
  readonly #wanted: ReadonlySet<string> | null;
  readonly #replace: Replace | null;
  readonly #fields = new Map<EventType, readonly RawField[]>();
  readonly #layouts = new WeakMap<EventBlock, BlockLayout>();

  /** Throws TapioError('usage') for a field that is not known. */
  constructor({ fields = null, replace }: RawEventOptions = {}) {
    if (fields !== null) checkFields(fields);
    this.#wanted = fields === null ? null : new Set(fields);
    this.#replace = replace ?? null;
  }

  /** Columns that must be read of a type; a field whose column is not there is left out. */
  columns(type: EventType): string[] {
    return [...new Set(['seq', 'ts', ...this.#fieldsOf(type).map(({ column }) => column)])];
  }

  /**
   * The messages of these rows, in order; some thousand rows at once cost least. Strings that are no UTF-8, which only
   * damage makes, have U+FFFD as they have in JSON. Throws RangeError where a column does not hold what it should, or the
   * messages take more than a GiB.
   */
  encode(runs: readonly EventRun[]): RawMessages {
    const [first, ...others] = runs;
    if (first?.block instanceof EncodedBlock && others.length === 0) {
      return first.block.slice(first.from, first.to);
    }
    const spans = new Map<EventBlock, Span>();
    const numbers = new Uint32Array(runs.length * 3);
    let at = 0;
    for (const { block, from, to } of runs) {
      let span = spans.get(block);
      if (span === undefined) {
        span = { layout: this.#layoutOf(block), index: spans.size, from, to };
        spans.set(block, span);
      }
      if (from < span.from) span.from = from;
      if (to > span.to) span.to = to;
      numbers[at++] = span.index;
      numbers[at++] = from;
      numbers[at++] = to;
    }
    const blocks = Array.from(spans.values(), ({ layout, from, to }) => layout.block(from, to));
    return rawEventNative().encodeRawEvents(blocks, numbers);
  }

  #fieldsOf(type: EventType): readonly RawField[] {
    const fields = this.#fields.get(type) ?? fieldsOf(type, this.#wanted);
    this.#fields.set(type, fields);
    return fields;
  }

  #layoutOf(block: EventBlock): BlockLayout {
    const known = this.#layouts.get(block);
    if (known !== undefined) return known;
    const { type, columns, tsOffset } = block;
    const replaced = new Map<string, Column | null>();
    const columnOf = (name: string): Column | null => {
      let column = replaced.get(name);
      if (column === undefined) {
        const own = columns.get(name) ?? null;
        column = own === null || this.#replace === null ? own : this.#replace(type, name, own);
        replaced.set(name, column);
      }
      return column;
    };
    const written = this.#fieldsOf(type).flatMap((field) => {
      const column = columnOf(field.column);
      return column === null ? [] : [[field, column] as const];
    });
    const layout = new BlockLayout(eventField(EVENTS[type].id), tsOffset, written);
    this.#layouts.set(block, layout);
    return layout;
  }
}
