// shim.c between a recorder and its disk: what its writes meet, from one moment to the next.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../support/recording.ts';

/** What a store's file system does to the recorder under test. */
export class Shim {
  /** Environment of the recorder. */
  readonly env: NodeJS.ProcessEnv;
  readonly #control: string;

  /** Builds it in `directory`, which lies outside of the store. */
  constructor(directory: string, store: string) {
    const library = join(directory, 'shim.so');
    if (!existsSync(library)) {
      execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, 'test/crash/shim.c'], {
        cwd: ROOT,
      });
    }
    this.#control = join(directory, 'control');
    this.env = { LD_PRELOAD: library, SHIM_DIRECTORY: store, SHIM_CONTROL: this.#control };
  }

  /** From now on every write fails. */
  fail(error: 'EIO' | 'EDQUOT' | 'ENOSPC' | 'EROFS'): void {
    this.#say(`error ${constants.errno[error]}`);
  }

  /** From now on every write waits for the next word. */
  stall(): void {
    this.#say('stall');
  }

  /** From now on every write takes so much longer. */
  slow(ms: number): void {
    this.#say(`slow ${ms}`);
  }

  /** The `n`th call from now on whose "name path" matches is the process's last. */
  killAt(n: number, pattern: string): void {
    rmSync(`${this.#control}.fate`, { force: true });
    this.#say(`kill ${n} ${pattern}`);
  }

  /** All goes through again. */
  clear(): void {
    rmSync(this.#control, { force: true });
  }

  /** The call in which the process was killed, or null. */
  fate(): string | null {
    const path = `${this.#control}.fate`;
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  }

  // Whoever reads it finds the whole word.
  #say(text: string): void {
    writeFileSync(`${this.#control}.new`, text);
    renameSync(`${this.#control}.new`, this.#control);
  }
}
