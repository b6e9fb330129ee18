// The sum: it comes out where it should, and does not where a row, a counter or a segment is missing.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENTS, OP_NAMES } from '../../schemas/events.ts';
import { type Account, accounts } from '../../src/query/account.ts';
import { type CommitPoint, type CpuCounts, noPoint } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { lossRow } from '../../src/segment/small-tables.ts';
import { ensureStore, openStore, segmentsOf } from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { FakeNative } from '../support/fake-source.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { HEADER } from '../support/segments.ts';

const OPEN = EVENTS.file.ops.open.id;

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let number: number;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  ensureStore(store);
  number = 0;
});
afterEach(() => directory.remove());

const point = (through: number, counters: Partial<CommitPoint>): CommitPoint => ({
  ...noPoint(),
  through_seq: through,
  rings: 'one',
  positions: ['0'],
  ...counters,
});

/** Seals a segment of so many file.open rows between two points; `earlier` are commits with rows before. */
function segment(
  rows: number,
  begin: CommitPoint | null,
  end: CommitPoint,
  losses: Parameters<SegmentWriter['addLosses']>[0] = [],
  earlier: readonly (readonly [rows: number, point: CommitPoint])[] = [],
): void {
  const native = new FakeNative();
  native.createSource({} as never, () => {});
  const name = `s-${String(number++).padStart(7, '0')}`;
  const writer = SegmentWriter.create(diskFiles, segmentsOf(store), name, HEADER, begin);
  writer.addLosses(losses);
  for (const [count, at] of [...earlier, [rows, end] as const]) {
    if (count > 0) append(writer, native, count);
    writer.commit(at, true);
  }
  writer.seal();
}

function append(writer: SegmentWriter, native: FakeNative, rows: number): void {
  native.source.rows(
    'file',
    Array.from({ length: rows }, () => ({ op: 'open', comm: 'x' })),
  );
  const item = native.source.take();
  if (item?.kind !== 'batch') throw new Error('no batch');
  writer.append('file', item, native.columns(item.type), native.source.slotBuffer(item.slot));
}

function account(): Account {
  const { segments } = openStore(store);
  try {
    const [one] = accounts(segments);
    if (one === undefined) throw new Error('nothing to account for');
    return one;
  } finally {
    for (const each of segments) each.close();
  }
}

const row = (stage: string, cause: string, count: bigint | null): ReturnType<typeof lossRow> => ({
  ...lossRow(stage, cause, count, 1n, 2n),
  type: count === null ? null : 'file',
  op: count === null ? null : 'open',
});

test('issued is what the kernel counted; everything has a place', () => {
  expect(OP_NAMES.get(OPEN)).toEqual({ type: 'file', op: 'open' });
  const end = point(5, {
    emitted: [{ [OPEN]: 12 }],
    consumed: [{ [OPEN]: 6 }],
    filtered: [{ [OPEN]: 3 }],
    own: [{ [OPEN]: 1 }],
    lost: [{ [OPEN]: 2 }],
    refused: { contention: [{ [OPEN]: 4 }], overrun: [{ [OPEN]: 1 }] },
    malformed: { [OPEN]: 1 },
  });
  segment(5, null, end, [
    row('ring', 'overwritten', 2n),
    row('kernel', 'contention', 4n),
    row('kernel', 'overrun', 1n),
    row('decode', 'malformed', 1n),
  ]);
  expect(account()).toMatchObject({
    holds: true,
    from: null,
    // 12 + 3 + 4 = 5 + (2 + 4 + 1) + (3 + 1) + 3 in the rings.
    ops: { 'file.open': { issued: 19, stored: 5, lost: 7, filtered: 4, waiting: 3, late: 0 } },
  });
});

test('what a sample left out was issued', () => {
  const counted = (count: number, sampled: CpuCounts): Partial<CommitPoint> => ({
    ...{ emitted: [{ [OPEN]: count }], consumed: [{ [OPEN]: count }], sampled },
  });
  const middle = point(2, counted(2, [{ [OPEN]: 8 }]));
  segment(2, null, middle);
  segment(3, middle, point(5, counted(5, [{ [OPEN]: 10 }, { [OPEN]: 5 }])));
  expect(account()).toMatchObject({
    holds: true,
    ops: { 'file.open': { issued: 20, stored: 5, sampled: 15, filtered: 0 } },
  });
});

