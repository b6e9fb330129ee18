// Files that are not what was committed: never a wrong answer, always one that names the file.

import {
  copyFileSync,
  cpSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCommits } from '../../src/segment/commits.ts';
import { committedFiles, verifyDirectory } from '../../src/segment/damage.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, random } from '../support/batches.ts';
import { temporaryDirectory } from '../support/recording.ts';
import {
  append,
  everything,
  flipped,
  HEADER,
  pointAt,
  processRow,
  type Rows,
} from '../support/segments.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let sealed: string;
let open: string;
let rows: Rows;
beforeEach(() => {
  directory = temporaryDirectory();
  const maker = new BatchMaker(9);
  const writer = new SegmentWriter(diskFiles, directory.path, 'one', HEADER);
  writer.addProcesses([processRow(1, 'init')]);
  writer.addLosses([{ stage: 'ring', cause: 'overwritten', count: 7n, first_ts: 1n, last_ts: 2n }]);
  for (const count of [40, 30]) {
    const batch = maker.make('network', count);
    append(writer, batch);
    writer.commit(pointAt(batch.item.lastSeq));
  }
  open = join(directory.path, '.open-copy');
  cpSync(join(directory.path, '.open-one'), open, { recursive: true });
  sealed = writer.seal().directory;
  rows = read(sealed);
});
afterEach(() => directory.remove());

function read(path: string): Rows {
  const segment = new Segment(path);
  try {
    segment.losses();
    segment.processes();
    return everything(segment);
  } finally {
    segment.close();
  }
}

test('verify names each file that changed, was cut, or is gone', () => {
  for (const path of [sealed, open]) {
    const lines = readCommits(path)?.lines ?? [];
    const files = committedFiles(lines).filter((file) => statSync(join(path, file)).size > 0);
    expect(files.length).toBeGreaterThan(3);
    // The segment is opened while it is whole: verify() finds what happened since.
    const segment = new Segment(path);
    for (const file of files) {
      const at = join(path, file);
      copyFileSync(at, join(directory.path, 'kept'));
      const keep = (): void => copyFileSync(join(directory.path, 'kept'), at);
      writeFileSync(at, flipped(at, Math.floor(statSync(at).size / 2)));
      expect(segment.verify()).toMatchObject([{ file, reason: 'checksum' }]);
      keep();
      truncateSync(at, statSync(at).size - 1);
      expect(segment.verify()).toMatchObject([{ file, reason: 'short' }]);
      keep();
      rmSync(at);
      expect(segment.verify()).toMatchObject([{ file, reason: 'missing' }]);
      keep();
      expect(segment.verify()).toEqual([]);
    }
    segment.close();
  }
});

test('a committed file that is gone is an error, not a segment without such rows', () => {
  for (const path of [sealed, open]) {
    rmSync(join(path, 'network.arrow'));
    expect(() => read(path)).toThrow(/network\.arrow: is missing.*restore the segment/);
  }
});

test('a damaged dictionary log is found before an index gets another string', () => {
  const log = join(open, 'dictionary.log');
  writeFileSync(log, flipped(log, 60));
  expect(() => read(open)).toThrow(/dictionary\.log: bytes 0 to \d+ are not what was committed/);
});

test('a damaged index is told and the rows are read instead', () => {
  const index = join(sealed, 'index.arrow');
  writeFileSync(index, flipped(index, Math.floor(statSync(index).size / 2)));
  const segment = new Segment(sealed);
  expect(everything(segment)).toEqual(rows);
  expect(segment.notes.join()).toContain('index.arrow');
  segment.close();
});

test('any flipped bit is seen by verify, and fails with our words where it fails', () => {
  const lines = readCommits(sealed)?.lines ?? [];
  const file = join(sealed, 'network.arrow');
  const { size } = statSync(file);
  const whole = readFileSync(file);
  const next = random(4);
  let failed = 0;
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(whole);
    const at = Math.floor(next() * size);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(next() * 8));
    writeFileSync(file, bytes);
    expect(verifyDirectory(sealed, lines)).toMatchObject([{ file: 'network.arrow' }]);
    try {
      read(sealed);
    } catch (error) {
      failed++;
      expect(error, `byte ${at}`).toMatchObject({ code: 'segment_damaged' });
    }
  }
  expect(failed).toBeGreaterThan(100);
});

test('a copy of an open segment without its commit lines reads as far as it goes', () => {
  rmSync(join(open, 'commits.ndjson'));
  const segment = new Segment(open);
  expect(everything(segment)).toEqual(rows);
  expect(segment.notes.join()).toContain('was not sealed');
  expect(segment.verify()).toBeNull();
  segment.close();
});
