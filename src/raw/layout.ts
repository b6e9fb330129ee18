// Where the columns of a block lie, as the addon reads it. What lies in no buffer, or in one of another form, is brought
// into buffers for the rows that are asked for.

import type { FieldType } from '../../schemas/events.ts';
import type { RowValue } from '../event/json.ts';
import { Strings } from '../segment/strings.ts';
import {
  DictionaryVector,
  NumberVector,
  SliceVector,
  type TypedArray,
} from '../segment/vectors.ts';
import { RAW_KINDS, type RawBlock } from '../source/raw-events.ts';

/** A column of any form. */
export type Column = { get(row: number): RowValue };

/** A field of the message, and the column that it is made of. */
export interface RawField {
  readonly name: string;
  /** The column's; `ktime` is made of `ts`. */
  readonly column: string;
  readonly field: number;
  readonly type: FieldType;
  readonly isOwn: boolean;
}

/** A column in memory. */
interface Parts {
  readonly kind: number;
  readonly first: number;
  readonly rows: number;
  /** Validity, data, inner part and heap; what is missing at the end is empty. */
  readonly views: readonly ArrayBufferView[];
}

const PARTS_MAX = 4;
const WORD = 32n;

type ArrayClass = new (length: number) => TypedArray;

const ARRAYS: Readonly<Partial<Record<FieldType, ArrayClass>>> = {
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
  i32: Int32Array,
  i64: BigInt64Array,
  timestamp: BigInt64Array,
};

/** How a field is written: one of RAW_KINDS. */
export function kindOf({ name, type }: RawField): number {
  if (name === 'ktime') return RAW_KINDS.ktime;
  if (type === 'timestamp') return RAW_KINDS.fixed64;
  if (type === 'name' || type === 'text') return RAW_KINDS.dict32;
  return RAW_KINDS[type];
}

const NONE = new Uint8Array(0);

/** A column that lies in buffers as the addon wants them; null where it does not. */
function partsOf(field: RawField, column: Column): Parts | null {
  const { type } = field;
  const array = ARRAYS[type];
  const at = (kind: number, views: readonly ArrayBufferView[], rows: number): Parts | null => {
    // Others may write what is shared while it is read.
    const isOurs = views.every(({ buffer }) => buffer instanceof ArrayBuffer);
    return isOurs ? { kind, first: 0, rows, views } : null;
  };
  if (column instanceof NumberVector) {
    const { length, validity, values } = column;
    if (array === undefined || !(values instanceof array)) return null;
    return at(kindOf(field), [validity, values], length);
  }
  if (column instanceof DictionaryVector) {
    const { length, validity, indices, dictionary } = column;
    if ((type !== 'name' && type !== 'text') || indices.BYTES_PER_ELEMENT > 4) return null;
    const kind = indices.BYTES_PER_ELEMENT === 2 ? RAW_KINDS.dict16 : RAW_KINDS.dict32;
    const { offsets, data } = dictionary.buffers;
    return at(kind, [validity, indices, offsets, data], length);
  }
  if (column instanceof SliceVector) {
    const { length, validity, buffers } = column;
    const { offsets, inner, heap } = buffers;
    const fits =
      (type === 'texts' && inner instanceof Int32Array) ||
      (type === 'u64s' && inner instanceof BigUint64Array) ||
      (type === 'bytes' && inner === null);
    return fits ? at(kindOf(field), [validity, offsets, inner ?? NONE, heap], length) : null;
  }
  return null;
}

const misfit = (name: string): RangeError =>
  new RangeError(`a value of ${name} is none that the event table has`);

function numbersOf(name: string, values: readonly RowValue[], array: ArrayClass): TypedArray {
  const out = new array(values.length);
  values.forEach((value, i) => {
    if (value === null) return;
    try {
      out[i] = value as never;
    } catch {
      throw misfit(name);
    }
    // What does not fit became another.
    if (out[i] !== value) throw misfit(name);
  });
  return out;
}

function lengthsToOffsets(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  lengths.forEach((length, i) => {
    offsets[i + 1] = (offsets[i] ?? 0) + length;
  });
  return offsets;
}

