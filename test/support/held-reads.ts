// held-reads.c between a query and its store: it reads so far, and no further until it is let.

import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './recording.ts';

export class HeldReads {
  /** Environment of the program that reads. */
  readonly env: NodeJS.ProcessEnv;
  readonly #gate: string;

  /** Builds it in `directory`; reads of `store` are held after so many. */
  constructor(directory: string, store: string, after: number) {
    const library = join(directory, 'held-reads.so');
    if (!existsSync(library)) {
      const source = 'test/support/held-reads.c';
      execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, source], { cwd: ROOT });
    }
    this.#gate = join(directory, 'gate');
    for (const path of [this.#gate, this.#reached]) rmSync(path, { force: true });
    this.env = {
      LD_PRELOAD: library,
      HELD_DIRECTORY: store,
      HELD_AFTER: String(after),
      HELD_GATE: this.#gate,
    };
  }

  get #reached(): string {
    return `${this.#gate}.reached`;
  }

  /** Waits until a read of a program is held; fails where that ends before. */
  async reached(program: ChildProcess): Promise<void> {
    while (!existsSync(this.#reached)) {
      if (program.exitCode !== null) throw new Error('it ended, and was not held');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** What is held goes on, and so does all that follows. */
  open(): void {
    writeFileSync(this.#gate, '');
  }
}
