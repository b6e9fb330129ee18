// Times of 64 bits as text, without BigInt: seconds change rarely, and nine digits are three looked up.

const WORD = 2 ** 32;
const HALF = 2 ** 16;
const S = 1e9;
export const K = 1000;
/** 2 ** 32 modulo S. */
const WORD_NS = WORD % S;

/** Up to here a double holds all ns. */
const SAFE_SECONDS = 9e6;

/** All that three digits can be. */
export const THREE: readonly string[] = Array.from({ length: K }, (_, i) =>
  i.toString().padStart(3, '0'),
);

/** All nine digits of a part of a second. */
export function nineDigits(ns: number): string {
  const us = Math.trunc(ns / K);
  const ms = Math.trunc(us / K);
  return (THREE[ms] as string) + (THREE[us - ms * K] as string) + (THREE[ns - us * K] as string);
}

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

/** Texts of times that follow one another. */
export class TimeTexts {
  #second = Number.NaN;
  #date = '';
  #whole = Number.NaN;
  #digits = '';

  /** As Go's RFC3339Nano writes it: without zeros at its end. */
  go(second: number, ns: number): string {
    if (second !== this.#second) {
      this.#date = new Date(second * K).toISOString().slice(0, -'.000Z'.length);
      this.#second = second;
    }
    if (ns % 10 !== 0) return `${this.#date}.${nineDigits(ns)}Z`;
    if (ns === 0) return `${this.#date}Z`;
    return `${this.#date}.${nineDigits(ns).replace(/0+$/, '')}Z`;
  }

  /** The digits of s · 10⁹ + ns. */
  ns(s: number, ns: number): string {
    // A number's own text is in one piece, which JSON.stringify() is faster with.
    if (s < SAFE_SECONDS) return String(s * S + ns);
    if (s !== this.#whole) {
      this.#digits = String(s);
      this.#whole = s;
    }
    return this.#digits + nineDigits(ns);
  }
}
