// The recorder as a process: takes the store, starts the worker, opens the control socket. This is the
// only file that knows both.

import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { type RecordConfig, syscallNumbers } from './config/config.ts';
import type { MaskPattern } from './config/mask.ts';
import { type Answer, type ControlRequest, ControlServer, type Peer } from './control.ts';
import { type ErrorCode, TapioError } from './errors.ts';
import type { Measured } from './metrics/measured.ts';
import { heldBy, type ProcessPrivileges } from './privileges.ts';
import { type Follower, Followers } from './recorder/followers.ts';
import { type Forecast, forecast } from './recorder/forecast.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './recorder/protocol.ts';
import { RecentPeak } from './recorder/recent-peak.ts';
import type { RetentionLimits } from './recorder/retention.ts';
import { ROTATION, type RotationLimits } from './recorder/rotation.ts';
import { RunningTotals } from './recorder/running-totals.ts';
import type { Totals } from './recorder/totals.ts';
import { lossLines } from './replay/loss-lines.ts';
import { ensureStore, lockStore } from './segment/store.ts';
import type { ServerStatus } from './server/protocol.ts';
import type { SideThread } from './side-thread.ts';
import type { Outboxes } from './sink/outboxes.ts';
import type { SinkStatus } from './sink/protocol.ts';
import { native, PINS, type SourceConfig, type SourceFilter } from './source/binding.ts';
import type { MaskedCounts } from './source/secrets.ts';
import { threadUrl } from './thread-url.ts';

/** What a recording came to. Durations in seconds, CPU user + system of the whole process. */
export interface Summary {
  readonly store: string;
  readonly events: Totals['events'];
  readonly lost: Totals['lost'];
  readonly filtered: number;
  readonly sampled: number;
  readonly late: number;
  readonly masked: MaskedCounts;
  readonly segments: number;
  readonly bytes: number;
  readonly duration_s: number;
  readonly cpu_s: number;
  readonly main_thread_busy: number;
  readonly rss_bytes: number;
  readonly first_ts: string | null;
  readonly last_ts: string | null;
  readonly sinks: readonly SinkStatus[];
  readonly server: ServerStatus | null;
}

const SLOTS_PER_TYPE = 4;
/** Time between looks at the recording thread, and the silence after which it is started again, ms. */
const WATCH_MS = 1000;
const SILENCE_MS_MAX = 30_000;
/** How long a caller waits for the recording thread before it hears what was last known, ms. */
const PATIENCE_MS = 1000;
/** How long sinks may send what is left when the recording has ended, ms. */
const SINKS_MS_MAX = 5000;
/** How long calls may take to end, ms. */
const CALLS_MS_MAX = 1000;
/** A thread that is stuck again and again will not be mended by one more start. */
const RESTARTS_MAX = 5;

