// The catalogue says what the segments say: entered as they are sealed, or made anew from them.

import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { Catalog, type Window } from '../../src/catalog/catalog.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import { type SealedSegment, SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';

const ALL: Window = { since: null, until: null };

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let catalog: Catalog;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  ensureStore(store);
  catalog = Catalog.open(store);
});
afterEach(() => {
  catalog.close();
  directory.remove();
});

/** Segments that follow one another in time, each with a loss, entered as they are sealed. */
function record(count: number): SealedSegment[] {
  const maker = new BatchMaker(5);
  return Array.from({ length: count }, (_, i) => {
    // A maker's dictionaries are those of one segment: seq and ts go on all the same.
    maker.beginSegment();
    const writer = SegmentWriter.create(diskFiles, segmentsOf(store), `s-${i}`, HEADER, null);
    for (const type of EVENT_TYPES) {
      const batch = maker.make(type, 20);
      append(writer, batch);
      if (type === 'file') {
        const { firstTs: first_ts, lastTs: last_ts } = batch.item;
        const count = i === 0 ? null : 2n ** 60n;
        writer.addLosses([
          { stage: 'ring', cause: 'overwritten', cpu: i, count, first_ts, last_ts },
        ]);
      }
      writer.commit(pointAt(batch.item.lastSeq));
    }
    const sealed = writer.seal();
    catalog.addSegment(sealed);
    return sealed;
  });
}

const dump = (one: Catalog): unknown => [
  one.names(),
  one.segmentsIn(ALL),
  one.batchesIn(ALL),
  one.lossesIn(ALL),
];

test('what lies in a window is what the index rows say', () => {
  const sealed = record(5);
  const rows = sealed.flatMap((one) => one.index.map((row) => ({ ...row, segment: one.name })));
  const [low, high] = [rows[0]?.firstTs ?? 0n, rows.at(-1)?.lastTs ?? 0n];
  const time = fc.bigInt(low - 100n, high + 100n);
  fc.assert(
    fc.property(fc.option(time), fc.option(time), (since, until) => {
      const overlaps = (t0: bigint, t1: bigint): boolean =>
        (since === null || t1 >= since) && (until === null || t0 < until);
      const batches = catalog.batchesIn({ since, until });
      const names = (all: readonly { segment: string; file: string }[]): string[] =>
        all.map((row) => `${row.segment}/${row.file}`).sort();
      expect(names(batches)).toEqual(
        names(rows.filter((row) => overlaps(row.firstTs, row.lastTs))),
      );
      const found = catalog.segmentsIn({ since, until }).map((row) => row.name);
      const expected = sealed.filter((one) => {
        const times = one.index.flatMap((row) => [row.firstTs, row.lastTs]).sort(compare);
        return overlaps(times[0] ?? 0n, times.at(-1) ?? 0n);
      });
      expect(found).toEqual(expected.map((one) => one.name));
      const losses = sealed.flatMap((one) => one.losses);
      expect(catalog.lossesIn({ since, until }).length).toBe(
        losses.filter((row) => overlaps(row.first_ts as bigint, row.last_ts as bigint)).length,
      );
    }),
  );
});

const open = (name: string): Segment => new Segment(join(segmentsOf(store), name));

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

test('made anew from the segments it is the same', () => {
  record(3);
  const before = dump(catalog);
  for (const name of catalog.names()) catalog.removeSegment(name);
  catalog.sync(readdirSync(segmentsOf(store)), open);
  expect(dump(catalog)).toEqual(before);
  expect(catalog.lossesIn(ALL).map((row) => row.count)).toEqual([null, 2n ** 60n, 2n ** 60n]);
});

test('a segment is entered once, and its batches and losses go with it', () => {
  const [first] = record(2);
  if (first !== undefined) catalog.addSegment(first);
  expect(catalog.lossesIn(ALL).length).toBe(2);
  catalog.removeSegment('s-0');
  expect(catalog.names()).toEqual(['s-1']);
  expect(catalog.lossesIn(ALL).length).toBe(1);
  expect(new Set(catalog.batchesIn(ALL).map((row) => row.segment))).toEqual(new Set(['s-1']));
});

test('its files are for their owner only, whatever the umask', () => {
  const before = process.umask(0);
  try {
    record(1);
    for (const name of readdirSync(store).filter((one) => one.startsWith('catalog.db'))) {
      expect(statSync(join(store, name)).mode & 0o777, name).toBe(0o600);
    }
  } finally {
    process.umask(before);
  }
});

test('one that is damaged, or of a newer version, is made anew', () => {
  record(1);
  catalog.close();
  const path = join(store, 'catalog.db');
  writeFileSync(path, 'this is no database, but long enough to be read as one'.repeat(100));
  catalog = Catalog.open(store);
  expect(catalog.names()).toEqual([]);
  catalog.close();
  const database = new Database(path);
  database.pragma('user_version = 99');
  database.close();
  catalog = Catalog.open(store);
  catalog.sync(readdirSync(segmentsOf(store)), open);
  expect(catalog.names()).toEqual(['s-0']);
});

test('one of the first version keeps its rows', () => {
  catalog.close();
  const path = join(store, 'catalog.db');
  const database = new Database(path);
  database.exec('DROP TABLE losses; DROP INDEX segments_by_span; DROP INDEX batches_by_span');
  database.exec('ALTER TABLE segments DROP COLUMN retired');
  database.exec("INSERT INTO recordings VALUES ('r')");
  database.exec("INSERT INTO segments VALUES ('old', 'r', 1, 2, 3, '{}')");
  database.pragma('user_version = 1');
  database.close();
  catalog = Catalog.open(store);
  expect(catalog.segmentsIn(ALL)).toMatchObject([{ name: 'old', t0: 1n, t1: 2n }]);
});
