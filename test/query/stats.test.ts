// Sums by group, against sums made row by row.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import {
  checkField,
  eventsOverTime,
  groupsOf,
  percentile,
  type StatsGroup,
  type StatsQuestion,
} from '../../src/query/stats.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { openStore } from '../../src/segment/store.ts';
import type { Value } from '../../src/segment/vectors.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { rowOf } from '../support/expressions.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { type FoundRow, rowsFound } from '../support/rows.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;

/** Three segments of small values, so that groups have many rows. */
beforeAll(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  const segments = join(store, 'segments');
  mkdirSync(segments, { recursive: true });
  const maker = new BatchMaker(SEED);
  let before: ReturnType<typeof pointAt> | null = null;
  for (let n = 1; n <= 3; n++) {
    const name = `20260101T00000${n}.000Z-000000${n}`;
    const writer = SegmentWriter.create(diskFiles, segments, name, HEADER, before);
    maker.beginSegment();
    for (const type of EVENT_TYPES) {
      const rows = fc.sample(rowOf(type), { numRuns: 60, seed: SEED + n });
      const batch = maker.of(
        type,
        rows.map(({ values }) => values),
      );
      append(writer, batch);
      before = pointAt(batch.item.lastSeq);
      writer.commit(before);
    }
    writer.seal();
  }
});
afterAll(() => directory.remove());

const fieldsOf = (type: EventType, kinds: readonly string[]): string[] =>
  EVENT_TABLES[type].columns
    .filter((column) => kinds.includes(column.type))
    .map(({ name, nullable }) => (nullable ? `${type}.${name}` : name));

const nameOf = (field: string): string => field.split('.').at(-1) as string;

/** The plain way. */
interface Plain {
  rows: bigint;
  events: bigint;
  sums: bigint[];
}

function plainGroups(rows: readonly FoundRow[], { by, sums }: StatsQuestion): Map<string, Plain> {
  const out = new Map<string, Plain>();
  for (const { type, get } of rows) {
    const fits = (field: string): boolean => !field.includes('.') || field.startsWith(`${type}.`);
    if (!by.every(fits)) continue;
    const keys = by.map((field): Value => (field === 'type' ? type : get(nameOf(field))));
    const name = keys.map(String).join('|');
    const group = out.get(name) ?? { rows: 0n, events: 0n, sums: sums.map(() => 0n) };
    out.set(name, group);
    const weight = BigInt(get('weight') as number);
    group.rows++;
    group.events += weight;
    sums.forEach((field, i) => {
      const value = fits(field) ? get(nameOf(field)) : null;
      if (value !== null) group.sums[i] = (group.sums[i] ?? 0n) + BigInt(value as number) * weight;
    });
  }
  return out;
}

const question = fc.constantFrom(...EVENT_TYPES).chain((type) => {
  const keys = fieldsOf(type, ['u16', 'u32', 'u64', 'i32', 'i64', 'name', 'text']).filter(
    (f) => f !== 'seq',
  );
  const numbers = fieldsOf(type, ['u16', 'u32', 'u64', 'i32', 'i64']).filter((f) => f !== 'seq');
  return fc.record({
    by: fc.uniqueArray(fc.constantFrom('type', ...keys), { minLength: 1, maxLength: 3 }),
    sums: fc.uniqueArray(fc.constantFrom(...numbers), { maxLength: 2 }),
    of: fc.option(fc.constantFrom(...numbers)),
    filter: fc.constantFrom('true', 'pid > 3', '!(uid == 0)', `type == "${type}"`),
  });
});

const keyOf = ({ keys }: StatsGroup): string => keys.map(String).join('|');

