// The clocks do what clocks do: they are set, go on while the host sleeps, repeat a second, creep. seq stays
// the order; every segment has one offset; windows, verify and account agree.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CatalogCache } from '../../src/catalog/cache.ts';
import { type Clocks, formatTs } from '../../src/event/clock.ts';
import { Recorder } from '../../src/recorder/recorder.ts';
import { ROTATION } from '../../src/recorder/rotation.ts';
import { readCommits } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import type { Segment } from '../../src/segment/reader.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import { type Native, native } from '../../src/source/binding.ts';
import { queryRows, type Row, temporaryDirectory } from '../support/recording.ts';
import { openSegments } from '../support/segments.ts';
import { accountsOf, damageOf, sleep, until } from './cli.ts';

const SECOND = 1_000_000_000n;
const HOUR = 3600n * SECOND;
const RATE = 4000;

/** The clocks of this host, from which a test moves away. */
class MovedClocks {
  readonly #moved = { realtime: 0n, monotonic: 0n, boottime: 0n };

  move(by: Partial<Clocks>): void {
    for (const [clock, ns] of Object.entries(by)) this.#moved[clock as keyof Clocks] += ns;
  }

  now(): Clocks {
    const { realtime, monotonic, boottime } = native().clocks();
    return {
      realtime: realtime + this.#moved.realtime,
      monotonic: monotonic + this.#moved.monotonic,
      boottime: boottime + this.#moved.boottime,
    };
  }
}

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let recorder: Recorder;
let done: Promise<void>;
let clocks: MovedClocks;
let notes: string[];
let catalog: CatalogCache;
let passed = 0;

beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  ensureStore(store);
  clocks = new MovedClocks();
  notes = [];
  passed = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passed);
  catalog = new CatalogCache(store, (text) => notes.push(text));
  const moved: Native = { ...native(), clocks: () => clocks.now() };
  recorder = new Recorder({
    native: moved,
    files: diskFiles,
    catalog,
    store,
    segments: segmentsOf(store),
    firstNumber: 0,
    host: { recorder: 'test', host: 'h', boot_id: 'b', kernel: 'k' },
    beginning: { recording: 'a recording', point: null, diedAt: null, untold: null },
    recovered: [],
    rotation: ROTATION,
    retention: null,
    source: {
      kind: 'synthetic',
      pins: null,
      orphanTimeoutNs: 0n,
      ringBytes: 4 << 20,
      slotsPerType: 4,
      rate: RATE,
      seed: 3,
      cpus: 2,
      events: 0,
      ops: [1, 2, 3, 4, 5, 15, 24],
      syscalls: [],
      latency: true,
      exclude: { pids: [], uids: [], comms: [], cgroups: [] },
    },
    onNote: (text) => notes.push(text),
  });
  done = recorder.run(() => {});
});
afterEach(async () => {
  recorder.close();
  catalog.close();
  vi.restoreAllMocks();
  directory.remove();
});

const sealed = (): string[] =>
  readdirSync(segmentsOf(store)).filter((name) => !name.startsWith('.'));

/** Moves clocks and waits for the segment that ends with it. */
async function step(by: Partial<Clocks>): Promise<void> {
  const before = sealed().length;
  clocks.move(by);
  await until('the segment ends', () => sealed().length > before);
  await sleep(500);
}

/** Ends the recording; its segments. */
async function end(): Promise<Segment[]> {
  recorder.stop();
  await done;
  recorder.close();
  return openSegments(store);
}

/** What has to be true of a store whatever the clocks did. */
function expectOrder(segments: readonly Segment[], rows: readonly Row[]): void {
  expect(rows.length).toBeGreaterThan(RATE);
  expect(rows.every((row, i) => row.seq === i + 1)).toBe(true);
  segments.forEach(({ commits }, i) => {
    expect(commits?.begin?.through_seq ?? 0).toBe(
      segments[i - 1]?.commits?.lines.at(-1)?.through_seq ?? 0,
    );
    expect(commits?.lines.at(-1)?.clocks).toBeDefined();
  });
  // ktime knows nothing of all this.
  let newest = 0n;
  for (const row of rows) {
    if ((row.flags & 1) !== 0) continue;
    expect(BigInt(row.ktime)).toBeGreaterThanOrEqual(newest);
    newest = BigInt(row.ktime);
  }
  expect(damageOf(store)).toBe('');
  expect(accountsOf(store)).toMatchObject([{ holds: true, reasons: [], causes: [] }]);
}

const FIELDS = ['--fields', 'seq,ts,ktime,flags'];

