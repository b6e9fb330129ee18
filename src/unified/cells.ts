// Values of columns as a conversion wants them. 64-bit values are read as two halves: a BigInt costs more than all the
// rest of a value.

import type { FieldType } from '../../schemas/events.ts';
import type { RowValue } from '../event/json.ts';
import type { Strings } from '../segment/strings.ts';
import { DictionaryVector, NumberVector } from '../segment/vectors.ts';
import type { Integer } from './event.ts';
import { type Piece, textPiece } from './text.ts';

/** Part of ECMAScript since 2025, which the compiler's library does not know yet. */
const rawJson = (JSON as unknown as { rawJSON(text: string): Exclude<Integer, number> }).rawJSON;

const WORD = 2 ** 32;
/** Upper halves below it are of numbers that a double holds exactly. */
const SAFE_HIGH = 2 ** 21;

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

/** Strings that were asked for, ready to be written, by index: many blocks of rows share a dictionary. */
const PIECES = new WeakMap<Strings, Piece[]>();

function piecesOf(dictionary: Strings): Piece[] {
  let pieces = PIECES.get(dictionary);
  if (pieces === undefined) {
    pieces = [];
    PIECES.set(dictionary, pieces);
  }
  return pieces;
}

/** A column of strings of a dictionary. */
class TextCell {
  readonly #source: DictionaryVector;
  readonly #indices: Small;
  readonly #validity: Uint8Array;
  readonly #isFull: boolean;
  readonly #pieces: Piece[];

  constructor(source: DictionaryVector) {
    this.#source = source;
    this.#indices = source.indices as Small;
    this.#validity = source.validity;
    this.#isFull = source.validity.length === 0;
    this.#pieces = piecesOf(source.dictionary);
  }

  at(row: number): Piece | null {
    if (!this.#isFull && isAbsent(this.#validity, row)) return null;
    const index = this.#indices[row] as number;
    return this.#pieces[index] ?? this.#read(index);
  }

  #read(index: number): Piece | null {
    const text = this.#source.dictionary.at(index);
    if (text === undefined) return null;
    const piece = textPiece(text);
    this.#pieces[index] = piece;
    return piece;
  }
}

/** A column of strings that do not lie in a buffer. */
class LooseTextCell {
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  at(row: number): Piece | null {
    const text = this.#source.get(row) as string | null;
    return text === null ? null : textPiece(text);
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
}

/** A column of numbers of up to 32 bits, strings or lists. */
export type Cell<T> = { at(row: number): T | null };
/** A column of numbers of 64 bits. */
export type Wide = Pick<WideCell, 'low' | 'high' | 'isZero' | 'isNull' | 'at'>;
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
  if (type === 'name' || type === 'text') return new LooseTextCell(source);
  return WIDE.has(type) ? new LooseWideCell(source) : new PlainCell(source);
}
