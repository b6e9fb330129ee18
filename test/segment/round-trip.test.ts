// Random batches of every type go in, and come out the same: while the segment is open, after it was
// sealed in place or merged, and through pyarrow, polars and DuckDB.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, type MadeBatch } from '../support/batches.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { append, everything, HEADER, pointAt, processRow, rowsOf } from '../support/segments.ts';

const PYTHON = join(ROOT, '.venv/bin/python');

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function write(writer: SegmentWriter, batches: readonly MadeBatch[]): void {
  for (const batch of batches) {
    append(writer, batch);
    writer.commit(pointAt(batch.item.lastSeq));
  }
}

function withSegment<T>(path: string, use: (segment: Segment) => T): T {
  const segment = new Segment(path);
  try {
    return use(segment);
  } finally {
    segment.close();
  }
}

test('what is read is what was written, open and sealed, whatever the rows', () => {
  const plan = fc.array(
    fc.tuple(fc.constantFrom(...EVENT_TYPES), fc.integer({ min: 1, max: 70 })),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  let name = 0;
  fc.assert(
    fc.property(fc.integer(), plan, (seed, steps) => {
      const maker = new BatchMaker(seed);
      const batches = steps.map(([type, count]) => maker.make(type, count));
      const writer = SegmentWriter.create(diskFiles, directory.path, `r${name++}`, HEADER, null);
      write(writer, batches);
      const open = join(directory.path, `.open-${writer.name}`);
      const expected = rowsOf(batches);
      withSegment(open, (segment) => {
        expect(everything(segment)).toEqual(expected);
        expect(segment.problems).toEqual([]);
      });
      expect(verifySegment(open).damage).toEqual([]);
      const sealed = writer.seal();
      withSegment(sealed.directory, (segment) => {
        expect(everything(segment)).toEqual(expected);
        expect(segment.problems).toEqual([]);
        expect(segment.notes).toEqual([]);
      });
      expect(verifySegment(sealed.directory).damage).toEqual([]);
    }),
    { numRuns: 40 },
  );
});

test('large batches are sealed in place, and known by their commit lines while open', () => {
  const maker = new BatchMaker(3);
  const batches = [maker.make('network', 17_000), maker.make('network', 16_500)];
  const writer = SegmentWriter.create(diskFiles, directory.path, 'large', HEADER, null);
  write(writer, batches);
  const infos = withSegment(join(directory.path, '.open-large'), (segment) =>
    segment.batches('network'),
  );
  const sealed = writer.seal();
  withSegment(sealed.directory, (segment) => {
    expect(segment.batches('network')).toEqual(infos);
    expect(infos.map((info) => [info.firstSeq, info.lastSeq, info.firstTs, info.lastTs])).toEqual(
      batches.map(({ item }) => [item.firstSeq, item.lastSeq, item.firstTs, item.lastTs]),
    );
    expect(everything(segment)).toEqual(rowsOf(batches));
  });
});

const python = process.env.CI === undefined && !existsSync(PYTHON) ? test.skip : test;

python('pyarrow, polars and DuckDB read every type as we do', () => {
  for (const [name, counts] of [
    ['merged', [300, 41, 1]],
    ['in-place', [500]],
  ] as const) {
    const maker = new BatchMaker(7);
    const writer = SegmentWriter.create(diskFiles, directory.path, name, HEADER, null);
    writer.addProcesses([processRow(1, 'init'), processRow(2, 'löyly'), processRow(1, 'systemd')]);
    const at = { first_ts: 1n, last_ts: 2n };
    writer.addLosses([
      { stage: 'ring', cause: 'overwritten', type: 'file', op: 'read', cpu: 1, count: 7n, ...at },
      { stage: 'clock', cause: 'step', type: null, op: null, cpu: null, count: null, ...at },
    ]);
    write(
      writer,
      EVENT_TYPES.flatMap((type) => counts.map((count) => maker.make(type, count))),
    );
    const { directory: sealed } = writer.seal();
    const rows = execFileSync(
      execPath,
      ['cli/tapio-replay.ts', 'query', '--store', sealed, '--all', '-o', 'json'],
      { cwd: ROOT, maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const replayed = join(directory.path, `${name}.json`);
    writeFileSync(replayed, rows);
    const checked = execFileSync(PYTHON, ['test/interop/check.py', sealed, replayed], {
      cwd: ROOT,
    });
    const files = JSON.parse(checked.toString()) as Record<string, { rows: number }>;
    expect(files['losses.arrow']?.rows).toBe(2);
    expect(files['processes.arrow']?.rows).toBe(2);
    expect(Object.keys(files).length).toBe(EVENT_TYPES.length + 3);
  }
});
