// Rows as if they happened now: ts is shifted by one amount. ktime, and with it the start of processes,
// stays what was recorded.

import type { RowColumns } from '../event/json.ts';
import type { EventBlock, EventRun } from '../event/stream.ts';

export class Rebase {
  #shift: bigint | null = null;
  #blocks = new WeakMap<EventBlock, EventBlock>();

  /** What is added to ts, ns; 0 where nothing is shifted yet. */
  get shift(): bigint {
    return this.#shift ?? 0n;
  }

  get begun(): boolean {
    return this.#shift !== null;
  }

  /** The first row, of `ts`, is at `now`. */
  begin(ts: bigint, now: bigint): void {
    this.#shift = now - ts;
  }

  /** The next row is a first one again. */
  forget(): void {
    this.#shift = null;
    this.#blocks = new WeakMap();
  }

  /** The same rows, shifted. */
  runs(runs: readonly EventRun[]): EventRun[] {
    return runs.map((run) => ({ ...run, block: this.#shifted(run.block) }));
  }

  #shifted(block: EventBlock): EventBlock {
    const known = this.#blocks.get(block);
    if (known !== undefined) return known;
    const { shift } = this;
    const ts = block.columns.get('ts');
    const columns: RowColumns = new Map([
      ...block.columns,
      ['ts', { get: (row) => (ts?.get(row) as bigint) + shift }],
    ]);
    const shifted = { ...block, columns, tsOffset: block.tsOffset + shift };
    this.#blocks.set(block, shifted);
    return shifted;
  }
}
