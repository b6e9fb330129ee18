// Reads the columns of matching rows, a batch at a time.

import type { EventType } from '../../schemas/arrow.ts';
import type { Vector } from '../segment/vectors.ts';
import type { MatchedBatch, RowRef } from './scan.ts';

/** Batches whose columns are kept at once: one per type is in use, and neighbours alternate. */
const BATCHES_KEPT = 16;

/** Gives the columns of a row's batch. */
export class RowReader {
  readonly #columns: (type: EventType) => readonly string[];
  readonly #kept = new Map<MatchedBatch, ReadonlyMap<string, Vector>>();

  constructor(columns: (type: EventType) => readonly string[]) {
    this.#columns = columns;
  }

  columnsOf(ref: RowRef): ReadonlyMap<string, Vector> {
    const { source } = ref;
    let columns = this.#kept.get(source);
    if (columns === undefined) {
      columns = source.segment.read(source.type, source.batch, this.#columns(source.type));
      if (this.#kept.size >= BATCHES_KEPT) {
        const [oldest] = this.#kept.keys();
        if (oldest !== undefined) this.#kept.delete(oldest);
      }
      this.#kept.set(source, columns);
    }
    return columns;
  }
}
