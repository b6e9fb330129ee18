// How far a long reading is: a bar on stderr, where that is a terminal, from the first second on.

import { stderr } from 'node:process';
import { countText } from './format.ts';

const AFTER_MS = 1000;
const PERIOD_MS = 200;
const WIDTH = 30;

export class Progress {
  readonly #total: () => number | null;
  readonly #began = performance.now();
  #shownAt = 0;

  /** `total` is asked for when a bar is shown; null: nobody knows, and how many rows are through is shown. */
  constructor(total: () => number | null) {
    this.#total = total;
  }

  /** `done` of the total are through. */
  at(done: number): void {
    const now = performance.now();
    if (!stderr.isTTY || now - this.#began < AFTER_MS || now - this.#shownAt < PERIOD_MS) return;
    this.#shownAt = now;
    const total = this.#total();
    if (total === null) {
      stderr.write(`\r\x1b[K${countText(done)} rows`);
      return;
    }
    const share = total === 0 ? 1 : Math.min(1, done / total);
    const bar = '━'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '╌');
    stderr.write(`\r\x1b[K${bar} ${(share * 100).toFixed(0)} %`);
  }

  /** Takes the bar away, before anything else is written. */
  clear(): void {
    if (this.#shownAt === 0) return;
    this.#shownAt = 0;
    stderr.write('\r\x1b[K');
  }
}
