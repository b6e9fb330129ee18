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

/** Whether a row of a batch has no value in a column. */
export function isNull(
  batch: BatchItem,
  regions: readonly ColumnRegion[],
  memory: ArrayBuffer,
  column: number,
  row: number,
): boolean {
  if ((batch.nulls[column] ?? 0) === 0) return false;
  const validity = regions[column]?.validity ?? -1;
  if (validity < 0) return false;
  const [byte = 0] = new Uint8Array(memory, validity + (row >> 3), 1);
  return ((byte >> (row & 7)) & 1) === 0;
}
