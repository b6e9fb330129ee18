// The native surface, typed. This is the only file that loads the addon.
//
// Thread rule: a Source is made, used and closed on one JS thread (the recorder's worker). Its drain
// thread is native; what it hands over is read by take() and given back by release(). Batch memory
// belongs to the addon: views of it are valid from take() until release() of that slot.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Exclusions } from '../config/selection.ts';
import { TapioError } from '../errors.ts';
import type { ColumnRegion, ProcessSnapshot, SourceItem } from '../event/batch.ts';
import type { SocketSnapshot } from '../event/sockets.ts';
import type { LiveNative } from './live.ts';
import type { PrivilegeNative } from './privileges.ts';
import type { RawEventNative } from './raw-events.ts';
import type { RedactNative } from './redact.ts';
import type { NativePredicate, ScanNative } from './scan.ts';
import type { SecretNative, SecretPattern } from './secrets.ts';

/** A test of the kernel's: bpf/filter.h says what is what. */
export interface PushedTest {
  readonly word: number;
  readonly masked: boolean;
  readonly inverted: boolean;
  readonly pass: number;
  readonly fail: number;
  readonly a: readonly [bigint, bigint];
  readonly b: readonly [bigint, bigint];
}

/** What of a filter is decided before a record is made: chains of tests, and where that of each op begins. */
export interface PushedFilter {
  readonly tests: readonly PushedTest[];
  readonly ops: readonly { readonly op: number; readonly entry: number }[];
}

/** Which rows become rows: decided on raw records as they are read. */
export interface SourceFilter {
  /** As the user wrote it. */
  readonly text: string;
  /** By type id; rows of a type without one are all wanted. `seq` is not known yet, `ktime` is a column. */
  readonly predicates: Readonly<Record<number, NativePredicate>>;
  /** Rejects before that only what the predicates would reject; null: nothing. */
  readonly pushed: PushedFilter | null;
}

/** How many events of an op become rows; their `weight` says for how many each stands. */
export interface Cap {
  /** Op id of the event table. */
  readonly op: number;
  /** One of so many, at random; 1: each. */
  readonly every: number;
  /** At most so many rows a second, in fair shares among cgroups; 0: as many as there are. */
  readonly perSecond: number;
}

/** What can be changed while the source runs. */
export interface SourceConfig {
  /** Op ids of the event table that are on. */
  readonly ops: readonly number[];
  /** Numbers of the syscalls that `syscall.call` records. */
  readonly syscalls: readonly number[];
  /** Whether calls carry latency_ns (attaches sys_enter: about 57 ns per syscall). */
  readonly latency: boolean;
  /** Bytes of a packet that network.packet keeps; absent: 128. */
  readonly snaplen?: number;
  readonly exclude: Exclusions;
  /** Of ops that have one; live only. */
  readonly caps?: readonly Cap[];
  /** Takes effect with the next cut that rotates, or a rewind. Absent or null: all rows are wanted. */
  readonly filter?: SourceFilter | null;
  /** What no row holds of the arguments of an exec; takes effect as a filter does, which sees what is left. */
  readonly mask?: readonly SecretPattern[];
}

/** Where a recording stood at a commit: what a source needs to go on from there. Arrays as in CutItem. */
export interface ResumePoint {
  /** Id of the rings. */
  readonly rings: string;
  /** Per CPU. */
  readonly positions: BigUint64Array;
  readonly ahead: readonly (readonly bigint[])[];
  /** [cpu * opsMax + op] */
  readonly consumed: BigUint64Array;
  readonly lost: BigUint64Array;
  readonly own: BigUint64Array;
  /** [op] */
  readonly malformed: BigUint64Array;
  readonly late: bigint;
  readonly newest: bigint;
}

/** Where the kernel keeps rings and hooks beyond the life of a process; one directory per store. */
export const PINS = '/sys/fs/bpf/tapio';

/** Where rings and hooks are kept so that they outlive the process. */
export interface Pins {
  /** Directory in bpffs, one per store; made where it is missing. */
  readonly directory: string;
  /** Only rings of this recording are gone on with; others found there are removed. */
  readonly recording: string;
  /** Path of the store, for people. */
  readonly store: string;
}

