// Files that are not what was committed: never a wrong answer, never a shorter one that does not say so.

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
import { committedFiles, type Damage } from '../../src/segment/damage.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { type Problem, Segment } from '../../src/segment/reader.ts';
import { verifySegment } from '../../src/segment/verify.ts';
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
  const writer = SegmentWriter.create(diskFiles, directory.path, 'one', HEADER, null);
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

interface Answer {
  readonly rows: Rows;
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
}

/** All that a segment gives; batches that are damaged are left out. */
function answer(path: string): Answer {
  const segment = new Segment(path);
  try {
    segment.losses();
    segment.processes();
    const found = everything(segment, (info, error) => segment.leaveOut(info, error));
    return { rows: found, problems: segment.problems, notes: segment.notes };
  } finally {
    segment.close();
  }
}

const read = (path: string): Rows => answer(path).rows;

const textsOf = ({ problems }: Answer): string => problems.map(({ text }) => text).join('; ');

test('verify names each file that changed, was cut, or is gone', () => {
  for (const path of [sealed, open]) {
    const commits = readCommits(path);
    if (commits === null) throw new Error('no commits');
    const files = committedFiles(commits).filter((file) => statSync(join(path, file)).size > 0);
    expect(files.length).toBeGreaterThan(3);
    const damage = (): readonly Damage[] => verifySegment(path).damage;
    for (const file of files) {
      const at = join(path, file);
      copyFileSync(at, join(directory.path, 'kept'));
      const keep = (): void => copyFileSync(join(directory.path, 'kept'), at);
      writeFileSync(at, flipped(at, Math.floor(statSync(at).size / 2)));
      expect(damage(), file).toMatchObject([{ file, reason: 'checksum' }]);
      keep();
      truncateSync(at, statSync(at).size - 1);
      expect(damage(), file).toMatchObject([{ file, reason: 'short' }]);
      keep();
      rmSync(at);
      expect(damage(), file).toMatchObject([{ file, reason: 'missing' }]);
      keep();
      expect(damage(), file).toEqual([]);
    }
  }
});

test('a committed file that is gone is said, and how many rows with it', () => {
  for (const path of [sealed, open]) {
    rmSync(join(path, 'network.arrow'));
    const found = answer(path);
    expect(found.rows.size).toBe(0);
    expect(textsOf(found)).toContain('is missing though it was committed');
    expect(found.problems.reduce((sum, { rows: lost }) => sum + (lost ?? 0), 0)).toBe(70);
  }
});

test('a damaged dictionary log is found before an index gets another string', () => {
  const log = join(open, 'dictionary.log');
  writeFileSync(log, flipped(log, 60));
  const found = answer(open);
  expect(found.rows.size).toBe(0);
  expect(textsOf(found)).toMatch(/dictionary\.log: bytes 0 to \d+ are not what was committed/);
});

test('behind a damaged piece of the dictionary log nothing is read, before it all is', () => {
  const log = join(open, 'dictionary.log');
  writeFileSync(log, flipped(log, statSync(log).size - 3));
  const found = answer(open);
  expect(found.rows).toEqual(new Map([...rows].slice(0, 40)));
  expect(found.problems.map(({ rows: lost }) => lost)).toEqual([null, 30]);
});

test('a damaged index is told and the rows are read instead', () => {
  const index = join(sealed, 'index.arrow');
  writeFileSync(index, flipped(index, Math.floor(statSync(index).size / 2)));
  const found = answer(sealed);
  expect(found.rows).toEqual(rows);
  expect(found.notes.join()).toContain('index.arrow');
});

test('a footer that is damaged costs nothing: the index knows where everything is', () => {
  const file = join(sealed, 'network.arrow');
  writeFileSync(file, flipped(file, statSync(file).size - 30));
  expect(answer(sealed)).toMatchObject({ rows, problems: [] });
});

test('a batch that is damaged is left out and named, the others are read', () => {
  const file = join(open, 'network.arrow');
  const [first] = readCommits(open)?.lines[0]?.batches?.['network.arrow'] ?? [];
  writeFileSync(file, flipped(file, (first?.[6] ?? 0) + 400));
  const found = answer(open);
  expect(found.rows).toEqual(new Map([...rows].slice(40)));
  expect(found.problems).toMatchObject([
    { segment: 'copy', rows: 40, type: 'network', text: expect.stringContaining('batch 0') },
  ]);
});

test('whatever bit is flipped: seen by verify, and never another row or a silent gap', () => {
  const file = join(sealed, 'network.arrow');
  const { size } = statSync(file);
  const whole = readFileSync(file);
  const next = random(4);
  let left = 0;
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(whole);
    const at = Math.floor(next() * size);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(next() * 8));
    writeFileSync(file, bytes);
    expect(verifySegment(sealed).damage).toMatchObject([{ file: 'network.arrow' }]);
    const found = answer(sealed);
    if (found.rows.size === rows.size) expect(found.rows, `byte ${at}`).toEqual(rows);
    else {
      left++;
      expect(found.rows.size, `byte ${at}`).toBe(0);
      expect(found.problems, `byte ${at}`).toMatchObject([{ rows: 70 }]);
    }
  }
  expect(left).toBeGreaterThan(100);
});

test('a sealed segment that lost commit lines in its middle reads by its last one', () => {
  const path = join(sealed, 'commits.ndjson');
  const lines = readFileSync(path, 'utf8').split('\n');
  writeFileSync(path, [lines[0], ...lines.slice(2)].join('\n'));
  const found = answer(sealed);
  expect(found.rows).toEqual(rows);
  expect(verifySegment(sealed).damage.map(({ reason }) => reason)).toContain('commits');
});

test('one that lost its last line is read unverified, and says so', () => {
  const path = join(sealed, 'commits.ndjson');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  writeFileSync(path, lines.slice(0, -1).join('\n'));
  const found = answer(sealed);
  expect(found.rows).toEqual(rows);
  expect(textsOf(found)).toContain('unverified');
  expect(verifySegment(sealed).damage).toMatchObject([{ reason: 'commits' }]);
});

test('a copy of an open segment without its commit lines reads as far as it goes', () => {
  rmSync(join(open, 'commits.ndjson'));
  const found = answer(open);
  expect(found.rows).toEqual(rows);
  expect(found.notes.join()).toContain('was not sealed');
  expect(textsOf(found)).toContain('unverified');
});
