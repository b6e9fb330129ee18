// Reads the columns of matching rows, a batch at a time.

import type { EventType } from '../../schemas/arrow.ts';
import type { BatchInfo, Segment } from '../segment/reader.ts';
import type { Vector } from '../segment/vectors.ts';

/** A batch and where it lies. */
export interface SegmentBatch {
  readonly segment: Segment;
  readonly info: BatchInfo;
}

/** Batches whose columns are kept at once: one per type is in use, and neighbours alternate. */
const BATCHES_KEPT = 16;

/** Gives the columns of a row's batch. */
export class RowReader {
  readonly #columns: (type: EventType) => readonly string[];
  readonly #kept = new Map<SegmentBatch, ReadonlyMap<string, Vector> | null>();

  constructor(columns: (type: EventType) => readonly string[]) {
    this.#columns = columns;
  }

  /** Null where the batch is damaged: its rows are left out, and its segment says so. */
  columnsOf(source: SegmentBatch): ReadonlyMap<string, Vector> | null {
    let columns = this.#kept.get(source);
    if (columns === undefined) {
      columns = this.#read(source);
      if (this.#kept.size >= BATCHES_KEPT) {
        const [oldest] = this.#kept.keys();
        if (oldest !== undefined) this.#kept.delete(oldest);
      }
      this.#kept.set(source, columns);
    }
    return columns;
  }

  #read({ segment, info }: SegmentBatch): ReadonlyMap<string, Vector> | null {
    try {
      return segment.read(info, this.#columns(info.type));
    } catch (error) {
      segment.leaveOut(info, error);
      return null;
    }
  }
}
