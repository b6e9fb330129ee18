// When each row is due. Pure: times of a monotonic clock come in as numbers (ns), nothing is waited for.
//
// Due times are absolute: a row's place in the recording, in ns or in rows, is scaled from one anchor.
// The anchor moves when somebody pauses, seeks or changes the speed, so that no error adds up.

import { parseDuration } from '../config/values.ts';
import { TapioError } from '../errors.ts';

/** How fast: a multiple of the recorded speed, rows per second, or as fast as it goes. */
export type Pace = { readonly speed: number } | { readonly rate: number } | 'max';

const NS_PER_S = 1e9;

export class Schedule {
  readonly #counts: boolean;
  readonly #unpaced: boolean;
  readonly #maxGapNs: number;
  /** ns of the clock per unit of place. */
  #slope: number;
  /** The anchor: place `#from` is due at `#at`. */
  #at = 0;
  #from = 0;
  /** Place of the last row that went: recorded ns without what was cut from gaps, or rows. */
  #place = 0;
  /** Latest ts so far; null: the next row follows the last one without a gap. */
  #latest: bigint | null = null;
  /** No row went since the beginning, or since a seek. */
  #fresh = true;
  #pausedAt: number | null = null;

  /** `maxGapNs`: nobody waits longer than that for the next row, whatever the speed. */
  constructor(pace: Pace, maxGapNs: number = Number.POSITIVE_INFINITY) {
    this.#unpaced = pace === 'max';
    this.#counts = pace !== 'max' && 'rate' in pace;
    this.#maxGapNs = maxGapNs;
    if (pace === 'max') this.#slope = 0;
    else this.#slope = 'rate' in pace ? NS_PER_S / pace.rate : 1 / pace.speed;
  }

  get paused(): boolean {
    return this.#pausedAt !== null;
  }

  /** True where rows are due at once, whenever that is. */
  get unpaced(): boolean {
    return this.#unpaced;
  }

  /** The speed, or the rows per second. */
  get factor(): number {
    return this.#counts ? NS_PER_S / this.#slope : 1 / this.#slope;
  }

  /** The next row, whichever it is, is due at `at`: a beginning, or a seek. */
  begin(at: number): void {
    this.settle(at);
    this.#latest = null;
    this.#fresh = true;
  }

  /** The recording begins again: its first row is due when the last one was; the anchor stays. */
  again(): void {
    this.#latest = null;
  }

  /** The row that went last is taken as due at `at`; what follows keeps its distance. */
  settle(at: number): void {
    this.#at = this.#pausedAt ?? at;
    this.#from = this.#place;
  }

  /** When the row that comes next is due; Infinity while paused. A late row (ts goes back) at once. */
  due(ts: bigint): number {
    if (this.#pausedAt !== null) return Number.POSITIVE_INFINITY;
    if (this.#unpaced) return Number.NEGATIVE_INFINITY;
    return this.#at + (this.#place + this.#step(ts) - this.#from) * this.#slope;
  }

  /** The next row goes. */
  pass(ts: bigint): void {
    this.#place += this.#step(ts);
    this.#fresh = false;
    if (this.#latest === null || ts > this.#latest) this.#latest = ts;
  }

  pause(at: number): void {
    this.#pausedAt ??= at;
  }

  resume(at: number): void {
    if (this.#pausedAt === null) return;
    this.#at += at - this.#pausedAt;
    this.#pausedAt = null;
  }

  /** From now on `by` times as fast. */
  scale(by: number, at: number): void {
    if (this.#unpaced) return;
    const now = this.#pausedAt ?? at;
    this.#from += (now - this.#at) / this.#slope;
    this.#at = now;
    this.#slope /= by;
  }

  #step(ts: bigint): number {
    if (this.#counts) return this.#fresh ? 0 : 1;
    if (this.#latest === null || ts <= this.#latest) return 0;
    return Math.min(Number(ts - this.#latest), Math.round(this.#maxGapNs / this.#slope));
  }
}

const usage = (message: string): TapioError => new TapioError('usage', message);

/** Beyond these a speed or a rate is a slip of the finger: a year in a blink, or a second in a year. */
export const isPace = (value: number): boolean => value >= 1e-6 && value <= 1e9;

/** `10x`, `0.5x`, `200%`, `2` or `max`. */
export function parseSpeed(text: string): Pace {
  if (text === 'max') return 'max';
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(x|×|%)?$/i.exec(text.trim());
  const speed = Number(match?.[1]) / (match?.[2] === '%' ? 100 : 1);
  if (!isPace(speed)) {
    throw usage(`--speed ${text} is no speed: write 10x, 0.5x, 200% or max`);
  }
  return { speed };
}

/** `5000/s` or `5000`: rows per second. */
export function parseRate(text: string): Pace {
  const rate = Number(/^(\d+(?:\.\d+)?|\.\d+)\s*(?:\/\s*s)?$/i.exec(text.trim())?.[1]);
  if (!isPace(rate)) {
    throw usage(`--rate ${text} is no rate: write 5000/s, or --speed max`);
  }
  return { rate };
}

/** `2s`: the longest wait, in ns. */
export function parseMaxGap(text: string): number {
  try {
    return parseDuration(text.trim()) * 1e6;
  } catch {
    throw usage(`--max-gap ${text} is no duration: write 500ms, 2s or 1m`);
  }
}

/** Number of rounds: `3`; 0 and `forever` mean for ever. */
export function parseLoop(text: string): number {
  if (text === 'forever' || /^0+$/.test(text)) return Number.POSITIVE_INFINITY;
  if (!/^\d{1,15}$/.test(text)) throw usage(`--loop ${text} is no number: write 3, or forever`);
  return Number(text);
}
