// Who is alive and what each runs, from the snapshot, /proc and rows.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { BatchItem, ProcessSnapshot } from '../../src/event/batch.ts';
import { Mask } from '../../src/recorder/mask.ts';
import { argsOf } from '../../src/recorder/proc.ts';
import { ProcessTable } from '../../src/recorder/processes.ts';
import { processStartTicks } from '../../src/segment/store.ts';
import { native } from '../../src/source/binding.ts';
import { FakeNative, type FakeRow, FakeSource } from '../support/fake-source.ts';

const regions = new FakeNative().columns(1);
const FAR = 2 ** 22 + 1; // beyond pid_max: /proc never has it

function apply(table: ProcessTable, source: FakeSource, rows: readonly FakeRow[]): void {
  source.rows('process', rows);
  const batch = source.take() as BatchItem;
  table.apply(batch, regions, source.slotBuffer(batch.slot));
  source.release(batch.slot);
}

const fresh = (): [ProcessTable, FakeSource] => [new ProcessTable(), new FakeSource(() => {})];
const parent = { pid: FAR, pstart: 5n, uid: 7, comm: 'sh' };

function snapshotOf(pid: number, pstart: bigint): ProcessSnapshot {
  return { pid, pstart, ppid: 1, uid: 0, cgroupId: 0n, comm: 'x' };
}

test('a child runs its parent’s program until it executes another', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { op: 'exec', ...parent, result: 0, filename: '/bin/sh', cwd: '/', args: ['sh', '-c', 'a b'] },
    { op: 'fork', ...parent, child_pid: FAR + 1, child_pstart: 9n },
  ]);
  expect(table.takeChanges()).toMatchObject([
    { pid: FAR, uid: 7, comm: 'sh', exe: '/bin/sh', args: ['sh', '-c', 'a b'], first_seq: null },
    { pid: FAR + 1, pstart: 9n, ppid: FAR, exe: '/bin/sh', comm: 'sh', first_seq: 2n },
  ]);
  apply(table, source, [
    { op: 'exec', pid: FAR + 1, pstart: 9n, comm: 'ls', result: 0, filename: '/bin/ls', args: [] },
    { op: 'exec', pid: FAR + 1, pstart: 9n, comm: 'ls', result: -2, filename: '/none' },
  ]);
  // Only what changed is told, and what is null in the row stays null.
  expect(table.takeChanges()).toMatchObject([
    { pid: FAR + 1, comm: 'ls', exe: '/bin/ls', cwd: null, args: null },
  ]);
});

test('another mask holds for the processes that are known', () => {
  const mask = new Mask(native(), []);
  const [table, source] = [new ProcessTable(mask), new FakeSource(() => {})];
  apply(table, source, [
    { op: 'exec', ...parent, result: 0, filename: '/bin/x', args: ['x', '--pin', '1234'] },
  ]);
  expect(table.takeChanges()).toMatchObject([{ args: ['x', '--pin', '1234'] }]);
  expect(mask.want([{ name: 'pins', pattern: '--pin\\s+(.*)' }])).toBe(true);
  expect(mask.begin()).toBe(true);
  table.hideAgain();
  table.rotate();
  expect(table.takeChanges()).toMatchObject([{ args: ['x', '--pin', '***'] }]);
  expect(mask.commit({})).toEqual({ pins: 1 });
  expect(mask.begin()).toBe(false);
  expect([mask.commit({ pins: 2 }), mask.total()]).toEqual([{ pins: 2 }, { pins: 3 }]);
});

test('who has ended stays for late rows, is not carried over, and is not another of that pid', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { op: 'exec', ...parent, result: 0, filename: '/bin/sh', args: ['sh'] },
    { op: 'exit', ...parent },
    { op: 'fork', ...parent, child_pid: FAR + 1, child_pstart: 9n },
  ]);
  const [ended, child] = table.takeChanges();
  expect(ended).toMatchObject({ exe: '/bin/sh', last_seq: 2n });
  expect(child).toMatchObject({ exe: '/bin/sh', last_seq: null });
  expect(table.inSegment).toBe(2);
  table.rotate();
  source.cutNow('rotated');
  source.take();
  expect(table.takeChanges()).toMatchObject([{ pid: FAR + 1 }]);
  apply(table, source, [{ op: 'fork', pid: FAR, pstart: 6n, comm: 'new', child_pid: FAR + 2 }]);
  expect(table.takeChanges()[0]).toMatchObject({ pid: FAR, pstart: 6n, exe: null, comm: 'new' });
});

