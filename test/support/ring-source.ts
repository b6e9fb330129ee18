// A kernel whose rings outlive the recorder, and a source that reads them. The rings keep every record that
// was ever written, so that a source can go on from any point; what it does follows native/drain.cc.

import type { EventType } from '../../schemas/arrow.ts';
import { EVENTS, FLAGS, MAX_OPS } from '../../schemas/events.ts';
import type { SourceItem } from '../../src/event/batch.ts';
import type { Clocks } from '../../src/event/clock.ts';
import { REFUSAL_CAUSES } from '../../src/recorder/point.ts';
import type {
  NativeSource,
  ResumePoint,
  SourceOptions,
  StartResult,
} from '../../src/source/binding.ts';
import { CPUS, FakeNative, type FakeRow, FakeSource, type FullRow } from './fake-source.ts';

/** Rows of a batch that is handed over before a cut asks for it. */
const BATCH_ROWS = 4;

/** What becomes of a record when it is read. */
export type Fate = 'row' | 'overwritten' | 'own' | 'malformed';

/** A record in a ring. */
export interface RingRecord {
  /** Unique among all that were ever written; the row's `tid`. */
  readonly id: number;
  readonly type: EventType;
  readonly op: number;
  readonly cpu: number;
  /** Its number on its CPU. */
  readonly at: bigint;
  readonly ktime: bigint;
  /** What ts − ktime was as it was written. */
  readonly offset: bigint;
  readonly fate: Fate;
  readonly row: FakeRow;
  /** Its writing takes long: those behind it can be read before. */
  readonly slow: boolean;
  /** It is still being written. */
  held: boolean;
}

const perOp = (): BigUint64Array => new BigUint64Array(CPUS * MAX_OPS);

/** The rings of one set of programs. */
class RingSet {
  readonly id: string;
  readonly recording: string;
  readonly records: RingRecord[] = [];
  readonly emitted = perOp();
  readonly filtered = perOp();
  readonly refused = new BigUint64Array(REFUSAL_CAUSES.length * CPUS * MAX_OPS);
  readonly written = new BigUint64Array(CPUS);
  /** No program writes them any more. */
  over = false;

  constructor(id: string, recording: string) {
    this.id = id;
    this.recording = recording;
  }
}

/** The op of a row, by its type and name. */
export function opOf(type: EventType, op: string): number {
  const ops: Readonly<Record<string, { readonly id: number }>> = EVENTS[type].ops;
  return ops[op]?.id ?? 0;
}

/** A machine: what is there whether or not a recorder runs. */
export class Host {
  bootId = 'boot-1';
  time: Clocks = {
    realtime: 1_800_000_000_000_000_000n,
    monotonic: 10n ** 12n,
    boottime: 10n ** 12n,
  };
  sets: RingSet[] = [];
  /** Everything that was ever written into rings. */
  readonly records: RingRecord[] = [];
  /** By `type op cause`, of what the programs could not write. */
  readonly refused = new Map<string, number>();
  /** Recording → seq → id of the row that was last given that seq. */
  readonly given = new Map<string, Map<bigint, number>>();
  /** The next start finds that its programs are of another version. */
  outdated = false;
  #boots = 1;
  #made = 0;

  /** Time passes on all clocks. */
  pass(ns: bigint): void {
    const { realtime, monotonic, boottime } = this.time;
    this.time = { realtime: realtime + ns, monotonic: monotonic + ns, boottime: boottime + ns };
  }

  /** The power was gone for a while. */
  reboot(): void {
    this.bootId = `boot-${++this.#boots}`;
    this.sets = [];
    this.time = {
      realtime: this.time.realtime + 60_000_000_000n,
      monotonic: 5_000_000_000n,
      boottime: 5_000_000_000n,
    };
  }

  newSet(recording: string): RingSet {
    const set = new RingSet(`rings-${++this.#made}`, recording);
    this.sets.push(set);
    return set;
  }

  /** Something happens; null where no program sees it. */
  emit(
    type: EventType,
    op: string,
    { cpu = 0, fate = 'row' as Fate, held = false, row = {} as FakeRow } = {},
  ): RingRecord | null {
    const set = this.#written();
    if (set === null) return null;
    this.pass(1000n);
    const id = this.records.length + 1;
    const number = opOf(type, op);
    const slot = cpu * MAX_OPS + number;
    set.emitted[slot] = (set.emitted[slot] ?? 0n) + 1n;
    const at = set.written[cpu] ?? 0n;
    set.written[cpu] = at + 1n;
    const { realtime, monotonic } = this.time;
    const record: RingRecord = {
      id,
      type,
      op: number,
      cpu,
      at,
      ktime: monotonic,
      offset: realtime - monotonic,
      fate,
      row: { ...row, op, cpu, tid: id },
      slow: held,
      held,
    };
    this.records.push(record);
    set.records.push(record);
    return record;
  }

