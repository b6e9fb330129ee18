// A recorder that lives, dies and lives again as its worker starts it, on a host whose rings go on; and
// what must be in its store at the end.

import { ok } from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inspect, isDeepStrictEqual } from 'node:util';
import { vi } from 'vitest';
import type { EventType } from '../../schemas/arrow.ts';
import { OP_NAMES } from '../../schemas/events.ts';
import { accounts } from '../../src/query/account.ts';
import { nextNumber } from '../../src/recorder/names.ts';
import { prepareStore } from '../../src/recorder/prepare.ts';
import { FLUSH_MS, Recorder } from '../../src/recorder/recorder.ts';
import { ROTATION } from '../../src/recorder/rotation.ts';
import { noPoint, pointOf } from '../../src/segment/commits.ts';
import { COMMITS_FILE } from '../../src/segment/file-names.ts';
import { type LossRow, Segment } from '../../src/segment/reader.ts';
import { ensureStore, openStore, segmentDirectories, segmentsOf } from '../../src/segment/store.ts';
import { writeStoreFile } from '../../src/segment/store-file.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import type { Ending, World } from './lives.ts';
import { Host, RingNative, type RingRecord } from './ring-source.ts';
import { PowerCut, type SimDisk } from './sim-disk.ts';

const MS = 1_000_000n;
/** Ticks in which a recorder that is told to stop must be done. */
const TICKS_MAX = 30;
/** In which all that the source has must be taken. */
const TURNS_MAX = 100;

/** One thing that happens. */
export type Step = (world: RecorderWorld) => void;

/** One flush period, and an acknowledgement of what is in the rings at its end. */
export const tick: Step = (world) => world.tick();

export interface WorldOptions {
  readonly script: readonly Step[];
  /** Of retention. */
  readonly bytesMax: number;
}

/** Time stands still but for what a world makes pass. */
export function fakeTime(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
}

interface StoredRow {
  readonly seq: bigint;
  readonly id: number;
}

/** A segment as it was when it was last looked at under its final name. */
interface Seen {
  readonly recording: string;
  readonly from: number;
  readonly to: number;
  readonly rows: readonly StoredRow[];
  readonly losses: readonly LossRow[];
}

function same(what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [found, wanted].map((value) =>
    inspect(value, { breakLength: Infinity, depth: 6 }),
  );
  ok(isDeepStrictEqual(found, wanted), `${what}: ${a} instead of ${b}`);
}

function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.reduce(
    (sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size,
    0,
  );
}

export class RecorderWorld implements World {
  readonly host = new Host();
  readonly store: string;
  readonly notes: string[] = [];
  /** Of all segments that there are, or were before they were retired; known after a check. */
  losses: readonly LossRow[] = [];
  recorder!: Recorder;
  /** Called as recording begins, and after each step. */
  onStart: () => void = () => {};
  onStep: () => void = () => {};
  readonly #options: WorldOptions;
  readonly #seed: number;
  readonly #seen = new Map<string, Seen>();
  readonly #retired = new Set<string>();
  readonly #acknowledged = new Set<number>();
  readonly #endings: Ending[] = [];
  #sourceRan = false;
  /** Deaths before there were any rings. */
  #unmade = 0;
  #native!: RingNative;
  #disk!: SimDisk;
  #logged = 0;
  #next = 0;
  #failure: unknown = null;
  #finished = false;

  constructor(directory: string, seed: number, options: WorldOptions) {
    this.store = join(directory, 'store');
    this.#options = options;
    this.#seed = seed;
    ensureStore(this.store);
    this.#setClock();
  }

  get disk(): SimDisk {
    return this.#disk;
  }

  emit(type: EventType, op: string, count = 1, more: Parameters<Host['emit']>[2] = {}): void {
    for (let i = 0; i < count; i++) {
      const id = this.host.records.length + 1;
      const row = {
        comm: `c${id % 3}`,
        pid: 5_000_000,
        ...(type === 'file' && { path: `/p${id}` }),
      };
      this.host.emit(type, op, { row, cpu: id % 2, ...more });
    }
    this.#native.source.poll();
  }

