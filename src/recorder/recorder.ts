// Moves what the source hands over into segments: batches as they come, a commit at each cut, a new
// segment when size, age or the clock asks for it. When the store cannot be written, the rings keep what
// comes, and it goes on from the last commit. Runs on the worker thread; see worker.ts.

import { join } from 'node:path';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import type { CatalogCache } from '../catalog/cache.ts';
import { TapioError } from '../errors.ts';
import type { BatchItem, CutItem } from '../event/batch.ts';
import { type Clocks, clockChange, tsOffset } from '../event/clock.ts';
import type { RowOrigin } from '../event/stream.ts';
import type { SmallRow } from '../segment/columns.ts';
import { type CommitPoint, readCommits, type SegmentHeader } from '../segment/commits.ts';
import type { StoreFiles } from '../segment/files.ts';
import { Segment } from '../segment/reader.ts';
import { type GivenUp, heldOf, type Recovered, recoverSegments } from '../segment/recover.ts';
import { lossRow } from '../segment/small-tables.ts';
import { SegmentWriter } from '../segment/writer.ts';
import type { Native, NativeSource, SourceConfig, SourceOptions } from '../source/binding.ts';
import { type Beginning, lossesOfDeath } from './beginning.ts';
import { LossAccount } from './losses.ts';
import { Mask } from './mask.ts';
import { segmentName } from './names.ts';
import { byOpName } from './op-names.ts';
import { hasRoom, type Outage, outageOf, outageText, probeStore, storeGone } from './outage.ts';
import { clockTexts, pointOfCut, resumePoint } from './point.ts';
import { Rates } from './rates.ts';
import type { Retention } from './retention.ts';
import { isDue, type RotationLimits } from './rotation.ts';
import { socketsBefore, Tables } from './tables.ts';
import { Tally } from './tally.ts';
import type { Totals } from './totals.ts';

/** Time between flushes, ms: what a power cut may cost. */
export const FLUSH_MS = 900;
/** Time between readings of the clocks that are kept, ms. */
const CLOCKS_MS = 60_000;
/** Memory of the live ring: a follower that is further behind reads the store instead. */
const LIVE_RING_BYTES = 32 * 2 ** 20;
/** Time of the recording thread that removing segments may take at once, ms. */
const RETIRE_MS_MAX = 50;
/** How long a recorder that is told to stop waits for a store that cannot be written, ms. */
const STOP_WAIT_MS = 10_000;

export interface RecorderOptions {
  readonly native: Native;
  readonly files: StoreFiles;
  readonly catalog: CatalogCache | null;
  readonly store: string;
  /** Directory of the segments. */
  readonly segments: string;
  readonly firstNumber: number;
  readonly host: Omit<
    SegmentHeader,
    'format' | 'ts_offset' | 'clocks' | 'fingerprint' | 'recording' | 'filter' | 'mask'
  >;
  readonly source: Omit<SourceOptions, 'tsOffset' | 'nextSeq' | 'resume'>;
  readonly beginning: Beginning;
  readonly recovered: readonly Recovered[];
  readonly rotation: RotationLimits;
  readonly retention: Retention | null;
  readonly onNote: (text: string) => void;
  /** Rows since the last commit will be given anew. */
  readonly onRewind?: () => void;
  /** Every row up to this seq is durable, and these loss rows are new. */
  readonly onCommit?: (throughSeq: bigint, losses: readonly SmallRow[]) => void;
}

const sum = (counts: BigUint64Array): number => Number(counts.reduce((a, b) => a + b, 0n));

