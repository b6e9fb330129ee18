// Streams of events made for tests, and a clock that only moves when somebody waits.

import { EVENT_TYPES } from '../../schemas/arrow.ts';
import type { RowValue } from '../../src/event/json.ts';
import type { EventBlock, EventRun, EventSource } from '../../src/event/stream.ts';
import type { Clock } from '../../src/replay/clock.ts';

export const TS0 = 1_795_000_000_000_000_000n;
export const MS = 1_000_000;
export const S = 1_000_000_000;
/** ts − ktime of made rows. */
export const OFFSET = 1_000n;

/** Time stands still until somebody sleeps; then what was to happen meanwhile happens. */
export class FakeClock implements Clock {
  time = 5 * S;
  readonly #plans: { readonly at: number; readonly act: () => void }[] = [];
  #woken = false;

  /** `act` happens at `at`, while somebody sleeps. */
  plan(at: number, act: () => void): void {
    this.#plans.push({ at, act });
    this.#plans.sort((a, b) => a.at - b.at);
  }

  now(): number {
    return this.time;
  }
  wall(): bigint {
    return TS0 * 2n + BigInt(Math.round(this.time));
  }
  async sleepUntil(at: number): Promise<void> {
    this.#woken = false;
    while (!this.#woken) {
      const next = this.#plans[0];
      if (next === undefined || next.at > at) {
        if (at === Number.POSITIVE_INFINITY) throw new Error('asleep for ever');
        this.time = Math.max(this.time, at);
        return;
      }
      this.#plans.shift();
      this.time = Math.max(this.time, next.at);
      next.act();
    }
  }
  wake(): void {
    this.#woken = true;
  }
  close(): void {}
}

/** A row is known by its seq. */
export interface MadeRow {
  readonly seq: number;
  readonly ts: bigint;
}

/** Rows at these times (ns after the first), numbered from 1. */
export function rowsAt(times: readonly number[]): MadeRow[] {
  return times.map((time, i) => ({ seq: i + 1, ts: TS0 + BigInt(time) }));
}

/** A stream over made rows: runs of one to three rows, so many runs at a time. */
export class MadeEvents implements EventSource {
  readonly #rows: readonly MadeRow[];
  readonly #atATime: number;
  /** How often it was asked for, and how often it was left. */
  begun = 0;
  ended = 0;

  constructor(rows: readonly MadeRow[], atATime = 4) {
    this.#rows = rows;
    this.#atATime = atATime;
  }

  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    this.begun++;
    const rows = this.#rows.filter(({ ts }) => from === null || ts >= from);
    try {
      let runs: EventRun[] = [];
      for (let at = 0; at < rows.length; ) {
        const count = Math.min(1 + (at % 3), rows.length - at);
        // One row more than that in front: a run is a part of its block.
        const slice = rows.slice(at, at + count);
        runs.push({ block: blockOf([...slice.slice(0, 1), ...slice], at), from: 1, to: count + 1 });
        at += count;
        if (runs.length < this.#atATime && at < rows.length) continue;
        yield runs;
        runs = [];
        await null;
      }
    } finally {
      this.ended++;
    }
  }
}

function blockOf(rows: readonly MadeRow[], at: number): EventBlock {
  const column = (value: (row: MadeRow) => RowValue): { get(row: number): RowValue } => ({
    get: (row) => value(rows[row] as MadeRow),
  });
  return {
    type: EVENT_TYPES[at % EVENT_TYPES.length] ?? 'file',
    origin: { recording: 'made', host: 'host', boot_id: 'boot' },
    tsOffset: OFFSET,
    columns: new Map([
      ['seq', column((row) => BigInt(row.seq))],
      ['ts', column((row) => row.ts)],
    ]),
  };
}

/** The rows of runs, as they say themselves. */
export function rowsOfRuns(runs: readonly EventRun[]): (MadeRow & { ktime: bigint })[] {
  return runs.flatMap(({ block, from, to }) =>
    Array.from({ length: to - from }, (_, i) => {
      const row = from + i;
      const ts = block.columns.get('ts')?.get(row) as bigint;
      return {
        seq: Number(block.columns.get('seq')?.get(row)),
        ts,
        ktime: ts - block.tsOffset,
      };
    }),
  );
}