  /** An event that the selection leaves out. */
  filter(type: EventType, op: string): void {
    const set = this.#written();
    const slot = opOf(type, op);
    if (set !== null) set.filtered[slot] = (set.filtered[slot] ?? 0n) + 1n;
  }

  /** An event that cannot be written; it costs no time, as the programs know none for it. */
  refuse(type: EventType, op: string, cause: (typeof REFUSAL_CAUSES)[number], cpu = 0): void {
    const set = this.#written();
    if (set === null) return;
    const slot = (REFUSAL_CAUSES.indexOf(cause) * CPUS + cpu) * MAX_OPS + opOf(type, op);
    set.refused[slot] = (set.refused[slot] ?? 0n) + 1n;
    const key = `kernel ${cause} ${type}.${op}`;
    this.refused.set(key, (this.refused.get(key) ?? 0) + 1);
  }

  /** What was being written is. */
  settle(): void {
    for (const { records } of this.sets) for (const record of records) record.held = false;
  }

  #written(): RingSet | null {
    const last = this.sets.at(-1);
    return last === undefined || last.over ? null : last;
  }
}

/** Reads the rings of a host, like the drain thread; poll() is that thread's turn. */
export class RingSource extends FakeSource {
  readonly #host: Host;
  readonly #options: SourceOptions;
  readonly #recording: string;
  #sets: RingSet[] = [];
  #at = 0;
  #read = new Set<RingRecord>();
  #open = new Map<EventType, FullRow[]>();
  #taken = new Set<number>();
  #wanted = false;
  #rotateTo: bigint | null = null;
  #finishing = false;
  #over = false;

  constructor(host: Host, options: SourceOptions, wake: () => void) {
    super(wake);
    this.#host = host;
    this.#options = options;
    this.#recording = options.pins?.recording ?? '';
    this.tsOffset = options.tsOffset;
    this.nextSeq = options.nextSeq;
  }

