// A store: its permissions, its one recorder, and reading it while segments come and are sealed.

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import {
  ensureStore,
  lockHolder,
  lockStore,
  processStartTicks,
  segmentsOf,
} from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import {
  append,
  everything,
  HEADER,
  openSegments,
  pointAt,
  processRow,
} from '../support/segments.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'a store');
});
afterEach(() => directory.remove());

test('a store is made for its owner only, whatever the umask', () => {
  const before = process.umask(0);
  try {
    ensureStore(store);
    expect(statSync(store).mode & 0o777).toBe(0o700);
    expect(statSync(segmentsOf(store)).mode & 0o777).toBe(0o700);
  } finally {
    process.umask(before);
  }
});

test('one that is too open is refused with a command that a shell takes', () => {
  ensureStore(store);
  chmodSync(store, 0o750);
  expect(() => ensureStore(store)).toThrow(`chmod 700 '${store}'`);
});

test('a file where the store should be is refused', () => {
  writeFileSync(store, '');
  expect(() => ensureStore(store)).toThrow('is not a directory');
});

test('a store is locked once, and again after it was released', () => {
  ensureStore(store);
  expect(lockHolder(store)).toBeNull();
  const release = lockStore(store);
  expect(lockHolder(store)).toBe(process.pid);
  expect(() => lockStore(store)).toThrow(`process ${process.pid} is recording`);
  release();
  expect(lockHolder(store)).toBeNull();
  lockStore(store)();
  expect(readdirSync(store)).toEqual(['segments']);
});

test('a claim of a dead process, or of one that had the same pid, holds nothing', () => {
  ensureStore(store);
  writeFileSync(join(store, `recorder-${2 ** 22 + 5}-77.lock`), '');
  const ticks = Number(processStartTicks(process.pid));
  writeFileSync(join(store, `recorder-${process.pid}-${ticks - 1}.lock`), '');
  expect(lockHolder(store)).toBeNull();
  const release = lockStore(store);
  expect(readdirSync(store).filter((name) => name.endsWith('.lock')).length).toBe(1);
  release();
});

test('of processes that start at once, never do two hold a store', async () => {
  ensureStore(store);
  // Each holder leaves a mark by an exclusive create: a second holder would fail on it and say so.
  const script = `
    import { closeSync, openSync, unlinkSync } from 'node:fs';
    import { lockStore } from './src/segment/store.ts';
    const store = process.argv[1];
    let held = 0;
    for (let i = 0; i < 60; i++) {
      let release;
      try { release = lockStore(store); } catch (error) { if (error.code !== 'store_locked') throw error; continue; }
      closeSync(openSync(store + '/mark', 'wx'));
      unlinkSync(store + '/mark');
      release();
      held++;
    }
    console.log(held);`;
  const runs = Array.from({ length: 4 }, () => {
    const child = spawn(execPath, ['--input-type=module', '-e', script, store], { cwd: ROOT });
    let text = '';
    let complaint = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.stderr.on('data', (part) => {
      complaint += part;
    });
    return new Promise<{ code: number | null; held: number; complaint: string }>((resolve) => {
      child.on('close', (code) => resolve({ code, held: Number(text), complaint }));
    });
  });
  const ended = await Promise.all(runs);
  for (const { code, complaint } of ended) expect([code, complaint]).toEqual([0, '']);
  expect(ended.reduce((sum, { held }) => sum + held, 0)).toBeGreaterThan(0);
});

test('an open segment that is sealed under its reader reads on', () => {
  for (const [name, counts] of [
    ['merged', [4, 5]],
    ['in-place', [6]],
  ] as const) {
    const maker = new BatchMaker(2);
    ensureStore(store);
    const writer = SegmentWriter.create(diskFiles, segmentsOf(store), name, HEADER, null);
    writer.addProcesses([processRow(1, 'init')]);
    writer.addLosses([{ stage: 'ring', cause: 'lost', count: 1n, first_ts: 1n, last_ts: 2n }]);
    for (const count of counts) {
      const batch = maker.make('memory', count);
      append(writer, batch);
      writer.commit(pointAt(batch.item.lastSeq));
    }
    const reader = new Segment(join(segmentsOf(store), `.open-${name}`));
    const { directory: sealed } = writer.seal();
    const after = new Segment(sealed);
    expect(everything(reader)).toEqual(everything(after));
    expect(reader.losses()).toEqual(after.losses());
    expect(reader.processes()).toEqual(after.processes());
    reader.close();
    after.close();
  }
});

test('a segment that was only begun is no trouble', () => {
  ensureStore(store);
  mkdirSync(join(segmentsOf(store), '.open-begun'));
  expect(openSegments(store)).toEqual([]);
  SegmentWriter.create(diskFiles, segmentsOf(store), 'begun-2', HEADER, null);
  expect(openSegments(store)).toEqual([]);
});

test('while segments are written and sealed, a reader finds all that was durable when it began', async () => {
  ensureStore(store);
  const count = 40;
  const counter = new SharedArrayBuffer(4);
  const durable = new Int32Array(counter);
  const worker = new Worker(join(ROOT, 'test/support/sealing-worker.ts'), {
    workerData: { segments: segmentsOf(store), count, counter },
  });
  let done = false;
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('message', () => {
      done = true;
      resolve();
    });
    worker.on('error', reject);
  });
  while (!done) {
    const before = Atomics.load(durable, 0);
    const opened = openSegments(store);
    let rows = 0;
    for (const segment of opened) {
      rows += everything(segment).size;
      expect(segment.processes().length).toBe(1);
      segment.close();
    }
    expect(rows).toBeGreaterThanOrEqual(before);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  await worker.terminate();
  const last = openSegments(store);
  expect(last.length).toBe(count);
  for (const segment of last) segment.close();
});
