// What endurance costs: recovery, verification, the catalogue made anew, retention.

import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { Summary } from '../../src/daemon.ts';
import type { BatchItem } from '../../src/event/batch.ts';
import { noPoint } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { recoverSegments } from '../../src/segment/recover.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { native } from '../../src/source/binding.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { HEADER } from '../support/segments.ts';
import { startRecorder } from './recorder.ts';
import { report } from './report.ts';

const GIB = 2 ** 30;
const SEGMENT_BYTES = 256 * 2 ** 20;
const STORE_SEGMENTS = 80;
const RETIRED = 10_000;

const seconds = (work: () => void): number => {
  const began = performance.now();
  work();
  return (performance.now() - began) / 1000;
};

/** Writes synthetic events until the segment has so many bytes; a commit for each second's worth. */
function fill(writer: SegmentWriter, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let committed = 0n;
    let through = 0n;
    const source = native().createSource(
      {
        kind: 'synthetic',
        pins: null,
        resume: null,
        orphanTimeoutNs: 0n,
        ringBytes: 64 << 20,
        tsOffset: 0n,
        nextSeq: 1n,
        slotsPerType: 4,
        rate: 0,
        seed: 1,
        cpus: 2,
        events: 0,
        ops: [1, 2, 3, 4, 5, 6, 7, 9, 15, 24, 25, 28, 37],
        syscalls: [],
        latency: true,
        exclude: { pids: [], uids: [], comms: [], cgroups: [] },
      },
      () => {
        for (let item = source.take(); item !== null; item = source.take()) {
          if (item.kind === 'cut') continue;
          append(item);
          if (writer.bytes < bytes) continue;
          writer.commit({ ...noPoint(), through_seq: Number(through) });
          source.close();
          resolve();
          return;
        }
      },
    );
    const append = (item: BatchItem): void => {
      const type = EVENT_TYPES[item.type - 1];
      if (type === undefined) return;
      writer.append(type, item, native().columns(item.type), source.slotBuffer(item.slot));
      source.release(item.slot);
      through = item.lastSeq;
      if (through - committed < 1_000_000n) return;
      writer.commit({ ...noPoint(), through_seq: Number(through) });
      committed = through;
    };
    source.start();
  });
}

async function recovery(store: string): Promise<void> {
  const segments = segmentsOf(store);
  const values: number[] = [];
  const speeds: number[] = [];
  for (let run = 0; run < 3; run++) {
    const writer = SegmentWriter.create(diskFiles, segments, `r-${run}-0000001`, HEADER, null);
    await fill(writer, GIB);
    writer.abandon();
    values.push(seconds(() => recoverSegments(diskFiles, segments)));
    let bytes = 0;
    const took = seconds(() => {
      bytes = verifySegment(join(segments, `r-${run}-0000001`)).bytes;
    });
    speeds.push(bytes / took / 1e9);
    rmSync(join(segments, `r-${run}-0000001`), { recursive: true });
  }
  report({ name: 'recovery of a 1 GiB open segment', values, unit: 's' });
  report({ name: 'verify', values: speeds, unit: 'GB/s of file' });
}

/** Copies of one sealed segment by hard links: as many names and files, the same bytes. */
function multiply(segments: string, name: string, count: number): void {
  const files = readdirSync(join(segments, name));
  for (let i = 1; i < count; i++) {
    const copy = join(segments, `copy-${String(i).padStart(7, '0')}`);
    mkdirSync(copy);
    for (const file of files) linkSync(join(segments, name, file), join(copy, file));
  }
}

async function catalogue(store: string): Promise<void> {
  const segments = segmentsOf(store);
  const writer = SegmentWriter.create(diskFiles, segments, 'copy-0000000', HEADER, null);
  await fill(writer, SEGMENT_BYTES);
  writer.seal();
  multiply(segments, 'copy-0000000', STORE_SEGMENTS);
  const values: number[] = [];
  for (let run = 0; run < 3; run++) {
    for (const name of readdirSync(store).filter((one) => one.startsWith('catalog.db'))) {
      rmSync(join(store, name));
    }
    const catalog = Catalog.open(store);
    const names = readdirSync(segments);
    values.push(seconds(() => catalog.sync(names, (name) => new Segment(join(segments, name)))));
    catalog.close();
  }
  report({
    name: 'catalogue of a 20 GiB store, made anew (80 segments, hot cache)',
    values,
    unit: 's',
  });
  rmSync(segments, { recursive: true });
}

const RETIRING_FLAGS = ['--source', 'synthetic', '--rate', '10', '--max-bytes', '1MiB'];

/** CPU time of a recorder's main thread (proc(5), schedstat), ms. */
function mainThreadMs(status: Summary): number {
  const { pid } = status as Summary & { pid: number };
  const [ns] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ');
  return Number(ns) / 1e6;
}

/** What the main thread of a recorder that retires nothing does in so many seconds: starting, mostly. */
async function withoutRetention(forSeconds: number): Promise<number> {
  const recorder = await startRecorder(RETIRING_FLAGS);
  await new Promise((resolve) => setTimeout(resolve, forSeconds * 1000));
  const busy = mainThreadMs(recorder.status());
  await recorder.stop();
  return busy;
}

/** A recorder that finds 10,000 segments too many: what its main thread does for it until they are gone. */
async function retention(): Promise<void> {
  const values: number[] = [];
  const walls: number[] = [];
  for (let run = 0; run < 3; run++) {
    const directory = temporaryDirectory();
    const store = join(directory.path, 'store');
    ensureStore(store);
    const segments = segmentsOf(store);
    const writer = SegmentWriter.create(diskFiles, segments, 'copy-0000000', HEADER, null);
    await fill(writer, 200_000);
    writer.seal();
    multiply(segments, 'copy-0000000', RETIRED);
    const began = performance.now();
    const recorder = await startRecorder(RETIRING_FLAGS, store);
    while (readdirSync(segments).filter((name) => name.startsWith('copy-')).length > 5) {
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const wall = (performance.now() - began) / 1000;
    const busy = mainThreadMs(recorder.status());
    await recorder.stop();
    walls.push(wall);
    values.push(Math.max(0, busy - (await withoutRetention(wall))));
    directory.remove();
  }
  report({ name: 'retention of 10,000 segments, main thread', values, unit: 'ms' });
  report({ name: 'retention of 10,000 segments, wall', values: walls, unit: 's' });
}

export async function bench(): Promise<void> {
  const directory = temporaryDirectory();
  const store = join(directory.path, 'store');
  ensureStore(store);
  await recovery(store);
  await catalogue(store);
  directory.remove();
  await retention();
}
