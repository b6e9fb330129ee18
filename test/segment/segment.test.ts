// A segment is written and read back: open, sealed, merged, torn.

import { appendFileSync, cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TABLES } from '../../schemas/arrow.ts';
import type { BatchItem, CutItem } from '../../src/event/batch.ts';
import { type CommitPoint, noPoint, type SegmentHeader } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { type NativeSource, native } from '../../src/source/binding.ts';
import { temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const HEADER: SegmentHeader = {
  format: 1,
  fingerprint: native().fingerprint,
  recorder: 'test',
  host: 'host',
  boot_id: 'boot',
  kernel: 'kernel',
  recording: 'recording',
  ts_offset: '1000',
  clocks: { realtime: '3', monotonic: '2', boottime: '2' },
};

const point = (seq: bigint): CommitPoint => ({
  ...noPoint(),
  through_seq: Number(seq),
});

/** Feeds `events` synthetic events into `writer`, committing at each cut; `onCut` comes after each. */
function feed(writer: SegmentWriter, events: number, onCut: (cut: CutItem) => void): Promise<void> {
  const take = (source: NativeSource, batch: BatchItem): void => {
    const type = Object.keys(EVENT_TABLES)[batch.type - 1] as keyof typeof EVENT_TABLES;
    writer.append(type, batch, native().columns(batch.type), source.slotBuffer(batch.slot));
    source.release(batch.slot);
  };
  return new Promise((resolve) => {
    const source = native().createSource(
      {
        kind: 'synthetic',
        pins: null,
        resume: null,
        orphanTimeoutNs: 0n,
        ringBytes: 4 << 20,
        tsOffset: 1000n,
        nextSeq: 1n,
        slotsPerType: 3,
        rate: events * 2,
        seed: 11,
        cpus: 2,
        events,
        ops: [1, 2, 3, 4, 5, 6, 7, 9, 15, 24, 25, 28, 37],
        syscalls: [],
        latency: true,
        exclude: { pids: [], uids: [], comms: [], cgroups: [] },
      },
      () => {
        for (let item = source.take(); item !== null; item = source.take()) {
          if (item.kind === 'batch') {
            take(source, item);
            continue;
          }
          writer.commit(point(item.throughSeq));
          onCut(item);
          if (item.final) {
            source.close();
            resolve();
            return;
          }
          if (item.throughSeq === BigInt(events)) {
            clearInterval(timer);
            source.stop();
          }
        }
      },
    );
    const timer = setInterval(() => source.cut(null), 50);
    source.start();
  });
}

/** Every cell of every row, by type and seq. */
function everything(segment: Segment): Map<string, unknown> {
  const out = new Map<string, unknown>();
  for (const type of segment.types()) {
    const names = EVENT_TABLES[type].columns.map((column) => column.name);
    for (const info of segment.batches(type)) {
      const columns = segment.read(info, names);
      for (let row = 0; row < info.rows; row++) {
        const cells = names.map((name) => columns.get(name)?.get(row));
        out.set(`${type} ${cells[0]}`, cells);
      }
    }
  }
  return out;
}

function readAll(path: string): Map<string, unknown> {
  const segment = new Segment(path);
  try {
    return everything(segment);
  } finally {
    segment.close();
  }
}

test('open, then merged and sealed: the same rows', async () => {
  const writer = SegmentWriter.create(diskFiles, directory.path, 'one', HEADER, null);
  await feed(writer, 8_000, () => {});
  const open = readAll(join(directory.path, '.open-one'));
  expect(open.size).toBe(8_000);
  const sealed = writer.seal();
  expect(readdirSync(directory.path)).toEqual(['one']);
  const segment = new Segment(sealed.directory);
  // Many flushes became one batch a type.
  for (const type of segment.types()) expect(segment.batches(type).length).toBe(1);
  expect(segment.header).toEqual(HEADER);
  expect(everything(segment)).toEqual(open);
  segment.close();
  expect(statSync(sealed.directory).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(sealed.directory)) {
    expect(statSync(join(sealed.directory, name)).mode & 0o777, name).toBe(0o600);
  }
});

test('what comes after the last commit line is not there, whatever it is', async () => {
  const writer = SegmentWriter.create(diskFiles, directory.path, 'two', HEADER, null);
  const committed: number[] = [];
  const at = join(directory.path, '.open-two');
  const copies: string[] = [];
  await feed(writer, 4_000, (cut) => {
    committed.push(Number(cut.throughSeq));
    const copy = join(directory.path, `copy-${committed.length}`);
    cpSync(at, copy, { recursive: true });
    copies.push(copy);
  });
  writer.seal();
  copies.forEach((copy, i) => {
    for (const name of readdirSync(copy))
      appendFileSync(join(copy, name), 'torn tail that says nothing');
    const rows = readAll(copy);
    expect(rows.size).toBe(committed[i]);
  });
});

test('a sealed directory without its commit lines still reads, and says so', async () => {
  const writer = SegmentWriter.create(diskFiles, directory.path, 'three', HEADER, null);
  await feed(writer, 2_000, () => {});
  const { directory: sealed } = writer.seal();
  const before = readAll(sealed);
  rmSync(join(sealed, 'commits.ndjson'));
  const segment = new Segment(sealed);
  expect(segment.problems).toMatchObject([{ text: expect.stringContaining('unverified') }]);
  expect(segment.header).toEqual(HEADER);
  expect(everything(segment)).toEqual(before);
  segment.close();
});

test('a segment of a newer format is refused with the version that reads it', async () => {
  const header = { ...HEADER, format: 99, recorder: '7.0.0' };
  const writer = SegmentWriter.create(diskFiles, directory.path, 'four', header, null);
  await feed(writer, 500, () => {});
  const { directory: sealed } = writer.seal();
  expect(() => new Segment(sealed)).toThrow('7.0.0');
});

test('a file that ends too early is an error, not a wrong answer', async () => {
  const writer = SegmentWriter.create(diskFiles, directory.path, 'five', HEADER, null);
  await feed(writer, 2_000, () => {});
  const { directory: sealed } = writer.seal();
  const file = join(sealed, 'network.arrow');
  truncateSync(file, Math.floor(statSync(file).size / 2));
  expect(() => readAll(sealed)).toThrow();
});
