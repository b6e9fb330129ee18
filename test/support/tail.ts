// tapio-replay tail as its user runs it.

import { type ChildProcess, spawn } from 'node:child_process';
import { execPath } from 'node:process';
import { ROOT } from './recording.ts';

export class Tail {
  readonly child: ChildProcess;
  readonly #closed: Promise<number | null>;
  readonly #parts: string[] = [];
  #lines = 0;
  #stderr = '';

  /** `from`: what is followed, where that is no store. */
  constructor(store: string, flags: readonly string[], from = ['--store', store]) {
    const words = ['cli/tapio-replay.ts', 'tail', ...from, '-o', 'json', ...flags];
    this.child = spawn(execPath, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (part: Buffer) => {
      const text = part.toString('latin1');
      this.#parts.push(text);
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lines++;
    });
    this.child.stderr?.on('data', (text) => {
      this.#stderr += text;
    });
    this.#closed = new Promise((resolve) => this.child.on('close', resolve));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Lines so far. */
  get count(): number {
    return this.#lines;
  }

  get lines(): string[] {
    const text = Buffer.from(this.#parts.join(''), 'latin1').toString();
    return text.split('\n').filter((line) => line !== '');
  }

  /** Waits until something is so; throws what it said where it ends before. */
  async until(what: () => boolean): Promise<void> {
    while (!what()) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        const code = await this.#closed;
        if (what()) return;
        throw new Error(`tail ended with ${code ?? this.child.signalCode}: ${this.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ctrl-C; its exit code. */
  async end(): Promise<number | null> {
    this.child.kill('SIGINT');
    return await this.#closed;
  }
}
