// The disk fills up, fails, stalls, becomes read-only, or vanishes under a recorder of the live kernel. What
// the rings can hold costs nothing; what they cannot is counted exactly.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fill } from '../support/full-disk.ts';
import { Recording, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { accountsOf, cleanUp, cli, damageOf, pinsOf, sleep, statusOf, until } from './cli.ts';
import { Shim } from './shim.ts';
import { Found, NUMBERED_OPS, Workload } from './workload.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`crash tests must run: ${why}`);

const LONG = process.env.TAPIO_LONG !== undefined;
/** How long the disk is full, ms. */
const FULL_MS = LONG ? 60_000 : 5_000;
const STALL_MS = 10_000;
const STALLED_BYTES_MAX = 160 << 20;
/** Numbers a second of each of two drivers; each makes two events. */
const RATE = 1000;

/** What fills batch memory, 262,144 rows a type, and small rings in the time of a stall. */
const STALL_RATE = 15_000;

/** A ring that holds all that comes in these times, and the smallest there is. */
const LARGE = ['--ring-size', '64MiB'];
const SMALL = ['--ring-size', '512KiB'];

let directory: ReturnType<typeof temporaryDirectory>;
let undo: (() => unknown)[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  undo = [];
});
afterEach(async () => {
  for (const one of undo.reverse()) await one();
  directory.remove();
});

/** A directory for a store, and one for what stands beside it. */
function place(name: string): { store: string; beside: string } {
  const beside = join(directory.path, name);
  const store = join(beside, 'store');
  mkdirSync(store, { recursive: true, mode: 0o700 });
  undo.push(() => cleanUp(store));
  return { store, beside };
}

function mount(target: string, ...args: string[]): void {
  execFileSync('mount', [...args, target]);
  undo.push(() => {
    try {
      execFileSync('umount', ['-l', target], { stdio: 'ignore' });
    } catch {
      // The test has done it.
    }
  });
}

async function record(
  store: string,
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Recording> {
  const recording = await Recording.start(store, [...NUMBERED_OPS, ...flags], { env });
  undo.push(() => recording.kill());
  return recording;
}

function workload(rate = RATE): Workload {
  const made = new Workload(directory.path, rate);
  undo.push(() => made.stop());
  return made;
}

/** Memory of a process that is its own, bytes: the rings are not. */
function anonymousBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s*(\d+) kB/m.exec(status)?.[1]) * 1024;
}

const times = (text: string, words: string): number => text.split(words).length - 1;

/** What was lost, by cause, of an account that has to hold. */
function losses(store: string): { rows: Record<string, number>; lost: Record<string, number> } {
  const [account, ...more] = accountsOf(store);
  expect(more).toEqual([]);
  expect(account).toMatchObject({ holds: true, reasons: [] });
  const rows: Record<string, number> = {};
  const lost: Record<string, number> = {};
  for (const { stage, cause, count } of account?.causes ?? []) {
    rows[`${stage} ${cause}`] = (rows[`${stage} ${cause}`] ?? 0) + count;
  }
  for (const [op, one] of Object.entries(account?.ops ?? {})) lost[op] = one.lost;
  return { rows, lost };
}

/** Everything driven is stored once; but for what is lost, as the account says. */
function expectAll(store: string, driven: Workload): number {
  const found = new Found();
  found.take(store);
  expect([...found.wrong, ...found.doubled]).toEqual([]);
  expect(damageOf(store)).toBe('');
  const { rows, lost } = losses(store);
  const gone = lost['syscall.call'] ?? 0;
  // Nobody else makes these calls.
  expect(found.count('syscall') + gone).toBe(driven.total());
  if (Object.keys(rows).length === 0) expect(found.missing(driven.done())).toEqual([]);
  return gone;
}