/** What helps a recorder: its sinks, who serves, and where its rings are kept; and what tests put in the place of the recording thread and its patience. */
export interface DaemonAids {
  readonly outboxes?: Outboxes;
  readonly serving?: SideThread<ServerStatus>;
  readonly worker?: URL;
  readonly silenceMsMax?: number;
  readonly pins?: string | undefined;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Throws TapioError('usage') for a pattern that RE2 does not take. */
function checkedMask(patterns: readonly MaskPattern[]): readonly MaskPattern[] {
  try {
    new (native().SecretMask)(patterns);
  } catch (error) {
    throw new TapioError(
      'usage',
      `--mask ${(error as Error).message}: write a pattern that RE2 takes (github.com/google/re2/wiki/Syntax)`,
    );
  }
  return patterns;
}

function sourceConfig(config: RecordConfig, filter: SourceFilter | null): SourceConfig {
  return {
    ops: config.ops,
    syscalls: syscallNumbers(config.syscalls, native().syscalls()),
    latency: config.latency,
    snaplen: config.snaplen,
    mask: checkedMask(config.mask),
    exclude: config.exclude,
    caps: config.caps,
    filter,
  };
}

/** A store is of several segments, so that the oldest can go: a small or short one has small segments. */
function rotationOf({ maxBytes, maxAgeMs }: RecordConfig): RotationLimits {
  const bytesMax = Math.min(ROTATION.bytesMax, maxBytes / 8);
  return {
    ...ROTATION,
    bytesMax,
    agedBytesMin: Math.min(ROTATION.agedBytesMin, bytesMax),
    ageMaxMs: Math.min(ROTATION.ageMaxMs, maxAgeMs / 8),
  };
}

export class Daemon {
  readonly store: string;
  #worker: Worker;
  readonly #unlock: () => void;
  readonly #started = performance.now();
  readonly #waiting = new Map<number, Waiting>();
  readonly #onNote: (text: string) => void;
  readonly #config: RecordConfig;
  readonly #aids: DaemonAids;
  readonly #beats = new Int32Array(new SharedArrayBuffer(4));
  readonly #followers: Followers;
  #source: SourceConfig;
  readonly #totals = new RunningTotals();
  readonly #backlog = new RecentPeak();
  /** When the recording thread last gave a sign of life. */
  #beatAt = performance.now();
  /** Where the event loop stood when events began to flow: starting up is no steering. */
  #loop = performance.eventLoopUtilization();
  #control: ControlServer | null = null;
  #watch: NodeJS.Timeout | null = null;
  #restarts = 0;
  #nextId = 1;
  #stopping = false;
  #ended = false;
  #ready!: () => void;
  #failed!: (error: Error) => void;
  #finish!: (totals: Totals) => void;
  /** Resolves when events flow. */
  readonly started: Promise<void>;
  /** Resolves when everything is sealed. */
  readonly finished: Promise<Summary>;

  /** Takes the store and starts; throws TapioError where that cannot be. `filter` is that of `config`. */
  constructor(
    store: string,
    config: RecordConfig,
    filter: SourceFilter | null,
    onNote: (text: string) => void,
    aids: DaemonAids = {},
  ) {
    this.store = store;
    // SQLite makes its files itself: they too are for their owner only.
    process.umask(0o077);
    this.#config = config;
    this.#aids = aids;
    this.#onNote = onNote;
    this.#source = sourceConfig(config, filter);
    this.#followers = new Followers(onNote);
    ensureStore(store);
    this.#unlock = lockStore(store);
    const done = new Promise<Totals>((resolve, reject) => {
      this.#finish = resolve;
      this.#failed = reject;
    });
    this.started = new Promise((resolve, reject) => {
      this.#ready = resolve;
      done.catch(reject);
    });
    this.finished = done
      .finally(() => this.#end())
      .then((totals) => this.#summary(totals))
      .finally(() => this.#unlock());
    // Whoever waits for one of them hears of a failure; nobody must wait for both.
    this.started.catch(() => {});
    this.finished.catch(() => {});
    this.#worker = this.#startWorker();
  }

  get #limits(): RetentionLimits {
    const { maxBytes, maxAgeMs, minFree } = this.#config;
    return { bytesMax: maxBytes, ageMaxMs: maxAgeMs, freeMin: minFree };
  }

  #startWorker(): Worker {
    const config = this.#config;
    const options: WorkerOptions = {
      store: this.store,
      pins: this.#aids.pins ?? PINS,
      rotation: rotationOf(config),
      retention: this.#limits,
      beats: this.#beats,
      source: {
        kind: config.source,
        ringBytes: config.ringBytes,
        rate: config.rate,
        seed: config.seed,
        cpus: availableParallelism(),
        events: config.events,
        slotsPerType: SLOTS_PER_TYPE,
        orphanTimeoutNs: BigInt(Math.round(config.orphanTimeoutMs * 1e6)),
        ...this.#source,
      },
    };
    const worker = new Worker(this.#aids.worker ?? threadUrl('recorder/worker', 'worker'), {
      workerData: options,
    });
    // What a thread says that was given up counts no more.
    const current = (): boolean => worker === this.#worker;
    worker.on('message', (message: FromWorker) => {
      if (current()) this.#hear(message);
    });
    worker.on('error', (error) => {
      if (current()) this.#failed(error as Error);
    });
    // Says nothing new where the thread has told its end already.
    worker.on('exit', () => {
      if (current()) {
        this.#failed(new TapioError('internal', 'the recording thread ended unexpectedly'));
      }
    });
    return worker;
  }

