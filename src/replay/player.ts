// Plays a stream of events: gives its rows when they are due. What it gives is a stream again, so that
// whoever takes live events takes these.

import { createHistogram } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { type EventRun, type EventSource, rowsIn } from '../event/stream.ts';
import type { Clock } from './clock.ts';
import { ReadAhead } from './read-ahead.ts';
import { Rebase } from './rebase.ts';
import { type Pace, Schedule } from './schedule.ts';

export interface PlayOptions {
  readonly pace: Pace;
  /** Nobody waits longer than that for the next row, ns; Infinity: as long as it takes. */
  readonly maxGapNs: number;
  /** How many times; Infinity: for ever. */
  readonly loops: number;
  /** Shift ts so that the first row of each loop is now. */
  readonly rebase: boolean;
  /** Begin paused: rows come by step(). */
  readonly stepping: boolean;
  readonly clock: Clock;
}

/** What was played. */
export interface PlayStats {
  readonly rows: number;
  /** Rounds that gave rows. */
  readonly loops: number;
  /** From the first row to the last: as it was, and as the schedule had it (null without a pace). */
  readonly wallNs: number;
  readonly scheduledNs: number | null;
  /** How long after it was due a row had been taken, ns; null where none was paced. */
  readonly errorNs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  /** Rows taken more than a millisecond late. */
  readonly lateRows: number;
}

const LATE_NS = 1_000_000;
/** Rows read before they are due: some tenths of a second of a very busy host. */
const ROWS_AHEAD = 65_536;
/** Rows given at a time: the first of them waits for the last to be taken. */
const ROWS_AT_ONCE = 256;
/** Rows closer together than this go together: a wake for each would cost more than it is worth. */
const GRAIN_NS = 250_000;
/** Without waits, others on this thread (keys, signals, reading) get a turn that often. */
const TURN_NS = 5_000_000;

interface Piece {
  readonly loop: number;
  readonly runs: readonly EventRun[];
}

export class Player implements EventSource {
  readonly #source: EventSource;
  readonly #options: PlayOptions;
  readonly #clock: Clock;
  readonly #schedule: Schedule;
  readonly #rebase = new Rebase();
  readonly #errors = createHistogram();
  readonly #dues = new Float64Array(ROWS_AT_ONCE);
  #loop = 1;
  #ts: bigint | null = null;
  #rows = 0;
  #lateRows = 0;
  #firstAt: number | null = null;
  #lastAt = 0;
  #firstDue = 0;
  #lastDue = 0;
  /** Rows that were asked for one by one, and whether more may be. */
  #steps = 0;
  #stepsEnd = false;
  #seekTo: bigint | null = null;
  #stopped = false;
  #waitsFor: number | null = null;
  /** What is being played: a piece of the stream, and where in it. */
  #piece: Piece | null = null;
  #run = 0;
  #at = 0;

  constructor(source: EventSource, options: PlayOptions) {
    this.#source = source;
    this.#options = options;
    this.#clock = options.clock;
    this.#schedule = new Schedule(options.pace, options.maxGapNs);
    if (options.stepping) this.#schedule.pause(0);
  }

  get paused(): boolean {
    return this.#schedule.paused;
  }

  /** The speed, or the rows per second; Infinity without a pace. */
  get factor(): number {
    return this.#schedule.factor;
  }

  /** The round that is being played, from 1. */
  get loop(): number {
    return this.#loop;
  }

  /** Recorded ts of the row that went last, or of where it was sought; null before the first. */
  get ts(): bigint | null {
    return this.#ts;
  }

  /** Rows that went. */
  get rows(): number {
    return this.#rows;
  }

