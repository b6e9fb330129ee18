// What a plan leaves out for what the commit lines of a segment say, without a look at its index.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { missingFrom } from '../../src/query/completeness.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { type OpenedStore, openStore } from '../../src/segment/store.ts';
import { columnIndex, MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { rowSeqs } from '../support/rows.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let made: MadeRecording;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  mkdirSync(join(store, 'segments'), { recursive: true });
  made = new MadeRecording(join(store, 'segments'), 'one', SEED, 0);
});
afterEach(() => directory.remove());

const EACH = EVENT_TYPES.map((type) => [type, 12] as const);

function record(segments: number): void {
  for (let i = 0; i < segments; i++) made.write(...EACH, ...EACH).seal();
}

async function opened<T>(work: (store: OpenedStore) => Promise<T>): Promise<T> {
  const all = openStore(store);
  try {
    return await work(all);
  } finally {
    for (const segment of all.segments) segment.close();
  }
}

const timesOf = (): bigint[] =>
  [...made.rows.values()]
    .map(({ type, cells }) => cells[columnIndex(type, 'ts')] as bigint)
    .sort((a, b) => (a < b ? -1 : 1));

function expected({ since, until, types }: Selection): bigint[] {
  return [...made.rows]
    .filter(([, { type, cells }]) => {
      const ts = cells[columnIndex(type, 'ts')] as bigint;
      return (
        types.includes(type) && (since === null || ts >= since) && (until === null || ts < until)
      );
    })
    .map(([seq]) => seq)
    .sort((a, b) => (a < b ? -1 : 1));
}

test('any window gives the rows that lie in it, counted and read', async () => {
  record(6);
  made.write(...EACH);
  const times = timesOf();
  const place = fc.nat(times.length - 1).map((i) => times[i] as bigint);
  await opened(async (all) => {
    await fc.assert(
      fc.asyncProperty(place, place, fc.subarray([...EVENT_TYPES]), async (a, b, types) => {
        const [since, until] = a < b ? [a, b] : [b, a + 1n];
        const selection = select({ ...NONE, since, until, types });
        const seqs = expected(selection);
        expect(await rowSeqs(all, selection)).toEqual(seqs);
        expect(await Reading.of(all, selection).count()).toBe(seqs.length);
      }),
      { seed: SEED },
    );
  });
});

/** Takes away what a plan need not look at: the index, and all event files. */
function strip(name: string): void {
  const path = join(store, 'segments', name);
  for (const file of readdirSync(path)) {
    if (file === 'index.arrow' || EVENT_TYPES.some((type) => file === `${type}.arrow`)) {
      rmSync(join(path, file));
    }
  }
}

test('a segment that lies outside the window is not looked at', async () => {
  // Late rows make a segment's lines tell no times: there are enough that have none.
  record(12);
  await opened(async (all) => {
    const told = all.segments.filter(({ span }) => span !== null);
    expect(told.length, `seed ${SEED}`).toBeGreaterThan(0);
    const kept = told.at(-1);
    if (kept?.span == null) throw new Error('a segment says its times');
    for (const { name } of told) if (name !== kept.name) strip(name);
    const selection = select({ ...NONE, since: kept.span.first + 1n, until: kept.span.last });
    const seqs = expected(selection);
    expect(await rowSeqs(all, selection)).toEqual(seqs);
    expect(await Reading.of(all, selection).count()).toBe(seqs.length);
    expect(missingFrom(all, selection)).toEqual([]);
    const { window } = Reading.of(all, selection).plan.skipped;
    expect(window.files).toBe((told.length - 1) * EVENT_TYPES.length);
  });
});

test('what is certain by the commit lines is counted without an index', async () => {
  record(3);
  await opened(async (all) => {
    for (const { name } of all.segments) strip(name);
    expect(await Reading.of(all, select(NONE)).count()).toBe(made.rows.size);
    const files = select({ ...NONE, types: ['file', 'memory'] });
    expect(await Reading.of(all, files).count()).toBe(3 * 4 * 12);
    const { counted, skipped } = Reading.of(all, files).plan;
    expect(counted).toEqual({ rows: 3 * 4 * 12, batches: [] });
    expect(skipped.type.files).toBe(3 * 3);
    expect(skipped.type.rows).toBe(3 * 6 * 12);
  });
});

test('an expression is asked of the rows, or of the index', async () => {
  record(3);
  await opened(async (all) => {
    const filter = await parseFilter('pid >= 0');
    const { counted } = Reading.of(all, select({ ...NONE, filter })).plan;
    expect(counted.rows).toBe(0);
    expect(counted.batches.length).toBeGreaterThan(0);
  });
});
