// Rows that went into segments, by type and op: counted from the rows themselves, so that the sum is
// what a reader will find.

import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';

interface Counted {
  /** Position of the column `op`. */
  readonly column: number;
  /** Its dictionary in this segment, in index order. */
  names: string[];
  /** Rows by index, in this segment. */
  rows: number[];
}

/** Counts rows by op over all segments of a recording. */
export class Tally {
  readonly #types = new Map<EventType, Counted>();
  readonly #before = new Map<EventType, Map<string, number>>();

  /** Counts a batch; its memory is only read. */
  add(
    type: EventType,
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
  ): void {
    let counted = this.#types.get(type);
    if (counted === undefined) {
      const column = EVENT_TABLES[type].columns.findIndex(({ name }) => name === 'op');
      counted = { column, names: [], rows: [] };
      this.#types.set(type, counted);
    }
    for (const { column, values } of batch.newValues) {
      if (column !== counted.column) continue;
      counted.names.push(...values);
      for (let i = 0; i < values.length; i++) counted.rows.push(0);
    }
    const { rows } = counted;
    const ops = new Uint16Array(memory, regions[counted.column]?.data ?? 0, batch.rows);
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i] ?? 0;
      rows[op] = (rows[op] ?? 0) + 1;
    }
  }

  /** The dictionaries are empty from here on. */
  rotate(): void {
    for (const [type, counted] of this.#types) {
      const sums = this.#before.get(type) ?? new Map<string, number>();
      counted.names.forEach((name, i) => {
        sums.set(name, (sums.get(name) ?? 0) + (counted.rows[i] ?? 0));
      });
      this.#before.set(type, sums);
      counted.names = [];
      counted.rows = [];
    }
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

  /** {type: {op: rows}}, only what has rows. */
  counts(): Record<string, Record<string, number>> {
    const out: Record<string, Record<string, number>> = {};
    for (const [type, { names, rows }] of this.#types) {
      const sums = new Map(this.#before.get(type) ?? []);
      names.forEach((name, i) => {
        sums.set(name, (sums.get(name) ?? 0) + (rows[i] ?? 0));
      });
      const some = [...sums].filter(([, count]) => count > 0);
      if (some.length > 0) out[type] = Object.fromEntries(some);
    }
    return out;
  }
}
