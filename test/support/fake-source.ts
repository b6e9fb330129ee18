// A source without rings: a test says which items come, and sees what the recorder asked for.

import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS, MAX_OPS } from '../../schemas/events.ts';
import type { ColumnRegion, ProcessSnapshot, SourceItem } from '../../src/event/batch.ts';
import type { Clocks } from '../../src/event/clock.ts';
import type { SocketSnapshot } from '../../src/event/sockets.ts';
import { REFUSAL_CAUSES } from '../../src/recorder/point.ts';
import {
  type Native,
  type NativePacer,
  type NativeSource,
  native,
  type PinnedSet,
  type ResumePoint,
  type SourceConfig,
  type SourceOptions,
  type SourceStats,
  type StartResult,
} from '../../src/source/binding.ts';
import type { MaskedCounts } from '../../src/source/secrets.ts';

export const CPUS = 2;
const ALIGN = 64;
const ROWS_MAX = 256;
const WIDTH: Readonly<Record<string, number>> = {
  u16: 2,
  name: 2,
  u32: 4,
  i32: 4,
  text: 4,
  texts: 4,
  u64s: 4,
  bytes: 4,
};
const HEAP_BYTES = 16_384;

/** Values of a row; a column that is missing is null (or zero, of the common ones). */
export type FakeRow = Readonly<Record<string, number | bigint | string | readonly string[]>>;

/** A row with its place in the stream. */
export type FullRow = FakeRow & { readonly seq: bigint; readonly ts: bigint };

function regionsOf(type: EventType): { regions: ColumnRegion[]; bytes: number } {
  let at = 0;
  const take = (bytes: number): number => {
    const start = at;
    at += Math.ceil(bytes / ALIGN) * ALIGN;
    return start;
  };
  const kinds: Readonly<Record<string, ColumnRegion['kind']>> = {
    name: 'dict16',
    text: 'dict32',
    timestamp: 'i64',
  };
  const regions = EVENT_TABLES[type].columns.map(({ name, type: column, nullable }) => {
    const list = ['texts', 'u64s', 'bytes'].includes(column);
    return {
      name,
      kind: kinds[column] ?? (column as ColumnRegion['kind']),
      nullable,
      validity: nullable ? take(ROWS_MAX / 8) : -1,
      data: take((ROWS_MAX + 1) * (WIDTH[column] ?? 8)),
      inner: column === 'texts' ? take((ROWS_MAX + 1) * 4) : -1,
      heap: list ? take(HEAP_BYTES) : -1,
    };
  });
  return { regions, bytes: at };
}

const LAYOUTS = EVENT_TYPES.map(regionsOf);

export class FakeSource implements NativeSource {
  readonly cpus = CPUS;
  readonly asked: (bigint | null)[] = [];
  readonly configured: SourceConfig[] = [];
  stopped = false;
  closed = false;
  alive: ProcessSnapshot[] = [];
  sockets: SocketSnapshot[] = [];
  startError: Error | null = null;
  /** Cumulative counters that the next cut carries. */
  readonly lost = new BigUint64Array(CPUS * MAX_OPS);
  readonly consumed = new BigUint64Array(CPUS * MAX_OPS);
  readonly filtered = new BigUint64Array(CPUS * MAX_OPS);
  readonly sampled = new BigUint64Array(CPUS * MAX_OPS);
  readonly refused = new BigUint64Array(REFUSAL_CAUSES.length * CPUS * MAX_OPS);
  readonly emitted = new BigUint64Array(CPUS * MAX_OPS);
  readonly own = new BigUint64Array(CPUS * MAX_OPS);
  readonly malformed = new BigUint64Array(MAX_OPS);
  /** What start() answers, beside `alive` and `sockets`. */
  started: Omit<StartResult, 'alive' | 'sockets'> = { how: 'new', resumed: false, notes: [] };
  rings = 'fake-rings';
  positions = new BigUint64Array(CPUS);
  newest = 0n;
  muted: readonly [bigint, bigint] = [0n, 0n];
  handover: readonly [bigint, bigint] = [0n, 0n];
  readonly rewound: { tsOffset: bigint; nextSeq: bigint; point: ResumePoint | null }[] = [];
  readonly forgotten: string[] = [];
  paused = false;
  lossFirst = 0n;
  lossLast = 0n;
  tsOffset = 0n;
  filter: string | null = null;
  mask: readonly string[] = [];
  masked: MaskedCounts = {};
  late = 0n;
  /** Positions beyond those above whose records were handed over, per CPU. */
  ahead: readonly (readonly bigint[])[] = Array.from({ length: CPUS }, () => []);
  unattached: Record<number, string> = {};
  /** What was handed over and not taken yet. */
  protected readonly items: SourceItem[] = [];
  protected nextSeq = 1n;
  readonly #slots: ArrayBuffer[] = [];
  readonly #wake: () => void;
  #dictionaries = new Map<string, Map<string, number>>();
  #wantedFilter: string | null;
  #wantedMask: readonly string[];

