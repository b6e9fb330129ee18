// A recording thread that gets stuck is noticed, ended and started again. With pinned rings this costs
// nothing; without, one row says that something is missing.

import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveConfig } from '../../src/config/config.ts';
import type { Given } from '../../src/config/settings.ts';
import { Daemon } from '../../src/daemon.ts';
import { native } from '../../src/source/binding.ts';
import { temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { accountsOf, damageOf, sleep, until } from './cli.ts';
import { Found, Workload } from './workload.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`crash tests must run: ${why}`);

const WORKER = new URL('./stuck-worker.ts', import.meta.url);
const SILENCE_MS_MAX = 2000;
const PINS = `/sys/fs/bpf/tapio-test-${process.pid}`;
const RATE = 1000;
const SETTINGS: Given = {
  profile: 'minimal',
  disable: 'process.fork,process.exec,process.exit,process.signal',
  enable: 'file.open',
  syscalls: 'kcmp',
  'ring-size': '16MiB',
};

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let notes: string[];
let onNote: (text: string) => void;
let undo: (() => unknown)[];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  notes = [];
  onNote = (text) => notes.push(text);
  undo = [];
});
afterEach(async () => {
  for (const one of undo.reverse()) await one();
  for (const { path } of native().pinned(PINS)) native().unpin(path);
  directory.remove();
});

/** A daemon whose thread can be made to stick, and a workload that it records. */
async function record(pins: string): Promise<{ daemon: Daemon; driven: Workload }> {
  const config = resolveConfig([SETTINGS], availableParallelism());
  const aids = { worker: WORKER, silenceMsMax: SILENCE_MS_MAX, pins };
  const daemon = new Daemon(store, config, null, (text) => onNote(text), aids);
  undo.push(async () => {
    daemon.stop();
    await daemon.finished.catch(() => {});
  });
  await daemon.started;
  const driven = new Workload(directory.path, RATE);
  undo.push(() => driven.stop());
  await sleep(1200);
  return { daemon, driven };
}

/** How often it was noticed. */
const noticed = (): number => notes.filter((text) => text.includes('has not answered')).length;

/** Ends both; what is in the store, each event once. */
async function end(daemon: Daemon, driven: Workload): Promise<Found> {
  await driven.stop();
  await daemon.flush();
  daemon.stop();
  await daemon.finished;
  const found = new Found();
  found.take(store);
  expect([...found.wrong, ...found.doubled]).toEqual([]);
  expect(damageOf(store)).toBe('');
  expect(accountsOf(store)).toMatchObject([{ holds: true, reasons: [] }]);
  return found;
}

/** Whether the recording thread has stored what there is. */
const isFlushed = (daemon: Daemon): Promise<boolean> =>
  daemon.flush().then(
    () => true,
    () => false,
  );

const losses = (): string[] =>
  accountsOf(store).flatMap(({ causes }) => causes.map(({ cause, known }) => `${cause} ${known}`));

describe.skipIf(why !== null)(`a stuck recording thread ${why ?? ''}`, () => {
  test('that loops for ever is ended and started again, and nothing is lost', async () => {
    const { daemon, driven } = await record(PINS);
    // Who asks meanwhile is told; who asks later is answered. It is told of before the thread is ended.
    let asked: Promise<string> | null = null;
    onNote = (text) => {
      notes.push(text);
      asked = daemon.flush().then(
        () => 'answered',
        (error: Error) => error.message,
      );
    };
    for (const time of [1, 2]) {
      writeFileSync(`${store}.loop`, '');
      await until('it is noticed', () => noticed() === time);
      expect(await asked).toMatch('was started again');
      await daemon.flush();
    }
    const found = await end(daemon, driven);
    expect(found.missing(driven.done())).toEqual([]);
    expect(losses()).toEqual([]);
    expect(existsSync(PINS)).toBe(false);
    console.log(`stuck in a loop, twice: ${driven.total()} numbers, each once`);
  });

  test('that waits in a system call is ended when it returns, and nothing is lost', async () => {
    const { daemon, driven } = await record(PINS);
    execFileSync('mkfifo', [`${store}.fifo`]);
    const release = (): void => {
      if (existsSync(`${store}.fifo`)) closeSync(openSync(`${store}.fifo`, 'r+'));
    };
    undo.push(release);
    await until('it is noticed', () => noticed() === 1);
    await sleep(1500);
    // No other may be started before: it holds the store's files.
    let ended = false;
    daemon.flush().catch(() => {
      ended = true;
    });
    const { stalled_s } = await daemon.status();
    expect(stalled_s).toBeGreaterThan(SILENCE_MS_MAX / 1000);
    expect(notes.length).toBe(1);
    release();
    rmSync(`${store}.fifo`);
    await until('it is ended', () => ended);
    await daemon.flush();
    expect((await daemon.status()).stalled_s).toBe(null);
    const found = await end(daemon, driven);
    expect(found.missing(driven.done())).toEqual([]);
    expect(losses()).toEqual([]);
    expect(existsSync(PINS)).toBe(false);
    console.log(`stuck in a call: ${driven.total()} numbers, each once`);
  });

  test('without pins: it goes on as well, and one row says that something is missing', async () => {
    const { daemon, driven } = await record(join(directory.path, 'pins'));
    writeFileSync(`${store}.loop`, '');
    await until('it is noticed', () => noticed() === 1);
    // The thread that takes its place answers.
    while (!(await isFlushed(daemon))) await sleep(50);
    const before = driven.done();
    await sleep(700);
    const found = await end(daemon, driven);
    expect(losses()).toEqual(['crash false']);
    // What came after the new thread is all there.
    const missing = found.missing(driven.done());
    expect(missing.length).toBe(4);
    for (const text of missing) {
      const [from = 0, to = 0] = text.match(/\d+/g)?.map(Number) ?? [];
      expect(to - from).toBeGreaterThan(500);
      expect(to % 1_000_000_000).toBeLessThan(Math.max(...before));
    }
  });
});