export interface SourceOptions extends SourceConfig {
  readonly kind: 'live' | 'synthetic';
  /** Live only. Null: everything ends with the process. */
  readonly pins: Pins | null;
  /** Null: from the beginning of what is found in `pins`. */
  readonly resume: ResumePoint | null;
  /** Live only: the programs fall silent when nobody has read for so long. */
  readonly orphanTimeoutNs: bigint;
  /** Bytes per CPU, a power of two, at least 8 blocks of 64 KiB. */
  readonly ringBytes: number;
  /** ts = ktime + this, until a rotating cut changes it. */
  readonly tsOffset: bigint;
  /** First seq to give. */
  readonly nextSeq: bigint;
  /** Synthetic only: events/s over all CPUs (0 = as fast as it goes), seed, CPUs, stop after N. */
  readonly rate?: number;
  readonly seed?: number;
  readonly cpus?: number;
  readonly events?: number;
  /** Batch memory kept per type, in batches of 65,536 rows. */
  readonly slotsPerType: number;
}

export interface SourceStats {
  /** Rows given a seq since the start, per op id; those given again after a rewind count twice. */
  readonly events: BigUint64Array;
  /** Lost to overwriting in the rings that are being read, per op id. */
  readonly lost: BigUint64Array;
  readonly late: bigint;
  /** CPU time of the drain thread, ns. */
  readonly drainCpuNs: bigint;
  /** Largest share of a ring that was waiting when the drain looked, 0..1, since the last call. */
  readonly backlog: number;
  /** Ops whose hook could not be attached: op id → why. */
  readonly unattached: Readonly<Record<number, string>>;
}

export interface StartResult {
  /** Processes then alive; live only. */
  readonly alive: readonly ProcessSnapshot[];
  /** TCP sockets that processes then had open; live only. */
  readonly sockets: readonly SocketSnapshot[];
  /** 'new': nothing was there to go on from; 'continued': same rings and programs; 'replaced': old rings are drained first. */
  readonly how: 'new' | 'continued' | 'replaced';
  /** Whether the resume point given could be used. */
  readonly resumed: boolean;
  /** Sentences for the user: why there are no pins, what was removed. */
  readonly notes: readonly string[];
}

/** A running source of raw records. Errors are thrown as Error with `code` and `detail`. */
export interface NativeSource {
  /** Of the rings that are being written; 0 before the start. */
  readonly cpus: number;
  /** Loads and attaches; after it, events flow. */
  start(): StartResult;
  /** Memory of a slot; the same ArrayBuffer each time. */
  slotBuffer(slot: number): ArrayBuffer;
  /** The next item, or null when there is none yet. `wake` is called when that changes. */
  take(): SourceItem | null;
  release(slot: number): void;
  /** Asks for a cut; it arrives as an item. With an offset, the segment rotates at it. */
  cut(rotateTsOffset: bigint | null): void;
  configure(config: SourceConfig): void;
  stats(): SourceStats;
  /** Stops and resumes reading: the rings then keep what they can. */
  pause(paused: boolean): void;
  /**
   * Takes back what was handed over since a commit, and goes on from there, paused: pause(false) lets
   * it run. All slots are free again, dictionaries empty; no slot taken before may be released. A
   * point in rings that were forgotten means the beginning of the next, null that of the first.
   */
  rewind(options: { tsOffset: bigint; nextSeq: bigint; point: ResumePoint | null }): void;
  /** Lets go of rings whose `ended` cut is durable. Until then they can be resumed. */
  forget(rings: string): void;
  /**
   * From soon on each row's record goes to a live ring as well, which is made by the first call; its
   * descriptor. Throws where there is no memory for it.
   */
  follow(recording: string, ringBytes: number): number;
  /**
   * Path of the cgroup of this id, or of the one that the process was put into, below the root of its
   * hierarchy; null where the kernel's programs did not see it being made.
   */
  cgroupPath(id: bigint, pid: number, pstart: bigint): string | null;
  /** Nobody follows any more. */
  unfollow(): void;
  /** While anybody follows: the process that made most of the last rows, and its part of them, 0..1. */
  loudest(): { readonly pid: number; readonly share: number } | null;
  /** Detaches, drains what the rings hold, then gives a final cut. */
  stop(): void;
  /** Frees everything. After it no view of a slot may be touched. Without stop(), what is pinned goes on. */
  close(): void;
}

