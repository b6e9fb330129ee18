// Files are let go of once, and all of them, whatever failed.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OpenedFiles } from '../../src/segment/files.ts';
import { GrowingFile } from '../../src/segment/growing-file.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';
import { diskDirectory, SimDisk } from '../support/sim-disk.ts';

test('a file that is closed twice is closed once: its descriptor may be another’s by then', () => {
  let closed = 0;
  const raw = { write: () => {}, sync: () => {}, close: () => closed++ };
  const file = new GrowingFile('f', raw, null);
  file.close();
  file.close();
  expect(closed).toBe(1);
});

test('one that cannot be closed does not keep the others open', () => {
  const closed: string[] = [];
  const opened = new OpenedFiles({
    create: (path) => {
      const close = (): void => {
        closed.push(path);
        if (path === 'a') throw new Error('EIO');
      };
      return new GrowingFile(path, { write: () => {}, sync: () => {}, close }, null);
    },
    reopen: () => {
      throw new Error('not here');
    },
  });
  for (const path of ['a', 'b']) opened.create(path);
  opened.close();
  opened.close();
  expect(closed).toEqual(['a', 'b']);
});

test('a segment that fails anywhere leaves no descriptor open once it is abandoned', () => {
  const maker = new BatchMaker(1);
  const batches = [1, 2].map((count) => maker.make('file', count));
  let done = false;
  for (let at = 1; !done; at++) {
    const { path, remove } = diskDirectory();
    const disk = new SimDisk(path);
    disk.failAt(at, 'EIO');
    let writer: SegmentWriter | null = null;
    try {
      writer = SegmentWriter.create(disk, path, 'x-0000001', HEADER, null);
      writer.addLosses([{ stage: 'ring', cause: 'lost', count: 1n, first_ts: 1n, last_ts: 2n }]);
      for (const batch of batches) {
        append(writer, batch);
        writer.commit(pointAt(batch.item.lastSeq));
      }
      writer.seal();
      done = true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'EIO' });
    }
    writer?.abandon();
    expect(disk.openFiles, `failed at operation ${at}`).toBe(0);
    if (done) expect(readdirSync(path)).toEqual(['x-0000001']);
    if (done) expect(readdirSync(join(path, 'x-0000001'))).toContain('index.arrow');
    remove();
  }
});