/** Data, inner part and heap of values of a type. */
function viewsOf({ name, type }: RawField, values: readonly RowValue[]): ArrayBufferView[] {
  const array = ARRAYS[type];
  if (array !== undefined) return [numbersOf(name, values, array)];
  const given = values.filter((value) => value !== null);
  const isRight = (value: RowValue): boolean => {
    if (type === 'name' || type === 'text') return typeof value === 'string';
    if (type === 'bytes') return value instanceof Uint8Array;
    const element = type === 'texts' ? 'string' : 'bigint';
    return Array.isArray(value) && value.every((one) => typeof one === element);
  };
  if (!given.every(isRight)) throw misfit(name);
  if (type === 'name' || type === 'text') {
    const places = new Map([...new Set(given as string[])].map((text, i) => [text, i]));
    const { offsets, data } = Strings.of([...places.keys()]).buffers;
    return [Int32Array.from(values, (value) => places.get(value as string) ?? 0), offsets, data];
  }
  const lists = values.map((value) => (value ?? []) as readonly unknown[]);
  const offsets = lengthsToOffsets(lists.map(({ length }) => length));
  if (type === 'bytes') return [offsets, NONE, Buffer.concat(given as Uint8Array[])];
  if (type === 'u64s') return [offsets, numbersOf(name, lists.flat() as bigint[], BigUint64Array)];
  const strings = Strings.of(lists.flat() as string[]).buffers;
  return [offsets, strings.offsets, strings.data];
}

function validityOf(values: readonly RowValue[]): Uint8Array {
  if (!values.includes(null)) return NONE;
  const bits = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, i) => {
    if (value !== null) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  });
  return bits;
}

/** Rows of a column brought into buffers. Throws RangeError for a value that its type does not have. */
function broughtTogether(field: RawField, column: Column, from: number, to: number): Parts {
  const values = Array.from({ length: to - from }, (_, i) => column.get(from + i));
  const views = [validityOf(values), ...viewsOf(field, values)];
  return { kind: kindOf(field), first: from, rows: values.length, views };
}

/** The columns of a block that are written, and where they lie. */
export class BlockLayout {
  readonly #numbers: number[];
  readonly #buffers: ArrayBuffer[] = [];
  readonly #places = new Map<ArrayBuffer, number>();
  /** Those that are brought together anew for each call. */
  readonly #loose: (readonly [RawField, Column])[] = [];
  readonly #whole: RawBlock | null;

  /** `event` is the field of the block's type; `tsOffset` in ns. */
  constructor(event: number, tsOffset: bigint, columns: readonly (readonly [RawField, Column])[]) {
    const [low, high] = [tsOffset, tsOffset >> WORD].map((n) => Number(BigInt.asUintN(32, n)));
    this.#numbers = [event, low ?? 0, high ?? 0];
    for (const [field, column] of columns) {
      const parts = partsOf(field, column);
      if (parts === null) this.#loose.push([field, column]);
      else this.#add(field, parts, this.#numbers, this.#buffers);
    }
    const isWhole = this.#loose.length === 0;
    this.#whole = isWhole
      ? { layout: new Float64Array(this.#numbers), buffers: this.#buffers }
      : null;
  }

  /** The block as the addon takes it, for rows `from` up to, but without, `to`. Throws as viewsOf(). */
  block(from: number, to: number): RawBlock {
    if (this.#whole !== null) return this.#whole;
    const [numbers, buffers] = [[...this.#numbers], [...this.#buffers]];
    for (const [field, column] of this.#loose) {
      this.#add(field, broughtTogether(field, column, from, to), numbers, buffers);
    }
    return { layout: new Float64Array(numbers), buffers };
  }

  #add(field: RawField, parts: Parts, numbers: number[], buffers: ArrayBuffer[]): void {
    const { kind, first, rows, views } = parts;
    numbers.push(field.field, kind, field.isOwn ? 1 : 0, first, rows);
    for (let i = 0; i < PARTS_MAX; i++) {
      const view = views[i] ?? NONE;
      if (view.byteLength === 0) {
        numbers.push(0, 0, 0);
        continue;
      }
      numbers.push(this.#place(view.buffer as ArrayBuffer, buffers), view.byteOffset);
      numbers.push(view.byteLength);
    }
  }

  #place(buffer: ArrayBuffer, buffers: ArrayBuffer[]): number {
    // What a single call brings together is not kept.
    if (buffers !== this.#buffers) return buffers.push(buffer) - 1;
    const place = this.#places.get(buffer) ?? buffers.push(buffer) - 1;
    this.#places.set(buffer, place);
    return place;
  }
}
