// Events that have numbers, and what a store has of them: each number is to be found exactly once.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventType } from '../../schemas/arrow.ts';
import type { LossRow, Segment } from '../../src/segment/reader.ts';
import { openStore } from '../../src/segment/store.ts';
import type { Vector } from '../../src/segment/vectors.ts';
import { ROOT } from '../support/recording.ts';

/** Flags under which numbered events are rows, and little else is. */
export const NUMBERED_OPS = [
  '--profile',
  'minimal',
  '--disable',
  'process.fork,process.exec,process.exit,process.signal',
  '--enable',
  'file.open',
  '--syscalls',
  'kcmp',
];

/** Numbers of one driver lie this far from those of the next. */
const APART = 1_000_000_000;

/** Processes that drive: rows of others are not looked at, whatever they do. */
const drivers = new Set<unknown>();

/** Drivers that never stop, one on each of the first two CPUs. */
export class Workload {
  readonly #drivers: { readonly child: ChildProcess; readonly progress: string }[];

  /** Each of them drives `rate` numbers a second, two events each. */
  constructor(directory: string, rate: number, cpus: readonly number[] = [0, 1]) {
    const program = join(directory, 'numbered');
    if (!existsSync(program)) {
      execFileSync('gcc', ['-O2', '-o', program, 'test/crash/numbered.c'], { cwd: ROOT });
    }
    this.#drivers = cpus.map((cpu, i) => {
      const progress = join(directory, `progress-${i}`);
      const args = ['-c', String(cpu), program, String(rate), String(i * APART), progress];
      const child = spawn('taskset', args, { stdio: ['ignore', 'ignore', 'inherit'] });
      drivers.add(child.pid);
      return { child, progress };
    });
  }

  /** How many numbers each driver has done. */
  done(): number[] {
    return this.#drivers.map(({ progress }) =>
      existsSync(progress) ? Number(readFileSync(progress).readBigUInt64LE()) : 0,
    );
  }

  /** Of all drivers. */
  total(): number {
    return this.done().reduce((a, b) => a + b, 0);
  }

  async stop(): Promise<void> {
    for (const { child } of this.#drivers) {
      const ended = new Promise((resolve) => child.once('close', resolve));
      if (child.exitCode === null && child.kill('SIGTERM')) await ended;
    }
  }
}

/** Events that a number makes. */
const KINDS = ['file', 'syscall'] as const satisfies readonly EventType[];

/** What was ever found in a store, read again and again while it lives. */
export class Found {
  /** Of each kind: number → seq. */
  readonly #numbers = new Map(KINDS.map((kind) => [kind, new Map<number, number>()]));
  /** Names of sealed segments that are in it. */
  readonly #sealed = new Set<string>();
  readonly losses = new Map<string, LossRow[]>();
  /** seq up to which rows were found, and rows that had gone before they could be. */
  #through = 0;
  unseen = 0;
  /** Events that are there twice, and what else must not be, in sentences. */
  readonly doubled: string[] = [];
  readonly wrong: string[] = [];

  /** Takes what is new in a store. */
  take(store: string): void {
    const { segments, problems } = openStore(store);
    try {
      for (const { segment, text } of problems) this.wrong.push(`${segment}: ${text}`);
      for (const segment of segments) {
        // One that retires as it is read is told by the gap before the next.
        if (!this.#tryToTake(segment)) break;
      }
    } finally {
      for (const segment of segments) segment.close();
    }
  }

  /** How many rows of numbers of a kind were found. */
  count(kind: (typeof KINDS)[number]): number {
    return this.#of(kind).size;
  }

  /** Events below what each driver has done that were not found. */
  missing(done: readonly number[]): string[] {
    return KINDS.flatMap((kind) =>
      done.flatMap((count, driver) =>
        rangesWithout(this.#of(kind), driver * APART, driver * APART + count).map(
          ([from, to]) => `${kind} ${from} to ${to}`,
        ),
      ),
    );
  }

  #of(kind: (typeof KINDS)[number]): Map<number, number> {
    return this.#numbers.get(kind) as Map<number, number>;
  }

  #tryToTake(segment: Segment): boolean {
    try {
      this.#takeSegment(segment);
      return true;
    } catch (error) {
      if (existsSync(segment.directory)) throw error;
      return false;
    }
  }

  #takeSegment(segment: Segment): void {
    const { commits, name, sealed } = segment;
    if (this.#sealed.has(name)) return;
    const begin = commits?.begin?.through_seq ?? 0;
    if (begin > this.#through) this.unseen += begin - this.#through;
    let rows = 0;
    const seqs = new Set<number>();
    for (const type of segment.types()) {
      for (const info of segment.batches(type)) {
        rows += info.rows;
        const columns = segment.read(info, ['seq', 'pid', 'path', 'args']);
        const column = (name: string): Vector | undefined => columns.get(name);
        const [seq, pid, path, args] = ['seq', 'pid', 'path', 'args'].map(column);
        for (let row = 0; row < info.rows; row++) {
          const at = Number(seq?.get(row));
          seqs.add(at);
          if (!drivers.has(pid?.get(row))) continue;
          if (type === 'file') this.#note(type, numberOfPath(path?.get(row)), at);
          if (type === 'syscall') this.#note(type, numberOfArgs(args?.get(row)), at);
        }
      }
    }
    const through = commits?.lines.at(-1)?.through_seq ?? 0;
    if (rows !== through - begin || seqs.size !== rows) {
      this.wrong.push(`${name}: ${rows} rows with ${seqs.size} seqs from ${begin} to ${through}`);
    }
    this.losses.set(name, segment.losses());
    for (const { text } of segment.problems) this.wrong.push(`${name}: ${text}`);
    this.#through = Math.max(this.#through, through);
    if (sealed) this.#sealed.add(name);
  }

  #note(kind: (typeof KINDS)[number], number: number | null, seq: number): void {
    if (number === null) return;
    const known = this.#of(kind).get(number);
    if (known !== undefined && known !== seq) {
      this.doubled.push(`${kind} ${number} is at seq ${known} and at ${seq}`);
    }
    this.#of(kind).set(number, seq);
  }
}

/** Ranges [from, to] of numbers below `end` that are not in a map. */
function rangesWithout(
  found: ReadonlyMap<number, number>,
  first: number,
  end: number,
): [from: number, to: number][] {
  const out: [number, number][] = [];
  for (let number = first; number < end; number++) {
    if (found.has(number)) continue;
    const last = out.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else out.push([number, number]);
  }
  return out;
}

function numberOfPath(path: unknown): number | null {
  const text = /^\/numbered\/(\d+)$/.exec(String(path))?.[1];
  return text === undefined ? null : Number(text);
}

function numberOfArgs(args: unknown): number | null {
  return Array.isArray(args) ? Number(args[3]) : null;
}
