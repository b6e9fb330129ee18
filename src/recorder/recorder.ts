// Moves what the source hands over into segments: batches as they come, a commit at each cut, a new
// segment when size, age or the clock asks for it. Runs on the worker thread; see worker.ts.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { BatchItem, CutItem } from '../event/batch.ts';
import { type Clocks, clockChange, tsOffset } from '../event/clock.ts';
import type { SmallRow } from '../segment/columns.ts';
import type { SegmentHeader } from '../segment/commits.ts';
import type { StoreFiles } from '../segment/files.ts';
import { type CommitPoint, SegmentWriter } from '../segment/writer.ts';
import type { Native, NativeSource, SourceConfig, SourceOptions } from '../source/binding.ts';
import { LossAccount, lossRow, OP_NAMES, refusedCounts, sparseCounts } from './losses.ts';
import { segmentName } from './names.ts';
import { ProcessTable } from './processes.ts';
import { Rates } from './rates.ts';
import { Tally } from './tally.ts';

/** When a segment is ended. */
export interface RotationLimits {
  readonly bytesMax: number;
  /** Age from which one above `agedBytesMin` is ended, ms. */
  readonly agedMs: number;
  readonly agedBytesMin: number;
  readonly ageMaxMs: number;
  /** Processes of one segment: they are kept in memory until it is sealed. */
  readonly processesMax: number;
}

export const ROTATION: RotationLimits = {
  bytesMax: 256 * 2 ** 20,
  agedMs: 5 * 60_000,
  agedBytesMin: 16 * 2 ** 20,
  ageMaxMs: 60 * 60_000,
  processesMax: 65_536,
};

/** Time between flushes, ms: what a power cut may cost. */
export const FLUSH_MS = 900;

export interface RecorderOptions {
  readonly native: Native;
  readonly files: StoreFiles;
  readonly catalog: Catalog | null;
  /** Directory of the segments. */
  readonly segments: string;
  readonly firstNumber: number;
  readonly host: Omit<SegmentHeader, 'format' | 'ts_offset' | 'clocks' | 'fingerprint'>;
  readonly source: Omit<SourceOptions, 'tsOffset' | 'nextSeq'>;
  readonly rotation: RotationLimits;
  readonly onNote: (text: string) => void;
}

/** Events by type and op, losses by stage, cause and type. */
export interface Totals {
  readonly events: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly lost: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>
  >;
  /** Events per second of the last ten seconds, by type. */
  readonly rates: Readonly<Record<string, number>>;
  readonly filtered: number;
  readonly late: number;
  readonly segments: number;
  readonly bytes: number;
  /** Of the first and last row, ns since 1970 as text; null without rows. */
  readonly firstTs: string | null;
  readonly lastTs: string | null;
  readonly drainCpuNs: number;
  readonly backlog: number;
  readonly unattached: Readonly<Record<string, string>>;
}

type Nested = Record<string, Record<string, Record<string, number>>>;

