// The recorder on a fake source: when segments end, what is a loss row, when a flush is done.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EVENTS, MAX_OPS } from '../../schemas/events.ts';
import type { Beginning } from '../../src/recorder/beginning.ts';
import { FLUSH_MS, Recorder } from '../../src/recorder/recorder.ts';
import { ROTATION } from '../../src/recorder/rotation.ts';
import { diskFiles, type StoreFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import { FakeNative, type FakeSource } from '../support/fake-source.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { openSegments, pointAt } from '../support/segments.ts';

const OPEN = EVENTS.file.ops.open.id;
const OFFSET = 1_800_000_000_000_000_000n - 10n ** 12n;
const LIMITS = { ...ROTATION };

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let native: FakeNative;
let source: FakeSource;
let recorder: Recorder;
let done: Promise<void>;
let notes: string[];
let beginning: Beginning;

function begin(rotation = LIMITS, files = diskFiles, how: 'new' | 'continued' = 'new'): void {
  native = new FakeNative();
  native.started = { how, resumed: how === 'continued', notes: [] };
  notes = [];
  recorder = new Recorder({
    native,
    files,
    catalog: null,
    segments: segmentsOf(store),
    firstNumber: 0,
    host: { recorder: 'test', host: 'h', boot_id: 'b', kernel: 'k' },
    beginning,
    recovered: [],
    retention: null,
    store,
    source: {
      kind: 'synthetic',
      pins: null,
      orphanTimeoutNs: 0n,
      ringBytes: 1 << 20,
      slotsPerType: 1,
      ops: [OPEN],
      syscalls: [],
      latency: true,
      exclude: { pids: [], uids: [], comms: [], cgroups: [] },
    },
    rotation,
    onNote: (text) => notes.push(text),
  });
  source = native.source;
  source.tsOffset = OFFSET;
  done = recorder.run(() => {});
  done.catch(() => {});
}

/** Lets the recorder take everything that was handed over. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** One flush period, with the clocks in step. */
async function tick(ns = BigInt(FLUSH_MS) * 1_000_000n): Promise<void> {
  native.pass(ns);
  await vi.advanceTimersByTimeAsync(FLUSH_MS);
}

const opens = (count: number): void =>
  source.rows(
    'file',
    Array.from({ length: count }, (_, i) => ({ op: 'open', comm: 'cat', pid: i, path: `/p${i}` })),
  );

const names = (): string[] => readdirSync(segmentsOf(store)).sort();

async function end(): Promise<void> {
  recorder.stop();
  source.cutNow('final');
  await settle();
  await done;
  recorder.close();
}

beforeEach(() => {
  beginning = { recording: 'r', point: null, diedAt: null, untold: null };
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  ensureStore(store);
  begin();
});
afterEach(() => {
  recorder.close();
  vi.useRealTimers();
  directory.remove();
});

test('a segment is made by its first rows, and one without rows never is', async () => {
  await tick();
  source.cutNow();
  await settle();
  expect(names()).toEqual([]);
  opens(3);
  source.cutNow();
  await settle();
  expect(names()).toMatchObject([expect.stringMatching(/^\.open-/)]);
  await end();
  expect(names()).toMatchObject([expect.stringMatching(/^20\d{6}T\d{6}\.\d{3}Z-0000000$/)]);
  const totals = recorder.totals();
  expect(totals).toMatchObject({ events: { file: { open: 3 } }, lost: {}, segments: 1 });
  const folder = join(segmentsOf(store), names()[0] ?? '');
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  expect(totals.bytes).toBe(sizes.reduce((a, b) => a + b, 0));
});

test('an idle recording ends without a trace', async () => {
  await end();
  expect(names()).toEqual([]);
  expect(recorder.totals()).toMatchObject({ events: {}, segments: 0, bytes: 0, firstTs: null });
});

test('another filter begins another segment, which says so', async () => {
  const config = native.options;
  const only = (text: string): void =>
    recorder.configure({ ...config, filter: { text, predicates: {}, pushed: null } });
  opens(1);
  only('pid == 1');
  only('pid == 1');
  expect(source.asked.length).toBe(1);
  opens(1);
  source.cutNow('rotated');
  opens(1);
  await settle();
  // One that is asked for while a cut is on its way is not taken for the one before.
  recorder.rotate();
  only('pid == 2');
  expect(source.asked.length).toBe(3);
  source.cutNow('rotated');
  opens(1);
  recorder.configure({ ...config, filter: null });
  source.cutNow('rotated');
  opens(1);
  await settle();
  await end();
  const filters = names().map((name) => new Segment(join(segmentsOf(store), name)).header.filter);
  expect(filters).toEqual([undefined, 'pid == 1', 'pid == 2', undefined]);
});

test('another mask begins another segment; what was masked is counted in each, and in all', async () => {
  const config = native.options;
  const mask = [{ name: 'pins', pattern: '--pin=(.*)' }];
  opens(1);
  recorder.configure({ ...config, mask });
  recorder.configure({ ...config, mask });
  expect(source.asked.length).toBe(1);
  source.cutNow('rotated');
  opens(1);
  source.masked = { pins: 2 };
  source.cutNow();
  await settle();
  expect(recorder.totals().masked).toEqual({ pins: 2 });
  recorder.rotate();
  opens(1);
  source.masked = { pins: 3 };
  source.cutNow('rotated');
  opens(1);
  source.masked = { pins: 1 };
  source.cutNow();
  await settle();
  expect(recorder.totals().masked).toEqual({ pins: 4 });
  recorder.configure({ ...config, mask: [] });
  source.cutNow('rotated');
  source.masked = {};
  opens(1);
  await settle();
  await end();
  const segments = names().map((name) => new Segment(join(segmentsOf(store), name)));
  expect(segments.map(({ header }) => header.mask)).toEqual([
    undefined,
    ['pins'],
    ['pins'],
    undefined,
  ]);
  expect(segments.map(({ commits }) => commits?.last?.masked)).toEqual([
    undefined,
    { pins: 3 },
    { pins: 1 },
    undefined,
  ]);
});

test('what is left out in the kernel and as it is read is told as one', async () => {
  source.filtered[OPEN] = 3n;
  source.own[OPEN] = 4n;
  source.cutNow();
  await settle();
  expect(recorder.totals().filtered).toBe(7);
});

test('each second asks for a cut, and no more', async () => {
  for (let i = 0; i < 3; i++) await tick();
  expect(source.asked).toEqual([null, null, null]);
});

test('size, and age above a size, ask for a rotation once', async () => {
  recorder.close();
  begin({ ...LIMITS, bytesMax: 2000, agedMs: 10_000, agedBytesMin: 1 });
  opens(1);
  source.cutNow();
  await settle();
  source.asked.length = 0;
  opens(200);
  source.cutNow();
  await settle();
  await tick();
  await tick();
  expect(source.asked).toEqual([OFFSET]);
  source.cutNow('rotated');
  await settle();
  expect(names().length).toBe(1);
  expect(names()[0]).not.toContain('.open-');
});

test('a small segment is ended by its age alone after an hour', async () => {
  opens(1);
  source.cutNow();
  await settle();
  const ticks = Math.ceil(LIMITS.ageMaxMs / FLUSH_MS);
  for (let i = 0; i < ticks - 1; i++) await tick();
  expect(source.asked.every((one) => one === null)).toBe(true);
  for (let i = 0; i < 2; i++) await tick();
  expect(source.asked.filter((one) => one !== null)).toEqual([OFFSET]);
});

test('too many processes of one segment end it', async () => {
  recorder.close();
  begin({ ...LIMITS, processesMax: 50 });
  source.rows(
    'process',
    Array.from({ length: 60 }, (_, i) => ({
      op: 'fork',
      pid: 1,
      child_pid: 1_000_000 + i,
      child_pstart: BigInt(i),
    })),
  );
  source.cutNow();
  await settle();
  await tick();
  expect(source.asked).toEqual([OFFSET]);
});

test('a step of the wall clock ends the segment and leaves a clock row', async () => {
  opens(2);
  source.cutNow();
  await settle();
  source.asked.length = 0;
  native.time = { ...native.time, realtime: native.time.realtime + 5_000_000_000n };
  await tick();
  // The request is out; the same step is not told twice.
  await tick();
  expect(source.asked).toEqual([OFFSET + 5_000_000_000n, null]);
  expect(notes).toEqual(['the wall clock was set: a new segment begins']);
  source.cutNow('rotated', OFFSET + 5_000_000_000n);
  await settle();
  await tick();
  opens(1);
  await end();
  const [first, second] = openSegments(store);
  expect(first?.losses()).toMatchObject([{ stage: 'clock', cause: 'clock_step', count: null }]);
  expect(first?.tsOffset).toBe(OFFSET);
  expect(second?.tsOffset).toBe(OFFSET + 5_000_000_000n);
  expect(second?.losses()).toEqual([]);
  // A step is no loss of rows.
  expect(recorder.totals().lost).toEqual({});
  first?.close();
  second?.close();
});

test('small steps add up; a suspend is told as one', async () => {
  const step = (): void => {
    native.time = { ...native.time, realtime: native.time.realtime + 400_000n };
  };
  for (let i = 0; i < 2; i++) {
    step();
    await tick();
  }
  expect(source.asked).toEqual([null, null]);
  step();
  await tick();
  expect(source.asked.at(-1)).toBe(OFFSET + 1_200_000n);
  source.cutNow('rotated', OFFSET + 1_200_000n);
  await settle();
  const slept = 60_000_000_000n;
  const { realtime, boottime } = native.time;
  native.time = { ...native.time, realtime: realtime + slept, boottime: boottime + slept };
  await tick();
  expect(source.asked.at(-1)).toBe(OFFSET + 1_200_000n + slept);
  expect(notes.at(-1)).toContain('while the host slept');
});

test('losses are rows with stage, cause, op, CPU and time, counted once', async () => {
  opens(1);
  source.cutNow();
  await settle();
  source.lost[MAX_OPS + OPEN] = 70n;
  source.refused[2 * 2 * MAX_OPS + OPEN] = 5n; // table_full on CPU 0
  source.malformed[0] = 2n;
  source.lossFirst = 100n;
  source.lossLast = 200n;
  source.cutNow();
  source.cutNow();
  source.lost[MAX_OPS + OPEN] = 75n;
  source.cutNow();
  await settle();
  await end();
  const [segment] = openSegments(store);
  const rows = segment?.losses() ?? [];
  segment?.close();
  expect(rows).toMatchObject([
    { stage: 'kernel', cause: 'table_full', type: 'file', op: 'open', cpu: 0, count: 5n },
    { stage: 'ring', cause: 'overwritten', type: 'file', op: 'open', cpu: 1, count: 70n },
    { stage: 'decode', cause: 'malformed', type: null, op: null, cpu: null, count: 2n },
    { stage: 'ring', cause: 'overwritten', type: 'file', op: 'open', cpu: 1, count: 5n },
  ]);
  expect([rows[1]?.firstTs, rows[1]?.lastTs]).toEqual([OFFSET + 100n, OFFSET + 200n]);
  expect(recorder.totals().lost).toEqual({
    kernel: { table_full: { file: 5 } },
    ring: { overwritten: { file: 75 } },
    decode: { malformed: { unknown: 2 } },
  });
});

test('a loss without a row makes a segment too: it must be found', async () => {
  source.lost[OPEN] = 9n;
  source.cutNow();
  await settle();
  await end();
  const [segment] = openSegments(store);
  expect(segment?.losses()).toMatchObject([{ count: 9n, cpu: 0 }]);
  segment?.close();
});

test('a flush waits for a cut that was asked for after it', async () => {
  opens(1);
  let flushed = false;
  source.cutNow(); // made before the flush was asked for, taken after
  void recorder.flush().then(() => {
    flushed = true;
  });
  await settle();
  expect(flushed).toBe(false);
  source.cutNow();
  await settle();
  expect(flushed).toBe(true);
  // None is left waiting by the end.
  const late = recorder.flush();
  await end();
  await late;
  await recorder.flush();
});

test('what is read from an open segment is what was committed', async () => {
  opens(4);
  source.cutNow();
  await settle();
  opens(3);
  await settle();
  const segment = new Segment(join(segmentsOf(store), names()[0] ?? ''));
  expect(segment.rows('file')).toBe(4);
  segment.close();
});

test('events are counted over segments; ops that cannot be recorded are named', async () => {
  opens(2);
  source.cutNow('rotated');
  source.rows('file', [{ op: 'read' }, { op: 'open' }, { op: 'read' }]);
  source.cutNow();
  source.unattached = { [OPEN]: 'no such hook' };
  await settle();
  expect(recorder.totals()).toMatchObject({
    events: { file: { open: 3, read: 2 } },
    segments: 2,
    unattached: { 'file.open': 'no such hook' },
  });
});

/** A disk whose syncs of directories fail with a code, while it says so. */
function failing(): { files: StoreFiles; code: string | null } {
  const state = {
    code: null as string | null,
    files: {
      ...diskFiles,
      syncDirectory(path: string): void {
        const { code } = state;
        if (code !== null) throw Object.assign(new Error('simulated'), { code });
        diskFiles.syncDirectory(path);
      },
    },
  };
  return state;
}

test('a full disk is waited out: what was not committed is had again from the rings', async () => {
  recorder.close();
  const disk = failing();
  begin(LIMITS, disk.files);
  opens(2);
  source.cutNow();
  await settle();
  disk.code = 'ENOSPC';
  source.rows('memory', [{ op: 'oom' }]);
  source.cutNow();
  await settle();
  expect(notes).toEqual([expect.stringContaining('disk of the store is full')]);
  expect(recorder.totals().outage).toMatchObject({ cause: 'no_space' });
  // Row 3 was handed over and not committed: it is asked for again.
  expect(source.rewound).toMatchObject([{ nextSeq: 3n, point: { rings: 'fake-rings' } }]);
  expect(source.paused).toBe(true);
  await tick();
  expect(source.paused).toBe(true);
  disk.code = null;
  await tick();
  expect(source.paused).toBe(false);
  expect(notes[1]).toContain('can be written again');
  // What the rings could not hold meanwhile is lost because of the disk.
  source.lost[OPEN] = 5n;
  source.rows('memory', [{ op: 'oom' }]);
  source.cutNow();
  await settle();
  source.lost[OPEN] = 6n;
  await end();
  expect(recorder.totals()).toMatchObject({
    events: { file: { open: 2 }, memory: { oom: 1 } },
    lost: { ring: { no_space: { file: 5 }, overwritten: { file: 1 } } },
    outage: null,
  });
  const segments = openSegments(store);
  expect(segments.map((one) => [one.sealed, one.rows('file'), one.rows('memory')])).toEqual([
    [true, 2, 0],
    [true, 0, 1],
  ]);
  expect(segments[1]?.commits?.begin).toMatchObject({ through_seq: 2 });
  for (const segment of segments) segment.close();
});

test('a stop while the disk is full waits a while, then ends with the sentence that helps', async () => {
  recorder.close();
  const disk = failing();
  begin(LIMITS, disk.files);
  disk.code = 'EROFS';
  opens(1);
  source.cutNow();
  await settle();
  recorder.stop();
  expect(source.stopped).toBe(false);
  for (let i = 0; i < 13; i++) await tick();
  await expect(done).rejects.toThrow(/read_only.*stays in the rings.*start again/);
  recorder.close();
  // The rings go on: what is pinned is not let go of.
  expect([source.stopped, source.closed, source.forgotten]).toEqual([false, true, []]);
});

test('a disk that fails in another way than at first is called by that: each once', async () => {
  recorder.close();
  const disk = failing();
  begin(LIMITS, disk.files);
  disk.code = 'EIO';
  opens(1);
  source.cutNow();
  await settle();
  const since = recorder.totals().outage?.since;
  // As when a journal ends with EIO, and the file system is read-only from then on.
  disk.code = 'EROFS';
  for (let i = 0; i < 3; i++) await tick();
  expect(notes).toEqual([
    expect.stringContaining('fails (EIO)'),
    expect.stringContaining('is read-only'),
  ]);
  expect(recorder.totals().outage).toEqual({ cause: 'read_only', since });
  disk.code = null;
  await tick();
  expect(notes[2]).toContain('can be written again');
  await end();
});

test('a store that vanishes under the recorder ends it at once', async () => {
  opens(1);
  source.cutNow();
  await settle();
  rmSync(store, { recursive: true });
  await tick();
  await expect(done).rejects.toThrow(/store .* is gone/);
});

test('what is no trouble of the disk ends the recording with its cause', async () => {
  recorder.close();
  const disk = failing();
  begin(LIMITS, disk.files);
  disk.code = 'ENOTDIR';
  opens(1);
  source.cutNow();
  await settle();
  await expect(done).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('a recording that died goes on: its seq, its counters, its losses', async () => {
  recorder.close();
  const point = { ...pointAt(7n), rings: 'fake-rings', lost: [{ [OPEN]: 4 }, {}], at: 5000 };
  beginning = { recording: 'r', point, diedAt: 5000, untold: null };
  begin(LIMITS, diskFiles, 'continued');
  expect(native.options).toMatchObject({
    nextSeq: 8n,
    resume: { rings: 'fake-rings', lost: expect.any(BigUint64Array) },
  });
  source.lost[OPEN] = 6n;
  opens(1);
  source.cutNow();
  await settle();
  await end();
  // Four were counted before; nothing was lost with the recorder.
  expect(recorder.totals().lost).toEqual({ ring: { overwritten: { file: 2 } } });
});

test('one whose rings are gone says from when on nothing is known', async () => {
  recorder.close();
  beginning = { recording: 'r', point: pointAt(7n), diedAt: 5000, untold: null };
  begin();
  opens(1);
  source.cutNow();
  await settle();
  await end();
  const [segment] = openSegments(store);
  expect(segment?.losses()).toMatchObject([
    { stage: 'recorder', cause: 'crash', count: null, firstTs: 5_000_000_000n },
  ]);
  segment?.close();
});

test('rings that were drained to their end are let go of once that is durable', async () => {
  opens(1);
  source.cutNow('ended');
  await settle();
  expect(source.forgotten).toEqual(['fake-rings']);
  source.rings = 'new-rings';
  source.handover = [5n, 9n];
  source.consumed[OPEN] = 1n;
  opens(1);
  source.cutNow();
  await settle();
  source.handover = [0n, 0n];
  await end();
  expect(recorder.totals().lost).toMatchObject({ recorder: { handover: { unknown: 0 } } });
  const [segment] = openSegments(store);
  const rings = segment?.commits?.lines.map((line) => [line.rings, line.ended === true]);
  expect([rings?.at(0), rings?.at(-1)]).toEqual([
    ['fake-rings', true],
    ['new-rings', true],
  ]);
  segment?.close();
});