test('a late row of one that ended in the segment before does not bring it back to life', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { op: 'exec', ...parent, result: 0, filename: '/bin/sh' },
    { op: 'exit', ...parent },
  ]);
  table.rotate();
  source.cutNow('rotated');
  source.take();
  expect(table.inSegment).toBe(0);
  apply(table, source, [
    { op: 'fork', ...parent, flags: 1, child_pid: FAR + 1, child_pstart: 9n },
    { op: 'exec', ...parent, uid: 8, flags: 1, result: -2, filename: '/none' },
  ]);
  expect(table.takeChanges()).toMatchObject([
    { pid: FAR + 1, exe: '/bin/sh', last_seq: null },
    { pid: FAR, uid: 8, last_seq: 2n },
  ]);
  table.takeChanges();
  table.rotate();
  expect(table.takeChanges()).toMatchObject([{ pid: FAR + 1 }]);
});

test('the table does not grow with those who came and went', () => {
  const [table, source] = fresh();
  for (let round = 0; round < 50; round++) {
    const rows = Array.from({ length: 50 }, (_, i) => ({
      op: i % 2 === 0 ? 'fork' : 'exit',
      pid: i % 2 === 0 ? FAR : FAR + round * 50 + i,
      pstart: i % 2 === 0 ? 1n : 2n,
      child_pid: FAR + round * 50 + i + 1,
      child_pstart: 2n,
    }));
    apply(table, source, rows);
    table.takeChanges();
  }
  expect(table.inSegment).toBe(1 + 50 * 25);
  table.rotate();
  expect(table.takeChanges().length).toBe(1);
});

test('a fork row that comes after the child’s own, or for one of the snapshot, changes little', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { op: 'exec', pid: FAR + 1, pstart: 9n, comm: 'ls', result: 0, filename: '/bin/ls' },
    { op: 'fork', ...parent, child_pid: FAR + 1, child_pstart: 9n },
  ]);
  const child = table.takeChanges().find((row) => row.pid === FAR + 1);
  expect(child).toMatchObject({ exe: '/bin/ls', comm: 'ls', first_seq: 2n });
});

test('a fork row that comes late still says what the child runs', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { op: 'exec', ...parent, result: 0, filename: '/bin/sh', cwd: '/', args: ['sh'] },
    { op: 'fork', pid: FAR + 1, pstart: 9n, comm: 'sh', child_pid: FAR + 2, child_pstart: 10n },
    { op: 'fork', ...parent, child_pid: FAR + 1, child_pstart: 9n },
  ]);
  const child = table.takeChanges().find((row) => row.pid === FAR + 1);
  expect(child).toMatchObject({ exe: '/bin/sh', args: ['sh'], cwd: '/', first_seq: 3n });
});

test('names are those of the main thread, and a child has that of the thread which made it', () => {
  const [table, source] = fresh();
  const thread = { ...parent, tid: FAR + 7, comm: 'worker' };
  apply(table, source, [
    { op: 'exec', ...parent, tid: FAR, result: 0, filename: '/bin/sh' },
    { op: 'exec', ...parent, tid: FAR, comm: 'renamed', result: -2, filename: '/none' },
    { op: 'fork', ...thread, child_pid: FAR + 1, child_pstart: 9n },
  ]);
  expect(table.takeChanges()).toMatchObject([
    { pid: FAR, comm: 'renamed' },
    { pid: FAR + 1, comm: 'worker', exe: '/bin/sh' },
  ]);
});

test('a new user is told with the next row, whatever it tells of', () => {
  const [table, source] = fresh();
  apply(table, source, [{ op: 'exec', ...parent, result: 0, filename: '/bin/sh' }]);
  table.takeChanges();
  apply(table, source, [{ op: 'exec', ...parent, uid: 8, result: -2, filename: '/none' }]);
  expect(table.takeChanges()).toMatchObject([{ pid: FAR, uid: 8, exe: '/bin/sh' }]);
  apply(table, source, [{ op: 'exec', ...parent, uid: 8, result: -2, filename: '/none' }]);
  expect(table.takeChanges()).toEqual([]);
});