describe.skipIf(why !== null)(`the disk ${why ?? ''}`, () => {
  test('is full for a while: said once, then all goes on; lost is what the rings could not hold', async () => {
    const large = place('large');
    const small = place('small');
    for (const { store } of [large, small])
      mount(store, '-t', 'tmpfs', '-o', 'size=24m,mode=700', 'none');
    const recordings = [await record(large.store, LARGE), await record(small.store, SMALL)];
    const driven = workload();
    await until('both have stored something', () =>
      [large, small].every(({ store }) => Number(statusOf(store).bytes) > 10_000),
    );
    for (const { store } of [large, small]) fill(join(store, 'filler'));
    await sleep(FULL_MS);
    for (const { store } of [large, small]) {
      expect(statusOf(store)).toMatchObject({ outage: { cause: 'no_space' }, held_from: /./ });
    }
    for (const { store } of [large, small]) rmSync(join(store, 'filler'));
    await until('both go on', () =>
      recordings.every(({ stderr }) => stderr.includes('can be written again')),
    );
    expect(statusOf(large.store).outage).toBe(null);
    await sleep(1000);
    await driven.stop();
    for (const recording of recordings) {
      const { stderr } = await recording.stop();
      expect([times(stderr, 'the disk of the store is full'), times(stderr, 'warning')]).toEqual([
        1, 2,
      ]);
    }
    expect(expectAll(large.store, driven)).toBe(0);
    const lost = expectAll(small.store, driven);
    expect(Object.keys(losses(small.store).rows)).toEqual(['ring no_space']);
    expect(lost).toBeGreaterThan(1000);
    console.log(
      `full for ${FULL_MS / 1000} s: ${driven.total()} calls, lost 0 with 64 MiB rings, ${lost} with 512 KiB`,
    );
  });

  test('is full as a killed recorder starts again: it waits, and nothing is lost', async () => {
    const { store } = place('full');
    mount(store, '-t', 'tmpfs', '-o', 'size=24m,mode=700', 'none');
    const killed = await record(store, LARGE);
    const driven = workload();
    await until('something is stored', () => Number(statusOf(store).bytes) > 10_000);
    await killed.kill();
    fill(join(store, 'filler'));
    const recording = await record(store, LARGE);
    await sleep(2000);
    expect(statusOf(store)).toMatchObject({ outage: { cause: 'no_space' } });
    rmSync(join(store, 'filler'));
    await until('it goes on', () => recording.stderr.includes('can be written again'));
    await driven.stop();
    await recording.stop();
    expect(expectAll(store, driven)).toBe(0);
    expect(readdirSync(join(store, 'segments')).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('fails with EIO, EDQUOT or EROFS for a while: survived, each said once, nothing lost', async () => {
    const { store, beside } = place('failing');
    const shim = new Shim(beside, store);
    const recording = await record(store, LARGE, shim.env);
    const driven = workload();
    const cases = [
      ['EIO', 'io_error', 'the disk of the store fails (EIO)'],
      ['EDQUOT', 'quota', 'the disk quota is used up'],
      ['EROFS', 'read_only', 'the file system of the store is read-only'],
    ] as const;
    for (const [error, cause, sentence] of cases) {
      await sleep(700);
      const before = times(recording.stderr, 'can be written again');
      shim.fail(error);
      await until(`${error} is said`, () => recording.stderr.includes(sentence));
      expect(statusOf(store)).toMatchObject({ outage: { cause } });
      await sleep(1500);
      shim.clear();
      await until('it goes on', () => times(recording.stderr, 'can be written again') > before);
      expect(times(recording.stderr, sentence)).toBe(1);
    }
    await driven.stop();
    await recording.stop();
    expect(expectAll(store, driven)).toBe(0);
    expect(losses(store).rows).toEqual({});
    console.log(`failed three times: ${driven.total()} calls, lost 0`);
  });

  test('stalls for ten seconds: status answers, memory is bounded, lost is what the rings could not hold', async () => {
    const [large, small] = [place('large'), place('small')];
    const shims = [large, small].map(({ beside, store }) => new Shim(beside, store));
    const recordings = [
      await record(large.store, LARGE, shims[0]?.env),
      await record(small.store, SMALL, shims[1]?.env),
    ];
    const driven = workload(STALL_RATE);
    await until('both have stored something', () =>
      [large, small].every(({ store }) => Number(statusOf(store).bytes) > 10_000),
    );
    await sleep(1500);
    const anonymous = (): number[] => recordings.map(({ pid }) => anonymousBytes(pid));
    const before = anonymous();
    for (const shim of shims) shim.stall();
    const since = performance.now();
    await sleep(2_000);
    for (const { store } of [large, small]) {
      const { events, stalled_s } = statusOf(store) as { events: object; stalled_s: number };
      expect(Object.keys(events)).toContain('syscall');
      expect(stalled_s).toBeGreaterThan(0);
    }
    await sleep(STALL_MS - (performance.now() - since));
    const grown = anonymous().map((bytes, i) => bytes - (before[i] ?? 0));
    for (const shim of shims) shim.clear();
    await until('both answer again', () =>
      [large, small].every(({ store }) => statusOf(store).stalled_s === null),
    );
    await driven.stop();
    for (const recording of recordings) {
      const { stderr } = await recording.stop();
      expect(stderr).not.toContain('warning');
    }
    expect(expectAll(large.store, driven)).toBe(0);
    const lost = expectAll(small.store, driven);
    expect(Object.keys(losses(small.store).rows)).toEqual(['ring overwritten']);
    expect(lost).toBeGreaterThan(1000);
    // Batch memory is four batches a type; it is touched as it fills.
    for (const bytes of grown) expect(bytes).toBeLessThan(STALLED_BYTES_MAX);
    console.log(
      `stalled for ${STALL_MS / 1000} s: ${driven.total()} calls, lost 0 with 64 MiB rings, ${lost} with 512 KiB; anonymous memory grew by ${grown.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(' and ')} MiB`,
    );
  });

  test('is read-only when it is to stop: one sentence, exit 1; the rings keep the rest', async () => {
    const { store, beside } = place('readonly');
    const image = join(beside, 'image');
    execFileSync('truncate', ['-s', '48M', image]);
    execFileSync('mkfs.ext4', ['-q', image]);
    mount(store, '-o', 'loop,errors=remount-ro', image);
    chmodSync(store, 0o700);
    const device = execFileSync('findmnt', ['-no', 'SOURCE', store]).toString().trim();
    const recording = await record(store, LARGE);
    const driven = workload();
    await until('something is stored', () => Number(statusOf(store).bytes) > 10_000);
    // As the kernel does when the disk fails under it.
    writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'a test');
    await until('it is said', () => recording.stderr.includes('is read-only'));
    expect(statusOf(store)).toMatchObject({ outage: { cause: 'read_only' } });
    recording.signal('SIGINT');
    expect(await recording.ended()).toBe(1);
    await driven.stop();
    // A commit that was under way may fail with EIO first, as the journal ends.
    const all = recording.stderr.trim().split('\n');
    const said = all.filter((line) => !line.includes('fails (EIO)'));
    expect(said.length).toBe(3);
    expect(all.length).toBeLessThanOrEqual(4);
    expect(said[2]).toContain(
      'the store cannot be written (read_only): what was committed is safe',
    );
    expect(damageOf(store)).toBe('');
    expect(existsSync(pinsOf(store))).toBe(true);
  });

  for (const [name, vanish] of [
    ['removed', (store: string) => rmSync(store, { recursive: true })],
    ['unmounted', (store: string) => execFileSync('umount', ['-l', store])],
  ] as const) {
    test(`is ${name}: one sentence, exit 1`, async () => {
      const { store, beside } = place(name);
      if (name === 'unmounted') mount(store, '-t', 'tmpfs', '-o', 'size=24m,mode=700', 'none');
      const at = name === 'removed' ? join(store, 'in') : store;
      const recording = await record(at, SMALL);
      const driven = workload();
      await until('something is stored', () => Number(statusOf(at).bytes) > 10_000);
      const pins = pinsOf(at);
      vanish(at);
      expect(await recording.ended()).toBe(1);
      await driven.stop();
      const said = recording.stderr.trim().split('\n');
      expect(said.length).toBe(2);
      expect(said[1]).toContain(`the store ${at} is gone`);
      // What dead recorders left is removed by name of the store's path, though the store is gone.
      expect(existsSync(pins)).toBe(true);
      expect(cli('tapio-record', 'doctor', '--clean', '--store', at).stdout).toContain(at);
      expect(existsSync(pins)).toBe(false);
      expect(readdirSync(beside)).toEqual(['store']);
    });
  }
});
