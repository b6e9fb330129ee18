// A program of tapio-replay on a terminal of its own, as pty.py makes one: keys are typed when something is seen.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { execPath } from 'node:process';
import { ROOT } from './recording.ts';

const SIGINT = 2;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Where its output goes, and what stands around it. */
export interface TerminalOptions {
  /** Stdout goes there; absent: to the terminal as well. */
  readonly file?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** How it ended: what it was killed with (negative), or its exit code; and whether the terminal is as it was. */
export interface TerminalEnd {
  readonly code: number;
  readonly restored: boolean;
}

export class Terminal {
  readonly child: ChildProcess;
  readonly #closed: Promise<unknown>;
  shown = '';
  #end = '';
  #seen = 0;

  /** `words`: command and flags of tapio-replay. */
  constructor(words: readonly string[], { file = '-', env = {} }: TerminalOptions = {}) {
    const command = [execPath, 'cli/tapio-replay.ts', ...words];
    this.child = spawn('python3', ['test/support/pty.py', file, ...command], {
      cwd: ROOT,
      env: { ...process.env, ...env },
    });
    this.child.stdout?.setEncoding('utf8').on('data', (part) => {
      this.shown += part;
    });
    this.child.stderr?.on('data', (part) => {
      this.#end += part;
    });
    this.#closed = new Promise((resolve) => this.child.on('close', resolve));
  }

  /** Waits until something new is shown; fails where the program ends before. */
  async sees(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.shown.slice(this.#seen));
      if (found !== null) {
        this.#seen += found.index + found[0].length;
        return found;
      }
      if (this.child.exitCode !== null) throw new Error(`ended, and showed ${this.shown}`);
      await sleep(10);
    }
  }

  type(keys: string): void {
    // Only what comes after it counts.
    this.#seen = this.shown.length;
    this.child.stdin?.write(keys);
  }

  /** Types Ctrl-C, and waits until the program, which then no longer listens for it, has heard it. */
  async interrupt(): Promise<void> {
    this.type('\x03');
    while (this.#catches(SIGINT)) await sleep(5);
  }

  /** The program's process. */
  get pid(): number {
    return Number(/"pid": (\d+)/.exec(this.#end)?.[1]);
  }

  async ended(): Promise<TerminalEnd> {
    await this.#closed;
    return JSON.parse(this.#end.trim().split('\n').at(-1) ?? '') as TerminalEnd;
  }

  /** The lines that are left on the terminal at the end, as a person sees them. */
  lines(): string[] {
    return this.shown.split('\r\n').map((line) => line.split('\r\x1b[K').at(-1) ?? '');
  }

  #catches(signal: number): boolean {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
      return ((caught >> BigInt(signal - 1)) & 1n) === 1n;
    } catch {
      return false;
    }
  }
}
