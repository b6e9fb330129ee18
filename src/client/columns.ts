// Columns that grow as rows are decoded, and become vectors as a store's columns are.

import type { FieldType } from '../../schemas/events.ts';
import { Strings } from '../segment/strings.ts';
import {
  DictionaryVector,
  NumberVector,
  SliceVector,
  type TypedArray,
  type Vector,
} from '../segment/vectors.ts';
import { DELIMITED, FIXED64, garbled, VARINT, type WireReader } from './wire.ts';

const ROWS_AT_FIRST = 64;
const BYTES_AT_FIRST = 1024;
const NONE = new Uint8Array(0);

type Growable = TypedArray | Uint8Array;

/** The array, or a larger one with the same content. */
function grown<T extends Growable>(array: T, length: number): T {
  if (length <= array.length) return array;
  const Larger = array.constructor as new (length: number) => T;
  const larger = new Larger(Math.max(length, array.length * 2));
  larger.set(array as never);
  return larger;
}

/** A column of one block. Rows come in order; those that nothing is put in are null, or 0 where that cannot be. */
export interface ColumnBuilder {
  /** Reads a field's value, which is of this wire type, into a row. Of several the last one stands. */
  read(reader: WireReader, wire: number, row: number): void;
  /** The column of so many rows; the builder begins anew. */
  finish(rows: number): Vector;
}

/** Which rows have a value. */
class Validity {
  #bits: Uint8Array = NONE;