export interface ProbeResult {
  readonly name: string;
  readonly ok: boolean;
  /** Why not, in our words. */
  readonly detail: string;
  /** Ids of the ops that need it, where the type information alone was asked. */
  readonly ops: readonly number[];
}

/** Rings and hooks that are pinned, whoever made them. Null: cannot be read. */
export interface PinnedSet {
  /** Path of the store as its recorder said. */
  readonly store: string | null;
  /** Directory of the pins. */
  readonly path: string;
  readonly recording: string | null;
  readonly rings: string;
  /** The process that reads or last read them; 0 where it let go of them. */
  readonly pid: number | null;
  /** Whether that process lives, by id and start. */
  readonly alive: boolean;
  /** Of all CPUs. */
  readonly ringBytes: number | null;
  /** ktime at which the programs fell silent; 0 while they record. */
  readonly mutedSince: bigint | null;
}

/** A call that has not returned. */
export interface CallUnderWay {
  readonly pid: number;
  readonly tid: number;
  readonly uid: number;
  readonly pstart: bigint;
  readonly comm: string;
  /** ktime. */
  readonly started: bigint;
  /** Of the call, in the table of 32-bit calls where it `is32`. */
  readonly number: number;
  readonly is32: boolean;
  readonly args: readonly bigint[];
}

/** A thread that wakes JS at absolute times of CLOCK_MONOTONIC. It keeps the process alive until close(). */
export interface NativePacer {
  /** Calls `wake` at `at` ns, or at once where that is past; takes the place of what was set before. */
  set(at: number): void;
  /** Nothing is waited for any more; a wake that is on its way still comes. */
  cancel(): void;
  close(): void;
}

export interface Native extends SecretNative {
  readonly fingerprint: string;
  readonly opsMax: number;
  /** Region table per type id (index 0 unused). */
  columns(type: number): readonly ColumnRegion[];
  /** `wake` is called on this thread whenever take() may have something. */
  createSource(options: SourceOptions, wake: () => void): NativeSource;
  /** Syscall numbers by name, of this architecture. */
  syscalls(): Readonly<Record<string, number>>;
  /** Tries each attach point that the programs need; loads and unloads. */
  probe(): readonly ProbeResult[];
  /** The same of another kernel, by its type information alone; empty where the file holds none. */
  probe(kernelBtf: string): readonly ProbeResult[];
  /** Calls in flight whose start the programs of a set of rings noted. Throws an error for the user. */
  callsUnderWay(path: string): readonly CallUnderWay[];
  /** Every set of rings below a directory of stores. */
  pinned(directory: string): readonly PinnedSet[];
  /** Removes a set of rings and hooks, and the directory of its store with the last one. */
  unpin(path: string): void;
  /** The clocks read together, ns: REALTIME, MONOTONIC (that of ktime), BOOTTIME (that of pstart). */
  clocks(): { realtime: bigint; monotonic: bigint; boottime: bigint };
  readonly Pacer: new (wake: () => void) => NativePacer;
  /** `getsockopt(SO_PEERCRED)` of a connected Unix socket's descriptor. */
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
}

type Addon = Native & ScanNative & LiveNative & RawEventNative & RedactNative & PrivilegeNative;

let loaded: Addon | null = null;

function addon(): Addon {
  if (loaded === null) {
    const path = addonPath();
    if (!existsSync(path)) {
      throw new TapioError('internal', 'the native addon is not built: run npm run build');
    }
    loaded = createRequire(import.meta.url)(path) as Addon;
  }
  return loaded;
}

/** Loads the addon on first use; throws TapioError where it is not built. */
export const native = (): Native => addon();

/** The addon for readers. */
export const scanNative = (): ScanNative => addon();

/** The addon for what policies hide in texts. */
export const redactNative = (): RedactNative => addon();

/** The addon for who gives up privileges. */
export const privilegeNative = (): PrivilegeNative => addon();

/** The addon for followers. */
export const liveNative = (): LiveNative => addon();

/** The addon for those who send rows as messages. */
export const rawEventNative = (): RawEventNative => addon();

/** Where the addon lies. */
export function addonPath(): string {
  // The bundle lies in dist/chunks/, this file in src/source/: both are two folders deep.
  return fileURLToPath(new URL('../../build/Release/tapio_native.node', import.meta.url));
}
