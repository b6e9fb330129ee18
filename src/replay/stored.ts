// What a store holds as a stream of events.

import { setImmediate } from 'node:timers/promises';
import type { EventType } from '../../schemas/arrow.ts';
import type { EventBlock, EventRun, EventSource } from '../event/stream.ts';
import { type Decision, type PlannedBatch, plan } from '../query/plan.ts';
import { scanBatch } from '../query/scan.ts';
import type { Selection } from '../query/select.ts';
import type { Segment } from '../segment/reader.ts';
import { NumberVector, type Vector } from '../segment/vectors.ts';
import { Merge } from './merge.ts';

/** Rows given at a time: enough to cost little, few enough that nobody waits for them. */
const ROWS_AT_A_TIME = 2048;

/** Numbers of so many rows. */
export function everyRow(count: number): Uint32Array {
  const rows = new Uint32Array(count);
  for (let row = 0; row < count; row++) rows[row] = row;
  return rows;
}

/** Seqs of the rows of a block. */
export function seqsOf({ rows, columns }: EventBlock): BigUint64Array {
  const seq = columns.get('seq');
  // Where all rows match, the column is the answer: 65,536 calls would hold up rows that are due.
  if (seq instanceof NumberVector && seq.values instanceof BigUint64Array) {
    if (rows.length === seq.length) return seq.values.subarray(0, seq.length);
  }
  return BigUint64Array.from(rows, (row) => seq?.get(row) as bigint);
}

/** Matching rows of segments, which are in time order. What is damaged is left out, and its segment says so. */
export class StoredEvents implements EventSource {
  readonly #segments: readonly Segment[];
  readonly #selection: Selection;
  readonly #columns: (type: EventType) => readonly string[];

  /** `columns`: those that are wanted of each type. */
  constructor(
    segments: readonly Segment[],
    selection: Selection,
    columns: (type: EventType) => readonly string[],
  ) {
    this.#segments = segments;
    this.#selection = selection;
    this.#columns = columns;
  }

  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    const { since } = this.#selection;
    const selection =
      from === null || (since !== null && since > from)
        ? this.#selection
        : { ...this.#selection, since: from };
    const made = plan(this.#segments, selection);
    const bySegment = Map.groupBy(made.batches, ({ segment }) => segment);
    for (const group of bySegment.values()) yield* this.#eventsOf(group, made);
  }

  /** Rows of one segment: a batch is read when the next row may be its own. */
  async *#eventsOf(
    batches: PlannedBatch[],
    decision: Decision,
  ): AsyncGenerator<readonly EventRun[]> {
    batches.sort((a, b) => (a.info.firstSeq < b.info.firstSeq ? -1 : 1));
    const merge = new Merge();
    for (const [i, planned] of batches.entries()) {
      const rows = planned.certain ? null : scanBatch(planned, decision).rows;
      const block = rows?.length === 0 ? null : await this.#read(planned, rows);
      if (block !== null) merge.add(block, seqsOf(block));
      const before = batches[i + 1]?.info.firstSeq ?? null;
      for (;;) {
        const runs = merge.take(before, ROWS_AT_A_TIME);
        if (runs.length === 0) break;
        yield runs;
      }
    }
  }

  /**
   * Reads rows of a batch (null: all), a column at a time, and lets others run between them: rows may
   * be due meanwhile.
   */
  async #read(
    { segment, info }: PlannedBatch,
    matched: Uint32Array | null,
  ): Promise<EventBlock | null> {
    const { type } = info;
    const rows = matched ?? everyRow(info.rows);
    const columns = new Map<string, Vector>();
    try {
      for (const name of new Set(['seq', 'ts', ...this.#columns(type)])) {
        for (const [column, vector] of segment.read(info, [name])) columns.set(column, vector);
        await setImmediate();
      }
    } catch (error) {
      segment.leaveOut(info, error);
      return null;
    }
    return { type, tsOffset: segment.tsOffset, rows, columns };
  }
}
