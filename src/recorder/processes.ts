// Which processes are alive, and what each runs: from the snapshot at the start, then from the rows.

import { readFileSync, readlinkSync } from 'node:fs';
import { EVENT_TABLES } from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion, ProcessSnapshot } from '../event/batch.ts';
import { processStartTicks } from '../segment/store.ts';
import type { ProcessRow } from '../segment/writer.ts';

/** USER_HZ: what /proc counts starts in, whatever the kernel's own tick. */
const NS_PER_TICK = 10_000_000n;
const CONTAINER_ID = /([0-9a-f]{64})(?:\.scope)?(?:\/|$)/;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function link(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** The path in the unified hierarchy, else the first that is not the root. */
function cgroupPath(pid: number): string | null {
  const text = read(`/proc/${pid}/cgroup`);
  if (text === null) return null;
  const lines = text.trim().split('\n');
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
  if (unified !== undefined && unified !== '/') return unified;
  const paths = lines.map((line) => line.split(':').slice(2).join(':'));
  return paths.find((path) => path !== '/') ?? unified ?? null;
}

function newRow(pid: number, pstart: bigint, ppid: number): Mutable<ProcessRow> {
  return {
    pid,
    pstart,
    ppid,
    uid: 0,
    comm: '',
    exe: null,
    args: null,
    cwd: null,
    cgroup_id: 0n,
    cgroup: null,
    container_id: null,
    first_seq: null,
    last_seq: null,
  };
}

/** Adds what only /proc knows; nothing where the pid is another process by now. */
function enrich(row: Mutable<ProcessRow>): void {
  if (processStartTicks(row.pid) !== (row.pstart / NS_PER_TICK).toString()) return;
  row.exe = link(`/proc/${row.pid}/exe`);
  row.cwd = link(`/proc/${row.pid}/cwd`);
  const args = read(`/proc/${row.pid}/cmdline`);
  row.args = args === null || args === '' ? null : args.replace(/\0$/, '').split('\0');
  row.cgroup = cgroupPath(row.pid);
  row.container_id = CONTAINER_ID.exec(row.cgroup ?? '')?.[1] ?? null;
}

/** Strings of dictionary columns of the process table, as the source hands them over. */
class Dictionary {
  readonly #values = new Map<number, string[]>();
  add(batch: BatchItem): void {
    for (const { column, values } of batch.newValues) {
      const known = this.#values.get(column);
      if (known === undefined) this.#values.set(column, [...values]);
      else for (const value of values) known.push(value);
    }
  }
  get(column: number, index: number): string {
    return this.#values.get(column)?.[index] ?? '';
  }
  clear(): void {
    this.#values.clear();
  }
}

const COLUMNS = EVENT_TABLES.process.columns.map((column) => column.name);
const columnOf = (name: string): number => COLUMNS.indexOf(name);

/** The table. `takeChanges` gives what is new since the last call, `all` who is alive. */
export class ProcessTable {
  readonly #alive = new Map<string, Mutable<ProcessRow>>();
  readonly #dead: string[] = [];
  readonly #changed = new Map<string, ProcessRow>();
  readonly #dictionary = new Dictionary();

  start(snapshot: readonly ProcessSnapshot[]): void {
    for (const one of snapshot) {
      const row = newRow(one.pid, one.pstart, one.ppid);
      row.uid = one.uid;
      row.comm = one.comm;
      row.cgroup_id = one.cgroupId;
      enrich(row);
      this.#note(row);
    }
  }

  /** Reads the fork, exec and exit rows of a process batch. */
  apply(batch: BatchItem, regions: readonly ColumnRegion[], memory: ArrayBuffer): void {
    this.#dictionary.add(batch);
    const region = (name: string): number => regions[columnOf(name)]?.data ?? 0;
    const { rows } = batch;
    const seq = new BigUint64Array(memory, region('seq'), rows);
    const op = new Uint16Array(memory, region('op'), rows);
    const pid = new Uint32Array(memory, region('pid'), rows);
    const pstart = new BigUint64Array(memory, region('pstart'), rows);
    const childPid = new Uint32Array(memory, region('child_pid'), rows);
    const childStart = new BigUint64Array(memory, region('child_pstart'), rows);
    const result = new Int32Array(memory, region('result'), rows);
    const filename = new Int32Array(memory, region('filename'), rows);
    const cwd = new Int32Array(memory, region('cwd'), rows);
    const comm = new Uint16Array(memory, region('comm'), rows);
    const uid = new Uint32Array(memory, region('uid'), rows);
    const ppid = new Uint32Array(memory, region('ppid'), rows);
    const cgroup = new BigUint64Array(memory, region('cgroup_id'), rows);
    const argsOf = listReader(regions[columnOf('args')], memory);
    for (let i = 0; i < rows; i++) {
      const name = this.#dictionary.get(columnOf('op'), op[i] ?? 0);
      if (name === 'signal') continue;
      const parent = this.#find(pid[i] ?? 0, pstart[i] ?? 0n, ppid[i] ?? 0);
      parent.uid = uid[i] ?? 0;
      parent.cgroup_id = cgroup[i] ?? 0n;
      if (name === 'fork') {
        this.#fork(parent, childPid[i] ?? 0, childStart[i] ?? 0n, seq[i] ?? 0n);
      } else if (name === 'exec' && result[i] === 0) {
        parent.exe = this.#dictionary.get(columnOf('filename'), filename[i] ?? 0);
        parent.cwd = this.#dictionary.get(columnOf('cwd'), cwd[i] ?? 0);
        parent.comm = this.#dictionary.get(columnOf('comm'), comm[i] ?? 0);
        parent.args = argsOf(i);
        this.#note(parent);
      } else if (name === 'exit') {
        parent.last_seq = seq[i] ?? 0n;
        this.#note(parent);
        this.#dead.push(key(parent));
      }
    }
  }

  /** Rows that are new or changed since the last call. */
  takeChanges(): ProcessRow[] {
    const out = [...this.#changed.values()].map((row) => ({ ...row }));
    this.#changed.clear();
    return out;
  }

  /** A new segment begins: its dictionaries are empty, and who has ended is not carried over. */
  rotate(): void {
    for (const gone of this.#dead.splice(0)) this.#alive.delete(gone);
    this.#dictionary.clear();
    for (const row of this.#alive.values()) this.#note(row);
  }

  #fork(parent: ProcessRow, pid: number, pstart: bigint, seq: bigint): void {
    const child = newRow(pid, pstart, parent.pid);
    // A child runs its parent's program until it executes another.
    for (const same of [
      'uid',
      'comm',
      'exe',
      'args',
      'cwd',
      'cgroup_id',
      'cgroup',
      'container_id',
    ]) {
      Object.assign(child, { [same]: parent[same] });
    }
    child.first_seq = seq;
    this.#note(child);
  }

  #find(pid: number, pstart: bigint, ppid: number): Mutable<ProcessRow> {
    const known = this.#alive.get(`${pid}:${pstart}`);
    if (known !== undefined) return known;
    const row = newRow(pid, pstart, ppid);
    enrich(row);
    this.#note(row);
    return row;
  }

  #note(row: Mutable<ProcessRow>): void {
    this.#alive.set(key(row), row);
    this.#changed.set(key(row), row);
  }
}

function key(row: ProcessRow): string {
  return `${row.pid}:${row.pstart}`;
}

function listReader(
  region: ColumnRegion | undefined,
  memory: ArrayBuffer,
): (row: number) => string[] | null {
  if (region === undefined) return () => null;
  return (row) => {
    const [from = 0, to = 0] = new Int32Array(memory, region.data + row * 4, 2);
    if (from === to) return null;
    const offsets = new Int32Array(memory, region.inner + from * 4, to - from + 1);
    const text = (i: number): string => {
      const start = offsets[i] ?? 0;
      return Buffer.from(memory, region.heap + start, (offsets[i + 1] ?? 0) - start).toString(
        'utf8',
      );
    };
    return Array.from({ length: to - from }, (_, i) => text(i));
  };
}
