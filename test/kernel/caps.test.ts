// --sample and --limit: weights stand for what is left out, no flood takes the share of others, and the
// account holds.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeKernel } from '../support/kernel.ts';
import {
  queryRows,
  Recording,
  ROOT,
  type Row,
  run,
  temporaryDirectory,
} from '../support/recording.ts';

const directory = temporaryDirectory();
const drive = join(directory.path, 'drive');
const groups: string[] = [];

beforeAll(() => {
  execFileSync('gcc', ['-O2', '-o', drive, 'test/kernel/drive.c'], { cwd: ROOT });
});
afterAll(() => {
  for (const group of groups) rmdirSync(group);
  directory.remove();
});

/** A new cgroup of version 2. */
function makeGroup(name: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const mount = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2');
  const group = join(mount?.[1] ?? '', `tapio-caps-${process.pid}-${name}`);
  mkdirSync(group);
  groups.push(group);
  return group;
}

interface Driven {
  readonly pid: number;
  readonly count: number;
}

const driven = async (command: string, ...args: (string | number)[]): Promise<Driven> =>
  JSON.parse(await run(command, args.map(String))) as Driven;
const calls = (group: string, rate: number, seconds: number): Promise<Driven> =>
  driven('python3', 'test/kernel/caps.py', group, rate, seconds);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const weightOf = (rows: readonly Row[]): number =>
  rows.reduce((sum, { weight }) => sum + Number(weight), 0);

/** The most rows that lie in a second. */
function mostInASecond(rows: readonly Row[]): number {
  const times = rows.map(({ ts }) => Date.parse(String(ts).replace(/(\.\d{3})\d*/, '$1'))).sort();
  let [from, most] = [0, 0];
  times.forEach((time, i) => {
    while ((times[from] ?? 0) <= time - 1000) from++;
    most = Math.max(most, i - from + 1);
  });
  return most;
}

/** What the account says of an op; it holds. */
function accountOf(store: string, op: string): Row {
  const args = ['cli/tapio-replay.ts', 'account', '--store', store, '-o', 'json'];
  const { status, stdout } = spawnSync(execPath, args, { cwd: ROOT });
  expect(status, stdout.toString()).toBe(0);
  const { ops } = JSON.parse(stdout.toString()) as { ops: Record<string, Row> };
  return ops[op] ?? {};
}

describeKernel('caps', () => {
  test('the weights of a sample come to what was issued, of each process too', async () => {
    const store = join(directory.path, 'sample');
    const flags = ['--syscalls', 'getppid', '--sample', 'syscall.call=1/100,network.close=1/10'];
    const recording = await Recording.start(store, flags);
    const all = await Promise.all([
      driven(drive, 'getppid', 100_000),
      driven(drive, 'getppid', 30_000),
    ]);
    await driven(drive, 'accept', 500);
    const { summary } = await recording.stop();
    const rows = queryRows(store);
    for (const { pid, count } of all) {
      const own = rows.filter((row) => row.op === 'call' && row.pid === pid);
      expect(own.every(({ weight }) => weight === 100)).toBe(true);
      // Each is drawn with a probability of 1/100.
      expect(Math.abs(weightOf(own) - count)).toBeLessThan(3 * Math.sqrt(count * 99));
    }
    const closes = rows.filter((row) => row.op === 'close');
    expect(closes.every(({ weight }) => weight === 10)).toBe(true);
    const account = accountOf(store, 'syscall.call');
    expect(account.issued).toBe(account.stored + account.sampled);
    expect(account.issued).toBeGreaterThanOrEqual(130_000);
    const ends = accountOf(store, 'network.close');
    expect(ends.issued).toBe(ends.stored + ends.sampled);
    // Less than one block of each CPU is not whole.
    expect(Math.abs(ends.issued - weightOf(closes))).toBeLessThan(
      10 * navigator.hardwareConcurrency,
    );
    expect(summary.sampled).toBe(account.sampled + ends.sampled);
    // What has no sample is all there.
    expect(rows.filter((row) => row.op === 'connect' && row.comm === 'drive')).toHaveLength(500);
  });

  test('a flood does not take the share of others, and has what they leave', async () => {
    const [store, rate] = [join(directory.path, 'limit'), 2000];
    const flags = ['--syscalls', 'getppid', '--limit', `syscall.call=${rate}/s`];
    const recording = await Recording.start(store, flags);
    const [loud, quiet, late] = [makeGroup('loud'), makeGroup('quiet'), makeGroup('late')];
    const flood = calls(loud, 10 * rate, 4);
    const steady = calls(quiet, rate / 8, 4);
    await pause(1500);
    const newcomer = calls(late, rate / 10, 1.5);
    const [floods, steadies, newcomers] = await Promise.all([flood, steady, newcomer]);
    await recording.stop();
    const rows = queryRows(store).filter((row) => row.op === 'call');
    const rowsOf = ({ pid }: Driven): Row[] =>
      rows.filter((row) => row.pid === pid && row.comm === 'caps');
    for (const one of [steadies, newcomers]) {
      const own = rowsOf(one);
      expect(own).toHaveLength(one.count);
      expect(own.every(({ weight }) => weight === 1)).toBe(true);
    }
    // A window is a tenth of a second.
    // A second touches eleven, and one in which somebody comes may have more rows.
    expect(mostInASecond(rows)).toBeLessThanOrEqual(rate * 1.2);
    const others = rowsOf(steadies).length + rowsOf(newcomers).length;
    expect(rowsOf(floods).length).toBeGreaterThan(0.85 * (4 * rate - others));
    // What no row followed any more is all that the weights lack: less than a window of the flood.
    const account = accountOf(store, 'syscall.call');
    const missing = account.issued - weightOf(rows);
    expect(missing).toBeGreaterThanOrEqual(0);
    expect(missing).toBeLessThanOrEqual(rate * 2);
    expect(account.issued).toBe(account.stored + account.sampled);
    expect(floods.count - weightOf(rowsOf(floods))).toBeLessThanOrEqual(missing);
  });

  test('a sample and a limit go on across a death, and the account holds', async () => {
    const store = join(directory.path, 'both');
    const both = ['--sample', 'syscall.call=1/10', '--limit', 'syscall.call=1000/s'];
    const flags = ['--syscalls', 'getppid', ...both];
    const group = makeGroup('both');
    const first = await Recording.start(store, flags);
    await calls(group, 100_000, 0.5);
    await first.kill();
    await calls(group, 100_000, 0.5);
    const second = await Recording.start(store, flags);
    await calls(group, 100_000, 0.5);
    // Stands for what was left out before it.
    await pause(200);
    await calls(group, 1000, 0.2);
    await second.stop();
    const account = accountOf(store, 'syscall.call');
    const rows = queryRows(store).filter((row) => row.op === 'call');
    expect(account).toMatchObject({ stored: rows.length, lost: 0 });
    // A call of the second recorder may be recorded before it takes over, and is none of the rows.
    expect(account.filtered).toBeLessThanOrEqual(2);
    expect(account.issued).toBe(rows.length + account.sampled + account.filtered);
    expect(account.issued).toBeGreaterThan(100_000);
    expect(rows.every(({ weight }) => weight % 10 === 0)).toBe(true);
    expect(Math.abs(weightOf(rows) - account.issued)).toBeLessThan(
      3 * Math.sqrt(account.issued * 9),
    );
  });
});
