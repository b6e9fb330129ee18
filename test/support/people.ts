// A host made up for tests: processes that fork, execute, end and are adopted. It is recorded as a recorder
// does it, rows and process table, and knows itself how all of them were at every moment.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BatchItem, ProcessSnapshot } from '../../src/event/batch.ts';
import { ProcessTable } from '../../src/recorder/processes.ts';
import type { SmallRow } from '../../src/segment/columns.ts';
import { type CommitPoint, noPoint, type SegmentHeader } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { random } from './batches.ts';
import { FakeNative, type FakeRow, FakeSource } from './fake-source.ts';
import { HEADER } from './segments.ts';

/** Beyond pid_max: the real /proc never has them. */
export const INIT = 2 ** 22 + 1;
const PIDS = 24;
/** The wall clock as the host booted, ns. */
export const BOOTED = 1_795_000_000_000_000_000n;
const BATCH_ROWS = 40;

export interface Person {
  pid: number;
  pstart: bigint;
  ppid: number;
  /** Who made it, for ever. */
  parent: Person | null;
  /** When its parent ended; null while that lives. */
  orphaned: bigint | null;
  uid: number;
  comm: string;
  exe: string | null;
  args: readonly string[] | null;
  cwd: string | null;
}

export interface PeopleRow extends FakeRow {
  readonly op: string;
  readonly pid: number;
  readonly pstart: bigint;
  readonly ts: bigint;
}

/** How all who lived were from a time on. */
export interface Snapshot {
  readonly ts: bigint;
  readonly segment: number;
  readonly people: readonly Readonly<Person>[];
}

const MANY_SEGMENTS = 1_000;

export class People {
  readonly rows: (PeopleRow & { readonly segment: number })[] = [];
  readonly history: Snapshot[] = [];
  /** All who ever lived. */
  readonly all: Person[] = [];
  segment = 0;
  readonly #random: () => number;
  readonly #alive = new Map<number, Person>();
  #ts = BOOTED + 1_000_000n;

  constructor(seed: number) {
    this.#random = random(seed);
    const init = this.#born(INIT, null, { uid: 0, comm: 'init', exe: null, args: null, cwd: null });
    for (let i = 1; i <= 5; i++) {
      this.#born(INIT + i, init, { uid: i, comm: `old ${i}`, exe: null, args: null, cwd: null });
    }
    this.#remember();
  }

  get alive(): Person[] {
    return [...this.#alive.values()];
  }

  /** What a recorder that starts now is told. */
  snapshot(): ProcessSnapshot[] {
    return this.alive.map(({ pid, pstart, ppid, uid, comm }) => ({
      pid,
      pstart,
      ppid,
      uid,
      comm,
      cgroupId: 7n,
    }));
  }

  /** A recorder starts: what was before, nobody has seen. */
  begin(): void {
    this.rows.length = 0;
    this.history.splice(0, this.history.length - 1);
  }

  /** Something happens; the row that tells of it. */
  step(): PeopleRow {
    const one = this.#pick();
    const what = this.#random();
    if (what < 0.35 && this.#alive.size < PIDS) return this.#fork(one);
    if (what < 0.6) return this.#exec(one);
    if (what < 0.8 && one.pid !== INIT) return this.#exit(one);
    if (what < 0.85) {
      one.uid = this.#below(5);
      return this.#tell('exec', one, { filename: '/none', cwd: '/', result: -13 });
    }
    return this.#tell('signal', one, { signal: 10, target_pid: INIT, result: 0 });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick(): Person {
    return this.alive[this.#below(this.#alive.size)] as Person;
  }

  /** A time that has not been yet. */
  later(): bigint {
    this.#ts += BigInt(10 + this.#below(1_000));
    return this.#ts;
  }

  #born(
    pid: number,
    parent: Person | null,
    as: Pick<Person, 'uid' | 'comm' | 'exe' | 'args' | 'cwd'>,
  ): Person {
    const { uid, comm, exe, args, cwd } = as;
    const born = {
      pid,
      pstart: this.later() - BOOTED,
      ppid: parent?.pid ?? 0,
      parent,
      orphaned: null,
    };
    const person = { ...born, uid, comm, exe, args, cwd };
    this.#alive.set(pid, person);
    this.all.push(person);
    return person;
  }

  #fork(parent: Person): PeopleRow {
    let pid = INIT;
    while (this.#alive.has(pid)) pid = INIT + this.#below(PIDS + 1);
    const child = this.#born(pid, parent, parent);
    return this.#tell('fork', parent, { child_pid: child.pid, child_pstart: child.pstart });
  }

  #exec(one: Person): PeopleRow {
    const program = `p${this.#below(1_000)}`;
    if (this.#random() < 0.2) {
      return this.#tell('exec', one, { filename: `/none/${program}`, cwd: '/', result: -2 });
    }
    const args = [program, ...Array.from({ length: this.#below(3) }, (_, i) => `-${i}`)];
    Object.assign(one, { comm: program, exe: `/bin/${program}`, args, cwd: `/${program}` });
    return this.#tell('exec', one, {
      filename: `/bin/${program}`,
      cwd: `/${program}`,
      args,
      result: 0,
    });
  }

  #exit(one: Person): PeopleRow {
    this.#alive.delete(one.pid);
    const ts = this.later();
    for (const child of this.#alive.values()) {
      if (child.ppid !== one.pid) continue;
      child.ppid = INIT;
      child.orphaned ??= one.pid === INIT ? null : ts;
    }
    return this.#tell('exit', one, { exit_code: 0 }, ts);
  }

  #tell(op: string, one: Person, own: FakeRow, ts = this.later()): PeopleRow {
    const { pid, pstart, ppid, uid, comm } = one;
    const row = { op, ts, pid, pstart, tid: pid, ppid, uid, comm, cgroup_id: 7n, ...own };
    this.rows.push({ ...row, segment: this.segment });
    this.#remember();
    return row;
  }

