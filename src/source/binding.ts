// The native surface, typed. This is the only file that loads the addon.
//
// Thread rule: a Source is made, used and closed on one JS thread (the recorder's worker). Its drain
// thread is native; what it hands over is read by take() and given back by release(). Batch memory
// belongs to the addon: views of it are valid from take() until release() of that slot.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { TapioError } from '../errors.ts';
import type { ColumnRegion, ProcessSnapshot, SourceItem } from '../event/batch.ts';

/** What the kernel side rejects before it fills a record. */
export interface Exclusions {
  readonly pids: readonly number[];
  readonly uids: readonly number[];
  readonly comms: readonly string[];
  readonly cgroups: readonly bigint[];
}

/** What can be changed while the source runs. */
export interface SourceConfig {
  /** Op ids of the event table that are on. */
  readonly ops: readonly number[];
  /** Numbers of the syscalls that `syscall.call` records. */
  readonly syscalls: readonly number[];
  /** Whether calls carry latency_ns (attaches sys_enter: about 57 ns per syscall). */
  readonly latency: boolean;
  readonly exclude: Exclusions;
}

export interface SourceOptions extends SourceConfig {
  readonly kind: 'live' | 'synthetic';
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
  /** Rows given a seq since the start, per op id. */
  readonly events: BigUint64Array;
  /** Lost to overwriting so far, per op id. */
  readonly lost: BigUint64Array;
  readonly late: bigint;
  /** CPU time of the drain thread, ns. */
  readonly drainCpuNs: bigint;
  /** Largest share of a ring that was waiting when the drain looked, 0..1, since the last call. */
  readonly backlog: number;
  /** Ops whose hook could not be attached: op id → why. */
  readonly unattached: Readonly<Record<number, string>>;
}

/** A running source of raw records. Errors are thrown as Error with `code` and `detail`. */
export interface NativeSource {
  readonly cpus: number;
  /** Loads and attaches; after it, events flow. Live: returns the processes then alive. */
  start(): ProcessSnapshot[];
  /** Memory of a slot; the same ArrayBuffer each time. */
  slotBuffer(slot: number): ArrayBuffer;
  /** The next item, or null when there is none yet. `wake` is called when that changes. */
  take(): SourceItem | null;
  release(slot: number): void;
  /** Asks for a cut; it arrives as an item. With an offset, the segment rotates at it. */
  cut(rotateTsOffset: bigint | null): void;
  configure(config: SourceConfig): void;
  stats(): SourceStats;
  /** Test aid: stops and resumes the drain thread, as a stalled disk would. */
  pause(paused: boolean): void;
  /** Detaches, drains what the rings hold, then gives a final cut. */
  stop(): void;
  /** Frees everything. After it no view of a slot may be touched. */
  close(): void;
}

export interface ProbeResult {
  readonly name: string;
  readonly ok: boolean;
  /** Why not, in our words. */
  readonly detail: string;
}

export interface Native {
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
  /** The clocks read together, ns: REALTIME, MONOTONIC (that of ktime), BOOTTIME (that of pstart). */
  clocks(): { realtime: bigint; monotonic: bigint; boottime: bigint };
  /** `getsockopt(SO_PEERCRED)` of a connected Unix socket's descriptor. */
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
}

let loaded: Native | null = null;

/** Loads the addon on first use; throws TapioError where it is not built. */
export function native(): Native {
  if (loaded === null) {
    const path = addonPath();
    if (!existsSync(path)) {
      throw new TapioError('internal', 'the native addon is not built: run npm run build');
    }
    loaded = createRequire(import.meta.url)(path) as Native;
  }
  return loaded;
}

function addonPath(): string {
  // The bundle lies in dist/chunks/, this file in src/source/: both are two folders deep.
  return fileURLToPath(new URL('../../build/Release/tapio_native.node', import.meta.url));
}