  constructor(
    wake: () => void,
    { filter = null, mask = [] }: Pick<SourceConfig, 'filter' | 'mask'> = {},
  ) {
    this.#wake = wake;
    this.filter = this.#wantedFilter = filter?.text ?? null;
    this.mask = this.#wantedMask = mask.map(({ name }) => name);
  }

  start(): StartResult {
    if (this.startError !== null) throw this.startError;
    return { alive: this.alive, sockets: this.sockets, ...this.started };
  }
  slotBuffer(slot: number): ArrayBuffer {
    return this.#slots[slot] ?? new ArrayBuffer(0);
  }
  take(): SourceItem | null {
    return this.items.shift() ?? null;
  }
  /** What is given back is scribbled over: nobody may read it any more. */
  release(slot: number): void {
    new Uint8Array(this.slotBuffer(slot)).fill(0xa5);
  }
  cut(rotateTsOffset: bigint | null): void {
    this.asked.push(rotateTsOffset);
  }
  configure(config: SourceConfig): void {
    this.configured.push(config);
    this.#wantedFilter = config.filter?.text ?? null;
    this.#wantedMask = (config.mask ?? []).map(({ name }) => name);
  }
  stats(): SourceStats {
    return {
      events: new BigUint64Array(MAX_OPS),
      lost: new BigUint64Array(MAX_OPS),
      late: 0n,
      drainCpuNs: 0n,
      backlog: 0,
      unattached: this.unattached,
    };
  }
  pause(paused: boolean): void {
    this.paused = paused;
  }
  rewind(options: { tsOffset: bigint; nextSeq: bigint; point: ResumePoint | null }): void {
    this.rewound.push(options);
    this.items.length = 0;
    this.#dictionaries = new Map();
    this.nextSeq = options.nextSeq;
    this.tsOffset = options.tsOffset;
    this.filter = this.#wantedFilter;
    this.mask = this.#wantedMask;
    this.paused = true;
  }
  // Nobody follows a fake.
  follow(): number {
    return -1;
  }

  unfollow(): void {}

  loudest(): null {
    return null;
  }

  cgroupPath(): null {
    return null;
  }

  forget(rings: string): void {
    this.forgotten.push(rings);
  }
  stop(): void {
    this.stopped = true;
  }
  close(): void {
    this.closed = true;
  }

  /** Hands over rows of a type. */
  rows(type: EventType, rows: readonly FakeRow[]): void {
    const full = rows.map((row) => {
      const seq = this.nextSeq++;
      return { ts: seq * 1000n, weight: 1, ...row, seq };
    });
    this.handOver(type, full);
  }

  /** Hands over rows that have their seq and ts. */
  protected handOver(type: EventType, full: readonly FullRow[]): void {
    const index = EVENT_TYPES.indexOf(type);
    const { regions, bytes } = LAYOUTS[index] as (typeof LAYOUTS)[number];
    const memory = new ArrayBuffer(bytes);
    const news = new Map<number, string[]>();
    const nulls = new Uint32Array(regions.length);
    const inner = new Uint32Array(regions.length);
    const heap = new Uint32Array(regions.length);
    regions.forEach((region, column) => {
      const put = new ColumnFiller(memory, region, (text) => {
        const { index: value, isNew } = this.#intern(type, column, text);
        if (isNew) news.set(column, [...(news.get(column) ?? []), text]);
        return value;
      });
      full.forEach((row, i) => {
        const value = row[region.name];
        if (value === undefined && region.nullable) nulls[column] = (nulls[column] ?? 0) + 1;
        put.set(i, value);
      });
      inner[column] = put.strings;
      heap[column] = put.bytes;
    });
    const slot = this.#slots.push(memory) - 1;
    const ts = full.map((row) => BigInt(row.ts));
    this.#push({
      kind: 'batch',
      slot,
      type: EVENTS[type].id,
      rows: full.length,
      firstSeq: full[0]?.seq ?? 0n,
      lastSeq: full.at(-1)?.seq ?? 0n,
      firstTs: ts.reduce((a, b) => (b < a ? b : a)),
      lastTs: ts.reduce((a, b) => (b > a ? b : a)),
      nulls,
      inner,
      heap,
      newValues: [...news].map(([column, values]) => ({ column, values })),
    });
  }

  /** Hands over a cut with the counters as they stand. */
  cutNow(kind: 'plain' | 'rotated' | 'ended' | 'final' = 'plain', tsOffset = this.tsOffset): void {
    this.tsOffset = tsOffset;
    if (kind === 'rotated') {
      this.#dictionaries = new Map();
      this.filter = this.#wantedFilter;
      this.mask = this.#wantedMask;
    }
    this.#push({
      kind: 'cut',
      rings: this.rings,
      ended: kind === 'ended' || kind === 'final',
      throughSeq: this.nextSeq - 1n,
      rotated: kind === 'rotated',
      tsOffset,
      filter: this.filter,
      mask: this.mask,
      masked: this.masked,
      final: kind === 'final',
      positions: this.positions.slice(),
      ahead: this.ahead,
      emitted: this.emitted.slice(),
      consumed: this.consumed.slice(),
      own: this.own.slice(),
      lost: this.lost.slice(),
      filtered: this.filtered.slice(),
      sampled: this.sampled.slice(),
      refused: this.refused.slice(),
      lossFirst: new BigUint64Array(CPUS).fill(this.lossFirst),
      lossLast: new BigUint64Array(CPUS).fill(this.lossLast),
      late: this.late,
      newest: this.newest,
      malformed: this.malformed.slice(),
      mutedFirst: this.muted[0],
      mutedLast: this.muted[1],
      handoverFirst: this.handover[0],
      handoverLast: this.handover[1],
    });
  }

  #push(item: SourceItem): void {
    this.items.push(item);
    this.#wake();
  }

  #intern(type: EventType, column: number, text: string): { index: number; isNew: boolean } {
    const name = `${type}.${column}`;
    const values = this.#dictionaries.get(name) ?? new Map<string, number>();
    this.#dictionaries.set(name, values);
    const known = values.get(text);
    const index = known ?? values.size;
    values.set(text, index);
    return { index, isNew: known === undefined };
  }
}