  override start(): StartResult {
    const host = this.#host;
    const { resume } = this.#options;
    const found = host.sets.filter(({ recording }) => recording === this.#recording);
    const at = found.findIndex(({ id }) => id === resume?.rings);
    // What was drained to its end and only not let go of.
    host.sets = at > 0 ? found.slice(at) : found;
    const last = host.sets.at(-1);
    const continues = last !== undefined && !last.over && !host.outdated;
    const how = continues ? 'continued' : last === undefined ? 'new' : 'replaced';
    if (!continues) {
      if (last !== undefined) {
        host.settle();
        if (!last.over) this.handover = [host.time.monotonic, host.time.monotonic + 1000n];
        last.over = true;
      }
      host.newSet(this.#recording);
    }
    host.outdated = false;
    this.#sets = host.sets;
    this.#begin(resume);
    return { alive: this.alive, sockets: this.sockets, how, resumed: at >= 0, notes: [] };
  }

  /** There is something to take. */
  get isWaiting(): boolean {
    return this.items.length > 0;
  }

  /** Reads what there is. */
  poll(): void {
    if (this.paused || this.closed || this.#over) return;
    for (;;) {
      const last = this.#at === this.#sets.length - 1;
      const over = this.#finishing || !last;
      for (const record of this.#set.records) {
        if (!record.held && !this.#read.has(record)) this.#take(record);
      }
      if (this.#wanted) this.#cut(this.#rotateTo === null ? 'plain' : 'rotated');
      if (!over) return;
      this.#cut(last ? 'final' : 'ended');
      if (last) {
        this.#over = true;
        return;
      }
      const { newest } = this;
      this.#enter(this.#at + 1);
      this.newest = newest;
    }
  }

  override cut(rotateTsOffset: bigint | null): void {
    super.cut(rotateTsOffset);
    this.#wanted = true;
    this.#rotateTo = rotateTsOffset ?? this.#rotateTo;
    this.poll();
  }

  override pause(paused: boolean): void {
    super.pause(paused);
    this.poll();
  }

  override rewind(options: Parameters<NativeSource['rewind']>[0]): void {
    // What is told only once is told again where nobody has heard it.
    for (const item of this.items) {
      if (item.kind === 'cut' && item.handoverLast > 0n) {
        this.handover = [item.handoverFirst, item.handoverLast];
      }
    }
    super.rewind(options);
    this.#open = new Map();
    this.#taken = new Set();
    this.#wanted = false;
    this.#rotateTo = null;
    this.#over = false;
    this.#begin(options.point);
  }

  override forget(rings: string): void {
    super.forget(rings);
    const at = this.#sets.findIndex(({ id }) => id === rings);
    if (at < 0) return;
    const drained = at < this.#at || (at === this.#sets.length - 1 && this.#over);
    if (!drained) throw new Error(`${rings} are let go of before they are drained`);
    this.#sets.splice(at, 1);
    this.#at -= at < this.#at ? 1 : 0;
  }

  /** A process that has died takes nothing more. */
  override take(): SourceItem | null {
    return this.closed ? null : super.take();
  }

  override release(slot: number): void {
    if (!this.#taken.delete(slot)) throw new Error(`slot ${slot} is not to be released`);
    super.release(slot);
  }

  override stop(): void {
    super.stop();
    this.#finishing = true;
    this.paused = false;
    // The programs are detached: what is written is all there will be.
    this.#host.settle();
    for (const set of this.#sets) set.over = true;
    this.poll();
  }

  get #set(): RingSet {
    return this.#sets[this.#at] as RingSet;
  }

  /** Stands at the beginning of a set. */
  #enter(at: number): void {
    this.#at = at;
    this.#read = new Set();
    for (const counts of [this.consumed, this.own, this.lost, this.malformed]) counts.fill(0n);
    this.late = 0n;
    this.newest = 0n;
  }

  #begin(point: ResumePoint | null): void {
    const at = this.#sets.findIndex(({ id }) => id === point?.rings);
    this.#enter(Math.max(0, at));
    if (point === null) return;
    this.newest = point.newest;
    if (at < 0) return;
    for (const record of this.#set.records) {
      const { cpu } = record;
      const behind = record.at < (point.positions[cpu] ?? 0n);
      if (behind || point.ahead[cpu]?.includes(record.at)) this.#read.add(record);
    }
    this.consumed.set(point.consumed);
    this.own.set(point.own);
    this.lost.set(point.lost);
    this.malformed.set(point.malformed);
    this.late = point.late;
  }

  #take(record: RingRecord): void {
    this.#read.add(record);
    const { fate, type, op, cpu, ktime } = record;
    const slot = cpu * MAX_OPS + op;
    const count = (counts: BigUint64Array, at = slot): void => {
      counts[at] = (counts[at] ?? 0n) + 1n;
    };
    if (fate === 'overwritten') {
      count(this.lost);
      this.lossFirst ||= ktime;
      this.lossLast = ktime;
      return;
    }
    if (fate === 'own') {
      count(this.own);
      return;
    }
    count(this.consumed);
    const late = ktime < this.newest;
    if (late) this.late++;
    else this.newest = ktime;
    if (fate === 'malformed') {
      count(this.malformed, op);
      return;
    }
    const seq = this.nextSeq++;
    const given = this.#host.given.get(this.#recording) ?? new Map<bigint, number>();
    this.#host.given.set(this.#recording, given.set(seq, record.id));
    const rows = this.#open.get(type) ?? [];
    this.#open.set(type, rows);
    const flags = late ? 1 << FLAGS.late.bit : 0;
    rows.push({ weight: 1, ...record.row, flags, seq, ts: ktime + this.tsOffset });
    if (rows.length === BATCH_ROWS) this.#handOver(type);
  }

  #handOver(type: EventType): void {
    const rows = this.#open.get(type);
    if (rows === undefined) return;
    this.#open.delete(type);
    this.handOver(type, rows);
    const item = this.items.at(-1);
    if (item?.kind === 'batch') this.#taken.add(item.slot);
  }

  #cut(kind: 'plain' | 'rotated' | 'ended' | 'final'): void {
    for (const type of [...this.#open.keys()]) this.#handOver(type);
    const set = this.#set;
    this.rings = set.id;
    this.emitted.set(set.emitted);
    this.filtered.set(set.filtered);
    this.refused.set(set.refused);
    for (let cpu = 0; cpu < CPUS; cpu++) this.positions[cpu] = this.#position(cpu);
    this.ahead = Array.from({ length: CPUS }, (_, cpu) =>
      [...this.#read]
        .filter((one) => one.cpu === cpu && one.at >= (this.positions[cpu] ?? 0n))
        .map(({ at }) => at),
    );
    if (kind === 'ended' || kind === 'final') {
      this.lost.forEach((_, i) => {
        const read = (this.consumed[i] ?? 0n) + (this.own[i] ?? 0n);
        this.lost[i] = (this.emitted[i] ?? 0n) - read;
      });
    } else {
      this.#wanted = false;
    }
    const offset = kind === 'rotated' ? this.#rotateTo : null;
    if (kind === 'rotated') this.#rotateTo = null;
    this.cutNow(kind, offset ?? this.tsOffset);
    this.lossFirst = 0n;
    this.lossLast = 0n;
    this.handover = [0n, 0n];
  }

  /** Everything before it was read. */
  #position(cpu: number): bigint {
    const first = this.#set.records.find((one) => one.cpu === cpu && !this.#read.has(one));
    return first?.at ?? this.#set.written[cpu] ?? 0n;
  }
}

/** The native surface over a host's rings. Wakes come later, as from another thread. */
export class RingNative extends FakeNative {
  readonly host: Host;
  declare source: RingSource;

  constructor(host: Host) {
    super();
    this.host = host;
  }

  override createSource(options: SourceOptions, wake: () => void): RingSource {
    this.options = options;
    this.source = new RingSource(this.host, options, () => setImmediate(wake));
    return this.source;
  }

  override clocks(): Clocks {
    return this.host.time;
  }
}
