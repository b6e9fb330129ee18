// Columns that grow row by row, as buffers in Arrow's order: what an answer in Arrow form is made of. Rows between
// those that were given have no value, so that a column costs only the rows that have one.

import type { ColumnSpec, ColumnType } from '../../schemas/arrow.ts';
import type { RowValue } from '../event/json.ts';
import { type Body, type ColumnBuffers, EMPTY } from '../segment/arrow-file.ts';
import { DictionaryVector, isPresent, NumberVector, type Vector } from '../segment/vectors.ts';

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array | BigUint64Array | BigInt64Array;

const ROWS_AT_FIRST = 64;

/** The array, or a larger one with the same content. */
function grown<T extends Numbers>(array: T, length: number): T {
  if (length <= array.length) return array;
  const Larger = array.constructor as new (length: number) => T;
  const larger = new Larger(Math.max(length, array.length * 2));
  larger.set(array as never);
  return larger;
}

const bytesOf = (array: Numbers, length: number): Body => ({
  bytes: new Uint8Array(array.buffer, 0, length * array.BYTES_PER_ELEMENT),
});

/** Which rows have a value. */
export class Presence {
  #bits = new Uint8Array(ROWS_AT_FIRST / 8);
  #present = 0;

  /** Says that a row has a value, once. */
  add(row: number): void {
    this.#bits = grown(this.#bits, (row >> 3) + 1);
    this.#bits[row >> 3] = (this.#bits[row >> 3] as number) | (1 << (row & 7));
    this.#present++;
  }

  /** The node and the validity of so many rows. */
  of(rows: number): { node: { length: number; nulls: number }; validity: Body } {
    const nulls = rows - this.#present;
    const length = (rows + 7) >> 3;
    const validity = nulls === 0 ? EMPTY : bytesOf(grown(this.#bits, length), length);
    return { node: { length: rows, nulls }, validity };
  }
}

/** One column that grows. */
export interface Gather {
  /** Gives row `row` a value; rows must come in order. */
  put(row: number, value: NonNullable<RowValue>): void;
  /** Rows `from` to `to` (exclusive) of a vector become rows `at` and those that follow. */
  take(vector: Vector, from: number, to: number, at: number): void;
  /** Buffers of the first `rows` rows; nothing may be added afterwards. */
  buffers(rows: number): ColumnBuffers;
  /** Bytes of values of no fixed width. */
  readonly heap: number;
}

abstract class RowByRow implements Gather {
  protected readonly presence = new Presence();

  abstract readonly heap: number;
  abstract put(row: number, value: NonNullable<RowValue>): void;
  abstract buffers(rows: number): ColumnBuffers;

  take(vector: Vector, from: number, to: number, at: number): void {
    for (let row = from; row < to; row++) {
      const value = vector.get(row);
      if (value !== null) this.put(at + row - from, value);
    }
  }
}

const ARRAYS: Readonly<Partial<Record<ColumnType, new (length: number) => Numbers>>> = {
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
  i32: Int32Array,
  i64: BigInt64Array,
  timestamp: BigInt64Array,
};

class NumberGather extends RowByRow {
  readonly heap = 0;
  #values: Numbers;

  constructor(array: new (length: number) => Numbers) {
    super();
    this.#values = new array(ROWS_AT_FIRST);
  }

  put(row: number, value: NonNullable<RowValue>): void {
    this.#values = grown(this.#values, row + 1);
    this.#values[row] = value as never;
    this.presence.add(row);
  }

  override take(vector: Vector, from: number, to: number, at: number): void {
    if (!(vector instanceof NumberVector)) {
      super.take(vector, from, to, at);
      return;
    }
    const { values, validity } = vector;
    this.#values = grown(this.#values, at + to - from);
    this.#values.set(values.subarray(from, to) as never, at);
    for (let row = from; row < to; row++) {
      if (isPresent(validity, row)) this.presence.add(at + row - from);
    }
  }

  buffers(rows: number): ColumnBuffers {
    const { node, validity } = this.presence.of(rows);
    return { nodes: [node], buffers: [validity, bytesOf(grown(this.#values, rows), rows)] };
  }
}

/** Where each row's part ends, in what it is a part of. */
class Offsets {
  #offsets = new Int32Array(ROWS_AT_FIRST + 1);
  #rows = 0;

  /** Rows up to `row` get nothing, and that one all up to `end`. */
  add(row: number, end: number): void {
    this.#pad(row);
    this.#offsets[++this.#rows] = end;
  }

  of(rows: number): Body {
    this.#pad(rows);
    return bytesOf(this.#offsets, rows + 1);
  }

  #pad(row: number): void {
    this.#offsets = grown(this.#offsets, row + 2);
    this.#offsets.fill(this.#offsets[this.#rows] as number, this.#rows + 1, row + 1);
    this.#rows = row;
  }
}

/** Strings and bytes. */
class BytesGather extends RowByRow {
  #data = new Uint8Array(ROWS_AT_FIRST);
  #used = 0;
  readonly #offsets = new Offsets();

  get heap(): number {
    return this.#used;
  }

  put(row: number, value: NonNullable<RowValue>): void {
    const bytes = typeof value === 'string' ? Buffer.from(value) : (value as Uint8Array);
    this.#put(row, bytes, 0, bytes.length);
  }

  override take(vector: Vector, from: number, to: number, at: number): void {
    if (!(vector instanceof DictionaryVector)) {
      super.take(vector, from, to, at);
      return;
    }
    const { indices, validity, dictionary } = vector;
    const { offsets, data } = dictionary.buffers;
    for (let row = from; row < to; row++) {
      if (!isPresent(validity, row)) continue;
      const index = Number(indices[row]);
      this.#put(at + row - from, data, offsets[index] as number, offsets[index + 1] as number);
    }
  }

  buffers(rows: number): ColumnBuffers {
    const { node, validity } = this.presence.of(rows);
    const data = bytesOf(this.#data, this.#used);
    return { nodes: [node], buffers: [validity, this.#offsets.of(rows), data] };
  }

  #put(row: number, bytes: Uint8Array, from: number, to: number): void {
    const end = this.#used + to - from;
    this.#data = grown(this.#data, end);
    // For the few bytes of a name a loop is faster than a view and a copy.
    for (let i = from, j = this.#used; i < to; i++, j++) this.#data[j] = bytes[i] as number;
    this.#used = end;
    this.#offsets.add(row, end);
    this.presence.add(row);
  }
}

class ListGather extends RowByRow {
  readonly #offsets = new Offsets();
  readonly #items: Gather;
  #count = 0;

  constructor(items: Gather) {
    super();
    this.#items = items;
  }

  get heap(): number {
    return this.#items.heap + this.#count * 8;
  }

  put(row: number, value: NonNullable<RowValue>): void {
    for (const item of value as readonly (string | bigint)[]) this.#items.put(this.#count++, item);
    this.#offsets.add(row, this.#count);
    this.presence.add(row);
  }

  buffers(rows: number): ColumnBuffers {
    const { node, validity } = this.presence.of(rows);
    const { nodes, buffers } = this.#items.buffers(this.#count);
    return {
      nodes: [node, ...nodes],
      buffers: [validity, this.#offsets.of(rows), ...buffers],
    };
  }
}

/** An empty column of an answer. */
export function gatherOf({ type }: ColumnSpec): Gather {
  const array = ARRAYS[type];
  if (array !== undefined) return new NumberGather(array);
  if (type === 'texts') return new ListGather(new BytesGather());
  if (type === 'u64s') return new ListGather(new NumberGather(BigUint64Array));
  return new BytesGather();
}
