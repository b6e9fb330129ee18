// What a stream of events is, live or replayed: rows in one order, as many at a time as are there. Sinks
// and servers take this and need not know where it comes from.

import type { EventType } from '../../schemas/arrow.ts';
import type { RowColumns } from './json.ts';

/** Whose rows they are. */
export interface RowOrigin {
  /** Id of the recording, within which a seq names a row. */
  readonly recording: string;
  readonly host: string;
  readonly boot_id: string;
}

/** Rows of one type that lie together: those of one batch that are wanted. */
export interface EventBlock {
  readonly type: EventType;
  readonly origin: RowOrigin;
  /** ts − ktime of its rows, ns. */
  readonly tsOffset: bigint;
  /** The columns that the reader of the stream asked for, seq and ts always among them; rows in order. */
  readonly columns: RowColumns;
}

/** Rows of a block that follow one another in the stream: `from` up to, but without, `to`. */
export interface EventRun {
  readonly block: EventBlock;
  readonly from: number;
  readonly to: number;
}

/** A stream of events. */
export interface EventSource {
  /**
   * The rows to come, in order; the iteration ends where the stream does, and whoever leaves it early
   * ends it. With `from` (ns since 1970) only rows with that ts or a later one.
   */
  events(from?: bigint | null): AsyncIterable<readonly EventRun[]>;
}

/** The same rows, so many at a time at most: of one type few follow one another. */
export function* inParts(runs: readonly EventRun[], rows: number): Generator<EventRun[]> {
  let part: EventRun[] = [];
  let left = rows;
  for (const run of runs) {
    for (let { from } = run; from < run.to; ) {
      const to = Math.min(run.to, from + left);
      part.push(from === run.from && to === run.to ? run : { ...run, from, to });
      left -= to - from;
      from = to;
      if (left > 0) continue;
      yield part;
      part = [];
      left = rows;
    }
  }
  if (part.length > 0) yield part;
}

/** Rows of these runs. */
export function rowsIn(runs: readonly EventRun[]): number {
  return runs.reduce((sum, { from, to }) => sum + to - from, 0);
}
