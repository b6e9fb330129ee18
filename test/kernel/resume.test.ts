// A recorder that dies leaves its rings and programs behind, and the next one goes on from the last cut:
// every event exactly once, what was overwritten counted exactly, and nothing left behind in the end.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import type { CutItem } from '../../src/event/batch.ts';
import {
  type NativeSource,
  native,
  type SourceOptions,
  type StartResult,
} from '../../src/source/binding.ts';
import { describeKernel } from '../support/kernel.ts';
import { changeSession, FINGERPRINT_AT, LAYOUTS_AT } from '../support/pinned.ts';
import { ROOT, type Row, run, temporaryDirectory } from '../support/recording.ts';
import { fromJson, pointOf, RowTaker, type SourceRow, toJson } from '../support/source-rows.ts';

const directory = temporaryDirectory();
const driver = `${directory.path}/drive`;
const pinRoot = `/sys/fs/bpf/tapio-test-${process.pid}`;
const store = `${pinRoot}/store`;
const OPEN = EVENTS.file.ops.open.id;
const READ = EVENTS.file.ops.read.id;
const FORK = EVENTS.process.ops.fork.id;
const EXIT = EVENTS.process.ops.exit.id;
const CALL = EVENTS.syscall.ops.call.id;
const OPS_MAX = native().opsMax;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const sum = (values: BigUint64Array): bigint => values.reduce((a, b) => a + b, 0n);

function sourceOptions(changes: Partial<SourceOptions> = {}): SourceOptions {
  return {
    kind: 'live',
    ringBytes: 16 << 20,
    tsOffset: 0n,
    nextSeq: 1n,
    slotsPerType: 2,
    ops: [OPEN],
    syscalls: [],
    latency: true,
    exclude: { pids: [], uids: [], comms: [], cgroups: [] },
    pins: { directory: store, recording: 'a recording', store: '/somewhere' },
    resume: null,
    orphanTimeoutNs: 60_000_000_000n,
    ...changes,
  };
}

/** A recorder in a process of its own. What it told with its cuts is what was committed. */
class Child {
  readonly rows: SourceRow[] = [];
  readonly cuts: CutItem[] = [];
  readonly process: ChildProcess;
  started = false;
  readonly #closed: Promise<unknown>;

  private constructor(options: SourceOptions) {
    this.process = spawn(execPath, ['test/support/source-child.ts', toJson(options)], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = this.process;
    if (stdout === null) throw new Error('no stdout');
    createInterface(stdout).on('line', (line) => {
      let told: { rows?: SourceRow[]; cut?: CutItem };
      try {
        told = fromJson(line) as typeof told;
      } catch {
        return; // it was killed in the middle of the line
      }
      this.started = true;
      this.rows.push(...(told.rows ?? []));
      if (told.cut !== undefined) this.cuts.push(told.cut);
    });
    this.#closed = new Promise((resolve) => this.process.on('close', resolve));
  }

  static async start(changes: Partial<SourceOptions> = {}): Promise<Child> {
    const child = new Child(sourceOptions(changes));
    await until(() => child.started);
    return child;
  }

  get lastCut(): CutItem {
    const cut = this.cuts.at(-1);
    if (cut === undefined) throw new Error('no cut yet');
    return cut;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#closed;
  }
}

async function until(enough: () => boolean): Promise<void> {
  for (let tries = 0; !enough(); tries++) {
    if (tries > 3000) throw new Error('waited too long');
    await sleep(10);
  }
}

/** A recorder in this process. */
class Here {
  readonly source: NativeSource;
  readonly taker: RowTaker;
  readonly started: StartResult;

  constructor(changes: Partial<SourceOptions> = {}) {
    this.source = native().createSource(sourceOptions(changes), () => {});
    this.taker = new RowTaker(this.source);
    try {
      this.started = this.source.start();
    } catch (error) {
      this.source.close();
      throw error;
    }
    open.push(this.source);
  }

  /** Goes on from a cut. */
  static from(cut: CutItem, changes: Partial<SourceOptions> = {}): Here {
    return new Here({ resume: pointOf(cut), nextSeq: cut.throughSeq + 1n, ...changes });
  }

  /** Waits for a cut that was made after this was called. */
  async cut(): Promise<CutItem> {
    for (let i = 0; i < 2; i++) {
      const before = this.taker.cuts.length;
      this.source.cut(null);
      await until(() => {
        this.taker.pump();
        return this.taker.cuts.length > before;
      });
    }
    return this.taker.cuts.at(-1) as CutItem;
  }

