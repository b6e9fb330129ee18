// What is left of expressions after they were changed at random: where that is an expression still, the native
// scanner does what the plain executor does, and neither crashes.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { type Filter, parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { select } from '../../src/query/select.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { type OpenedStore, openStore } from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { getter, type Row, rowOf } from '../support/expressions.ts';
import { changedFilter } from '../support/hostile-filters.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { rowSeqs } from '../support/rows.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const TEXTS = process.env.TAPIO_LONG === undefined ? 2_500 : 50_000;
const ROWS = 12;
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };

const directory = temporaryDirectory();
const rows: { readonly type: EventType; readonly seq: bigint; readonly row: Row }[] = [];
let opened: OpenedStore;
beforeAll(() => {
  const segments = join(directory.path, 'segments');
  mkdirSync(segments);
  const writer = SegmentWriter.create(diskFiles, segments, '20260101T0-0000001', HEADER, null);
  const maker = new BatchMaker(SEED);
  for (const type of EVENT_TYPES) {
    const made = fc.sample(rowOf(type), { numRuns: ROWS, seed: SEED });
    const batch = maker.of(
      type,
      made.map(({ values }) => values),
    );
    append(writer, batch);
    writer.commit(pointAt(batch.item.lastSeq));
    made.forEach((row, i) => {
      rows.push({ type, seq: batch.rows[i]?.[0] as bigint, row });
    });
  }
  writer.abandon();
  opened = openStore(directory.path);
});
afterAll(() => {
  for (const segment of opened.segments) segment.close();
  directory.remove();
});

function plainSeqs(filter: Filter): bigint[] {
  const predicates = new Map(EVENT_TYPES.map((type) => [type, filter.for(type)]));
  return rows
    .filter(({ type, seq, row }) => {
      const get = getter(row);
      const own = (field: string): ReturnType<typeof get> => {
        if (field === 'seq') return seq;
        return field === 'ktime' ? (get('ts') as bigint) - BigInt(HEADER.ts_offset) : get(field);
      };
      const predicate = predicates.get(type);
      return predicate !== undefined && matches(predicate, own) === true;
    })
    .map(({ seq }) => seq);
}

test(`${TEXTS} expressions that were changed at random find what the plain executor finds`, async () => {
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(changedFilter, async (text) => {
      const filter = await parseFilter(text).catch((error) => {
        expect(error, text).toMatchObject({ name: 'TapioError', code: 'usage' });
        return null;
      });
      if (filter === null) return;
      taken++;
      const found = await rowSeqs(opened, select({ ...NONE, filter }));
      expect(found, `${text}, seed ${SEED}`).toEqual(plainSeqs(filter));
    }),
    { numRuns: TEXTS, seed: SEED },
  );
  expect(taken, `seed ${SEED}`).toBeGreaterThan(TEXTS / 20);
}, 600_000);