  /** Looks whether the recording thread lives: one that is stuck is ended and started again. */
  #startWatch(): void {
    let beats = -1;
    this.#beatAt = performance.now();
    clearInterval(this.#watch ?? undefined);
    this.#watch = setInterval(() => {
      const now = Atomics.load(this.#beats, 0);
      if (now !== beats) {
        beats = now;
        this.#beatAt = performance.now();
        // So that there is an answer that is not old, whatever becomes of the thread.
        this.totals().catch(() => {});
      } else if (performance.now() - this.#beatAt > (this.#aids.silenceMsMax ?? SILENCE_MS_MAX)) {
        clearInterval(this.#watch ?? undefined);
        void this.#restart(performance.now() - this.#beatAt);
      }
    }, WATCH_MS);
  }

  // A thread that waits for the disk ends only when the disk answers: until then it holds its files, and
  // no other may be started.
  async #restart(silentMs: number): Promise<void> {
    const seconds = (silentMs / 1000).toFixed(0);
    if (++this.#restarts > RESTARTS_MAX) {
      this.#failed(
        new TapioError(
          'internal',
          `the recording thread was stuck ${this.#restarts} times: please report it; what is in the rings is kept for the next start`,
        ),
      );
      return;
    }
    this.#onNote(
      `the recording thread has not answered for ${seconds} s: it is ended and started again`,
    );
    const stuck = this.#worker;
    stuck.removeAllListeners();
    await stuck.terminate();
    // Nobody answers those who asked it, nor those who asked while it ended.
    this.#reject(new TapioError('not_running', 'the recording thread was started again'));
    if (this.#ended) return;
    // The ring that they read went with the thread: they come again.
    this.#followers.hangUp();
    this.#totals.restart();
    this.#worker = this.#startWorker();
    if (this.#stopping) this.#post({ kind: 'stop' });
  }

  /** Opens the control socket. */
  async listen(): Promise<void> {
    try {
      this.#control = await ControlServer.open(this.store, (request, peer) =>
        this.#answer(request, peer),
      );
      if (this.#ended) this.#control.close();
      else {
        this.#aids.outboxes?.go();
        this.#aids.serving?.go();
      }
    } catch (error) {
      this.#onNote(
        `no control socket (${(error as Error).message}): stop, status and sinks will not work`,
      );
    }
  }

  async #answer(request: ControlRequest, peer: Peer): Promise<Answer> {
    switch (request) {
      case 'status':
        return { ...(await this.status()) };
      case 'flush':
        await this.flush();
        return {};
      case 'follow':
        return await this.#follow(peer);
      case 'stop':
        this.stop();
        return { ...(await this.finished) };
    }
  }

  /** Registers who asks for as long as it is connected: rows go to the live ring, but for its own. */
  async #follow(peer: Peer): Promise<Answer> {
    if (peer.gone) return {};
    // Its answer is the first line that it hears.
    let isAnswered = false;
    const tell = (line: Answer): void => {
      if (isAnswered) peer.tell(line);
    };
    const follower: Follower = {
      pid: peer.pid,
      tell: (text) => tell({ note: text }),
      committed: (seq, losses) =>
        tell({
          committed: seq.toString(),
          ...(losses.length > 0 && { losses: lossLines(losses) }),
        }),
      hangUp: () => peer.hangUp(),
    };
    this.#followers.add(follower);
    peer.onGone(() => {
      this.#followers.remove(follower);
      this.#postConfig();
      if (this.#followers.isEmpty) this.#post({ kind: 'unfollow' });
    });
    this.#postConfig();
    const answer = await this.#ask({ kind: 'follow', id: this.#nextId++ });
    const { fd, firstSeq, ...origin } = answer as Extract<FromWorker, { kind: 'following' }>;
    const { recording, host, boot_id } = origin;
    const ring = `/proc/${process.pid}/fd/${fd}`;
    const first_seq = firstSeq.toString();
    isAnswered = true;
    return { ring, recording, host, boot_id, first_seq, excluded: peer.pid };
  }

  #postConfig(): void {
    const { exclude } = this.#source;
    // What this process does itself is left out in any case.
    const others = this.#followers.pids.filter((pid) => pid !== process.pid);
    const pids = [...new Set([...exclude.pids, ...others])];
    this.#post({ kind: 'configure', config: { ...this.#source, exclude: { ...exclude, pids } } });
  }

  /** What was recorded so far. Rejects when the recording ends first. */
  async totals(): Promise<Totals> {
    return (await this.#ask({ kind: 'totals', id: this.#nextId++ })) as Totals;
  }

  /** Resolves when every row that was emitted before is durable. */
  async flush(): Promise<void> {
    await this.#ask({ kind: 'flush', id: this.#nextId++ });
  }

  /** Ends the segment and begins the next. */
  rotate(): void {
    this.#post({ kind: 'rotate' });
  }

  /** Changes ops, syscalls, latency, exclusions and the filter while recording. */
  configure(config: RecordConfig, filter: SourceFilter | null): void {
    this.#source = sourceConfig(config, filter);
    this.#postConfig();
  }

  /** Ends the recording; `finished` tells when it is sealed. */
  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#post({ kind: 'stop' });
  }

  /** What was recorded so far, or null where the recording thread waits for its disk. */
  async #totalsSoon(): Promise<Totals | null> {
    const asked = this.totals();
    asked.catch(() => {});
    const late = new Promise<null>((resolve) => setTimeout(resolve, PATIENCE_MS, null).unref());
    return await Promise.race([asked, late]);
  }

  /**
   * The recording so far and what it costs. While the recording thread waits for its disk, `stalled_s`
   * tells for how long, and the rest is what it last said.
   */
  async status(): Promise<
    Summary & {
      pid: number;
      source: string;
      filter: string | null;
      rates: Totals['rates'];
      backlog: number;
      unattached: Totals['unattached'];
      outage: Totals['outage'];
      retention: Forecast;
      stalled_s: number | null;
      privileges: ProcessPrivileges | null;
    }
  > {
    const fresh = await this.#totalsSoon();
    const stalledMs = performance.now() - this.#beatAt;
    const totals = fresh ?? this.#totals.last ?? (await this.totals());
    return {
      ...this.#summary(totals),
      pid: process.pid,
      source: this.#config.source,
      filter: this.#source.filter?.text ?? null,
      rates: totals.rates,
      backlog: this.#backlog.at(performance.now()),
      unattached: totals.unattached,
      outage: totals.outage,
      retention: this.#forecast(totals),
      stalled_s: fresh === null ? stalledMs / 1000 : null,
      privileges: heldBy(process.pid),
    };
  }

  /** What is known, at once and without asking anybody; null until events flow. */
  measured(): Measured | null {
    const totals = this.#totals.last;
    if (totals === null) return null;
    const { outboxes, serving } = this.#aids;
    const sinks = Object.entries(outboxes?.failures ?? {});
    return {
      totals,
      ops: this.#source.ops,
      fullestRing: this.#backlog.at(performance.now()),
      limits: this.#limits,
      silentMs: this.#ended ? 0 : performance.now() - this.#beatAt,
      restarts: this.#restarts,
      isEnding: this.#stopping,
      sinks: outboxes?.statuses ?? [],
      server: serving?.status ?? null,
      mainBusyMs: performance.eventLoopUtilization().active,
      beganAt: performance.timeOrigin,
      failures: {
        ...(serving !== undefined && { server: serving.failures }),
        ...Object.fromEntries(sinks.map(([name, times]) => [`sink ${name}`, times])),
      },
    };
  }

  /** How far back the store reaches at the present rate, and what limits it. */
  #forecast({ bytes, storeBytes, retired }: Totals): Forecast {
    const { maxBytes, maxAgeMs } = this.#config;
    const seconds = (performance.now() - this.#started) / 1000;
    return forecast({ bytes, seconds, storeBytes, retired }, maxBytes, maxAgeMs);
  }

  #summary(totals: Totals): Summary {
    const cpu = process.cpuUsage();
    return {
      store: this.store,
      events: totals.events,
      lost: totals.lost,
      filtered: totals.filtered,
      sampled: totals.sampled,
      late: totals.late,
      masked: totals.masked,
      segments: totals.segments,
      bytes: totals.bytes,
      duration_s: (performance.now() - this.#started) / 1000,
      cpu_s: (cpu.user + cpu.system) / 1e6,
      main_thread_busy: performance.eventLoopUtilization(this.#loop).utilization,
      rss_bytes: process.memoryUsage.rss(),
      first_ts: totals.firstTs,
      last_ts: totals.lastTs,
      sinks: this.#aids.outboxes?.statuses ?? [],
      server: this.#aids.serving?.status ?? null,
    };
  }

  // The socket goes before the lock: after it, another recorder may have made its own there. Sinks see by it that
  // nothing more will come.
  async #end(): Promise<void> {
    this.#ended = true;
    this.#stopping = true;
    clearInterval(this.#watch ?? undefined);
    this.#control?.close();
    this.#reject(new TapioError('not_running', 'the recording has ended'));
    const { outboxes, serving } = this.#aids;
    await Promise.all([outboxes?.finish(SINKS_MS_MAX), serving?.finish(CALLS_MS_MAX)]);
  }

  /** Tells all who wait for an answer that none will come. */
  #reject(why: TapioError): void {
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #ask(message: ToWorker & { readonly id: number }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new TapioError('not_running', 'the recording has ended'));
        return;
      }
      this.#waiting.set(message.id, { resolve, reject });
      this.#post(message);
    });
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'started':
        this.#loop = performance.eventLoopUtilization();
        this.#startWatch();
        this.#ready();
        return;
      case 'note':
        this.#onNote(message.text);
        return;
      case 'totals':
        this.#backlog.note(performance.now(), message.totals.backlog);
        this.#waiting.get(message.id)?.resolve(this.#totals.hear(message.totals));
        this.#waiting.delete(message.id);
        return;
      case 'flushed':
        this.#waiting.get(message.id)?.resolve(null);
        this.#waiting.delete(message.id);
        return;
      case 'following':
        this.#waiting.get(message.id)?.resolve(message);
        this.#waiting.delete(message.id);
        return;
      case 'refused':
        this.#waiting.get(message.id)?.reject(new TapioError('io', message.message));
        this.#waiting.delete(message.id);
        return;
      case 'rewound':
        this.#followers.hangUp();
        return;
      case 'committed':
        this.#followers.hearCommitted(message.seq, message.losses);
        return;
      case 'loud':
        this.#followers.hearLoud(message.pid, message.share);
        return;
      case 'finished':
        this.#finish(this.#totals.hear(message.totals));
        return;
      case 'failed':
        this.#failed(failureOf(message));
        return;
    }
  }
}

const CODES: readonly string[] = [
  'not_permitted',
  'unsupported_kernel',
  'store_newer',
  'internal',
  'io',
];

function failureOf(message: Extract<FromWorker, { kind: 'failed' }>): Error {
  if (CODES.includes(message.code))
    return new TapioError(message.code as ErrorCode, message.message);
  if (['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'ENOENT'].includes(message.code)) {
    return new TapioError(
      'io',
      `the store cannot be written any more (${message.code}): what was committed is safe; make room or choose another --store`,
    );
  }
  const error = new Error(message.message);
  error.stack = message.stack;
  return error;
}
