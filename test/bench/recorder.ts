// The recorder as users run it (dist/), pinned, in a directory of its own.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { Summary } from '../../src/daemon.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface BenchRecorder {
  /** Costs and counts so far. */
  status(): Summary;
  stop(): Promise<Summary>;
}

/** CPU that workloads run on; the recorder has the other one. */
export const WORK_CPU = '0';
const RECORDER_CPU = '1';

function statusOf(store: string): Summary {
  const text = execFileSync(
    execPath,
    ['dist/tapio-record.js', 'status', '--store', store, '-o', 'json'],
    {
      cwd: ROOT,
    },
  );
  return JSON.parse(text.toString()) as Summary;
}

export async function startRecorder(
  flags: readonly string[],
  given?: string,
): Promise<BenchRecorder> {
  const directory = temporaryDirectory();
  const store = given ?? join(directory.path, 'store');
  let stderr = '';
  let out = '';
  const child: ChildProcess = spawn(
    'taskset',
    [
      '-c',
      RECORDER_CPU,
      execPath,
      'dist/tapio-record.js',
      'start',
      '--store',
      store,
      '-o',
      'json',
      ...flags,
    ],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  child.stdout?.on('data', (text) => {
    out += text;
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  while (!stderr.includes('recording into')) {
    if (child.exitCode !== null) throw new Error(stderr);
    await sleep(20);
  }
  await sleep(500);
  return {
    status: () => statusOf(store),
    async stop() {
      child.kill('SIGINT');
      await closed;
      directory.remove();
      return JSON.parse(out) as Summary;
    },
  };
}

/** Runs a program on the workload's CPU; its stdout. */
export function onWorkCpu(command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', WORK_CPU, command, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.on('error', reject);
    child.on('close', () => resolve(text));
  });
}

/** Sum of the leaves of nested counts. */
export function sum(counts: unknown): number {
  if (typeof counts === 'number') return counts;
  return Object.values(counts as object).reduce((total: number, part) => total + sum(part), 0);
}
