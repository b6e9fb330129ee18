// A host made up for tests on which all kinds of things happen, and the recorder that records it: rows of all
// types in one order, processes and sockets that the recorder keeps tables of, losses.

import { vi } from 'vitest';
import type { EventType } from '../../schemas/arrow.ts';
import { EVENTS, MAX_OPS } from '../../schemas/events.ts';
import { FLUSH_MS, Recorder } from '../../src/recorder/recorder.ts';
import { ROTATION } from '../../src/recorder/rotation.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import type { NativeSource, SourceOptions } from '../../src/source/binding.ts';
import { random } from './batches.ts';
import { FakeNative, type FakeRow, FakeSource, type FullRow } from './fake-source.ts';
import { BOOTED, People } from './people.ts';

/** Something that happened. */
interface Happening {
  readonly type: EventType;
  readonly row: FakeRow & { readonly op: string; readonly ts: bigint };
}

const PEERS = ['10.0.0.2', '10.0.0.77', '192.168.3.4', '2001:db8::1'];
const LATE = 1;

export class BusyHost {
  readonly people: People;
  readonly #random: () => number;
  #lastTs = 0n;

  constructor(seed: number) {
    this.people = new People(seed);
    this.#random = random(seed + 1);
  }

  next(): Happening {
    const what = this.#random();
    if (what < 0.3) {
      const row = this.people.step();
      this.#lastTs = row.ts;
      return { type: 'process', row };
    }
    const before = this.#lastTs;
    this.#lastTs = this.people.later();
    const { pid, pstart, ppid, uid, comm } = this.#pick(this.people.alive);
    const common = { pid, pstart, tid: pid, ppid, uid, comm, cpu: this.#below(2), cgroup_id: 7n };
    const row = { ...common, ts: this.#lastTs, latency_ns: BigInt(1 + this.#below(90_000)) };
    // Files only: who is late about a process or a socket is told apart by another test.
    if (what < 0.35) {
      return { type: 'file', row: { ...row, ...this.#file(), ts: before - 5n, flags: LATE } };
    }
    if (what < 0.65) return { type: 'file', row: { ...row, ...this.#file() } };
    if (what < 0.9) return { type: 'network', row: { ...row, ...this.#network() } };
    if (what < 0.97) {
      const name = this.#pick(['futex', 'getppid', 'openat']);
      const weight = this.#pick([1, 1, 10]);
      return {
        type: 'syscall',
        row: { ...row, op: 'call', name, nr: name.length, ret: 0n, weight },
      };
    }
    return { type: 'memory', row: { ...common, ts: this.#lastTs, op: 'oom', target_pid: pid } };
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#below(values.length)] as T;
  }

  #file(): FakeRow & { op: string } {
    const path = `/srv/${this.#pick(['a', 'b', 'ä'])}/${this.#below(30)}.log`;
    const fd = 3 + this.#below(5);
    switch (this.#below(4)) {
      case 0:
        return { op: 'open', path, ret: -2n, open_flags: 0x80000 };
      case 1:
        return { op: 'open', path, fd, ret: BigInt(fd), open_flags: 0x80000, inode: 77n };
      case 2:
        return { op: 'rename', path, new_path: `${path}.1`, ret: 0n };
      default: {
        const bytes = BigInt(this.#below(5_000));
        return { op: this.#pick(['read', 'write']), path, fd, bytes, ret: bytes };
      }
    }
  }

  #network(): FakeRow & { op: string } {
    const own = { protocol: 'tcp', family: 'inet', saddr: '10.0.0.1', sport: 80 + this.#below(3) };
    const peer = { ...own, daddr: this.#pick(PEERS), dport: 440 + this.#below(5) };
    switch (this.#below(7)) {
      case 0:
        return { ...own, op: 'listen', error: 0, old_state: 'CLOSE' };
      case 1:
        return { ...peer, op: 'accept', error: 0, new_state: 'ESTABLISHED' };
      case 2: {
        const states = { old_state: 'SYN_SENT', new_state: 'ESTABLISHED' };
        return { ...peer, op: 'connect', error: 0, ...states };
      }
      case 3:
        return { ...peer, op: 'connect', error: 111, old_state: 'SYN_SENT', new_state: 'CLOSE' };
      case 4:
        return { ...peer, op: 'retransmit', retransmits: this.#below(4) };
      case 5:
        return { ...peer, op: 'drop', drop_reason: 'NO_SOCKET' };
      default:
        return { ...peer, op: 'close', old_state: 'LAST_ACK', new_state: 'CLOSE', srtt_us: 100 };
    }
  }
}

const opId = ({ type, row }: Happening): number =>
  (EVENTS[type].ops as Readonly<Record<string, { readonly id: number }>>)[row.op]?.id ?? 0;

class BusySource extends FakeSource {
  /** Hands over what happened: rows of all types in one order, a batch of each type. */
  deal(happenings: readonly Happening[]): void {
    const byType = new Map<EventType, FullRow[]>();
    for (const one of happenings) {
      const rows = byType.get(one.type) ?? [];
      byType.set(one.type, rows);
      rows.push({ weight: 1, ...one.row, seq: this.nextSeq++ });
      const at = opId(one);
      for (const counts of [this.emitted, this.consumed]) counts[at] = (counts[at] ?? 0n) + 1n;
      const ktime = one.row.ts - this.tsOffset;
      if (ktime > this.newest) this.newest = ktime;
    }
    for (const [type, rows] of byType) this.handOver(type, rows);
  }

  /** So many rows of file.read were overwritten. */
  lose(count: bigint): void {
    const at = MAX_OPS + EVENTS.file.ops.read.id;
    for (const counts of [this.emitted, this.lost]) counts[at] = (counts[at] ?? 0n) + count;
    this.lossFirst = this.lossLast = this.newest;
  }
}

class BusyNative extends FakeNative {
  declare source: BusySource;

  override createSource(options: SourceOptions, wake: () => void): NativeSource {
    this.options = options;
    this.source = new BusySource(wake);
    this.source.tsOffset = options.tsOffset;
    this.source.alive = this.alive();
    return this.source;
  }

  alive: () => FakeSource['alive'] = () => [];
}

const OPS = Object.values(EVENTS).flatMap(({ ops }) => Object.values(ops).map(({ id }) => id));

/** A recorder of a busy host. Its timers must be fake: see vi.useFakeTimers(). */
export class BusyRecording {
  readonly host: BusyHost;
  readonly #native = new BusyNative();
  readonly #recorder: Recorder;
  readonly #done: Promise<void>;

  constructor(store: string, seed: number) {
    ensureStore(store);
    this.host = new BusyHost(seed);
    this.#native.time = { realtime: BOOTED, monotonic: 0n, boottime: 0n };
    this.#native.alive = () => this.host.people.snapshot();
    this.#recorder = new Recorder({
      ...{ native: this.#native, files: diskFiles, catalog: null, store },
      ...{ segments: segmentsOf(store), firstNumber: 0, recovered: [], retention: null },
      ...{ rotation: ROTATION, onNote: () => {} },
      source: {
        ...{ kind: 'live', pins: null, orphanTimeoutNs: 0n, ringBytes: 1 << 20, slotsPerType: 1 },
        ...{ ops: OPS, syscalls: [], latency: true },
        exclude: { pids: [], uids: [], comms: [], cgroups: [] },
      },
      host: { recorder: 'test', host: 'h', boot_id: 'b', kernel: 'k' },
      beginning: { recording: 'r', point: null, diedAt: null, untold: null },
    });
    this.#done = this.#recorder.run(() => {});
    this.#done.catch(() => {});
  }

  /** So many things happen, and are committed. */
  async happen(count: number, cut: 'plain' | 'rotated' = 'plain'): Promise<void> {
    this.#native.source.deal(Array.from({ length: count }, () => this.host.next()));
    await this.#cut(cut);
  }

  lose(count: bigint): void {
    this.#native.source.lose(count);
  }

  /** Seals what is open. */
  async stop(): Promise<void> {
    this.#recorder.stop();
    await this.#cut('final');
    await this.#done;
    this.#recorder.close();
  }

  /** Ends as one that is killed. */
  kill(): void {
    this.#recorder.close();
  }

  async #cut(kind: 'plain' | 'rotated' | 'final'): Promise<void> {
    this.#native.source.cutNow(kind);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(FLUSH_MS);
  }
}
