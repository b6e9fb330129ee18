// Which processes are alive, and what each runs: from the snapshot at the start, then from the rows.

import { EVENT_TABLES } from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion, ProcessSnapshot } from '../event/batch.ts';
import type { ProcessRow } from '../segment/small-tables.ts';
import { processStartTicks } from '../segment/store.ts';
import { Dictionary, nullsOf } from './batch-columns.ts';
import { type Cgroup, type CgroupNames, Cgroups } from './cgroups.ts';
import type { Mask } from './mask.ts';
import { argsOf, isZombie, linkOf, parentOf } from './proc.ts';

/** USER_HZ: what /proc counts starts in, whatever the kernel's own tick. */
const NS_PER_TICK = 10_000_000n;

type Entry = { -readonly [K in keyof ProcessRow]: ProcessRow[K] } & { cgroup_id: bigint };

function newRow(pid: number, pstart: bigint, ppid: number): Entry {
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
    pod: null,
    pod_namespace: null,
    first_seq: null,
    last_seq: null,
  };
}

/** True while the pid in /proc is still this process. */
function isAlive(row: ProcessRow): boolean {
  return processStartTicks(row.pid) === (row.pstart / NS_PER_TICK).toString();
}

const COLUMNS = EVENT_TABLES.process.columns.map((column) => column.name);
const COLUMN = Object.fromEntries(COLUMNS.map((name, i) => [name, i]));
const columnOf = (name: string): number => COLUMN[name] ?? 0;

/** What a process runs. */
const PROGRAM = ['exe', 'args', 'cwd'] as const;

/** What a child has from its parent until it executes another program. */
const INHERITED = [
  ...['uid', 'comm', ...PROGRAM],
  ...['cgroup_id', 'cgroup', 'container_id', 'pod', 'pod_namespace'],
] as const;

/** The columns of a process batch that the table reads. */
class ProcessColumns {
  readonly seq: BigUint64Array;
  readonly op: Uint16Array;
  readonly pid: Uint32Array;
  readonly pstart: BigUint64Array;
  readonly tid: Uint32Array;
  readonly ppid: Uint32Array;
  readonly uid: Uint32Array;
  readonly cgroup: BigUint64Array;
  readonly comm: Uint16Array;
  readonly childPid: Uint32Array;
  readonly childStart: BigUint64Array;
  readonly result: Int32Array;
  readonly args: (row: number) => string[] | null;
  readonly #batch: BatchItem;
  readonly #regions: readonly ColumnRegion[];
  readonly #memory: ArrayBuffer;
  readonly #dictionary: Dictionary;

  constructor(
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
    dictionary: Dictionary,
  ) {
    this.#batch = batch;
    this.#regions = regions;
    this.#memory = memory;
    this.#dictionary = dictionary;
    const { rows } = batch;
    const at = (name: string): number => regions[columnOf(name)]?.data ?? 0;
    this.seq = new BigUint64Array(memory, at('seq'), rows);
    this.op = new Uint16Array(memory, at('op'), rows);
    this.pid = new Uint32Array(memory, at('pid'), rows);
    this.pstart = new BigUint64Array(memory, at('pstart'), rows);
    this.tid = new Uint32Array(memory, at('tid'), rows);
    this.ppid = new Uint32Array(memory, at('ppid'), rows);
    this.uid = new Uint32Array(memory, at('uid'), rows);
    this.cgroup = new BigUint64Array(memory, at('cgroup_id'), rows);
    this.comm = new Uint16Array(memory, at('comm'), rows);
    this.childPid = new Uint32Array(memory, at('child_pid'), rows);
    this.childStart = new BigUint64Array(memory, at('child_pstart'), rows);
    this.result = new Int32Array(memory, at('result'), rows);
    this.args = listReader(regions[columnOf('args')], memory);
  }

