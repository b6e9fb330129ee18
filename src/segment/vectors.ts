// Columns as readers see them: a value per row, null where it is absent.

import type { ColumnSpec } from '../../schemas/arrow.ts';
import type { RowValue } from '../event/json.ts';
import type { RawColumn } from './arrow-reader.ts';
import { atLeast, checkedOffsets, Strings } from './strings.ts';

/** u64, i64 and timestamps are bigint (ns); lists are arrays; bytes are Uint8Array. */
export type Value = RowValue;

export interface Vector {
  readonly length: number;
  get(row: number): Value;
}

export type TypedArray = Uint16Array | Uint32Array | Int32Array | BigUint64Array | BigInt64Array;

/** Whether a row has a value; an empty bitmap means that all have. */
export function isPresent(validity: Uint8Array, row: number): boolean {
  return validity.length === 0 || ((validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
}

const WIDTHS: Readonly<Partial<Record<ColumnSpec['type'], number>>> = {
  u16: 2,
  name: 2,
  u64: 8,
  i64: 8,
  timestamp: 8,
};

function view(type: ColumnSpec['type'], bytes: Uint8Array, length: number): TypedArray {
  atLeast(bytes, length * (WIDTHS[type] ?? 4));
  const { buffer, byteOffset, byteLength } = bytes;
  switch (type) {
    case 'u16':
    case 'name':
      return new Uint16Array(buffer, byteOffset, byteLength >> 1);
    case 'u32':
      return new Uint32Array(buffer, byteOffset, byteLength >> 2);
    case 'u64':
      return new BigUint64Array(buffer, byteOffset, byteLength >> 3);
    case 'i64':
    case 'timestamp':
      return new BigInt64Array(buffer, byteOffset, byteLength >> 3);
    default:
      return new Int32Array(buffer, byteOffset, byteLength >> 2);
  }
}

/** Numbers; `values` has all rows, with 0 where `get` gives null. */
export class NumberVector implements Vector {
  readonly length: number;
  readonly values: TypedArray;
  readonly validity: Uint8Array;

  constructor(length: number, validity: Uint8Array, values: TypedArray) {
    this.length = length;
    this.values = values;
    this.validity = validity;
  }

  get(row: number): Value {
    return isPresent(this.validity, row) ? (this.values[row] ?? null) : null;
  }
}

/** Strings by index into a dictionary. */
export class DictionaryVector implements Vector {
  readonly length: number;
  readonly indices: TypedArray;
  readonly dictionary: Strings;
  readonly validity: Uint8Array;

  constructor(length: number, validity: Uint8Array, indices: TypedArray, dictionary: Strings) {
    this.length = length;
    this.indices = indices;
    this.dictionary = dictionary;
    this.validity = validity;
  }

  get(row: number): Value {
    if (!isPresent(this.validity, row)) return null;
    return this.dictionary.at(Number(this.indices[row])) ?? null;
  }

  /** Throws RangeError where a row names a string that is not there. */
  check(): void {
    const { indices } = this;
    const strings = this.dictionary.length;
    for (let row = 0; row < this.length; row++) {
      const index = Number(indices[row]);
      if ((index < 0 || index >= strings) && isPresent(this.validity, row)) {
        throw new RangeError('a row names a string that is lost');
      }
    }
  }
}

/** Where the values of a column of lists, strings or bytes lie. */
export interface SliceBuffers {
  /** Row i has what lies from offsets[i] to offsets[i + 1]: elements of a list, or bytes. */
  readonly offsets: Int32Array;
  /** Of strings in a list their own offsets, of numbers these; null where there is no list. */
  readonly inner: Int32Array | BigUint64Array | null;
  /** Bytes of strings, or bytes. */
  readonly heap: Uint8Array;
}

/** Values that are made of a slice of the column's buffers. */
export class SliceVector<T extends Value = Value> implements Vector {
  readonly length: number;
  readonly validity: Uint8Array;
  readonly buffers: SliceBuffers;
  readonly #slice: (from: number, to: number) => T;

  constructor(
    length: number,
    validity: Uint8Array,
    buffers: SliceBuffers,
    slice: (from: number, to: number) => T,
  ) {
    this.length = length;
    this.validity = validity;
    this.buffers = buffers;
    this.#slice = slice;
  }

  get(row: number): Value {
    if (!isPresent(this.validity, row)) return null;
    const { offsets } = this.buffers;
    return this.#slice(offsets[row] ?? 0, offsets[row + 1] ?? 0);
  }
}

const NONE = new Uint8Array(0);

/** A column that a file does not have. */
export function nullVector(length: number): Vector {
  return { length, get: () => null };
}

/**
 * A vector over the buffers of a column; `dictionary` where the column has one. Throws RangeError where
 * the buffers do not hold what they should.
 */
export function vectorOf(
  spec: ColumnSpec,
  raw: {
    readonly nodes: readonly { readonly length: number }[];
    readonly buffers: RawColumn['buffers'];
  },
  dictionary: Strings | undefined,
): Vector {
  const length = raw.nodes[0]?.length ?? 0;
  const [validity = NONE, data = NONE, third = NONE, fourth = NONE, fifth = NONE] = raw.buffers;
  if (validity.length > 0) atLeast(validity, (length + 7) >> 3);
  switch (spec.type) {
    case 'name':
    case 'text': {
      const indices = view(spec.type, data, length);
      const vector = new DictionaryVector(length, validity, indices, dictionary ?? Strings.of([]));
      vector.check();
      return vector;
    }
    case 'utf8': {
      const bytes = Buffer.from(third.buffer, third.byteOffset, third.byteLength);
      const offsets = checkedOffsets(data, length, bytes.length);
      return new SliceVector(length, validity, { offsets, inner: null, heap: bytes }, (from, to) =>
        bytes.toString('utf8', from, to),
      );
    }
    case 'bytes': {
      const offsets = checkedOffsets(data, length, third.length);
      return new SliceVector(length, validity, { offsets, inner: null, heap: third }, (from, to) =>
        third.subarray(from, to),
      );
    }
    case 'u64s': {
      const values = new BigUint64Array(fourth.buffer, fourth.byteOffset, fourth.byteLength >> 3);
      const offsets = checkedOffsets(data, length, values.length);
      return new SliceVector(
        length,
        validity,
        { offsets, inner: values, heap: NONE },
        (from, to) => [...values.subarray(from, to)],
      );
    }
    case 'texts': {
      const bytes = Buffer.from(fifth.buffer, fifth.byteOffset, fifth.byteLength);
      const count = raw.nodes[1]?.length ?? 0;
      const inner = checkedOffsets(fourth, count, bytes.length);
      const offsets = checkedOffsets(data, length, count);
      return new SliceVector(length, validity, { offsets, inner, heap: bytes }, (from, to) =>
        Array.from({ length: to - from }, (_, i) =>
          bytes.toString('utf8', inner[from + i], inner[from + i + 1]),
        ),
      );
    }
    default:
      return new NumberVector(length, validity, view(spec.type, data, length));
  }
}

/** How many nodes and buffers a column has in a record batch. */
export function partsOf(type: ColumnSpec['type']): { nodes: number; buffers: number } {
  switch (type) {
    case 'utf8':
    case 'bytes':
      return { nodes: 1, buffers: 3 };
    case 'texts':
      return { nodes: 2, buffers: 5 };
    case 'u64s':
      return { nodes: 2, buffers: 4 };
    default:
      return { nodes: 1, buffers: 2 };
  }
}

/** Buffers of columns that lie one after another in `memory`: offset and length of each. */
export function buffersIn(
  specs: readonly ColumnSpec[],
  regions: Uint32Array,
  memory: ArrayBuffer,
): Map<string, Uint8Array[]> {
  const out = new Map<string, Uint8Array[]>();
  let at = 0;
  for (const { name, type } of specs) {
    const buffers = Array.from({ length: partsOf(type).buffers }, () => {
      const [offset = 0, length = 0] = [regions[at], regions[at + 1]];
      at += 2;
      return new Uint8Array(memory, offset, length);
    });
    out.set(name, buffers);
  }
  return out;
}

/** Vectors over buffersIn(). */
export function vectorsOf(
  specs: readonly ColumnSpec[],
  rows: number,
  columns: ReadonlyMap<string, readonly Uint8Array[]>,
  strings: ReadonlyMap<string, Strings>,
): Map<string, Vector> {
  const out = new Map<string, Vector>();
  for (const spec of specs) {
    const buffers = columns.get(spec.name) ?? [];
    const nodes = [{ length: rows }, { length: elementsOf(rows, buffers) }];
    out.set(spec.name, vectorOf(spec, { nodes, buffers }, strings.get(spec.name)));
  }
  return out;
}

/** How many elements the rows of a list column have: what its last offset says. */
export function elementsOf(rows: number, buffers: readonly Uint8Array[]): number {
  const [, bytes] = buffers;
  if (buffers.length <= 3 || bytes === undefined || bytes.byteLength < (rows + 1) * 4) return 0;
  return new Int32Array(bytes.buffer, bytes.byteOffset, rows + 1)[rows] ?? 0;
}
