// What the tables of a recorder read of the batches that it hands on.

import type { BatchItem, ColumnRegion } from '../event/batch.ts';

/** Strings of the dictionary columns of one type, as the source hands them over. */
export class Dictionary {
  readonly #values = new Map<number, string[]>();
  add(batch: BatchItem): void {
    for (const { column, values } of batch.newValues) {
      const known = this.#values.get(column);
      if (known === undefined) this.#values.set(column, [...values]);
      else for (const value of values) known.push(value);
    }
  }
  get(column: number, index: number): string {
    return this.#values.get(column)?.[index] ?? '';
  }
  clear(): void {
    this.#values.clear();
  }
}

/** Says of rows of a batch whether they have no value in a column. */
export function nullsOf(
  batch: BatchItem,
  regions: readonly ColumnRegion[],
  memory: ArrayBuffer,
  column: number,
): (row: number) => boolean {
  const validity = regions[column]?.validity ?? -1;
  if ((batch.nulls[column] ?? 0) === 0 || validity < 0) return () => false;
  const bits = new Uint8Array(memory, validity, (batch.rows + 7) >> 3);
  return (row) => (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) === 0;
}