  /** A string of a 32-bit dictionary column. */
  text(name: 'filename' | 'cwd', row: number): string | null {
    const column = columnOf(name);
    if (nullsOf(this.#batch, this.#regions, this.#memory, column)(row)) return null;
    const [index = 0] = new Int32Array(
      this.#memory,
      (this.#regions[column]?.data ?? 0) + row * 4,
      1,
    );
    return this.#dictionary.get(column, index);
  }
}

/** The table. `takeChanges` gives what is new since the last call. */
export class ProcessTable {
  readonly #alive = new Map<string, Entry>();
  readonly #changed = new Map<string, ProcessRow>();
  readonly #dictionary = new Dictionary();
  readonly #cgroups: Cgroups;
  /** Ended since the last flush, and before it: a late row may still speak of them. */
  #ended: string[] = [];
  #endedBefore: string[] = [];
  #inSegment = 0;
  /** Hides secrets of command lines; null: nothing does. */
  readonly #mask: Pick<Mask, 'hide'> | null;

  /** `names` is asked for cgroups that may be gone by now. */
  constructor(mask: Pick<Mask, 'hide'> | null = null, names: CgroupNames = () => null) {
    this.#mask = mask;
    this.#cgroups = new Cgroups(names);
  }

  /** Processes of this segment so far. */
  get inSegment(): number {
    return this.#inSegment;
  }

  /** The mask is another: it holds for what is known already as well. */
  hideAgain(): void {
    for (const row of this.#alive.values()) {
      if (row.args !== null) row.args = this.#hide(row.args as readonly string[], false);
    }
  }

  /** Begins with who is alive as the source starts. */
  start(snapshot: readonly ProcessSnapshot[]): void {
    for (const one of snapshot) {
      // It has told of its end already: nothing more will be heard of it.
      if (isZombie(one.pid)) continue;
      const row = newRow(one.pid, one.pstart, one.ppid);
      row.uid = one.uid;
      row.comm = one.comm;
      row.cgroup_id = one.cgroupId;
      this.#enrich(row);
      this.#add(row);
    }
  }

  /** Reads the fork, exec and exit rows of a process batch. */
  apply(batch: BatchItem, regions: readonly ColumnRegion[], memory: ArrayBuffer): void {
    this.#dictionary.add(batch);
    const columns = new ProcessColumns(batch, regions, memory, this.#dictionary);
    for (let i = 0; i < batch.rows; i++) {
      const op = this.#dictionary.get(columnOf('op'), columns.op[i] ?? 0);
      if (op === 'signal') continue;
      const row = this.#subject(columns, i);
      if (op === 'fork') {
        this.#fork(row, columns, i);
      } else if (op === 'exec' && columns.result[i] === 0) {
        row.exe = columns.text('filename', i);
        row.cwd = columns.text('cwd', i);
        row.args = columns.args(i);
        row.comm = this.#commOf(columns, i);
        const entered = this.#cgroups.entered(row);
        if (entered !== null) this.#call(row, entered);
        this.#note(row);
      } else if (op === 'exit') {
        row.last_seq = columns.seq[i] ?? 0n;
        this.#note(row);
        this.#ended.push(key(row));
      }
    }
  }

  /** Rows that are new or changed since the last call. */
  takeChanges(): ProcessRow[] {
    this.#askAdopters();
    const out = [...this.#changed.values()].map((row) => ({ ...row }));
    this.#changed.clear();
    this.#forgetEnded();
    return out;
  }

  /**
   * A new segment begins: its dictionaries are empty, and who has ended is not carried over, though a late
   * row finds it still.
   */
  rotate(): void {
    this.#forgetEnded();
    this.#dictionary.clear();
    this.#changed.clear();
    for (const [name, row] of this.#alive) if (row.last_seq === null) this.#changed.set(name, row);
    this.#inSegment = this.#changed.size;
  }

  #forgetEnded(): void {
    for (const gone of this.#endedBefore) this.#alive.delete(gone);
    this.#endedBefore = this.#ended;
    this.#ended = [];
  }

  // Whose children those are now whose parent has ended only /proc knows. It is asked with two flushes, as
  // the row of an end is there a moment before they are given away.
  #askAdopters(): void {
    const ended = [...this.#ended, ...this.#endedBefore];
    if (ended.length === 0) return;
    const gone = new Set(ended.map((name) => Number.parseInt(name, 10)));
    for (const row of this.#alive.values()) {
      if (!gone.has(Number(row.ppid)) || row.last_seq !== null || !isAlive(row)) continue;
      const adopter = parentOf(row.pid);
      if (adopter === null || adopter === row.ppid) continue;
      row.ppid = adopter;
      this.#note(row);
    }
  }

  // The process that a row is about, with what the row says of it.
  #subject(columns: ProcessColumns, i: number): Entry {
    const pid = columns.pid[i] ?? 0;
    const pstart = columns.pstart[i] ?? 0n;
    const cgroup = columns.cgroup[i] ?? 0n;
    const known = this.#alive.get(`${pid}:${pstart}`);
    const row = known ?? newRow(pid, pstart, columns.ppid[i] ?? 0);
    const uid = columns.uid[i] ?? 0;
    // Other threads have names of their own.
    const isMain = known === undefined || columns.tid[i] === pid;
    const comm = isMain ? this.#commOf(columns, i) : (row.comm ?? '');
    if (known !== undefined && (row.uid !== uid || row.comm !== comm)) this.#note(row);
    row.uid = uid;
    row.comm = comm;
    if (known === undefined) {
      row.cgroup_id = cgroup;
      this.#enrich(row);
      this.#add(row);
    } else if (row.cgroup_id !== cgroup) {
      // It was moved, as a container's first process is between its fork and its exec.
      row.cgroup_id = cgroup;
      this.#nameCgroup(row);
      this.#note(row);
    }
    return row;
  }

  /** The name of the thread whose row it is. */
  #commOf(columns: ProcessColumns, i: number): string {
    return this.#dictionary.get(columnOf('comm'), columns.comm[i] ?? 0);
  }

  #fork(parent: ProcessRow, columns: ProcessColumns, i: number): void {
    const seq = columns.seq[i] ?? 0n;
    const child = newRow(columns.childPid[i] ?? 0, columns.childStart[i] ?? 0n, parent.pid);
    const known = this.#alive.get(key(child));
    if (known !== undefined) {
      // It was in the snapshot, or this row comes after the child's own.
      known.first_seq ??= seq;
      if (known.exe === null) {
        for (const same of PROGRAM) Object.assign(known, { [same]: known[same] ?? parent[same] });
      }
      this.#note(known);
      return;
    }
    for (const same of INHERITED) Object.assign(child, { [same]: parent[same] });
    child.comm = this.#commOf(columns, i);
    child.first_seq = seq;
    this.#add(child);
  }

  // Adds what only /proc knows; nothing where the pid is another process by now.
  #enrich(row: Entry): void {
    this.#nameCgroup(row);
    if (!isAlive(row)) return;
    row.exe = linkOf(row.pid, 'exe');
    row.cwd = linkOf(row.pid, 'cwd');
    const told = argsOf(row.pid);
    row.args = told === null ? null : this.#hide(told.args, told.cut);
  }

  #hide(args: readonly string[], cut: boolean): readonly string[] {
    return this.#mask?.hide(args, cut) ?? args;
  }

  #nameCgroup(row: Entry): void {
    this.#call(
      row,
      this.#cgroups.of(row, () => isAlive(row)),
    );
  }

  #call(row: Entry, cgroup: Cgroup): void {
    row.cgroup = cgroup.path;
    row.container_id = cgroup.container;
    row.pod = cgroup.pod?.name ?? null;
    row.pod_namespace = cgroup.pod?.namespace ?? null;
  }

  #add(row: Entry): void {
    if (!this.#alive.has(key(row))) this.#inSegment++;
    this.#alive.set(key(row), row);
    this.#note(row);
  }

  #note(row: ProcessRow): void {
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
