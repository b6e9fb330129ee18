// Values of columns as a conversion wants them. 64-bit values are read as two halves: a BigInt costs more than all the
// rest of a value.

import type { FieldType } from '../../schemas/events.ts';
import type { RowValue } from '../event/json.ts';
import { DictionaryVector, NumberVector } from '../segment/vectors.ts';
import type { Integer } from './event.ts';
import { K, THREE } from './times.ts';

/** Part of ECMAScript since 2025, which the compiler's library does not know yet. */
const rawJson = (JSON as unknown as { rawJSON(text: string): Exclude<Integer, number> }).rawJSON;

const WORD = 2 ** 32;
/** Upper halves below it are of numbers that a double holds exactly. */
const SAFE_HIGH = 2 ** 21;

/** From here on strings that are put together are not in one piece, which JSON.stringify() is slower with. */
const LONG = 1e12;

type Source = { get(row: number): RowValue };
type Small = Uint16Array | Uint32Array | Int32Array;

function isAbsent(validity: Uint8Array, row: number): boolean {
  return ((validity[row >> 3] as number) & (1 << (row & 7))) === 0;
}

/** A column of numbers of up to 32 bits. */
class SmallCell {
  readonly #values: Small;
  readonly #validity: Uint8Array;
  readonly #isFull: boolean;

  constructor(values: Small, validity: Uint8Array) {
    this.#values = values;
    this.#validity = validity;
    this.#isFull = validity.length === 0;
  }

  at(row: number): number | null {
    if (!this.#isFull && isAbsent(this.#validity, row)) return null;
    return this.#values[row] as number;
  }
}

/** A column of numbers of 64 bits. */
class WideCell {
  readonly #words: Uint32Array;
  readonly #validity: Uint8Array;
  readonly #isFull: boolean;
  readonly #isSigned: boolean;
  // Rows of one process follow one another: most ids are those of the row before.
  #low = 0;
  #high = 0;
  #text = '0';
  #thousands = Number.NaN;
  #head = '';

  constructor(words: Uint32Array, validity: Uint8Array, isSigned: boolean) {
    this.#words = words;
    this.#validity = validity;
    this.#isFull = validity.length === 0;
    this.#isSigned = isSigned;
  }

  low(row: number): number {
    return this.#words[row * 2] as number;
  }

  high(row: number): number {
    return this.#words[row * 2 + 1] as number;
  }

  isZero(row: number): boolean {
    return this.#words[row * 2] === 0 && this.#words[row * 2 + 1] === 0;
  }

  isNull(row: number): boolean {
    return !this.#isFull && isAbsent(this.#validity, row);
  }

  at(row: number): Integer | null {
    if (this.isNull(row)) return null;
    const unsigned = this.high(row);
    const high = this.#isSigned ? unsigned | 0 : unsigned;
    if (high < SAFE_HIGH && high >= -SAFE_HIGH) return high * WORD + this.low(row);
    return rawJson(this.#big(row).toString());
  }

  /** Its digits. */
  digits(row: number): string | undefined {
    if (this.isNull(row)) return undefined;
    const low = this.low(row);
    const high = this.high(row);
    if (low !== this.#low || high !== this.#high) {
      this.#text = high < SAFE_HIGH ? this.#number(high * WORD + low) : `${this.#big(row)}`;
      this.#low = low;
      this.#high = high;
    }
    return this.#text;
  }

  /** Digits of one that is often little more than the one before, as a seq is. */
  #number(value: number): string {
    if (value >= LONG) return String(value);
    const thousands = Math.trunc(value / K);
    if (thousands === this.#thousands) return this.#head + THREE[value - thousands * K];
    const text = String(value);
    // The first thousand has no head, and is not padded.
    this.#thousands = thousands === 0 ? Number.NaN : thousands;
    this.#head = text.slice(0, -3);
    return text;
  }

  hex(row: number): string | undefined {
    if (this.isNull(row)) return undefined;
    const low = this.low(row).toString(16);
    const high = this.high(row);
    return high === 0 ? `0x${low}` : `0x${high.toString(16)}${low.padStart(8, '0')}`;
  }

  #big(row: number): bigint {
    const value = (BigInt(this.high(row)) << 32n) | BigInt(this.low(row));
    return this.#isSigned ? BigInt.asIntN(64, value) : value;
  }
}

/** A column that has a value as it is. */
class PlainCell<T> {
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  at(row: number): T | null {
    return this.#source.get(row) as T | null;
  }
}

/** A column of strings of a dictionary. */
class TextCell {
  readonly #source: DictionaryVector;
  readonly #indices: Small;
  readonly #validity: Uint8Array;
  readonly #isFull: boolean;
  /** Strings that were asked for, by index. */
  readonly #texts: string[] = [];

  constructor(source: DictionaryVector) {
    this.#source = source;
    this.#indices = source.indices as Small;
    this.#validity = source.validity;
    this.#isFull = source.validity.length === 0;
  }

  at(row: number): string | null {
    if (!this.#isFull && isAbsent(this.#validity, row)) return null;
    const index = this.#indices[row] as number;
    return this.#texts[index] ?? this.#read(index);
  }

  #read(index: number): string | null {
    const text = this.#source.dictionary.at(index);
    if (text === undefined) return null;
    this.#texts[index] = text;
    return text;
  }
}

/** A column that does not lie in a buffer of its own. */
class LooseWideCell {
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  #value(row: number): bigint {
    return (this.#source.get(row) ?? 0n) as bigint;
  }

  low(row: number): number {
    return Number(BigInt.asUintN(32, this.#value(row)));
  }

  high(row: number): number {
    return Number(BigInt.asUintN(32, this.#value(row) >> 32n));
  }

  isZero(row: number): boolean {
    return this.#value(row) === 0n;
  }

  isNull(row: number): boolean {
    return this.#source.get(row) === null;
  }

  at(row: number): Integer | null {
    if (this.isNull(row)) return null;
    const value = Number(this.#value(row));
    return Number.isSafeInteger(value) ? value : rawJson(this.#value(row).toString());
  }

  digits(row: number): string | undefined {
    return this.isNull(row) ? undefined : this.#value(row).toString();
  }

  hex(row: number): string | undefined {
    return this.isNull(row) ? undefined : `0x${this.#value(row).toString(16)}`;
  }
}

/** A column of numbers of up to 32 bits, strings or lists. */
export type Cell<T> = { at(row: number): T | null };
/** A column of numbers of 64 bits. */
export type Wide = Pick<WideCell, 'low' | 'high' | 'isZero' | 'isNull' | 'at' | 'digits' | 'hex'>;
export type AnyCell = Cell<unknown> | Wide;

const ABSENT: Source = { get: () => null };
const WIDE: ReadonlySet<FieldType> = new Set(['u64', 'i64', 'timestamp']);

/** The cell of a column; one that is not there is null in each row. */
export function cellOf(type: FieldType, source: Source = ABSENT): AnyCell {
  if (source instanceof NumberVector) {
    const { values, validity } = source;
    if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
      const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
      return new WideCell(words, validity, values instanceof BigInt64Array);
    }
    return new SmallCell(values, validity);
  }
  if (source instanceof DictionaryVector) return new TextCell(source);
  return WIDE.has(type) ? new LooseWideCell(source) : new PlainCell(source);
}