test('what was in the rings as the first held segment began is issued then', () => {
  const begin = point(10, { emitted: [{ [OPEN]: 14 }], consumed: [{ [OPEN]: 10 }], at: 500 });
  segment(4, begin, point(14, { emitted: [{ [OPEN]: 14 }], consumed: [{ [OPEN]: 14 }] }));
  expect(account()).toMatchObject({
    holds: true,
    from: 500,
    ops: { 'file.open': { issued: 4, stored: 4, waiting: 0 } },
  });
});

test('other rings count from zero', () => {
  const middle = point(3, { emitted: [{ [OPEN]: 3 }], consumed: [{ [OPEN]: 3 }], ended: true });
  segment(3, null, middle);
  const counters = { emitted: [{ [OPEN]: 2 }], consumed: [{ [OPEN]: 2 }] };
  segment(2, middle, point(5, { rings: 'two', ...counters }));
  expect(account()).toMatchObject({ holds: true, ops: { 'file.open': { issued: 5, stored: 5 } } });
});

test('rings that end within a segment are counted to their end, also where its batches are merged', () => {
  const clocks = { realtime: '3', monotonic: '2', boottime: '1' };
  const timed = point(1, { emitted: [{ [OPEN]: 2 }], consumed: [{ [OPEN]: 1 }], clocks });
  const old = { emitted: [{ [OPEN]: 3 }], consumed: [{ [OPEN]: 2 }], lost: [{ [OPEN]: 1 }] };
  const ended = point(2, { ...old, ended: true });
  const two = { rings: 'two', emitted: [{ [OPEN]: 2 }], consumed: [{ [OPEN]: 2 }] };
  const lost = [row('ring', 'overwritten', 1n)];
  segment(2, null, point(4, two), lost, [
    [1, timed],
    [1, ended],
  ]);
  expect(account()).toMatchObject({
    holds: true,
    ops: { 'file.open': { issued: 5, stored: 4, lost: 1 } },
  });
  const [merged] = openStore(store).segments;
  expect(merged?.batches('file').length).toBe(1);
  expect(merged?.commits?.lines.map((line) => [line.rings, line.ended, line.clocks])).toEqual([
    ['one', undefined, clocks],
    ['one', true, undefined],
    ['two', undefined, undefined],
    ['two', undefined, undefined],
  ]);
  merged?.close();
});

test('what waited in rings that are gone is part of an unknown loss, and missing where none is told', () => {
  const first = point(2, { emitted: [{ [OPEN]: 5 }], consumed: [{ [OPEN]: 2 }] });
  const counters = { rings: 'two', emitted: [{ [OPEN]: 1 }], consumed: [{ [OPEN]: 1 }] };
  segment(2, null, first);
  expect(account()).toMatchObject({ holds: true, ops: { 'file.open': { issued: 5, waiting: 3 } } });
  segment(1, first, point(3, counters), [row('recorder', 'crash', null)]);
  expect(account()).toMatchObject({ holds: true, ops: { 'file.open': { issued: 3, stored: 3 } } });
  rmSync(openStore(store).segments[1]?.directory ?? '', { recursive: true });
  segment(1, first, point(3, counters));
  expect(account().reasons).toEqual([expect.stringContaining('6 issued, 3 accounted for')]);
});

test('a missing row, a loss without a row, and a missing segment are found', () => {
  const first = point(4, { emitted: [{ [OPEN]: 4 }], consumed: [{ [OPEN]: 4 }] });
  segment(3, null, first);
  expect(account()).toMatchObject({
    holds: false,
    reasons: [expect.stringContaining('4 issued, 3 accounted for: 1 missing')],
  });
  const lost = { emitted: [{ [OPEN]: 9 }], consumed: [{ [OPEN]: 5 }], lost: [{ [OPEN]: 4 }] };
  segment(1, first, point(5, lost));
  expect(account().reasons.join()).toContain('the ring counters say 4 lost, the loss rows 0');
  segment(0, point(8, lost), point(8, lost));
  expect(account().reasons.join()).toMatch(/between s-0000002 and the segment before it is gone/);
});

test('an unknown loss is told as such; what was cut off with its counters is issued as well', () => {
  const end = point(2, { emitted: [{ [OPEN]: 2 }], consumed: [{ [OPEN]: 2 }] });
  segment(2, null, end, [row('recorder', 'crash', null), row('store', 'cut', 6n)]);
  const one = account();
  expect(one).toMatchObject({ holds: true, ops: { 'file.open': { issued: 8, lost: 6 } } });
  expect(one.causes.find(({ cause }) => cause === 'crash')).toMatchObject({ known: false });
});
