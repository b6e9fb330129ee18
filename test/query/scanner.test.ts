// The native scanner against the plain executor: the same filter over the same rows, whichever way they lie.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { type Filter, parseFilter } from '../../src/query/filter/filter.ts';
import { plan } from '../../src/query/plan.ts';
import { matches } from '../../src/query/predicate.ts';
import { Scanner } from '../../src/query/scanner.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { openStore } from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, random } from '../support/batches.ts';
import { type Expression, expressionOf, getter, type Row, rowOf } from '../support/expressions.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { rowSeqs, rowsFound } from '../support/rows.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const LONG = process.env.TAPIO_LONG !== undefined;
/** Expressions, each over all rows of its type. */
const EXPRESSIONS = LONG ? 4000 : 400;
const ROWS_PER_BATCH = 40;
const BATCHES = 3;
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
/** By type, in order of seq. */
const rows = new Map<EventType, { readonly seq: bigint; readonly row: Row }[]>();

/** A sealed segment, then an open one: batches of every type in turn. */
beforeAll(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  const segments = join(store, 'segments');
  mkdirSync(segments, { recursive: true });
  const maker = new BatchMaker(SEED);
  let before: ReturnType<typeof pointAt> | null = null;
  for (const name of ['20260101T000000.000Z-0000001', '20260101T000001.000Z-0000002']) {
    const writer = SegmentWriter.create(diskFiles, segments, name, HEADER, before);
    maker.beginSegment();
    let seq = 0n;
    for (let i = 0; i < BATCHES; i++) {
      for (const type of EVENT_TYPES) {
        const made = fc.sample(rowOf(type), { numRuns: ROWS_PER_BATCH, seed: SEED + i });
        const batch = maker.of(
          type,
          made.map(({ values }) => values),
        );
        append(writer, batch);
        const known = rows.get(type) ?? [];
        made.forEach((row, n) => {
          known.push({ seq: batch.rows[n]?.[0] as bigint, row });
        });
        rows.set(type, known);
        seq = batch.item.lastSeq;
      }
      writer.commit(pointAt(seq));
    }
    before = pointAt(seq);
    if (name.endsWith('1')) writer.seal();
    else writer.abandon();
  }
});
afterAll(() => directory.remove());

/** What the plain executor says of all rows of a type. */
function expected(filter: Filter, type: EventType, offset: bigint, not = false): bigint[] {
  const predicate = filter.for(type);
  return (rows.get(type) ?? [])
    .filter(({ row, seq }) => {
      const get = getter(row);
      const own = (field: string): ReturnType<typeof get> => {
        if (field === 'seq') return seq;
        return field === 'ktime' ? (get('ts') as bigint) - offset : get(field);
      };
      return (matches(predicate, own) === true) !== not;
    })
    .map(({ seq }) => seq);
}

const REFUSED =
  /divides by zero|beyond 64 bits|too many cases|no address|nested more|grows too large/;

async function filterOf(text: string): Promise<Filter | null> {
  try {
    return await parseFilter(text);
  } catch (error) {
    expect((error as Error).message).toMatch(REFUSED);
    return null;
  }
}

async function scanned(selection: Selection): Promise<bigint[]> {
  const opened = openStore(store);
  try {
    return await rowSeqs(opened, selection);
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

const caseOf = fc
  .constantFrom(...EVENT_TYPES)
  .chain((type) => expressionOf(type).map((expression) => ({ type, expression })));

test(`${EXPRESSIONS} expressions over ${BATCHES * ROWS_PER_BATCH * 2} rows each: the plain executor agrees`, async () => {
  let met = 0;
  await fc.assert(
    fc.asyncProperty(caseOf, fc.boolean(), async ({ type, expression }, not) => {
      const filter = await filterOf((expression as Expression).ours);
      if (filter === null) return;
      const wanted = expected(filter, type, BigInt(HEADER.ts_offset), not);
      met += wanted.length;
      const got = await scanned({ ...select({ ...NONE, types: [type], filter, not }) });
      expect(got, filter.text).toEqual(wanted);
    }),
    { numRuns: EXPRESSIONS, seed: SEED },
  );
  expect(met, `seed ${SEED}`).toBeGreaterThan(EXPRESSIONS);
});

test('all types at once, all columns: rows in order of seq, each cell as it was', async () => {
  const opened = openStore(store);
  const all = (type: EventType): string[] => EVENT_TABLES[type].columns.map(({ name }) => name);
  const found = await rowsFound(opened, select(NONE), all);
  const known = [...rows].flatMap(([type, own]) => own.map((one) => ({ type, ...one })));
  known.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  expect(found.length, `seed ${SEED}`).toBe(known.length);
  found.forEach(({ type, get }, i) => {
    const want = known[i];
    expect([type, get('seq')]).toEqual([want?.type, want?.seq]);
    for (const name of all(type)) {
      if (name === 'seq') continue;
      expect(get(name), `${type} ${name}, seed ${SEED}`).toEqual(want?.row.values[name] ?? null);
    }
  });
  for (const segment of opened.segments) segment.close();
});

test('first and last so many are the ends of all, for any number', async () => {
  const opened = openStore(store);
  const filter = await parseFilter('pid > 3 || has(process.exit_code)');
  const selection = select({ ...NONE, filter });
  const all = await rowSeqs(opened, selection);
  const next = random(SEED);
  for (const count of [
    0,
    1,
    2,
    all.length,
    all.length + 7,
    ...Array.from({ length: 12 }, () => Math.floor(next() * all.length)),
  ]) {
    const last = await rowSeqs(opened, selection, { first: null, last: count });
    expect(last, `last ${count}, seed ${SEED}`).toEqual(count === 0 ? [] : all.slice(-count));
    const first = await rowSeqs(opened, selection, { first: count, last: null });
    expect(first, `first ${count}, seed ${SEED}`).toEqual(all.slice(0, count));
  }
  for (const segment of opened.segments) segment.close();
});

test('a window is that of ts, whatever else is asked', async () => {
  const known = [...rows].flatMap(([type, own]) => own.map((one) => ({ type, ...one })));
  const times = known.map(({ row }) => row.values.ts as bigint);
  const next = random(SEED);
  const filter = await parseFilter('uid != 7');
  for (let i = 0; i < 20; i++) {
    const [a = 0n, b = 0n] = [0, 1].map(() => times[Math.floor(next() * times.length)] as bigint);
    const [since, until] = a < b ? [a, b] : [b, a + 1n];
    const wanted = known
      .filter(({ row }) => {
        const ts = row.values.ts as bigint;
        return ts >= since && ts < until && row.values.uid !== 7;
      })
      .map(({ seq }) => seq)
      .sort((x, y) => (x < y ? -1 : 1));
    expect(await scanned(select({ ...NONE, since, until, filter })), `seed ${SEED}`).toEqual(
      wanted,
    );
  }
});

test('a scan that nobody takes to its end is closed', async () => {
  const opened = openStore(store);
  const made = plan(opened.segments, select(NONE));
  const scanner = new Scanner(made);
  for await (const block of scanner.blocks(made.batches, { columns: () => ['pid'] })) {
    expect(block.columns.get('pid')?.length).toBe(block.rows);
    break;
  }
  expect(scanner.counts.batches).toBeGreaterThan(0);
  expect(scanner.counts.batches).toBeLessThanOrEqual(made.batches.length);
  for (const segment of opened.segments) segment.close();
});
