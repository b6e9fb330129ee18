// Ground truth: what an independent driver issued equals what is stored, lost and filtered.

import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
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
const driver = `${directory.path}/drive`;
const EACH = 10_000;
const ONLY_CALLS = [
  '--profile',
  'minimal',
  '--disable',
  'process.fork,process.exec,process.exit,process.signal',
];

beforeAll(() => {
  execFileSync('gcc', ['-O2', '-o', driver, 'test/kernel/drive.c'], { cwd: ROOT });
});
afterAll(() => directory.remove());

async function drive(kind: string, count: number, cpu = 0): Promise<Row> {
  return JSON.parse(await run('taskset', ['-c', String(cpu), driver, kind, String(count)])) as Row;
}

function sum(counts: unknown): number {
  if (typeof counts === 'number') return counts;
  return Object.values(counts as object).reduce((total: number, part) => total + sum(part), 0);
}

describeKernel('ground truth', () => {
  test(`${EACH} each of exec, accept, open and syscall.call are all there, once`, async () => {
    const store = `${directory.path}/each`;
    const recording = await Recording.start(store, ['--syscalls', 'getppid']);
    const exec = await drive('exec', EACH);
    const accept = await drive('accept', EACH, 1);
    const open = await drive('open', EACH);
    const call = await drive('getppid', EACH, 1);
    const { summary } = await recording.stop();
    expect(summary.lost).toEqual({});
    const rows = queryRows(store, [
      '--all',
      '--fields',
      'seq,op,pid,ppid,comm,process.result,file.path',
    ]);
    const count = (test: (row: Row) => boolean): number => rows.filter(test).length;
    expect(count((r) => r.op === 'exec' && r.ppid === exec.pid && r.process.result === 0)).toBe(
      EACH,
    );
    expect(count((r) => r.op === 'accept' && r.pid === accept.pid)).toBe(EACH);
    expect(count((r) => r.op === 'connect' && r.pid === accept.pid)).toBe(EACH);
    expect(
      count(
        (r) =>
          r.op === 'open' &&
          r.pid === open.pid &&
          r.comm === 'drive' &&
          r.file.path === '/dev/null',
      ),
    ).toBe(EACH);
    expect(count((r) => r.op === 'call' && r.pid === call.pid)).toBe(EACH);
    const stored = sum(summary.events);
    expect(rows.length).toBe(stored);
    expect(rows.every((row, i) => row.seq === i + 1)).toBe(true);
  });

  test('two CPUs at once: seq has no gap, ktime goes back only in rows flagged late', async () => {
    const store = `${directory.path}/two`;
    const recording = await Recording.start(store, [...ONLY_CALLS, '--syscalls', 'getppid']);
    const [a, b] = await Promise.all([drive('getppid', 100_000, 0), drive('getppid', 100_000, 1)]);
    const { summary } = await recording.stop();
    const rows = queryRows(store, ['--all', '--fields', 'seq,ktime,cpu,pid,flags']);
    expect(rows.filter((row) => row.pid === a?.pid).length).toBe(100_000);
    expect(rows.filter((row) => row.pid === b?.pid).length).toBe(100_000);
    expect(new Set(rows.map((row) => row.cpu)).size).toBe(2);
    let newest = 0n;
    let late = 0;
    rows.forEach((row, i) => {
      expect(row.seq).toBe(i + 1);
      const ktime = BigInt(row.ktime);
      if ((row.flags & 1) !== 0) late++;
      else {
        expect(ktime >= newest).toBe(true);
        newest = ktime;
      }
    });
    expect(late).toBe(summary.late);
  });

  test('an overload that loses: issued = stored + lost + filtered, and the loss is a row', async () => {
    const store = `${directory.path}/overload`;
    const excluded = `${directory.path}/leavemeout`;
    copyFileSync(driver, excluded);
    const recording = await Recording.start(store, [
      ...ONLY_CALLS,
      '--syscalls',
      'getppid',
      '--ring-size',
      '512KiB',
      '--exclude',
      'comm=leavemeout',
    ]);
    const driven = 300_000;
    // Nobody drains: the ring is lapped many times.
    recording.signal('SIGSTOP');
    await drive('getppid', driven, 0);
    recording.signal('SIGCONT');
    await run(excluded, ['getppid', '50000']);
    await drive('getppid', 1_000, 1);
    const { summary } = await recording.stop();
    const stored = sum(summary.events);
    const lost = sum(summary.lost);
    expect(lost).toBeGreaterThan(100_000);
    expect(summary.filtered).toBe(50_000);
    expect(stored + lost).toBe(driven + 1_000);
    expect(Object.keys(summary.lost)).toEqual(['ring']);
    expect(summary.lost.ring?.overwritten?.syscall).toBe(lost);
    expect(queryRows(store).length).toBe(stored);
  });
});