/** Asks for windows around points in time; the answer is what a filter over all rows gives. */
function expectWindows(rows: readonly Row[], at: readonly bigint[]): void {
  for (const middle of at) {
    const [since, until] = [middle - SECOND / 2n, middle + SECOND].map(formatTs) as [
      string,
      string,
    ];
    const asked = queryRows(store, ['--since', since, '--until', until, ...FIELDS]);
    const wanted = rows.filter(({ ts }) => ts >= since && ts < until);
    expect(wanted.length).toBeGreaterThan(0);
    expect(asked).toEqual(wanted);
  }
}

const clockRows = (segments: readonly Segment[]): string[][] =>
  segments.map((segment) =>
    segment
      .losses()
      .filter(({ stage }) => stage === 'clock')
      .map(({ cause }) => cause),
  );

test('set forth and back, asleep, a second twice: a segment each, with a row that says so', async () => {
  await sleep(1200);
  await step({ realtime: HOUR });
  await step({ realtime: -HOUR });
  await step({ realtime: HOUR, boottime: HOUR });
  // What a leap second is to CLOCK_REALTIME.
  await step({ realtime: -SECOND });
  const segments = await end();
  const rows = queryRows(store, ['--all', ...FIELDS]);
  expectOrder(segments, rows);
  expect(clockRows(segments)).toEqual([
    ['clock_step'],
    ['clock_step'],
    ['suspend'],
    ['clock_step'],
    [],
  ]);
  expect(notes.map((text) => text.split(':')[0])).toEqual([
    'the wall clock was set',
    'the wall clock was set',
    'the wall clock went on while the host slept',
    'the wall clock was set',
  ]);
  const offsets = segments.map(({ tsOffset }) => tsOffset);
  const moves = offsets.slice(1).map((offset, i) => offset - (offsets[i] ?? 0n));
  [HOUR, -HOUR, HOUR, -SECOND].forEach((move, i) => {
    expect(Number((moves[i] ?? 0n) - move)).toBeLessThan(1e6);
    expect(Number((moves[i] ?? 0n) - move)).toBeGreaterThan(-1e6);
  });
  // Around each seam, and where times come twice.
  const seams = segments.flatMap(({ commits, tsOffset }) => {
    const newest = BigInt(commits?.lines.at(-1)?.newest ?? 0);
    const oldest = BigInt(commits?.begin?.newest ?? 0);
    return oldest === 0n ? [newest + tsOffset] : [oldest + tsOffset, newest + tsOffset];
  });
  expectWindows(rows, seams);
  for (const segment of segments) segment.close();
  console.log(
    `clocks: ${rows.length} rows in ${segments.length} segments, ${seams.length} windows`,
  );
});

test('slewed, the clocks go together and nothing is told; what creeps is told once it adds up', async () => {
  for (let i = 0; i < 3; i++) {
    await sleep(950);
    clocks.move({ realtime: 700_000n, monotonic: 700_000n, boottime: 700_000n });
  }
  expect([sealed(), notes]).toEqual([[], []]);
  for (let i = 0; i < 2; i++) {
    await sleep(950);
    clocks.move({ realtime: 400_000n });
  }
  await sleep(950);
  expect(sealed()).toEqual([]);
  await step({ realtime: 400_000n });
  const segments = await end();
  expectOrder(segments, queryRows(store, ['--all', ...FIELDS]));
  expect(clockRows(segments)).toEqual([['clock_step'], []]);
  for (const segment of segments) segment.close();
});

test('the clocks are in the commit lines each minute and at the seal, also of a merged segment', async () => {
  /** Different readings of CLOCK_MONOTONIC in the lines of the only segment, s. */
  const readings = (): number[] => {
    const [name = ''] = readdirSync(segmentsOf(store));
    const lines = readCommits(join(segmentsOf(store), name))?.lines ?? [];
    const read = lines.flatMap((line) =>
      line.clocks ? [Number(line.clocks.monotonic) / 1e9] : [],
    );
    return [...new Set(read)];
  };
  // The segment itself says what the clocks were as it began.
  for (let minute = 1; minute <= 4; minute++) {
    passed += 60_000;
    clocks.move({ realtime: 60n * SECOND, monotonic: 60n * SECOND, boottime: 60n * SECOND });
    await sleep(2500);
    expect(readings().length).toBe(minute);
  }
  const segments = await end();
  expect(segments.length).toBe(1);
  const told = readings();
  expect(told.length).toBeGreaterThanOrEqual(5);
  for (let i = 1; i < 4; i++) {
    expect((told[i] ?? 0) - (told[i - 1] ?? 0)).toBeGreaterThanOrEqual(60);
  }
  // Batches this small were merged.
  expect(segments[0]?.batches('file').length).toBe(1);
  for (const segment of segments) segment.close();
});
