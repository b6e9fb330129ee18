// Times of 64 bits without BigInt: seconds change rarely.

import * as out from './text.ts';
import { jsonPiece, type Piece } from './text.ts';

const WORD = 2 ** 32;
const HALF = 2 ** 16;
const S = 1e9;
const MS_PER_S = 1000;
/** 2 ** 32 modulo S. */
const WORD_NS = WORD % S;

/** Up to here a double holds all ns. */
const SAFE_SECONDS = 9e6;

/** ns in the last second of a time of 64 bits, not negative. */
function nsOf(low: number, high: number): number {
  const upper = Math.trunc(high / HALF);
  // No product here is beyond 2 ** 48.
  const scaled = ((upper * WORD_NS) % S) * HALF;
  return (scaled + (high - upper * HALF) * WORD_NS + low) % S;
}

/** Times that follow one another, each as a whole second and ns after it. */
export class Seconds {
  // The second that the last one was in, as 64 bits: most are in the same.
  #low = 0;
  #high = 0;
  second = Number.NaN;
  ns = 0;

  /** Takes a time of 64 bits, not negative. */
  take(low: number, high: number): void {
    const after = (high - this.#high) * WORD + (low - this.#low);
    if (after >= 0 && after < S && this.second >= 0) {
      this.ns = after;
      return;
    }
    this.ns = nsOf(low, high);
    // The sum is off by less than 2 µs.
    this.second = Math.round((high * WORD + low - this.ns) / S);
    const borrow = low < this.ns ? 1 : 0;
    this.#low = low - this.ns + borrow * WORD;
    this.#high = high - borrow;
  }
}

/** Writes times that follow one another, each behind the same words. */
export class TimeTexts {
  readonly #before: string;
  #second = Number.NaN;
  #date: Piece = jsonPiece('');

  constructor(before: string) {
    this.#before = before;
  }

  /** As Go's RFC3339Nano writes it, without zeros at its end, but for the Z. */
  write(second: number, ns: number): void {
    if (second !== this.#second) {
      const date = new Date(second * MS_PER_S).toISOString().slice(0, -'.000Z'.length);
      this.#date = jsonPiece(this.#before + date);
      this.#second = second;
    }
    out.put(this.#date);
    out.fraction(ns);
  }
}

/** Writes the digits of s · 10⁹ + ns. */
export function writeNs(s: number, ns: number): void {
  if (s < SAFE_SECONDS) {
    out.number(s * S + ns);
    return;
  }
  out.number(s);
  out.nine(ns);
}