/** Writes the values of one column where the recorder will look for them. */
class ColumnFiller {
  strings = 0;
  bytes = 0;
  readonly #view: DataView;
  readonly #region: ColumnRegion;
  readonly #intern: (text: string) => number;

  constructor(memory: ArrayBuffer, region: ColumnRegion, intern: (text: string) => number) {
    this.#view = new DataView(memory);
    this.#region = region;
    this.#intern = intern;
  }

  set(row: number, value: FakeRow[string] | undefined): void {
    const { kind, data, validity } = this.#region;
    if (value !== undefined && validity >= 0) {
      const at = validity + (row >> 3);
      this.#view.setUint8(at, this.#view.getUint8(at) | (1 << (row & 7)));
    }
    if (kind === 'texts') this.#list(row, (value ?? []) as readonly string[]);
    else if (kind === 'dict16' || kind === 'dict32') {
      const index = value === undefined ? 0 : this.#intern(String(value));
      if (kind === 'dict16') this.#view.setUint16(data + row * 2, index, true);
      else this.#view.setInt32(data + row * 4, index, true);
    } else if (kind === 'u16') this.#view.setUint16(data + row * 2, Number(value ?? 0), true);
    else if (kind === 'u32') this.#view.setUint32(data + row * 4, Number(value ?? 0), true);
    else if (kind === 'i32') this.#view.setInt32(data + row * 4, Number(value ?? 0), true);
    else if (kind === 'u64' || kind === 'i64') {
      this.#view.setBigUint64(data + row * 8, BigInt((value ?? 0) as number | bigint), true);
    }
  }

  #list(row: number, values: readonly string[]): void {
    const { data, inner, heap } = this.#region;
    for (const value of values) {
      const text = Buffer.from(value);
      new Uint8Array(this.#view.buffer, heap + this.bytes, text.length).set(text);
      this.bytes += text.length;
      this.strings++;
      this.#view.setInt32(inner + this.strings * 4, this.bytes, true);
    }
    this.#view.setInt32(data + (row + 1) * 4, this.strings, true);
  }
}

/** The native surface with a fake source and clocks that a test sets. */
export class FakeNative implements Native {
  readonly fingerprint = 'test';
  readonly opsMax = MAX_OPS;
  time: Clocks = {
    realtime: 1_800_000_000_000_000_000n,
    monotonic: 10n ** 12n,
    boottime: 10n ** 12n,
  };
  source!: FakeSource;

  columns(type: number): readonly ColumnRegion[] {
    return LAYOUTS[type - 1]?.regions ?? [];
  }
  /** What the source's start() answers. */
  started: FakeSource['started'] = { how: 'new', resumed: false, notes: [] };
  sockets: SocketSnapshot[] = [];
  /** What the recorder asked the source for. */
  options!: SourceOptions;
  pins: PinnedSet[] = [];
  readonly unpinned: string[] = [];

  pinned(): readonly PinnedSet[] {
    return this.pins;
  }
  unpin(path: string): void {
    this.unpinned.push(path);
  }
  createSource(options: SourceOptions, wake: () => void): NativeSource {
    this.options = options;
    this.source = new FakeSource(wake, options);
    this.source.started = this.started;
    this.source.sockets = this.sockets;
    return this.source;
  }
  syscalls(): Readonly<Record<string, number>> {
    return {};
  }
  callsUnderWay(): readonly [] {
    return [];
  }

  probe(): readonly [] {
    return [];
  }
  clocks(): Clocks {
    return this.time;
  }
  peerCredentials(): { pid: number; uid: number; gid: number } {
    return { pid: 0, uid: 0, gid: 0 };
  }
  /** The addon's own. */
  readonly SecretMask = native().SecretMask;
  readonly Pacer = class implements NativePacer {
    set(): void {}
    cancel(): void {}
    close(): void {}
  };

  /** Time passes on all clocks. */
  pass(ns: bigint): void {
    const { realtime, monotonic, boottime } = this.time;
    this.time = { realtime: realtime + ns, monotonic: monotonic + ns, boottime: boottime + ns };
  }
}
