// What the process rows of a segment say of each process, as seen from a time.

import type { Segment } from '../segment/reader.ts';
import { processBatches, processKey } from './process-rows.ts';
import type { SegmentBatch } from './rows.ts';

/** What a row says of the process that it is about. */
export interface Said {
  readonly ts: bigint;
  readonly seq: bigint;
  readonly ppid: number;
  readonly uid: number;
  readonly cgroupId: bigint;
  /** Of its main thread, before any exec that the row tells of; null where the row does not say. */
  readonly comm: string | null;
}

export interface Exec {
  readonly ts: bigint;
  readonly seq: bigint;
  readonly comm: string;
  readonly batch: SegmentBatch;
  readonly row: number;
}

/** What the rows of a segment say of one process, as seen from a time. */
export interface ToldLife {
  readonly pid: number;
  readonly pstart: bigint;
  fork: { readonly parent: string; readonly parentPid: number; readonly said: Said } | null;
  readonly execs: Exec[];
  /** The last row up to that time, and the last that says what its main thread is called. */
  last: Said | null;
  named: Said | null;
  /** The first row after that time. */
  next: Said | null;
  ended: bigint | null;
}

const isBefore = (a: Pick<Said, 'ts' | 'seq'>, b: Pick<Said, 'ts' | 'seq'>): boolean =>
  a.ts === b.ts ? a.seq < b.seq : a.ts < b.ts;

const ROW_COLUMNS = [
  ...['seq', 'ts', 'op', 'pid', 'pstart', 'tid', 'ppid', 'uid', 'comm', 'cgroup_id'],
  ...['child_pid', 'child_pstart', 'result'],
];

/** Lives of a segment's processes, as its rows tell them. */
export class Lives {
  readonly #lives = new Map<string, ToldLife>();
  readonly #at: bigint;

  constructor(segment: Segment, at: bigint) {
    this.#at = at;
    for (const { info, columns } of processBatches(segment, ROW_COLUMNS)) {
      const batch = { segment, info };
      const get = (name: string, row: number): unknown => columns.get(name)?.get(row) ?? null;
      for (let row = 0; row < info.rows; row++) this.#take((name) => get(name, row), batch, row);
    }
  }

  get(key: string): ToldLife | undefined {
    return this.#lives.get(key);
  }

  all(): Iterable<ToldLife> {
    return this.#lives.values();
  }

  #life(pid: number, pstart: bigint): ToldLife {
    const key = processKey(pid, pstart);
    let life = this.#lives.get(key);
    if (life === undefined) {
      life = {
        pid,
        pstart,
        fork: null,
        execs: [],
        last: null,
        named: null,
        next: null,
        ended: null,
      };
      this.#lives.set(key, life);
    }
    return life;
  }

  #take(get: (name: string) => unknown, batch: SegmentBatch, row: number): void {
    const [op, pid, pstart] = [get('op'), get('pid') as number, get('pstart') as bigint];
    const [ts, seq, comm] = [get('ts') as bigint, get('seq') as bigint, get('comm') as string];
    const life = this.#life(pid, pstart);
    const execs = op === 'exec' && get('result') === 0;
    const said = {
      ts,
      seq,
      ppid: get('ppid') as number,
      uid: get('uid') as number,
      cgroupId: get('cgroup_id') as bigint,
      comm: get('tid') === pid ? comm : null,
    };
    this.#hear(life, execs ? { ...said, comm: ts > this.#at ? null : comm } : said);
    if (execs) life.execs.push({ ts, seq, comm, batch, row });
    else if (op === 'exit') life.ended = ts;
    else if (op === 'fork') {
      const child = this.#life(get('child_pid') as number, get('child_pstart') as bigint);
      // A child has the name of the thread that made it.
      child.fork = { parent: processKey(pid, pstart), parentPid: pid, said: { ...said, comm } };
    }
  }

  #hear(life: ToldLife, said: Said): void {
    if (said.ts > this.#at) {
      if (life.next === null || isBefore(said, life.next)) life.next = said;
      return;
    }
    if (life.last === null || isBefore(life.last, said)) life.last = said;
    if (said.comm === null) return;
    if (life.named === null || isBefore(life.named, said)) life.named = said;
  }
}

/** The last program that it executed up to a time. */
export function lastExec(life: ToldLife | undefined, until: bigint): Exec | null {
  let last: Exec | null = null;
  for (const exec of life?.execs ?? []) {
    if (exec.ts <= until && (last === null || isBefore(last, exec))) last = exec;
  }
  return last;
}