  /** How long until the next row is due, ns; 0 where nobody waits for one. */
  get wait(): number {
    return Math.max(0, (this.#waitsFor ?? 0) - this.#clock.now());
  }

  /** What was added to the ts of rows, ns; 0 before the first and without rebase. */
  get shift(): bigint {
    return this.#rebase.shift;
  }

  /** Plays; once. With `from` it begins there. */
  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    this.#seekTo = from;
    do {
      const start = this.#seekTo;
      this.#seekTo = null;
      const ahead = new ReadAhead(this.#rounds(start), ({ runs }) => rowsIn(runs), ROWS_AHEAD);
      try {
        await ahead.filled();
        this.#piece = null;
        this.#schedule.begin(this.#clock.now());
        yield* this.#play(ahead);
      } finally {
        await ahead.close();
      }
    } while (this.#seekTo !== null && !this.#stopped);
  }

  pause(): void {
    this.#schedule.pause(this.#clock.now());
    this.#clock.wake();
  }

  resume(): void {
    this.#schedule.resume(this.#clock.now());
    this.#clock.wake();
  }

  /** Gives one row now, and is paused after it. */
  step(): void {
    this.#steps++;
    this.pause();
  }

  /** No step() will follow: where it was paused for steps, it ends with the last of them. */
  endSteps(): void {
    this.#stepsEnd = true;
    this.#clock.wake();
  }

  /** From now on `by` times as fast. */
  scale(by: number): void {
    this.#schedule.scale(by, this.#clock.now());
    this.#clock.wake();
  }

  /** Goes on `byNs` of recorded time further on, or back. */
  seek(byNs: bigint): void {
    const at = this.#seekTo ?? this.#ts;
    if (at === null) return;
    this.#seekTo = at + byNs;
    this.#ts = this.#seekTo;
    this.#clock.wake();
  }

  /** Ends it; rows that were given have been given. */
  stop(): void {
    this.#stopped = true;
    this.#clock.wake();
  }

  stats(): PlayStats {
    const paced = this.#errors.count > 0;
    return {
      rows: this.#rows,
      loops: this.#rows === 0 ? 0 : this.#loop,
      wallNs: this.#rows === 0 ? 0 : this.#lastAt - (this.#firstAt ?? 0),
      scheduledNs: paced ? this.#lastDue - this.#firstDue : null,
      errorNs: paced
        ? {
            p50: this.#errors.percentile(50),
            p99: this.#errors.percentile(99),
            max: this.#errors.max,
          }
        : null,
      lateRows: this.#lateRows,
    };
  }

  /** The stream round after round; the first begins at `from`. One without rows is the last. */
  async *#rounds(from: bigint | null): AsyncGenerator<Piece> {
    for (let loop = this.#loop, start = from; loop <= this.#options.loops; loop++) {
      let isEmpty = true;
      for await (const runs of this.#source.events(start)) {
        isEmpty = false;
        yield { loop, runs };
      }
      if (isEmpty && start === null) return;
      start = null;
    }
  }

  async *#play(ahead: ReadAhead<Piece>): AsyncGenerator<readonly EventRun[]> {
    const clock = this.#clock;
    let turnAt = clock.now() + TURN_NS;
    for (;;) {
      if (this.#stopped || this.#seekTo !== null) return;
      const piece = this.#piece ?? (await this.#nextPiece(ahead));
      if (piece === null) return;
      const now = clock.now();
      if (now > turnAt) {
        turnAt = now + TURN_NS;
        await setImmediate();
        continue;
      }
      const stepping = this.#steps > 0;
      const runs = this.#due(piece, stepping ? 1 : ROWS_AT_ONCE, stepping, now);
      if (runs.length > 0) {
        this.#firstAt ??= now;
        yield this.#options.rebase ? this.#rebase.runs(runs) : runs;
        this.#note(runs, stepping);
        continue;
      }
      if (this.#stepsEnd && this.paused) return;
      this.#waitsFor = this.#nextDue(piece);
      await clock.sleepUntil(Math.max(this.#waitsFor, this.#lastAt + GRAIN_NS));
      this.#waitsFor = null;
      turnAt = clock.now() + TURN_NS;
    }
  }

  async #nextPiece(ahead: ReadAhead<Piece>): Promise<Piece | null> {
    const piece = ahead.take() ?? (await ahead.next());
    if (piece !== null && piece.loop !== this.#loop) {
      this.#loop = piece.loop;
      this.#schedule.again();
      this.#rebase.forget();
    }
    this.#piece = piece;
    this.#run = 0;
    this.#at = piece?.runs[0]?.from ?? 0;
    return piece;
  }

  #tsAt({ block }: EventRun, row: number): bigint {
    return block.columns.get('ts')?.get(row) as bigint;
  }

  #nextDue(piece: Piece): number {
    return this.#schedule.due(this.#tsAt(piece.runs[this.#run] as EventRun, this.#at));
  }

  /** Takes the rows that are due at `now`, `limit` at most; when stepping, whenever they are due. */
  #due(piece: Piece, limit: number, stepping: boolean, now: number): EventRun[] {
    const schedule = this.#schedule;
    const out: EventRun[] = [];
    let count = 0;
    for (; count < limit && this.#run < piece.runs.length; ) {
      const run = piece.runs[this.#run] as EventRun;
      const from = this.#at;
      let to = from;
      if (schedule.unpaced && !schedule.paused) to = run.to;
      else {
        for (; to < run.to && count + to - from < limit; to++) {
          const ts = this.#tsAt(run, to);
          const due = schedule.due(ts);
          if (due > now && !stepping) break;
          schedule.pass(ts);
          this.#dues[count + to - from] = due;
        }
      }
      if (to === from) break;
      if (this.#options.rebase && !this.#rebase.begun) {
        this.#rebase.begin(this.#tsAt(run, from), this.#clock.wall());
      }
      out.push({ block: run.block, from, to });
      count += to - from;
      this.#at = to;
      if (to === run.to) {
        this.#run++;
        this.#at = piece.runs[this.#run]?.from ?? 0;
      }
    }
    if (this.#run === piece.runs.length) this.#piece = null;
    return out;
  }

  /** Notes that rows were taken. */
  #note(runs: readonly EventRun[], stepping: boolean): void {
    const last = runs.at(-1) as EventRun;
    const count = rowsIn(runs);
    const now = this.#clock.now();
    this.#lastAt = now;
    this.#ts = this.#seekTo ?? this.#tsAt(last, last.to - 1);
    if (stepping) {
      this.#steps--;
      this.#schedule.settle(now);
    } else if (!this.#schedule.unpaced) {
      const dues = this.#dues.subarray(0, count);
      if (this.#errors.count === 0) this.#firstDue = dues[0] as number;
      this.#lastDue = dues[count - 1] as number;
      for (const due of dues) {
        const error = Math.max(1, Math.round(now - due));
        this.#errors.record(error);
        if (error > LATE_NS) this.#lateRows++;
      }
    }
    this.#rows += count;
  }
}