  /** Stops it and lets go of the rings, as after a commit. */
  async end(): Promise<CutItem> {
    this.source.stop();
    await until(() => {
      this.taker.pump();
      return this.taker.cuts.at(-1)?.final === true;
    });
    const last = this.taker.cuts.at(-1) as CutItem;
    for (const rings of new Set(this.taker.cuts.filter((c) => c.ended).map((c) => c.rings))) {
      this.source.forget(rings);
    }
    this.source.close();
    return last;
  }
}

const open: NativeSource[] = [];
const children: Child[] = [];

/** How often each number was opened by the driver. */
function numbers(rows: readonly SourceRow[]): Map<number, number> {
  const times = new Map<number, number>();
  for (const row of rows) {
    const text = /^\/numbered\/(\d+)$/.exec(String(row.path))?.[1];
    if (text !== undefined) times.set(Number(text), (times.get(Number(text)) ?? 0) + 1);
  }
  return times;
}

function expectOnce(rows: readonly SourceRow[], count: number): void {
  const times = numbers(rows);
  const wrong: [number, number][] = [];
  for (let i = 0; i < count; i++) if (times.get(i) !== 1) wrong.push([i, times.get(i) ?? 0]);
  expect(wrong.slice(0, 10)).toEqual([]);
  expect(times.size).toBe(count);
}

async function drive(kind: string, count: number, first = 0, cpu?: number): Promise<Row> {
  const args = [driver, kind, String(count), String(first)];
  const text =
    cpu === undefined
      ? await run(driver, args.slice(1))
      : await run('taskset', ['-c', String(cpu), ...args]);
  return JSON.parse(text) as Row;
}

function seqsHaveNoGap(rows: readonly SourceRow[], from: bigint): void {
  const seqs = rows.map((row) => row.seq).sort((a, b) => Number(a - b));
  expect(seqs.every((seq, i) => seq === from + BigInt(i))).toBe(true);
}

const sets = (): string[] => (existsSync(store) ? readdirSync(store) : []);
/** Hooks that any op is served by: they keep the names of cgroups. */
const AIDS = ['link_cgroup_entered', 'link_cgroup_made'];
const links = (rings: string): string[] =>
  readdirSync(join(store, rings)).filter((name) => name.startsWith('link_'));

beforeAll(() => {
  execFileSync('gcc', ['-O2', '-o', driver, 'test/kernel/drive.c'], { cwd: ROOT });
});
afterAll(() => directory.remove());
beforeEach(() => {
  open.length = 0;
  children.length = 0;
});
afterEach(async () => {
  for (const child of children) await child.kill();
  for (const source of open) source.close();
  for (const { path } of native().pinned(pinRoot)) native().unpin(path);
  expect(existsSync(pinRoot)).toBe(false);
});

async function child(changes: Partial<SourceOptions> = {}): Promise<Child> {
  const made = await Child.start(changes);
  children.push(made);
  return made;
}

describeKernel('resume', () => {
  test('killed while it records: the next goes on with the same rings, each event once', async () => {
    const before = await child();
    await drive('numbered', 5_000);
    await until(() => before.cuts.length > 0 && numbers(before.rows).size > 1000);
    const driving = drive('numbered', 40_000, 5_000);
    await sleep(30);
    await before.kill();
    await driving;
    // While nobody reads; also by the process that will go on, which is then not to record itself.
    await drive('numbered', 5_000, 45_000);
    for (let i = 0; i < 7; i++) expect(() => openSync(`/own/${i}`, 'r')).toThrow();
    const [left] = native().pinned(pinRoot);
    expect(statSync(store).mode & 0o777).toBe(0o700);
    expect(statSync(String(left?.path)).mode & 0o777).toBe(0o700);
    expect(left).toMatchObject({
      store: '/somewhere',
      recording: 'a recording',
      rings: before.lastCut.rings,
      pid: before.process.pid,
      alive: false,
      mutedSince: 0n,
    });
    const after = Here.from(before.lastCut);
    expect(after.started).toMatchObject({ how: 'continued', resumed: true, notes: [] });
    await drive('numbered', 5_000, 50_000);
    expect(() => openSync('/own/later', 'r')).toThrow();
    const last = await after.end();
    expectOnce([...before.rows, ...after.taker.rows], 55_000);
    seqsHaveNoGap([...before.rows, ...after.taker.rows], 1n);
    // Own records stay out of the rows; those from before it was known are counted.
    expect(after.taker.rows.filter((row) => row.pid === process.pid)).toEqual([]);
    expect(sum(last.own)).toBeGreaterThanOrEqual(7n);
    expect(sum(last.lost)).toBe(0n);
    expect(sum(last.emitted)).toBe(sum(last.consumed) + sum(last.own));
    expect(last.rings).toBe(before.lastCut.rings);
    expect([last.handoverFirst, last.mutedFirst]).toEqual([0n, 0n]);
    // What is no row has no seq, but what was given to it stands in the counters of all processes.
    expect(sum(last.consumed)).toBe(last.throughSeq);
    expect(sets()).toEqual([]);
    expect(existsSync(pinRoot)).toBe(false);
  });

  test('another ring size: the old rings are drained first, then come the new ones', async () => {
    const before = await child({ ringBytes: 8 << 20 });
    await drive('numbered', 3_000);
    await until(() => before.cuts.length > 0 && numbers(before.rows).size > 0);
    await before.kill();
    await drive('numbered', 3_000, 3_000);
    const after = Here.from(before.lastCut);
    expect(after.started).toMatchObject({ how: 'replaced', resumed: true, notes: [] });
    expect(after.source.cpus).toBe(before.lastCut.positions.length);
    await drive('numbered', 3_000, 6_000);
    await after.cut();
    const ended = after.taker.cuts.filter((cut) => cut.ended);
    expect(ended.map((cut) => [cut.rings, cut.final])).toEqual([[before.lastCut.rings, false]]);
    const old = ended[0] as CutItem;
    expect(old.handoverLast).toBeGreaterThanOrEqual(old.handoverFirst);
    expect(old.handoverFirst).toBeGreaterThan(0n);
    expect(sum(old.emitted)).toBe(sum(old.consumed) + sum(old.own));
    expect(sum(old.lost)).toBe(0n);
    // Until the cut is durable the old rings stay; nothing writes them any more.
    expect(sets().length).toBe(2);
    expect(links(old.rings)).toEqual([]);
    after.source.forget(old.rings);
    expect(sets()).not.toContain(old.rings);
    const last = await after.end();
    expect(last.rings).not.toBe(old.rings);
    expect(sum(last.consumed)).toBe(last.throughSeq - old.throughSeq);
    expectOnce([...before.rows, ...after.taker.rows], 9_000);
    seqsHaveNoGap([...before.rows, ...after.taker.rows], 1n);
    // Set by set: all of the old rings has lower seqs than all of the new ones.
    for (const row of after.taker.rows) {
      const number = Number(/^\/numbered\/(\d+)$/.exec(String(row.path))?.[1] ?? -1);
      if (number >= 6_000) expect(row.seq).toBeGreaterThan(old.throughSeq);
      else if (number >= 0) expect(row.seq).toBeLessThanOrEqual(old.throughSeq);
    }
  });

  test('killed between the end of the old rings and their commit: the same once more', async () => {
    const first = await child({ ringBytes: 8 << 20 });
    await drive('numbered', 1_000);
    await until(() => first.cuts.length > 0);
    await first.kill();
    await drive('numbered', 1_000, 1_000);
    // Takes over, drains the old rings, and commits none of it.
    const second = await child({
      resume: pointOf(first.lastCut),
      nextSeq: first.lastCut.throughSeq + 1n,
    });
    await drive('numbered', 1_000, 2_000);
    await until(() => second.cuts.some((cut) => !cut.ended));
    await second.kill();
    await drive('numbered', 1_000, 3_000);
    const third = Here.from(first.lastCut);
    expect(third.started).toMatchObject({ how: 'continued', resumed: true });
    const last = await third.end();
    expect(third.taker.cuts.filter((cut) => cut.ended).map((cut) => cut.rings)).toEqual([
      first.lastCut.rings,
      last.rings,
    ]);
    expectOnce([...first.rows, ...third.taker.rows], 4_000);
    seqsHaveNoGap([...first.rows, ...third.taker.rows], 1n);
  });

  test('other ops: the same rings go on, hooks are added and taken off', async () => {
    const before = await child({ ops: [OPEN, EXIT] });
    const [rings] = sets();
    expect(links(String(rings)).sort()).toEqual([
      ...['link_call_enter', 'link_call_exit'],
      ...[...AIDS, 'link_process_exit'],
    ]);
    await drive('numbered', 1_000);
    await until(() => before.cuts.length > 0);
    await before.kill();
    await drive('numbered', 1_000, 1_000);
    const after = Here.from(before.lastCut, { ops: [OPEN, READ, FORK], latency: false });
    expect(after.started).toMatchObject({ how: 'continued', resumed: true, notes: [] });
    expect(links(String(rings)).sort()).toEqual([
      ...['link_call_exit', ...AIDS],
      'link_process_fork',
    ]);
    const { pid } = await drive('exec', 20);
    await drive('numbered', 1_000, 2_000);
    const { throughSeq } = await after.cut();
    const late = after.taker.rows.filter((row) => row.pid === pid);
    expect(late.filter((row) => row.op === 'fork').length).toBe(20);
    expect(after.taker.rows.some((row) => row.op === 'read')).toBe(true);
    after.source.configure(sourceOptions({ ops: [EXIT] }));
    expect(links(String(rings)).sort()).toEqual([...AIDS, 'link_process_exit']);
    await drive('numbered', 10, 9_000);
    await after.end();
    const more = after.taker.rows.filter((row) => row.seq > throughSeq);
    expect(more.some((row) => row.op === 'exit')).toBe(true);
    expectOnce([...before.rows, ...after.taker.rows], 3_000);
  });

  test('lapped while nobody reads: stored + lost = issued, per op and CPU', async () => {
    const changes = {
      ringBytes: 512 << 10,
      ops: [CALL, OPEN],
      syscalls: [native().syscalls().getppid ?? 0],
      latency: false,
    };
    const before = await child(changes);
    const pids = [
      (await drive('getppid', 1_000, 0, 0)).pid,
      (await drive('getppid', 1_000, 0, 1)).pid,
    ];
    await until(() => before.rows.filter((row) => pids.includes(row.pid)).length >= 2_000);
    await before.kill();
    pids.push(
      (await drive('getppid', 100_000, 0, 0)).pid,
      (await drive('getppid', 50_000, 0, 1)).pid,
    );
    await drive('numbered', 20_000, 0, 0);
    const after = Here.from(before.lastCut, changes);
    expect(after.started).toMatchObject({ how: 'continued', resumed: true });
    pids.push((await drive('getppid', 100, 0, 0)).pid, (await drive('getppid', 100, 0, 1)).pid);
    await drive('numbered', 100, 20_000, 0);
    // Known while it runs, from the records alone: each op has been seen since.
    const cut = await after.cut();
    const of = (values: BigUint64Array, op: number): bigint[] =>
      Array.from(cut.positions, (_, cpu) => values[cpu * OPS_MAX + op] ?? 0n);
    const issued = of(cut.emitted, CALL).reduce((a, b) => a + b, 0n);
    const lost = of(cut.lost, CALL).reduce((a, b) => a + b, 0n);
    const stored = [...before.rows, ...after.taker.rows].filter((row) => row.op === 'call');
    // Others may ask for their parents too.
    expect(issued).toBeGreaterThanOrEqual(152_200n);
    // What was driven while nobody read may be gone altogether, where others lapped the rings as well.
    expect(stored.filter((row) => pids.includes(row.pid)).length).toBeGreaterThanOrEqual(2_200);
    expect(lost).toBeGreaterThan(100_000n);
    expect(BigInt(stored.length) + lost).toBe(issued);
    const [loss] = after.taker.cuts.filter((one) => one.lossLast.some((ktime) => ktime > 0n));
    for (const first of loss?.lossFirst ?? []) {
      if (first > 0n) expect(first).toBeGreaterThanOrEqual(before.lastCut.newest);
    }
    expect(loss).toBeDefined();
    const last = await after.end();
    for (let i = 0; i < last.emitted.length; i++) {
      expect((last.consumed[i] ?? 0n) + (last.own[i] ?? 0n) + (last.lost[i] ?? 0n)).toBe(
        last.emitted[i],
      );
    }
    const opens = [...before.rows, ...after.taker.rows].filter((row) => row.op === 'open').length;
    const opensLost = Array.from(last.positions, (_, cpu) => last.lost[cpu * OPS_MAX + OPEN] ?? 0n);
    const opensOwn = Array.from(last.positions, (_, cpu) => last.own[cpu * OPS_MAX + OPEN] ?? 0n);
    const opened = Array.from(last.positions, (_, c) => last.emitted[c * OPS_MAX + OPEN] ?? 0n);
    const total = (values: bigint[]): bigint => values.reduce((a, b) => a + b, 0n);
    expect(BigInt(opens) + total(opensLost) + total(opensOwn)).toBe(total(opened));
    for (const times of numbers([...before.rows, ...after.taker.rows]).values()) {
      expect(times).toBe(1);
    }
  });

  test('nobody reads for longer than the timeout: silence, told by the next', async () => {
    const before = await child({ orphanTimeoutNs: 1_000_000_000n });
    await drive('numbered', 100);
    await until(() => numbers(before.rows).size === 100);
    await before.kill();
    await sleep(1_500);
    await drive('numbered', 1_000, 1_000);
    const [left] = native().pinned(pinRoot);
    expect(left?.alive).toBe(false);
    expect(left?.mutedSince).toBeGreaterThan(0n);
    const after = Here.from(before.lastCut, { orphanTimeoutNs: 1_000_000_000n });
    expect(after.started).toMatchObject({ how: 'continued', resumed: true });
    await after.cut();
    await drive('numbered', 100, 100);
    // The heart goes on beating while nothing is read, and while nothing happens here.
    after.source.pause(true);
    const wait = Date.now() + 1_800;
    while (Date.now() < wait);
    await drive('numbered', 100, 200);
    after.source.pause(false);
    await after.end();
    const muted = after.taker.cuts.filter((cut) => cut.mutedLast > 0n);
    expect(muted.length).toBe(1);
    expect(muted[0]?.mutedFirst).toBe(left?.mutedSince);
    expect(muted[0]?.mutedLast).toBeGreaterThan(muted[0]?.mutedFirst ?? 0n);
    const times = numbers([...before.rows, ...after.taker.rows]);
    for (let i = 0; i < 300; i++) expect(times.get(i)).toBe(1);
    // The event that found the deadline past is recorded, and those that were on their way.
    const silent = [...times.keys()].filter((number) => number >= 1_000);
    expect(silent.length).toBeLessThan(10);
  });

  test('stopped for longer than the timeout, then let go on: it sets the programs going again', async () => {
    const one = await child({ orphanTimeoutNs: 1_000_000_000n });
    await drive('numbered', 10);
    await until(() => numbers(one.rows).size === 10);
    one.process.kill('SIGSTOP');
    await sleep(1_500);
    await drive('numbered', 1_000, 1_000);
    one.process.kill('SIGCONT');
    await until(() => one.cuts.some((cut) => cut.mutedLast > 0n));
    await drive('numbered', 10, 10);
    await until(() => numbers(one.rows).has(19));
    const times = numbers(one.rows);
    for (let i = 0; i < 20; i++) expect(times.get(i)).toBe(1);
    expect([...times.keys()].filter((number) => number >= 1_000).length).toBeLessThan(10);
    await one.kill();
  });

  test('a silent recorder whose rings are replaced: the silence is told with the old ones', async () => {
    const before = await child({ orphanTimeoutNs: 500_000_000n, ringBytes: 8 << 20 });
    await until(() => before.cuts.length > 0);
    await before.kill();
    await sleep(700);
    await drive('numbered', 100, 1_000);
    const since = native().pinned(pinRoot)[0]?.mutedSince ?? 0n;
    expect(since).toBeGreaterThan(0n);
    const after = Here.from(before.lastCut);
    expect(after.started.how).toBe('replaced');
    await drive('numbered', 100);
    await after.end();
    const [muted] = after.taker.cuts.filter((cut) => cut.mutedLast > 0n);
    expect(muted?.mutedFirst).toBe(since);
    const times = numbers(after.taker.rows);
    for (let i = 0; i < 100; i++) expect(times.get(i)).toBe(1);
  });

  test('closed without a stop it goes on recording, until it is unpinned', async () => {
    const first = new Here();
    const cut = await first.cut();
    first.source.close();
    await drive('numbered', 500);
    const [left] = native().pinned(pinRoot);
    expect(left).toMatchObject({ pid: 0, alive: false, rings: cut.rings, ringBytes: 32 << 20 });
    const second = Here.from(cut);
    expect(second.started).toMatchObject({ how: 'continued', resumed: true });
    await second.cut();
    expectOnce(second.taker.rows, 500);
    second.source.close();
    native().unpin(String(left?.path));
    expect(existsSync(pinRoot)).toBe(false);
    native().unpin(String(left?.path));
    expect(() => native().unpin('/tmp')).toThrow('is not in a BPF file system');
  });

  test('stopped but not let go of: what it held is still there for the next', async () => {
    const first = new Here();
    const cut = await first.cut();
    await drive('numbered', 100);
    first.source.stop();
    first.source.close();
    expect(links(cut.rings)).toEqual([]);
    await drive('numbered', 100, 1_000);
    const second = Here.from(cut);
    expect(second.started).toMatchObject({ how: 'continued', resumed: true });
    await drive('numbered', 100, 100);
    await second.end();
    expectOnce(second.taker.rows, 200);
    const [muted] = second.taker.cuts.filter((one) => one.mutedLast > 0n);
    expect(muted?.mutedLast).toBeGreaterThan(muted?.mutedFirst ?? 0n);
    expect(existsSync(pinRoot)).toBe(false);
  });

  test('rings of another recording, and what is no set, are removed and told', async () => {
    const first = new Here();
    await first.cut();
    first.source.close();
    execFileSync('mkdir', [join(store, 'nonsense')]);
    const pins = { directory: store, recording: 'another', store: '/somewhere' };
    const second = new Here({ pins });
    expect(second.started).toMatchObject({ how: 'new', resumed: false });
    expect(second.started.notes.length).toBe(2);
    expect(second.started.notes.join()).toContain('of another recording (a recording)');
    expect(second.started.notes.join()).toContain('not complete');
    expect(sets().length).toBe(1);
    await second.end();
    expect(existsSync(pinRoot)).toBe(false);
  });

  test('rings of another event table are read with its layouts; damaged ones are removed', async () => {
    const cases = [
      { change: { at: FINGERPRINT_AT, text: 'another' }, how: 'replaced', note: '' },
      { change: { at: LAYOUTS_AT, text: 'o 1 x' }, how: 'new', note: 'cannot be read' },
      { change: { at: 0, text: '\x02' }, how: 'new', note: 'another version of the recorder' },
    ];
    for (const { change, how, note } of cases) {
      const before = await child();
      await drive('numbered', 500);
      await until(() => before.cuts.length > 0);
      await before.kill();
      await drive('numbered', 500, 500);
      changeSession(join(store, before.lastCut.rings), FINGERPRINT_AT, 'another');
      changeSession(join(store, before.lastCut.rings), change.at, change.text);
      const after = Here.from(before.lastCut);
      expect(after.started).toMatchObject({ how, resumed: how === 'replaced' });
      expect(after.started.notes.join()).toContain(note);
      await drive('numbered', 500, 1_000);
      const last = await after.end();
      expect(sum(last.malformed)).toBe(0n);
      const times = numbers([...before.rows, ...after.taker.rows]);
      if (how === 'replaced') expectOnce([...before.rows, ...after.taker.rows], 1_500);
      for (let i = 1_000; i < 1_500; i++) expect(times.get(i)).toBe(1);
    }
  });

  test('where nothing can be pinned it records all the same, and says why', async () => {
    const pins = { directory: `${directory.path}/pins`, recording: 'r', store: '/s' };
    const one = new Here({ pins });
    expect(one.started.how).toBe('new');
    expect(one.started.notes.join()).toContain('is not in a BPF file system');
    await drive('numbered', 100);
    await one.end();
    expectOnce(one.taker.rows, 100);
    expect(existsSync(pins.directory)).toBe(false);
  });

  test('rewind: the rings still hold what a full disk could not take', async () => {
    const one = new Here();
    await drive('numbered', 100);
    const cut = await one.cut();
    await drive('numbered', 1_000, 100);
    await one.cut();
    const first = one.taker.rows.filter((row) => row.seq > cut.throughSeq);
    one.source.rewind({ tsOffset: 5n, nextSeq: cut.throughSeq + 1n, point: pointOf(cut) });
    one.taker.forgetDictionaries();
    one.taker.rows.splice(0);
    await drive('numbered', 100, 1_100);
    one.source.pause(false);
    await one.end();
    const again = one.taker.rows;
    expect(numbers(again).size).toBe(1_100);
    const known = new Map(again.map((row) => [row.seq, row]));
    for (const row of first) {
      expect(known.get(row.seq)).toEqual({ ...row, ts: (row.ts as bigint) + 5n });
    }
  });
});
