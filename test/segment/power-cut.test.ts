// The power goes at every operation of a segment's life in turn: what was acknowledged is there, what is
// there is a prefix, and it is read without complaint.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { openSegments } from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, type MadeBatch, random } from '../support/batches.ts';
import { PowerCut, UnsureFiles } from '../support/power-cut.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { append, everything, HEADER, pointAt, processRow, rowsOf } from '../support/segments.ts';

const MANY = Number.MAX_SAFE_INTEGER;

/** A life with several flushes; returns how many batches were acknowledged before the power went. */
function live(files: UnsureFiles, store: string, batches: readonly MadeBatch[]): number {
  let acknowledged = 0;
  try {
    const segments = join(store, 'segments');
    const writer = new SegmentWriter(files, segments, '20260101T000000.000Z-0000000', HEADER);
    writer.addProcesses([processRow(1, 'init')]);
    for (const batch of batches) {
      append(writer, batch);
      writer.commit(pointAt(batch.item.lastSeq));
      acknowledged++;
    }
    writer.seal();
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
  }
  return acknowledged;
}

const made = (counts: readonly number[]): MadeBatch[] => {
  const maker = new BatchMaker(1);
  return counts.map((count, i) => maker.make(i % 2 === 0 ? 'process' : 'file', count));
};

for (const [seal, counts] of [
  ['merged', [5, 9, 3, 7]],
  ['in place', [6, 4]],
] as const) {
  test(`sealed ${seal}: acknowledged rows are there, and only whole commits`, () => {
    const batches = made(counts);
    const directory = temporaryDirectory();
    try {
      const whole = new UnsureFiles(random(0), MANY);
      live(whole, join(directory.path, 'whole'), batches);
      expect(whole.operations).toBeGreaterThan(30);
      for (let cut = 1; cut <= whole.operations + 1; cut++) {
        for (let seed = 1; seed <= 2; seed++) {
          const store = join(directory.path, `${cut}-${seed}`);
          const files = new UnsureFiles(random(cut * 1000 + seed), cut);
          diskFiles.makeDirectory(join(store, 'segments'));
          const acknowledged = live(files, store, batches);
          files.lose();
          const opened = openSegments(store);
          expect(opened.length).toBeLessThanOrEqual(1);
          const rows = opened[0] === undefined ? new Map() : everything(opened[0]);
          const prefixes = batches.map((_, i) => rowsOf(batches.slice(0, i + 1)));
          const found = rows.size === 0 ? 0 : prefixes.findIndex((p) => p.size === rows.size) + 1;
          const said = `cut ${cut}, seed ${seed}: ${rows.size} rows, ${acknowledged} acknowledged`;
          expect(found, said).toBeGreaterThanOrEqual(acknowledged);
          if (rows.size > 0) expect(rows, said).toEqual(prefixes[found - 1]);
          if (rows.size > 0) expect(opened[0]?.processes().length, said).toBe(1);
          expect(opened[0]?.verify() ?? [], said).toEqual([]);
          for (const segment of opened) segment.close();
        }
      }
    } finally {
      directory.remove();
    }
  });
}