test('groups, weighted sums and counts are those made row by row', async () => {
  const opened = openStore(store);
  const all = (type: EventType): string[] => EVENT_TABLES[type].columns.map(({ name }) => name);
  await fc.assert(
    fc.asyncProperty(question, async ({ by, sums, of, filter: text }) => {
      const filter = await parseFilter(text);
      const selection: Selection = select({ ...NONE, filter });
      const asked: StatsQuestion = { by, sums, distribution: () => of };
      const reading = Reading.of(opened, selection);
      const found = await groupsOf(reading.scanner, reading.plan, asked, () => true);
      const plain = plainGroups(await rowsFound(opened, selection, all), asked);
      expect(found.map(keyOf).sort()).toEqual([...plain.keys()].sort());
      for (const group of found) {
        const { rows, events, sums: added } = group;
        expect({ rows, events, sums: added }, `${keyOf(group)}, seed ${SEED}`).toEqual(
          plain.get(keyOf(group)),
        );
      }
    }),
    { numRuns: 150, seed: SEED },
  );
  for (const segment of opened.segments) segment.close();
});

test('percentiles are within 1/128 below the value of that rank, the largest exact', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 50n }), { minLength: 1 }), (values) => {
      const buckets = new Map<bigint, number>();
      for (const value of values) {
        const low = lowOf(value);
        buckets.set(low, (buckets.get(low) ?? 0) + 1);
      }
      const sorted = [...values].sort((a, b) => (a < b ? -1 : 1));
      const largest = sorted.at(-1) as bigint;
      for (const share of [0.5, 0.9, 0.99]) {
        const exact = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] as bigint;
        const got = percentile({ buckets, largest }, share) as bigint;
        expect(got <= exact && exact - got <= exact / 128n).toBe(true);
      }
      expect(percentile({ buckets, largest }, 1)).toBe(largest);
    }),
    { seed: SEED },
  );
  expect(percentile({ buckets: new Map(), largest: 0n }, 0.5)).toBeNull();
});

/** The smallest value of a bucket, as native/groups.cc has them. */
function lowOf(value: bigint): bigint {
  if (value < 256n) return value;
  const exponent = BigInt(value.toString(2).length - 8);
  return (value >> exponent) << exponent;
}

test('native buckets are these', async () => {
  const opened = openStore(store);
  const reading = Reading.of(opened, select({ ...NONE, types: ['file'] }));
  const asked: StatsQuestion = { by: ['type'], sums: [], distribution: () => 'cgroup_id' };
  const [group] = await groupsOf(reading.scanner, reading.plan, asked, () => true);
  const rows = await rowsFound(opened, select({ ...NONE, types: ['file'] }), () => [
    'cgroup_id',
    'weight',
  ]);
  const want = new Map<bigint, number>();
  for (const { get } of rows) {
    const low = lowOf(get('cgroup_id') as bigint);
    const weight = get('weight') as number;
    if (weight > 0) want.set(low, (want.get(low) ?? 0) + weight);
  }
  const got = [...(group?.distribution.buckets ?? [])];
  const order = (a: readonly [bigint, number], b: readonly [bigint, number]): number =>
    a[0] < b[0] ? -1 : 1;
  expect(got.sort(order)).toEqual([...want].sort(order));
  for (const segment of opened.segments) segment.close();
});

test('over time: each event in the bucket of its ts', async () => {
  const opened = openStore(store);
  const selection = select(NONE);
  const rows = await rowsFound(opened, selection, () => ['ts', 'weight']);
  const reading = Reading.of(opened, selection);
  const origin = (rows[0]?.get('ts') as bigint) - 5n;
  const width = 100_000_000n;
  const want = new Map<number, bigint>();
  for (const { get } of rows) {
    const distance = (get('ts') as bigint) - origin;
    const bucket = Number(distance < 0n ? (distance - width + 1n) / width : distance / width);
    want.set(bucket, (want.get(bucket) ?? 0n) + BigInt(get('weight') as number));
  }
  const got = await eventsOverTime(reading.scanner, reading.plan, origin, width, () => true);
  expect(new Map([...got].sort()), `seed ${SEED}`).toEqual(new Map([...want].sort()));
  for (const segment of opened.segments) segment.close();
});

test('what nobody can group by or add up is refused', () => {
  expect(() => checkField('comm', 'sum')).toThrow('numbers are added up, which is not comm');
  expect(() => checkField('process.args', 'group')).toThrow('cannot be grouped by process.args');
  checkField('network.dport', 'group');
  checkField('type', 'group');
});