  set(row: number): void {
    const at = row >> 3;
    if (at >= this.#bits.length)
      this.#bits = grown(this.#bits, Math.max(at + 1, ROWS_AT_FIRST >> 3));
    this.#bits[at] = (this.#bits[at] as number) | (1 << (row & 7));
  }

  has(row: number): boolean {
    return ((this.#bits[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
  }

  finish(rows: number): Uint8Array {
    const bits = grown(this.#bits, Math.max(1, (rows + 7) >> 3));
    this.#bits = NONE;
    return bits;
  }
}

type SmallClass = Uint16ArrayConstructor | Uint32ArrayConstructor | Int32ArrayConstructor;

class SmallBuilder implements ColumnBuilder {
  readonly #array: SmallClass;
  readonly #validity: Validity | null;
  #values: Uint16Array | Uint32Array | Int32Array;

  constructor(array: SmallClass, nullable: boolean) {
    this.#array = array;
    this.#validity = nullable ? new Validity() : null;
    this.#values = new array(ROWS_AT_FIRST);
  }

  read(reader: WireReader, wire: number, row: number): void {
    if (wire !== VARINT) throw garbled();
    this.put(row, reader.varint());
  }

  put(row: number, value: number): void {
    if (row >= this.#values.length) this.#values = grown(this.#values, row + 1);
    this.#values[row] = value;
    this.#validity?.set(row);
  }

  isZeroAt(row: number): boolean {
    return this.#validity?.has(row) === true && this.#values[row] === 0;
  }

  finish(rows: number): Vector {
    const values = grown(this.#values, rows).subarray(0, rows);
    this.#values = new this.#array(ROWS_AT_FIRST);
    return new NumberVector(rows, this.#validity?.finish(rows) ?? NONE, values);
  }
}

class WideBuilder implements ColumnBuilder {
  readonly #array: BigUint64ArrayConstructor | BigInt64ArrayConstructor;
  readonly #validity: Validity | null;
  #words = new Uint32Array(ROWS_AT_FIRST * 2);

  constructor(array: BigUint64ArrayConstructor | BigInt64ArrayConstructor, nullable: boolean) {
    this.#array = array;
    this.#validity = nullable ? new Validity() : null;
  }

  read(reader: WireReader, wire: number, row: number): void {
    if (wire === VARINT) reader.varint();
    else if (wire === FIXED64) reader.fixed64();
    else throw garbled();
    this.put(row, reader.low, reader.high);
  }

  put(row: number, low: number, high: number): void {
    const at = row * 2;
    if (at >= this.#words.length) this.#words = grown(this.#words, at + 2);
    this.#words[at] = low;
    this.#words[at + 1] = high;
    this.#validity?.set(row);
  }

  finish(rows: number): Vector {
    const { buffer } = grown(this.#words, rows * 2);
    this.#words = new Uint32Array(ROWS_AT_FIRST * 2);
    const values = new this.#array(buffer, 0, rows);
    return new NumberVector(rows, this.#validity?.finish(rows) ?? NONE, values);
  }
}

/** Bytes one behind the other. */
class Heap {
  #bytes = new Uint8Array(BYTES_AT_FIRST);
  used = 0;

  add(from: Uint8Array, at: number, to: number): void {
    const end = this.used + to - at;
    if (end > this.#bytes.length) this.#bytes = grown(this.#bytes, end);
    // For the few bytes of a name a loop is faster than a view and a copy.
    for (let i = at, j = this.used; i < to; i++, j++) this.#bytes[j] = from[i] as number;
    this.used = end;
  }

  /** Whether the bytes from `start` are those of another array from `at` to `to`. */
  holds(start: number, from: Uint8Array, at: number, to: number): boolean {
    for (let i = at, j = start; i < to; i++, j++) if (this.#bytes[j] !== from[i]) return false;
    return true;
  }

  finish(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.used);
    this.#bytes = new Uint8Array(BYTES_AT_FIRST);
    this.used = 0;
    return bytes;
  }
}

const FNV_PRIME = 0x01000193;
const FNV_BASIS = 0x811c9dc5 | 0;
const SLOTS_AT_FIRST = 256;

/** Strings, each of which is kept once for a block. */
class TextBuilder implements ColumnBuilder {
  readonly #validity: Validity | null;
  readonly #heap = new Heap();
  #ends = new Int32Array(ROWS_AT_FIRST);
  #count = 0;
  /** A hash table: numbers of strings, plus one. */
  #slots = new Int32Array(SLOTS_AT_FIRST);
  #hashes = new Int32Array(ROWS_AT_FIRST);
  #indices = new Int32Array(ROWS_AT_FIRST);
  /** Without a string a row has the empty one, of columns that are never null. */
  #filled = 0;

  constructor(nullable: boolean) {
    this.#validity = nullable ? new Validity() : null;
  }

  read(reader: WireReader, wire: number, row: number): void {
    if (wire !== DELIMITED) throw garbled();
    const end = reader.delimited();
    this.put(row, reader.bytes, reader.at, end);
    reader.at = end;
  }

  put(row: number, bytes: Uint8Array, at: number, end: number): void {
    if (this.#validity === null && this.#filled < row) this.#fill(row);
    this.#place(row, this.#indexOf(bytes, at, end));
    this.#filled = row + 1;
    this.#validity?.set(row);
  }

  finish(rows: number): Vector {
    if (this.#validity === null && this.#filled < rows) this.#fill(rows);
    const offsets = new Int32Array(this.#count + 1);
    offsets.set(this.#ends.subarray(0, this.#count), 1);
    const dictionary = new Strings({ offsets, data: this.#heap.finish() });
    const indices = grown(this.#indices, rows).subarray(0, rows);
    this.#indices = new Int32Array(ROWS_AT_FIRST);
    this.#count = 0;
    this.#filled = 0;
    this.#slots.fill(0);
    return new DictionaryVector(rows, this.#validity?.finish(rows) ?? NONE, indices, dictionary);
  }

  #fill(to: number): void {
    const empty = this.#indexOf(NONE, 0, 0);
    for (let row = this.#filled; row < to; row++) this.#place(row, empty);
    this.#filled = to;
  }

  #place(row: number, index: number): void {
    if (row >= this.#indices.length) this.#indices = grown(this.#indices, row + 1);
    this.#indices[row] = index;
  }

  #indexOf(bytes: Uint8Array, at: number, end: number): number {
    let hash = FNV_BASIS;
    for (let i = at; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), FNV_PRIME);
    hash ^= hash >>> 15;
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] as number) - 1;
      if (index < 0) return this.#add(hash, slot, bytes, at, end);
      if (this.#hashes[index] !== hash) continue;
      const start = index === 0 ? 0 : (this.#ends[index - 1] as number);
      const length = (this.#ends[index] as number) - start;
      if (length === end - at && this.#heap.holds(start, bytes, at, end)) return index;
    }
  }

  #add(hash: number, slot: number, bytes: Uint8Array, at: number, end: number): number {
    const index = this.#count++;
    if (index >= this.#ends.length) {
      this.#ends = grown(this.#ends, index + 1);
      this.#hashes = grown(this.#hashes, index + 1);
    }
    this.#heap.add(bytes, at, end);
    this.#ends[index] = this.#heap.used;
    this.#hashes[index] = hash;
    this.#slots[slot] = index + 1;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    return index;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 4);
    const mask = this.#slots.length - 1;
    for (let index = 0; index < this.#count; index++) {
      let slot = (this.#hashes[index] as number) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = index + 1;
    }
  }
}

/** Offsets of the values of rows, some of which have none. */
class RowOffsets {
  #offsets = new Int32Array(ROWS_AT_FIRST);
  #rows = 0;

  /** Where a row's value begins. */
  startOf(row: number): number {
    return this.#offsets[Math.min(row, this.#rows)] as number;
  }

  /** The value of a row ends there; rows before it that have none are empty. */
  end(row: number, end: number): void {
    this.#pad(row);
    this.#offsets[row + 1] = end;
    this.#rows = row + 1;
  }

  finish(rows: number): Int32Array {
    this.#pad(rows);
    const offsets = this.#offsets.subarray(0, rows + 1);
    this.#offsets = new Int32Array(ROWS_AT_FIRST);
    this.#rows = 0;
    return offsets;
  }

  #pad(row: number): void {
    if (row + 2 > this.#offsets.length) this.#offsets = grown(this.#offsets, row + 2);
    if (row > this.#rows) {
      this.#offsets.fill(this.#offsets[this.#rows] as number, this.#rows + 1, row + 1);
      this.#rows = row;
    }
  }
}

class BytesBuilder implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #offsets = new RowOffsets();
  readonly #heap = new Heap();

  read(reader: WireReader, wire: number, row: number): void {
    if (wire !== DELIMITED) throw garbled();
    const end = reader.delimited();
    this.#heap.used = this.#validity.has(row) ? this.#offsets.startOf(row) : this.#heap.used;
    this.#heap.add(reader.bytes, reader.at, end);
    reader.at = end;
    this.#offsets.end(row, this.#heap.used);
    this.#validity.set(row);
  }

  finish(rows: number): Vector {
    const heap = this.#heap.finish();
    const buffers = { offsets: this.#offsets.finish(rows), inner: null, heap };
    return new SliceVector(rows, this.#validity.finish(rows), buffers, (from, to) =>
      heap.subarray(from, to),
    );
  }
}

class TextsBuilder implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #offsets = new RowOffsets();
  readonly #heap = new Heap();
  #inner = new Int32Array(ROWS_AT_FIRST);
  #count = 0;

  read(reader: WireReader, wire: number, row: number): void {
    if (wire !== DELIMITED) throw garbled();
    const end = reader.delimited();
    this.#heap.add(reader.bytes, reader.at, end);
    reader.at = end;
    this.#count++;
    if (this.#count >= this.#inner.length) this.#inner = grown(this.#inner, this.#count + 1);
    this.#inner[this.#count] = this.#heap.used;
    this.put(row);
  }

  /** The row has a list, if an empty one. */
  put(row: number): void {
    this.#offsets.end(row, this.#count);
    this.#validity.set(row);
  }

  has(row: number): boolean {
    return this.#validity.has(row);
  }

  finish(rows: number): Vector {
    const heap = this.#heap.finish();
    const bytes = Buffer.from(heap.buffer, heap.byteOffset, heap.byteLength);
    const inner = this.#inner.subarray(0, this.#count + 1);
    this.#inner = new Int32Array(ROWS_AT_FIRST);
    this.#count = 0;
    const buffers = { offsets: this.#offsets.finish(rows), inner, heap };
    return new SliceVector(rows, this.#validity.finish(rows), buffers, (from, to) =>
      Array.from({ length: to - from }, (_, i) =>
        bytes.toString('utf8', inner[from + i], inner[from + i + 1]),
      ),
    );
  }
}

class NumbersBuilder implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #offsets = new RowOffsets();
  #words = new Uint32Array(ROWS_AT_FIRST * 2);
  #count = 0;

  read(reader: WireReader, wire: number, row: number): void {
    if (wire === VARINT) this.#add(reader);
    else if (wire === DELIMITED) {
      const end = reader.delimited();
      while (reader.at < end) this.#add(reader);
      if (reader.at !== end) throw garbled();
    } else throw garbled();
    this.#offsets.end(row, this.#count);
    this.#validity.set(row);
  }

  finish(rows: number): Vector {
    const values = new BigUint64Array(this.#words.buffer, 0, this.#count);
    this.#words = new Uint32Array(ROWS_AT_FIRST * 2);
    this.#count = 0;
    const buffers = { offsets: this.#offsets.finish(rows), inner: values, heap: NONE };
    return new SliceVector(rows, this.#validity.finish(rows), buffers, (from, to) => [
      ...values.subarray(from, to),
    ]);
  }

  #add(reader: WireReader): void {
    reader.varint();
    const at = this.#count * 2;
    if (at >= this.#words.length) this.#words = grown(this.#words, at + 2);
    this.#words[at] = reader.low;
    this.#words[at + 1] = reader.high;
    this.#count++;
  }
}

export { SmallBuilder, TextBuilder, TextsBuilder, WideBuilder };

/** A builder for a column of a type; `nullable`: of the type's own. */
export function builderOf(type: FieldType, nullable: boolean): ColumnBuilder {
  switch (type) {
    case 'u16':
      return new SmallBuilder(Uint16Array, nullable);
    case 'u32':
      return new SmallBuilder(Uint32Array, nullable);
    case 'i32':
      return new SmallBuilder(Int32Array, nullable);
    case 'u64':
      return new WideBuilder(BigUint64Array, nullable);
    case 'i64':
    case 'timestamp':
      return new WideBuilder(BigInt64Array, nullable);
    case 'texts':
      return new TextsBuilder();
    case 'u64s':
      return new NumbersBuilder();
    case 'bytes':
      return new BytesBuilder();
    default:
      return new TextBuilder(nullable);
  }
}