  #remember(): void {
    const people = this.alive.map((one) => ({ ...one }));
    this.history.push({ ts: this.#ts, segment: this.segment, people });
  }
}

const regions = new FakeNative().columns(1);

/** Records people into a store. */
export class PeopleRecorder {
  readonly store: string;
  readonly #people: People;
  readonly #header: SegmentHeader;
  readonly #source = new FakeSource(() => {});
  readonly #table = new ProcessTable();
  readonly #random: () => number;
  #number: number;
  #point: CommitPoint | null = null;
  #step = 0n;
  readonly #losses: SmallRow[] = [];

  constructor(store: string, people: People, seed: number, header: Partial<SegmentHeader> = {}) {
    this.store = store;
    this.#people = people;
    this.#random = random(seed);
    this.#number = Number(header.recording ?? 0) * MANY_SEGMENTS + 1;
    this.#header = { ...HEADER, ...header };
    mkdirSync(join(store, 'segments'), { recursive: true });
    this.#table.start(people.snapshot());
  }

  /** The next segment's times are this much later. */
  clockStep(by: bigint): void {
    this.#step += by;
  }

  /** The next segment has a loss at a time. */
  lose(type: string, op: string, count: bigint, ts: bigint): void {
    const at = { first_ts: ts, last_ts: ts };
    this.#losses.push({ stage: 'ring', cause: 'overwritten', type, op, cpu: 0, count, ...at });
  }

  /** A segment of so many steps, sealed or left open; some neighbouring rows come late. Its directory. */
  record(steps: number, seal = true): string {
    const rows = Array.from({ length: steps }, () => this.#people.step());
    this.#shuffle(rows);
    return this.recordRows(rows, seal);
  }

  /** A segment of these rows. */
  recordRows(rows: readonly PeopleRow[], seal = true): string {
    const name = `20261122T180000.000Z-${String(this.#number++).padStart(7, '0')}`;
    const segments = join(this.store, 'segments');
    const booted = BOOTED + this.#step;
    const clocks = { realtime: `${booted}`, monotonic: '0', boottime: '0' };
    const header = { ...this.#header, ts_offset: `${booted}`, clocks };
    const writer = SegmentWriter.create(diskFiles, segments, name, header, this.#point);
    writer.addLosses(this.#losses.splice(0));
    for (let at = 0; at < rows.length; at += BATCH_ROWS) {
      const some = rows.slice(at, at + BATCH_ROWS);
      this.#source.rows(
        'process',
        some.map((row) => ({ ...row, ts: row.ts + this.#step })),
      );
      const batch = this.#source.take() as BatchItem;
      const memory = this.#source.slotBuffer(batch.slot);
      this.#table.apply(batch, regions, memory);
      writer.append('process', batch, regions, memory);
      writer.addProcesses(this.#table.takeChanges());
      const newest = `${batch.lastTs - booted}`;
      // So many that readers take the times of the rows from the rows.
      const late = (this.#point?.late ?? 0) + 1;
      this.#point = { ...noPoint(), through_seq: Number(batch.lastSeq), newest, late };
      writer.commit(this.#point);
    }
    this.#people.segment++;
    if (!seal) {
      writer.abandon();
      return join(segments, `.open-${name}`);
    }
    const sealed = writer.seal();
    this.#table.rotate();
    this.#source.cutNow('rotated');
    this.#source.take();
    return sealed.directory;
  }

  // Rows of two CPUs may change places; those of one process do not, nor do forks of a fork.
  #shuffle(rows: PeopleRow[]): void {
    for (let i = 1; i < rows.length; i++) {
      const [a, b] = [rows[i - 1], rows[i]];
      if (a === undefined || b === undefined || a.pid === b.pid || this.#random() > 0.2) continue;
      if (b.op === 'fork' && a.child_pstart === b.pstart) continue;
      [rows[i - 1], rows[i]] = [b, { ...a, flags: 1 }];
      i++;
    }
  }
}