test('whose child an orphan is then is asked of /proc', async () => {
  // The shell's child is given to somebody else as the shell ends.
  const shell = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!; read line'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const pid = await new Promise<number>((resolve) =>
    shell.stdout.once('data', (text) => resolve(Number(text))),
  );
  try {
    const startOf = (of: number): bigint => BigInt(processStartTicks(of) ?? 0) * 10_000_000n;
    const [made, maker] = [
      snapshotOf(pid, startOf(pid)),
      snapshotOf(shell.pid ?? 0, startOf(shell.pid ?? 0)),
    ];
    const [table, source] = fresh();
    table.start([maker, { ...made, ppid: maker.pid }, { ...snapshotOf(FAR, 1n), ppid: maker.pid }]);
    table.takeChanges();
    const ended = new Promise((resolve) => shell.once('exit', resolve));
    shell.stdin.end();
    await ended;
    apply(table, source, [{ op: 'exit', pid: maker.pid, pstart: maker.pstart }]);
    const changed = table.takeChanges();
    const adopter = Number(
      /^\d+ \(.*\) \S+ (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1],
    );
    expect(adopter).not.toBe(maker.pid);
    expect(changed.map((row) => [row.pid, row.ppid])).toEqual([
      [maker.pid, 1],
      [pid, adopter],
    ]);
  } finally {
    process.kill(pid, 'SIGKILL');
  }
});

test('zombies are not alive', async () => {
  // The shell becomes a program that asks for no child's end, and only then its child ends.
  const program = spawn('/bin/sh', ['-c', 'read line <&3 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
  });
  const nap = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
  try {
    const pid = await new Promise<number>((resolve) =>
      program.stdout?.once('data', (text) => resolve(Number(text))),
    );
    const statOf = (of: number): string => readFileSync(`/proc/${of}/stat`, 'latin1');
    while (!statOf(program.pid ?? 0).includes('(sleep)')) await nap();
    (program.stdio[3] as Writable).end();
    while (!statOf(pid).includes(') Z ')) await nap();
    const table = new ProcessTable();
    table.start([snapshotOf(pid, 1n), snapshotOf(program.pid ?? 0, 1n), snapshotOf(FAR, 1n)]);
    expect(table.takeChanges().map((row) => row.pid)).toEqual([program.pid, FAR]);
  } finally {
    program.kill();
  }
});

test('/proc is believed only where the start is the same', async () => {
  const program = spawn('/bin/sleep', ['60'], { cwd: '/', stdio: 'ignore' });
  try {
    await new Promise((resolve) => program.once('spawn', resolve));
    const pid = program.pid ?? 0;
    const start = BigInt(processStartTicks(pid) ?? 0) * 10_000_000n;
    const table = new ProcessTable();
    table.start([snapshotOf(pid, start + 3n), snapshotOf(pid, start + 50_000_000n)]);
    const [real, other] = table.takeChanges();
    expect(real).toMatchObject({ args: ['/bin/sleep', '60'], cwd: '/' });
    expect(real?.exe).toMatch(/sleep$|coreutils$/);
    const own = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    expect(own).toContain(real?.cgroup);
    expect(other).toMatchObject({ exe: null, args: null, cwd: null, cgroup: null });
  } finally {
    program.kill();
  }
});

test('who moves to another cgroup loses the name of the old one', () => {
  const [table, source] = fresh();
  apply(table, source, [{ op: 'fork', ...parent, cgroup_id: 1n, child_pid: FAR + 1 }]);
  table.takeChanges();
  apply(table, source, [{ op: 'exit', ...parent, cgroup_id: 2n }]);
  expect(table.takeChanges()).toMatchObject([{ pid: FAR, cgroup_id: 2n, cgroup: null }]);
});

test('arguments that are no UTF-8 can be had back, and long ones are cut', async () => {
  const program = spawn('/bin/sh', ['-c', 'read line', 'back\\slash', '', 'x'.repeat(10_000)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  try {
    await new Promise((resolve) => program.once('spawn', resolve));
    const { args, cut } = argsOf(program.pid ?? 0) ?? { args: [], cut: false };
    expect(cut).toBe(true);
    expect(args.slice(1, 5)).toEqual(['-c', 'read line', 'back\\\\slash', '']);
    expect(args.join(' ').length).toBeLessThanOrEqual(4100);
  } finally {
    program.kill();
  }
  expect(argsOf(FAR)).toBeNull();
});
