// Rows that went into segments, by type and op: counted from the rows themselves, so that the sum is
// what a reader will find. Only what was committed counts for good.

import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';

interface Pending {
  /** Position of the column `op`. */
  readonly column: number;
  /** Its dictionary in this segment, in index order. */
  names: string[];
  /** Rows by index since the last commit. */
  rows: number[];
}

/** Counts rows by op over all segments of a recording. */
export class Tally {
  readonly #pending = new Map<EventType, Pending>();
  readonly #committed = new Map<EventType, Map<string, number>>();

  /** Counts a batch; its memory is only read. */
  add(
    type: EventType,
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
  ): void {
    let pending = this.#pending.get(type);
    if (pending === undefined) {
      const column = EVENT_TABLES[type].columns.findIndex(({ name }) => name === 'op');
      pending = { column, names: [], rows: [] };
      this.#pending.set(type, pending);
    }
    for (const { column, values } of batch.newValues) {
      if (column === pending.column) pending.names.push(...values);
    }
    const { rows } = pending;
    const ops = new Uint16Array(memory, regions[pending.column]?.data ?? 0, batch.rows);
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i] ?? 0;
      rows[op] = (rows[op] ?? 0) + 1;
    }
  }

  /** What was counted is durable. */
  commit(): void {
    for (const [type, pending] of this.#pending) {
      const sums = this.#committed.get(type) ?? new Map<string, number>();
      pending.rows.forEach((count, i) => {
        const name = pending.names[i] ?? '';
        sums.set(name, (sums.get(name) ?? 0) + count);
      });
      this.#committed.set(type, sums);
      pending.rows = [];
    }
  }

  /** The dictionaries are empty from here on; what was not committed is forgotten. */
  rotate(): void {
    this.#pending.clear();
  }

  /** Rows by type. */
  byType(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.counts()).map(([type, ops]) => [
        type,
        Object.values(ops).reduce((a, b) => a + b, 0),
      ]),
    );
  }

  /** {type: {op: rows}} of what is durable, only what has rows. */
  counts(): Record<string, Record<string, number>> {
    const out: Record<string, Record<string, number>> = {};
    for (const [type, sums] of this.#committed) {
      const some = [...sums].filter(([, count]) => count > 0);
      if (some.length > 0) out[type] = Object.fromEntries(some);
    }
    return out;
  }
}