type Nested = Record<string, Record<string, Record<string, number>>>;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #source: NativeSource;
  readonly #mask: Mask;
  readonly #tables: Tables;
  readonly #tally = new Tally();
  readonly #rates = new Rates();
  #losses: LossAccount;
  /** The reading that the offset in use was taken from. */
  #clocks: Clocks;
  #lastTick: bigint;
  #tsOffset: bigint;
  /** What decides which rows are recorded into the open segment, and what is to. */
  #filter: string | null;
  #nextFilter: string | null;
  #clocksKeptMs = 0;
  #writer: SegmentWriter | null = null;
  #writerSince = 0;
  #number: number;
  /** Loss rows that no segment has yet, and those that the open segment has not committed. */
  #pendingLosses: SmallRow[] = [];
  #uncommittedLosses: SmallRow[] = [];
  /** The last point that is durable: what was handed over since then can be had again. */
  #durable: CommitPoint | null;
  /** The first seq since the source began or was taken back. */
  #firstSeq: bigint;
  #lastCut: CutItem | null = null;
  #lost: Nested = {};
  #segments = 0;
  #sealedBytes = 0;
  #retired = 0;
  #firstTs: bigint | null = null;
  #lastTs: bigint | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pumping = false;
  #rotateAsked = false;
  #stoppingMs: number | null = null;
  #outage: Outage | null = null;
  /** The segment that was being written as it began. */
  #givenUp: GivenUp | null = null;
  /** Why records are overwritten that are found missing now. */
  #lossCause = 'overwritten';
  #onFinished: ((error: Error | null) => void) | null = null;
  #flushAsked: (() => void)[] = [];
  #flushUnderWay: (() => void)[] = [];

  constructor(options: RecorderOptions) {
    const { native, beginning } = options;
    this.#options = options;
    this.#number = options.firstNumber;
    this.#durable = beginning.point;
    this.#firstSeq = this.#nextSeq();
    this.#clocks = native.clocks();
    this.#lastTick = this.#clocks.realtime;
    this.#tsOffset = tsOffset(this.#clocks);
    this.#filter = this.#nextFilter = options.source.filter?.text ?? null;
    this.#mask = new Mask(native, options.source.mask ?? []);
    this.#source = native.createSource(
      {
        ...options.source,
        tsOffset: this.#tsOffset,
        nextSeq: this.#nextSeq(),
        resume: this.#durable === null ? null : resumePoint(this.#durable, native.opsMax),
      },
      () => this.#schedule(),
    );
    this.#tables = new Tables(this.#mask, (...of) => this.#source.cgroupPath(...of));
    this.#losses = this.#lossesFrom(beginning.diedAt);
  }

  /** Starts the source. Throws what it throws. Resolves when a stop has ended in a sealed store. */
  run(started: () => void): Promise<void> {
    const { beginning, recovered } = this.#options;
    const start = this.#source.start();
    const { how, resumed, notes } = start;
    for (const note of notes) this.#options.onNote(note);
    // Rings that had been read to their end may be gone: those that took their place are there from their start.
    const { point } = beginning;
    const survived = how !== 'new' && (point === null || resumed || point.ended === true);
    if (survived) {
      this.#options.onNote('the recorder had died: its rings went on, and so does the recording');
    }
    this.#pendingLosses.push(
      ...lossesOfDeath(beginning, survived, recovered, this.#clocks.realtime),
    );
    // The counters of rings that are gone are no ground to count from.
    if (!survived)
      this.#losses = new LossAccount(this.#options.native.opsMax, null, this.#lastTick);
    const { kind, ops } = this.#options.source;
    const unattached = this.#source.stats().unattached;
    const told = kind === 'live' ? ops.filter((op) => !(op in unattached)) : [];
    const before = survived && point !== null ? socketsBefore(this.#options.store, point) : null;
    this.#tables.start(start, told, this.#options.native.clocks().realtime, before);
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
    if (!this.#rotateAsked) this.#askToRotate();
  }

  #askToRotate(): void {
    this.#rotateAsked = true;
    this.#clocks = this.#options.native.clocks();
    this.#source.cut(tsOffset(this.#clocks));
  }

  /**
   * Changes what is recorded; another filter or mask begins another segment. Throws what the source throws; then the
   * old settings hold.
   */
  configure(config: SourceConfig): void {
    this.#source.configure(config);
    this.#checkSockets(config.ops);
    const filter = config.filter?.text ?? null;
    if (!this.#mask.want(config.mask ?? []) && filter === this.#nextFilter) return;
    this.#nextFilter = filter;
    // A cut that was asked for before may have been made without it.
    this.#askToRotate();
  }

  /** Rows go to a live ring as well from soon on; its descriptor, and what followers must know. */
  follow(): RowOrigin & { fd: number; firstSeq: bigint } {
    const { recording } = this.#options.beginning;
    const { host, boot_id } = this.#options.host;
    const fd = this.#source.follow(recording, LIVE_RING_BYTES);
    return { fd, recording, host, boot_id, firstSeq: this.#firstSeq };
  }

  /** Nobody follows any more. */
  unfollow(): void {
    this.#source.unfollow();
  }

  /** See NativeSource. */
  loudest(): ReturnType<NativeSource['loudest']> {
    return this.#source.loudest();
  }

  /** Ends the source; what it still holds is written before `run` resolves. */
  stop(): void {
    if (this.#stoppingMs !== null) return;
    this.#stoppingMs = performance.now();
    // While the store cannot be written, the timer goes on trying.
    if (this.#outage === null) this.#end();
  }

  #end(): void {
    this.#stopTimer();
    this.#source.stop();
  }

  /** What was recorded so far. */
  totals(): Totals {
    const stats = this.#source.stats();
    const cut = this.#lastCut;
    const open = this.#writer?.bytes ?? 0;
    return {
      events: this.#tally.counts(),
      lost: this.#lost,
      rates: this.#rates.perSecond(),
      masked: this.#mask.total(),
      filtered: cut === null ? 0 : sum(cut.filtered) + sum(cut.own),
      sampled: cut === null ? 0 : sum(cut.sampled),
      late: Number(cut?.late ?? 0n),
      segments: this.#segments + (this.#writer === null ? 0 : 1),
      bytes: this.#sealedBytes + open,
      storeBytes: (this.#options.retention?.bytes ?? this.#sealedBytes) + open,
      disk: this.#options.retention?.disk ?? null,
      retired: this.#retired,
      firstTs: this.#firstTs?.toString() ?? null,
      lastTs: this.#lastTs?.toString() ?? null,
      drainCpuNs: Number(stats.drainCpuNs),
      backlog: stats.backlog,
      unattached: byOpName(stats.unattached),
      outage: this.#outage,
    };
  }

  /** Lets go of the rings of a recording that has ended: nothing can be had from them any more. */
  forget(): void {
    if (this.#lastCut !== null) this.#source.forget(this.#lastCut.rings);
  }

  /** Frees the source. What is pinned goes on, where it was not stopped and forgotten. */
  close(): void {
    this.#stopTimer();
    this.#writer?.abandon();
    this.#writer = null;
    this.#source.close();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #nextSeq(): bigint {
    return BigInt(this.#durable?.through_seq ?? 0) + 1n;
  }

  /** Counts losses from the last durable point on; `sinceMs`: until when nothing was lost. */
  #lossesFrom(sinceMs: number | null): LossAccount {
    const since = sinceMs === null ? this.#clocks.realtime : BigInt(sinceMs) * 1_000_000n;
    return new LossAccount(this.#options.native.opsMax, this.#durable, since);
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
      if (this.#take(item)) return;
      setImmediate(() => this.#pump());
    } catch (error) {
      this.#pumping = false;
      this.#onFinished?.(error as Error);
    }
  }

  /** True when it was the last item. */
  #take(item: BatchItem | CutItem): boolean {
    try {
      if (item.kind === 'cut') return this.#takeCut(item);
      this.#takeBatch(item);
      return false;
    } catch (error) {
      this.#beginOutage(error);
      return false;
    }
  }

  #takeBatch(batch: BatchItem): void {
    const type = EVENT_TYPES[batch.type - 1] as EventType;
    const regions = this.#options.native.columns(batch.type);
    const memory = this.#source.slotBuffer(batch.slot);
    this.#tables.apply(type, batch, regions, memory);
    this.#tally.add(type, batch, regions, memory);
    this.#open().append(type, batch, regions, memory);
    this.#source.release(batch.slot);
    this.#firstTs ??= batch.firstTs;
    if (this.#lastTs === null || batch.lastTs > this.#lastTs) this.#lastTs = batch.lastTs;
  }

  #takeCut(cut: CutItem): boolean {
    const now = this.#options.native.clocks().realtime;
    const counted = this.#losses.rows(cut, now, this.#tsOffset, this.#lossCause);
    this.#lossCause = 'overwritten';
    this.#pendingLosses.push(...this.#told(cut));
    this.#uncommittedLosses.push(...this.#pendingLosses.splice(0));
    const losses = [...counted, ...this.#uncommittedLosses];
    this.#lastCut = cut;
    if (losses.length > 0 || (cut.ended && !cut.final)) this.#open().addLosses(losses);
    if (this.#writer !== null) {
      this.#tables.writeTo(this.#writer);
      const point = this.#pointOf(cut);
      if (this.#writer.commit(point, cut.ended)) this.#durable = point;
      this.#options.onCommit?.(cut.throughSeq, losses);
    }
    this.#tally.commit();
    this.#countLosses(losses);
    this.#uncommittedLosses = [];
    this.#tellFlushed(cut);
    if (cut.rotated || cut.final) this.#seal(cut);
    if (cut.ended && !cut.final) this.#source.forget(cut.rings);
    if (cut.final) this.#onFinished?.(null);
    else this.#checkSockets(null);
    return cut.final;
  }

  #checkSockets(ops: readonly number[] | null): void {
    const why = this.#tables.giveUpSockets(ops);
    if (why === null) return;
    this.#options.onNote(why);
    this.rotate();
  }

  /** What a cut tells of times in which nothing was recorded. */
  #told(cut: CutItem): SmallRow[] {
    const rows: SmallRow[] = [];
    const row = (cause: string, first: bigint, last: bigint): void => {
      const offset = this.#tsOffset;
      if (last > 0n) rows.push(lossRow('recorder', cause, null, first + offset, last + offset));
    };
    row('orphaned', cut.mutedFirst, cut.mutedLast);
    row('handover', cut.handoverFirst, cut.handoverLast);
    return rows;
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
    if (this.#writer !== null) {
      const sealed = this.#writer.seal(clockTexts(this.#options.native.clocks()));
      this.#writer = null;
      this.#segments++;
      this.#sealedBytes += sealed.bytes;
      const lastMs = Date.now();
      this.#options.retention?.add({ name: sealed.name, bytes: sealed.bytes, lastMs });
      this.#options.catalog?.addSegment(sealed);
    }
    this.#tsOffset = cut.tsOffset;
    this.#filter = cut.filter;
    this.#tables.rotate(this.#mask.begin(cut.mask));
    this.#tally.rotate();
  }

  #open(): SegmentWriter {
    if (this.#writer === null) {
      const { native, files, segments, host, beginning } = this.#options;
      const name = segmentName(native.clocks().realtime, this.#number++);
      const header: SegmentHeader = {
        format: FORMAT_VERSION,
        fingerprint: native.fingerprint,
        ...host,
        recording: beginning.recording,
        ts_offset: this.#tsOffset.toString(),
        clocks: clockTexts(this.#clocks),
        ...(this.#filter !== null && { filter: this.#filter }),
        ...(this.#mask.names.length > 0 && { mask: this.#mask.names }),
      };
      this.#writer = SegmentWriter.create(files, segments, name, header, this.#durable);
      this.#writerSince = performance.now();
    }
    return this.#writer;
  }

  #pointOf(cut: CutItem): CommitPoint {
    const point = pointOfCut(cut, Date.now(), this.#mask.commit(cut.masked));
    if (performance.now() - this.#clocksKeptMs < CLOCKS_MS) return point;
    this.#clocksKeptMs = performance.now();
    return { ...point, clocks: clockTexts(this.#options.native.clocks()) };
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

  // What was handed over since the last commit is taken back: the rings still have it, and keep what
  // comes as long as they can.
  #beginOutage(error: unknown): void {
    const { store, native } = this.#options;
    const cause = outageOf(error, store);
    if (this.#writer !== null) {
      const { name, commits } = this.#writer;
      this.#givenUp = { name, commits };
    }
    this.#writer?.abandon();
    this.#writer = null;
    this.#rotateAsked = false;
    this.#pendingLosses.unshift(...this.#uncommittedLosses.splice(0));
    this.#tally.rotate();
    this.#tables.rewind(BigInt(this.#durable?.through_seq ?? 0), this.#mask.begin());
    this.#clocks = native.clocks();
    this.#tsOffset = tsOffset(this.#clocks);
    this.#filter = this.#nextFilter;
    this.#losses = this.#lossesFrom(this.#durable?.at ?? null);
    this.#firstSeq = this.#nextSeq();
    this.#options.onRewind?.();
    this.#source.rewind({
      tsOffset: this.#tsOffset,
      nextSeq: this.#nextSeq(),
      point: this.#durable === null ? null : resumePoint(this.#durable, native.opsMax),
    });
    this.#nameOutage(cause);
    this.#timer ??= setInterval(() => this.#tick(), FLUSH_MS);
  }

  /** A disk may fail in another way than it did at first, and then wants another remedy. */
  #nameOutage(cause: Outage['cause']): void {
    if (this.#outage?.cause === cause) return;
    this.#options.onNote(outageText(cause));
    this.#outage = { cause, since: this.#outage?.since ?? Date.now() };
  }

  /** Tries to bring the store into order; true when it can be written again. */
  #tryStore(): boolean {
    const { store, files, segments, retention, catalog } = this.#options;
    try {
      const full = this.#outage?.cause === 'no_space' && !hasRoom(store);
      this.#retired += retention?.step(catalog, 0, Date.now(), full) ?? 0;
      if (this.#outage?.cause === 'no_space' && !hasRoom(store)) return false;
      probeStore(files, segments);
      this.#adopt(recoverSegments(files, segments, this.#givenUp));
      return true;
    } catch (error) {
      this.#nameOutage(outageOf(error, store));
      return false;
    }
  }

  /** Segments that were sealed meanwhile are held like any other. */
  #adopt(recovered: readonly Recovered[]): void {
    const { retention, catalog, segments } = this.#options;
    const sealed = new Map(recovered.map((one) => [one.name, one.sealed]));
    // Its seal may have failed after it had its name.
    const { name: own = '' } = this.#givenUp ?? {};
    const commits = own === '' ? null : readCommits(join(segments, own));
    if (commits !== null) sealed.set(own, heldOf(commits));
    this.#givenUp = null;
    for (const [name, held] of sealed) {
      if (held === null) continue;
      this.#segments++;
      this.#sealedBytes += held.bytes;
      retention?.add({ name, ...held });
      catalog?.enterFrom(() => new Segment(join(segments, name)));
    }
  }

  #endOutage(): void {
    const seconds = ((Date.now() - (this.#outage?.since ?? 0)) / 1000).toFixed(0);
    this.#options.onNote(`the store can be written again after ${seconds} s: recording goes on`);
    this.#lossCause = this.#outage?.cause ?? 'overwritten';
    this.#outage = null;
    this.#source.pause(false);
    if (this.#stoppingMs !== null) this.#end();
  }

  #waitForStore(): void {
    if (this.#tryStore()) {
      this.#endOutage();
      return;
    }
    const stopping = this.#stoppingMs ?? Number.POSITIVE_INFINITY;
    if (performance.now() - stopping > STOP_WAIT_MS) {
      throw new TapioError(
        'io',
        `the store cannot be written (${this.#outage?.cause}): what was committed is safe, the rest stays in the rings; make room and start again`,
      );
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
      // What is written into a directory that was removed meets no error.
      if (this.#writer !== null && !this.#writer.isThere()) throw storeGone(this.#options.store);
      if (this.#outage !== null) {
        this.#waitForStore();
        return;
      }
      this.#rates.sample(performance.now(), this.#tally.byType());
      if (change !== null || this.#isDue()) this.rotate();
      else this.#source.cut(null);
      this.#retire();
    } catch (error) {
      this.#onFinished?.(error as Error);
    }
  }

  #retire(): void {
    const { retention, catalog, store } = this.#options;
    const began = performance.now();
    try {
      let gone = 0;
      do {
        gone = retention?.step(catalog, this.#committedBytes(), Date.now()) ?? 0;
        this.#retired += gone;
      } while (gone > 0 && performance.now() - began < RETIRE_MS_MAX);
    } catch (error) {
      // A store that cannot be changed is noticed by the next write as well.
      outageOf(error, store);
    }
  }

  /** Of the open segment; 0 until it has a commit. */
  #committedBytes(): number {
    return this.#writer === null || this.#writer.commits === 0 ? 0 : this.#writer.bytes;
  }

  #isDue(): boolean {
    if (this.#writer === null) return false;
    const age = performance.now() - this.#writerSince;
    return isDue(this.#options.rotation, age, this.#writer.bytes, this.#tables.processes);
  }
}