  /** One flush period. */
  tick(): void {
    this.pass(BigInt(FLUSH_MS) * MS);
  }

  /** What is in the rings now is acknowledged when the recorder says so. */
  #flush(): void {
    const inRings = this.host.sets.flatMap(({ records }) => records);
    const waiting = inRings.filter(({ held }) => !held).map(({ id }) => id);
    void this.recorder.flush().then(() => {
      for (const id of waiting) this.#acknowledged.add(id);
    });
  }

  pass(ns: bigint): void {
    this.host.pass(ns);
    vi.advanceTimersByTime(Number(ns / MS));
  }

  stepClock(ns: bigint): void {
    const { time } = this.host;
    this.host.time = { ...time, realtime: time.realtime + ns };
    this.#setClock();
  }

  async live(disk: SimDisk, before: Ending | null): Promise<void> {
    if (disk !== this.#disk) this.#logged = 0;
    this.#disk = disk;
    if (before === null) disk.settle();
    else this.#goOn(before);
    this.#failure = null;
    this.#finished = false;
    try {
      await this.#record(disk);
    } finally {
      this.#noteRetired();
      this.recorder?.close();
      vi.clearAllTimers();
    }
  }

  /** What the machine did between two lives. */
  #goOn(before: Ending): void {
    this.#endings.push(before);
    // Nobody can tell that rings were never made from their being gone: the next start says so once.
    if (before === 'killed' && !this.#sourceRan && this.host.sets.length === 0) this.#unmade++;
    this.#sourceRan = false;
    if (before === 'power') {
      this.host.reboot();
    } else {
      this.host.pass(2_000n * MS);
      // Nobody reads, and the programs go on.
      this.host.emit('file', 'mkdir', { row: { comm: 'c', path: '/meanwhile' } });
      this.host.outdated = (this.#seed + this.#endings.length) % 3 === 0;
    }
    this.#setClock();
  }

  async #record(disk: SimDisk): Promise<void> {
    const { host, store } = this;
    const segments = segmentsOf(store);
    const { bytesMax, script } = this.#options;
    const { retention, recovered, beginning, id, recording } = prepareStore({
      files: disk,
      store,
      limits: { bytesMax, ageMaxMs: 1e12, freeMin: { bytes: 0 } },
      openCatalog: () => null,
      bootId: host.bootId,
      onNote: (text) => this.notes.push(text),
    });
    const names = readdirSync(segments);
    same(
      'left behind after a start',
      names.filter((name) => name.startsWith('.')),
      [],
    );
    this.#look(names);
    this.#native = new RingNative(host);
    this.#sourceRan = false;
    this.recorder = new Recorder({
      native: this.#native,
      files: disk,
      catalog: null,
      store,
      segments,
      firstNumber: nextNumber(names),
      host: { recorder: 'test', host: 'h', boot_id: host.bootId, kernel: 'k' },
      source: {
        kind: 'synthetic',
        pins: { directory: '/pins', recording: beginning.recording, store },
        orphanTimeoutNs: 0n,
        ringBytes: 1 << 20,
        slotsPerType: 1,
        ops: [],
        syscalls: [],
        latency: true,
        exclude: { pids: [], uids: [], comms: [], cgroups: [] },
      },
      beginning,
      recovered,
      rotation: ROTATION,
      retention,
      onNote: (text) => this.notes.push(text),
    });
    const done = this.recorder.run(() => {
      this.#sourceRan = true;
    });
    done.then(
      () => {
        this.#finished = true;
      },
      (error) => {
        this.#failure = error;
      },
    );
    await this.#settle();
    this.onStart();
    while (this.#next < script.length) {
      const step = script[this.#next++];
      step?.(this);
      await this.#settle();
      if (step === tick) {
        this.#flush();
        await this.#settle();
      }
      this.onStep();
    }
    this.recorder.stop();
    await this.#settle();
    for (let ticks = 0; !this.#finished && ticks < TICKS_MAX; ticks++) {
      this.pass(BigInt(FLUSH_MS) * MS);
      await this.#settle();
      this.onStep();
    }
    ok(this.#finished, 'a stop did not come to its end');
    // By these the retention goes.
    same('bytes of the store', this.recorder.totals().storeBytes, bytesBelow(segments));
    writeStoreFile(disk, store, id, { ...recording, ended: Date.now() });
    this.recorder.forget();
  }

  /** Everything that can happen now happens. */
  async #settle(): Promise<void> {
    let turns = 0;
    do {
      ok(turns++ < TURNS_MAX, 'what the source has is not taken');
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#native.source.isWaiting && !this.#disk.off && this.#failure === null);
    if (this.#disk.off) throw new PowerCut('the power is gone');
    if (this.#failure !== null) throw this.#failure;
    this.#noteRetired();
    this.#look(readdirSync(segmentsOf(this.store)).filter((name) => !this.#seen.has(name)));
  }

  #setClock(): void {
    vi.setSystemTime(Number(this.host.time.realtime / MS));
  }

  // Only retention takes a final name from a segment.
  #noteRetired(): void {
    for (const { operation, path } of this.#disk.log.slice(this.#logged)) {
      if (operation === 'rename' && /^\d/.test(basename(path))) this.#retired.add(basename(path));
    }
    this.#logged = this.#disk.log.length;
  }

  #look(names: readonly string[]): void {
    for (const name of names.filter((one) => !one.startsWith('.'))) {
      const segment = new Segment(join(segmentsOf(this.store), name));
      this.#seen.set(name, this.#read(segment));
      segment.close();
    }
  }

  /** What a segment has; throws where a row is not as it was written. */
  #read(segment: Segment): Seen {
    const { name, commits } = segment;
    const last = commits?.lines.at(-1);
    const rows: StoredRow[] = [];
    for (const type of segment.types()) {
      const names = ['seq', 'ts', 'op', 'tid', 'comm', ...(type === 'file' ? ['path'] : [])];
      for (const info of segment.batches(type)) {
        const columns = segment.read(info, names);
        for (let row = 0; row < info.rows; row++) {
          const cell = (column: string): unknown => columns.get(column)?.get(row) ?? null;
          const record = this.host.records[Number(cell('tid')) - 1];
          ok(record?.fate === 'row', `${name}: row ${cell('tid')} was never written`);
          const wanted = [
            record.ktime + segment.tsOffset,
            OP_NAMES.get(record.op)?.op,
            record.row.comm ?? '',
            type === 'file' ? record.row.path : null,
          ];
          same(`${name}: row ${record.id}`, ['ts', 'op', 'comm', 'path'].map(cell), wanted);
          rows.push({ seq: BigInt(cell('seq') as bigint), id: record.id });
        }
      }
    }
    rows.sort((a, b) => Number(a.seq - b.seq));
    const { recording } = segment.header;
    const from = commits?.begin?.through_seq ?? 0;
    const to = last?.through_seq ?? 0;
    return { recording, from, to, rows, losses: segment.losses() };
  }

  check(): void {
    for (const directory of segmentDirectories(this.store)) {
      same(`${basename(directory)}: damage`, verifySegment(directory).damage, []);
    }
    const { segments, problems } = openStore(this.store);
    try {
      same('problems of the store', problems, []);
      for (const segment of segments) {
        ok(segment.sealed, `${segment.name} is not sealed`);
        const files = Object.keys(segment.commits?.lines.at(-1)?.files ?? {});
        const there = readdirSync(segment.directory).sort();
        same(`${segment.name}: files`, there, [...files, COMMITS_FILE].sort());
        this.#seen.set(segment.name, this.#read(segment));
      }
      this.#checkChain(segments);
      for (const { recording, holds, reasons } of accounts(segments)) {
        ok(holds, `the account of ${recording} does not come out: ${reasons.join('; ')}`);
      }
    } finally {
      for (const segment of segments) segment.close();
    }
    const there = new Set(segments.map(({ name }) => name));
    const counted = [...this.#seen].filter(([name]) => there.has(name) || this.#retired.has(name));
    this.#checkRows(counted);
    this.losses = counted.flatMap(([, { losses }]) => losses);
    this.#checkLosses(this.losses);
  }

  /** Each segment begins where the one before it ended. */
  #checkChain(segments: readonly Segment[]): void {
    segments.forEach((segment, i) => {
      const before = segments[i - 1];
      const begin = segment.commits?.begin ?? null;
      const last = before?.commits?.lines.at(-1);
      if (before?.header.recording === segment.header.recording && last !== undefined) {
        // A reading of the clocks goes with its line, not with the point.
        const { clocks: _clocks, ...point } = begin ?? noPoint();
        same(`${segment.name} begins`, point, pointOf(last));
      } else if (before !== undefined) {
        same(`${segment.name}, first of its recording, begins`, begin, null);
      }
    });
  }

  /** Each row once, in the order in which it was given out, nothing left out that was acknowledged. */
  #checkRows(segments: readonly (readonly [string, Seen])[]): void {
    const found = new Map<number, string>();
    const through = new Map<string, number>();
    for (const [name, { recording, from, to, rows }] of segments) {
      same(`${name}: first seq`, from, through.get(recording) ?? 0);
      through.set(recording, to);
      same(`${name}: rows`, rows.length, to - from);
      const given = this.host.given.get(recording);
      rows.forEach(({ seq, id }, i) => {
        same(`${name}: seq of row ${id}`, seq, BigInt(from + i + 1));
        same(`${name}: row of seq ${seq}`, id, given?.get(seq));
        ok(!found.has(id), `row ${id} is in ${found.get(id)} and in ${name}`);
        found.set(id, name);
      });
    }
    const crashes = segments.flatMap(([, { losses }]) =>
      losses.filter(({ cause }) => cause === 'crash'),
    );
    const powerCuts = this.#endings.filter((one) => one === 'power').length;
    ok(
      crashes.length <= powerCuts + this.#unmade,
      `${crashes.length} crashes after ${powerCuts} power cuts`,
    );
    const isTold = ({ ktime, offset }: RingRecord): boolean =>
      crashes.some(({ firstTs, lastTs, count }) => {
        const ts = ktime + offset;
        return count === null && firstTs <= ts && ts <= lastTs;
      });
    for (const record of this.host.records) {
      if (record.fate !== 'row' || found.has(record.id)) continue;
      ok(!this.#acknowledged.has(record.id), `row ${record.id} was acknowledged and is missing`);
      // What is under way at a commit is older than what that has: nobody knows of it.
      ok(
        record.slow || isTold(record),
        `row ${record.id} is missing, and no crash is told that covers it`,
      );
    }
  }

  /** Loss rows add up to what was lost, where nothing is unknown. */
  #checkLosses(losses: readonly LossRow[]): void {
    const told = new Map<string, number>();
    for (const { stage, cause, type, op, count } of losses) {
      if (count === null) continue;
      const key = `${stage} ${stage === 'ring' ? 'any' : cause} ${type}.${op}`;
      told.set(key, (told.get(key) ?? 0) + Number(count));
    }
    const made = new Map(this.host.refused);
    for (const { fate, type, op } of this.host.records) {
      const key = { overwritten: 'ring any', malformed: 'decode malformed', row: null, own: null };
      if (key[fate] === null) continue;
      const name = `${key[fate]} ${type}.${OP_NAMES.get(op)?.op}`;
      made.set(name, (made.get(name) ?? 0) + 1);
    }
    const power = this.#endings.includes('power');
    for (const key of new Set([...told.keys(), ...made.keys()])) {
      const [a, b] = [told.get(key) ?? 0, made.get(key) ?? 0];
      ok(power ? a <= b : a === b, `${key}: ${b} were lost, the loss rows tell ${a}`);
    }
  }
}
