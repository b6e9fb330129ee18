// A recording made for a test: the real program in a process of its own, into a directory of its own.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Summary } from '../../src/daemon.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Why this machine cannot record its kernel, or null. Under CI every kernel test must run. */
export function whyNoKernel(): string | null {
  if (process.getuid?.() !== 0) return 'not root';
  return null;
}

/** A directory that goes away with the test. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tapio-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

// biome-ignore lint/suspicious/noExplicitAny: rows are JSON as a user gets it, picked apart by tests.
export type Row = Record<string, any>;

export interface Finished {
  readonly summary: Summary;
  readonly stderr: string;
  readonly code: number | null;
}

/** What stands around the program. */
export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  /** Words in front of the command, which run it. */
  readonly under?: readonly string[];
}

export class Recording {
  readonly store: string;
  readonly child: ChildProcess;
  readonly #closed: Promise<number | null>;
  #stdout = '';
  #stderr = '';

  /** Starts without waiting. */
  constructor(store: string, flags: readonly string[], { env, under = [] }: Surroundings = {}) {
    this.store = store;
    const program = ['cli/tapio-record.ts', 'start', '--store', store, '-o', 'json', ...flags];
    const [command = execPath, ...args] = [...under, execPath, ...program];
    this.child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (text) => {
      this.#stdout += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.#stderr += text;
    });
    this.#closed = new Promise((resolve) => this.child.on('close', resolve));
  }

  /** Starts and waits until events flow. */
  static async start(
    store: string,
    flags: readonly string[],
    surroundings?: Surroundings,
  ): Promise<Recording> {
    const recording = new Recording(store, flags, surroundings);
    if (!(await recording.records())) throw new Error(`did not start: ${recording.#stderr}`);
    return recording;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until events flow; false where it ended before. */
  async records(): Promise<boolean> {
    while (!this.#stderr.includes('recording into')) {
      if (this.hasEnded) return false;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return true;
  }

  /** Waits for its end, however it comes; its exit code. */
  ended(): Promise<number | null> {
    return this.#closed;
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#closed;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Waits for its end; what it wrote. */
  async finished(): Promise<Finished> {
    const code = await this.#closed;
    if (code !== 0) throw new Error(`ended with ${code}: ${this.#stderr}`);
    return { summary: JSON.parse(this.#stdout) as Summary, stderr: this.#stderr, code };
  }

  async stop(): Promise<Finished> {
    this.signal('SIGINT');
    return await this.finished();
  }
}

/** Rows of a store as `tapio-replay query` prints them. */
export function queryRows(store: string, flags: readonly string[] = ['--all']): Row[] {
  const text = execFileSync(
    execPath,
    ['cli/tapio-replay.ts', 'query', '--store', store, '-o', 'json', ...flags],
    { cwd: ROOT, maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] },
  ).toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** Runs a program to its end; its stdout. */
export function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}`));
    });
  });
}