/** What a directory's files take, bytes. */
function bytesOf(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #source: NativeSource;
  readonly #processes = new ProcessTable();
  readonly #tally = new Tally();
  readonly #rates = new Rates();
  #losses: LossAccount;
  /** The reading that the offset in use was taken from. */
  #clocks: Clocks;
  #lastTick: bigint;
  #tsOffset: bigint;
  #writer: SegmentWriter | null = null;
  #writerSince = 0;
  #number: number;
  #pendingLosses: SmallRow[] = [];
  #lastCut: CutItem | null = null;
  #lost: Nested = {};
  #segments = 0;
  #sealedBytes = 0;
  #firstTs: bigint | null = null;
  #lastTs: bigint | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pumping = false;
  #rotateAsked = false;
  #onFinished: ((error: Error | null) => void) | null = null;
  #flushAsked: (() => void)[] = [];
  #flushUnderWay: (() => void)[] = [];

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#number = options.firstNumber;
    this.#clocks = options.native.clocks();
    this.#lastTick = this.#clocks.realtime;
    this.#tsOffset = tsOffset(this.#clocks);
    this.#source = options.native.createSource(
      { ...options.source, tsOffset: this.#tsOffset, nextSeq: 1n },
      () => this.#schedule(),
    );
    this.#losses = new LossAccount(0, options.native.opsMax, this.#clocks.realtime);
  }

  /** Starts the source. Throws what it throws. Resolves when a stop has ended in a sealed store. */
  run(started: () => void): Promise<void> {
    const { alive, notes } = this.#source.start();
    this.#processes.start(alive);
    for (const note of notes) this.#options.onNote(note);
    this.#losses = new LossAccount(
      this.#source.cpus,
      this.#options.native.opsMax,
      this.#clocks.realtime,
    );
    this.#timer = setInterval(() => this.#tick(), FLUSH_MS);
    started();
    return new Promise((resolve, reject) => {
      this.#onFinished = (error) => (error === null ? resolve() : reject(error));
    });
  }

  /** Resolves when every row that the source had when this was called is durable. */
  flush(): Promise<void> {
    if (this.#lastCut?.final === true) return Promise.resolve();
    this.#source.cut(null);
    return new Promise((resolve) => this.#flushAsked.push(resolve));
  }

  /** Ends the segment and begins the next. */
  rotate(): void {
    if (this.#rotateAsked) return;
    this.#rotateAsked = true;
    this.#clocks = this.#options.native.clocks();
    this.#source.cut(tsOffset(this.#clocks));
  }

  /** Changes what is recorded. Throws what the source throws; then the old settings hold. */
  configure(config: SourceConfig): void {
    this.#source.configure(config);
  }

  /** Ends the source; what it still holds is written before `run` resolves. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#source.stop();
  }

  /** What was recorded so far. */
  totals(): Totals {
    const stats = this.#source.stats();
    const cut = this.#lastCut;
    const unattached = Object.entries(stats.unattached).map(([id, why]) => {
      const name = OP_NAMES.get(Number(id));
      return [name === undefined ? id : `${name.type}.${name.op}`, why];
    });
    return {
      events: this.#tally.counts(),
      lost: this.#lost,
      rates: this.#rates.perSecond(),
      filtered: Number((cut?.filtered ?? new BigUint64Array()).reduce((a, b) => a + b, 0n)),
      late: Number(cut?.late ?? 0n),
      segments: this.#segments + (this.#writer === null ? 0 : 1),
      bytes: this.#sealedBytes + (this.#writer?.bytes ?? 0),
      firstTs: this.#firstTs?.toString() ?? null,
      lastTs: this.#lastTs?.toString() ?? null,
      drainCpuNs: Number(stats.drainCpuNs),
      backlog: stats.backlog,
      unattached: Object.fromEntries(unattached) as Record<string, string>,
    };
  }

  /** Frees the source. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#source.close();
  }

  #schedule(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#pump();
  }

  // One item at a time, so that timers and messages have their turn under load.
  #pump(): void {
    try {
      const item = this.#source.take();
      if (item === null) {
        this.#pumping = false;
        return;
      }
      if (item.kind === 'batch') this.#takeBatch(item);
      else if (this.#takeCut(item)) return;
      setImmediate(() => this.#pump());
    } catch (error) {
      this.#onFinished?.(error as Error);
    }
  }

  #takeBatch(batch: BatchItem): void {
    const type = EVENT_TYPES[batch.type - 1] as EventType;
    const regions = this.#options.native.columns(batch.type);
    const memory = this.#source.slotBuffer(batch.slot);
    if (type === 'process') this.#processes.apply(batch, regions, memory);
    this.#tally.add(type, batch, regions, memory);
    this.#open().append(type, batch, regions, memory);
    this.#source.release(batch.slot);
    this.#firstTs ??= batch.firstTs;
    if (this.#lastTs === null || batch.lastTs > this.#lastTs) this.#lastTs = batch.lastTs;
  }

  /** True when it was the last item. */
  #takeCut(cut: CutItem): boolean {
    const now = this.#options.native.clocks().realtime;
    const losses = [
      ...this.#losses.rows(cut, now, this.#tsOffset),
      ...this.#pendingLosses.splice(0),
    ];
    this.#countLosses(losses);
    this.#lastCut = cut;
    if (losses.length > 0) this.#open().addLosses(losses);
    if (this.#writer !== null) {
      this.#writer.addProcesses(this.#processes.takeChanges());
      this.#writer.commit(this.#pointOf(cut));
    }
    this.#tellFlushed(cut);
    if (cut.rotated || cut.final) this.#seal(cut);
    if (cut.final) this.#onFinished?.(null);
    return cut.final;
  }

  // A cut that comes after a request may have been made before it; the one asked for then was not.
  #tellFlushed(cut: CutItem): void {
    for (const flushed of this.#flushUnderWay.splice(0)) flushed();
    this.#flushUnderWay = this.#flushAsked.splice(0);
    if (this.#flushUnderWay.length === 0) return;
    if (cut.final) for (const flushed of this.#flushUnderWay.splice(0)) flushed();
    else this.#source.cut(null);
  }

  #seal(cut: CutItem): void {
    this.#rotateAsked = false;
    this.#tsOffset = cut.tsOffset;
    if (this.#writer !== null) {
      const sealed = this.#writer.seal();
      this.#writer = null;
      this.#segments++;
      this.#sealedBytes += bytesOf(sealed.directory);
      this.#options.catalog?.addSegment(sealed, this.#options.host.recording);
    }
    this.#processes.rotate();
    this.#tally.rotate();
  }

  #open(): SegmentWriter {
    if (this.#writer === null) {
      const clocks = this.#clocks;
      const name = segmentName(this.#options.native.clocks().realtime, this.#number++);
      this.#writer = new SegmentWriter(this.#options.files, this.#options.segments, name, {
        format: FORMAT_VERSION,
        fingerprint: this.#options.native.fingerprint,
        ...this.#options.host,
        ts_offset: this.#tsOffset.toString(),
        clocks: {
          realtime: clocks.realtime.toString(),
          monotonic: clocks.monotonic.toString(),
          boottime: clocks.boottime.toString(),
        },
      });
      this.#writerSince = performance.now();
    }
    return this.#writer;
  }

  #pointOf(cut: CutItem): CommitPoint {
    const opsMax = this.#options.native.opsMax;
    const { cpus } = this.#source;
    return {
      through_seq: Number(cut.throughSeq),
      at: Date.now(),
      positions: [...cut.positions].map(String),
      consumed: sparseCounts(cut.consumed, cpus, opsMax),
      filtered: sparseCounts(cut.filtered, cpus, opsMax),
      lost: sparseCounts(cut.lost, cpus, opsMax),
      refused: refusedCounts(cut, cpus, opsMax),
      late: Number(cut.late),
    };
  }

  #countLosses(rows: readonly SmallRow[]): void {
    for (const row of rows) {
      if (row.stage === 'clock') continue;
      const [stage, cause, type] = [
        String(row.stage),
        String(row.cause),
        String(row.type ?? 'unknown'),
      ];
      this.#lost[stage] ??= {};
      this.#lost[stage][cause] ??= {};
      const counts = this.#lost[stage][cause];
      counts[type] = (counts[type] ?? 0) + Number(row.count ?? 0n);
    }
  }

  // Compared with the reading behind the offset in use: small steps add up, and one that falls
  // between a rotation's request and its cut is seen by the next tick.
  #tick(): void {
    try {
      const now = this.#options.native.clocks();
      const change = this.#rotateAsked ? null : clockChange(this.#clocks, now);
      if (change !== null) {
        this.#pendingLosses.push(lossRow('clock', change, null, this.#lastTick, now.realtime));
        this.#options.onNote(
          `the wall clock ${change === 'suspend' ? 'went on while the host slept' : 'was set'}: a new segment begins`,
        );
      }
      this.#lastTick = now.realtime;
      this.#rates.sample(performance.now(), this.#tally.byType());
      if (change !== null || this.#isDue()) this.rotate();
      else this.#source.cut(null);
    } catch (error) {
      this.#onFinished?.(error as Error);
    }
  }

  #isDue(): boolean {
    if (this.#writer === null) return false;
    const age = performance.now() - this.#writerSince;
    const { bytes } = this.#writer;
    const { bytesMax, agedMs, agedBytesMin, ageMaxMs, processesMax } = this.#options.rotation;
    return (
      bytes >= bytesMax ||
      (age >= agedMs && bytes >= agedBytesMin) ||
      age >= ageMaxMs ||
      this.#processes.inSegment >= processesMax
    );
  }
}
