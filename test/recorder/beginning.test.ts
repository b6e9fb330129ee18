// How a recording begins is what the store says: anew, or where one that died left off.

import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginningOf, lossesOfDeath, recoveryText } from '../../src/recorder/beginning.ts';
import { diskFiles } from '../../src/segment/files.ts';
import type { Recovered } from '../../src/segment/recover.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import { type LastRecording, readStoreFile, writeStoreFile } from '../../src/segment/store-file.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  ensureStore(store);
});
afterEach(() => directory.remove());

const DIED: LastRecording = { id: HEADER.recording, boot_id: 'boot', began: 7, ended: null };

function say(recording: LastRecording): ReturnType<typeof readStoreFile> {
  writeStoreFile(diskFiles, store, readStoreFile(store).id, recording);
  return readStoreFile(store);
}

function seal(name: string, recording = HEADER.recording, newest = '0'): void {
  const header = { ...HEADER, recording };
  const writer = SegmentWriter.create(diskFiles, segmentsOf(store), name, header, null);
  const batch = new BatchMaker(1).make('file', 5);
  append(writer, batch);
  writer.commit({ ...pointAt(batch.item.lastSeq), at: 42, rings: 'abc', newest });
  writer.seal();
}

test('a new store, and one whose recording ended, begin anew', () => {
  const first = beginningOf(store, readStoreFile(store), 'boot');
  expect(first).toMatchObject({ point: null, diedAt: null });
  seal('x-0000001');
  const next = beginningOf(store, say({ ...DIED, ended: 9 }), 'boot');
  expect(next).toMatchObject({ point: null, diedAt: null });
  expect(next.recording).not.toBe(HEADER.recording);
});

test('one that died goes on from its last point, under its name', () => {
  seal('x-0000001');
  const { recording, point, diedAt } = beginningOf(store, say(DIED), 'boot');
  expect([recording, point?.rings, point?.through_seq, diedAt]).toEqual([
    HEADER.recording,
    'abc',
    5,
    42,
  ]);
});

test('one that died before it had stored anything goes on from nothing', () => {
  expect(beginningOf(store, say(DIED), 'boot')).toEqual({
    recording: HEADER.recording,
    point: null,
    diedAt: 7,
    untold: null,
  });
  // The newest segment is of another recording.
  seal('x-0000001', 'earlier');
  expect(beginningOf(store, say(DIED), 'boot')).toMatchObject({ point: null, diedAt: 7 });
});

test('after a boot, or where its last point cannot be read, another begins', () => {
  seal('x-0000001');
  const booted = beginningOf(store, say(DIED), 'another boot');
  expect(booted).toMatchObject({ point: null, diedAt: 42 });
  expect(booted.recording).not.toBe(HEADER.recording);
  diskFiles.remove(join(segmentsOf(store), 'x-0000001', 'commits.ndjson'));
  const unreadable = beginningOf(store, say(DIED), 'boot');
  expect(unreadable.recording).not.toBe(HEADER.recording);
});

test('a garbled store.json is as good as none; one of a newer format is refused', () => {
  const { id } = say(DIED);
  expect(readStoreFile(store)).toMatchObject({ id, recording: DIED });
  diskFiles.remove(join(store, 'store.json'));
  diskFiles.create(join(store, 'store.json')).append([Buffer.from('{"id":"x')]);
  expect(readStoreFile(store).recording).toBeNull();
  diskFiles.remove(join(store, 'store.json'));
  const newer = '{"format":99,"recorder":"9.0.0","id":"x","recording":null}';
  diskFiles.create(join(store, 'store.json')).append([Buffer.from(newer)]);
  expect(() => readStoreFile(store)).toThrow(/format 99.*tapio-record 9\.0\.0/);
});

const CUT: Recovered = {
  name: 'x',
  sealed: { bytes: 1, lastMs: 2 },
  cutBytes: 100,
  cutRows: new Map([[15, 3]]),
  cutFrom: 1,
  cutTo: 2,
};

test('what a death cost is a row, unless the rings have it', () => {
  const died = { recording: 'r', point: null, diedAt: 5, untold: null };
  expect(lossesOfDeath(died, true, [CUT], 9n)).toEqual([]);
  expect(lossesOfDeath({ ...died, diedAt: null }, false, [CUT], 9n)).toEqual([]);
  expect(lossesOfDeath(died, false, [CUT], 9n)).toMatchObject([
    { stage: 'store', cause: 'cut', type: 'file', op: 'open', count: 3n, first_ts: 1_000_000n },
    { stage: 'recorder', cause: 'crash', count: null, first_ts: 5_000_000n, last_ts: 9n },
  ]);
});

test('a death that no segment tells of yet is not forgotten when another follows', () => {
  const died = { ...DIED, lost_since: 3 };
  const untold = { from: 3, to: 7 };
  const again = beginningOf(store, say(died), 'boot');
  expect(again).toMatchObject({ recording: DIED.id, diedAt: 7, untold });
  // The rings have what came since.
  expect(lossesOfDeath(again, true, [], 9n)).toMatchObject([
    { cause: 'crash', count: null, first_ts: 3_000_000n, last_ts: 7_000_000n },
  ]);
  expect(lossesOfDeath(again, false, [], 9n)).toMatchObject([
    { first_ts: 3_000_000n, last_ts: 9n },
  ]);
  const booted = beginningOf(store, say(died), 'another boot');
  expect(booted).toMatchObject({ diedAt: 3, untold: null });
  // The first commit told it.
  seal('x-0000001');
  expect(beginningOf(store, say(died), 'boot')).toMatchObject({ diedAt: 42, untold: null });
});

test('what came while the last commit was made is missing, too', () => {
  seal('x-0000001', HEADER.recording, '30000000');
  expect(beginningOf(store, say(DIED), 'boot')).toMatchObject({ diedAt: 30, point: { at: 42 } });
});

test('what a recovery cut off is said', () => {
  expect(recoveryText(CUT)).toMatch(/sealed without 3 rows/);
  expect(recoveryText({ ...CUT, cutRows: new Map() })).toMatch(/sealed without 100 bytes/);
  expect(recoveryText({ ...CUT, cutBytes: 0, cutRows: new Map() })).toMatch(/is sealed$/);
  expect(recoveryText({ ...CUT, sealed: null, cutRows: new Map() })).toBeNull();
  expect(recoveryText({ ...CUT, sealed: null })).toMatch(/nothing of segment x was whole/);
});
