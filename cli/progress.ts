// How far a long reading is: a bar on stderr, where that is a terminal, from the first second on.

import { stderr } from 'node:process';

const AFTER_MS = 1000;
const PERIOD_MS = 200;
const WIDTH = 30;

export class Progress {
  readonly #total: () => number;
  readonly #began = performance.now();
  #shownAt = 0;

  /** `total` is asked for when a bar is shown. */
  constructor(total: () => number) {
    this.#total = total;
  }

  /** `done` of the total are through. */
  at(done: number): void {
    const now = performance.now();
    if (!stderr.isTTY || now - this.#began < AFTER_MS || now - this.#shownAt < PERIOD_MS) return;
    this.#shownAt = now;
    const total = this.#total();
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
