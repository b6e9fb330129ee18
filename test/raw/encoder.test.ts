// Messages of rows, as protobufjs reads them, have what the rows have: of every op, whatever is in the columns.

import { env } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fixtureRows, unifiedFixture } from '../../fixtures/make-unified.ts';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS, type TypeSpec } from '../../schemas/events.ts';
import type { RowColumns } from '../../src/event/json.ts';
import type { EventBlock, EventRun } from '../../src/event/stream.ts';
import { messageAt, RawEventEncoder } from '../../src/raw/encoder.ts';
import { nullVector } from '../../src/segment/vectors.ts';
import { anyRow } from '../support/any-rows.ts';
import { decoded, expectedRaw, messagesOf, RawEvent } from '../support/raw-events.ts';
import { columnsWith, looseColumns, type PlainRow } from '../support/unified-rows.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const RUNS = 300;
const OFFSET = BigInt(JSON.parse(unifiedFixture('segment.json')).ts_offset);
const ORIGIN = { recording: '01KB', host: 'host', boot_id: 'boot' };

function blockOf(type: EventType, columns: RowColumns, tsOffset = OFFSET): EventBlock {
  return { type, origin: ORIGIN, tsOffset, columns };
}

const whole = (type: EventType, rows: readonly PlainRow[], columns = columnsWith): EventRun => ({
  block: blockOf(type, columns(type, rows)),
  from: 0,
  to: rows.length,
});

/** Rows of the fixtures by type, and those of every op without any field of its own. */
function rowsByType(): Map<EventType, PlainRow[]> {
  const rows = new Map<EventType, PlainRow[]>(EVENT_TYPES.map((type) => [type, []]));
  for (const { type, row } of fixtureRows()) rows.get(type)?.push(row);
  for (const [type, list] of rows) {
    const [first] = list;
    const own = Object.keys((EVENTS[type] as TypeSpec).fields).map((name) => [name, null]);
    for (const op of Object.keys((EVENTS[type] as TypeSpec).ops)) {
      list.push({ ...first, ...Object.fromEntries(own), op });
    }
  }
  return rows;
}

/** A tag of two bytes, and a length of 0. */
const EMPTY_LIST = Buffer.from([0xb2, 0x01, 0x00]);

function check(message: Buffer, expected: unknown, { args = null }: PlainRow): void {
  expect(decoded(message)).toEqual(expected);
  // Fields in order, numbers as short as they can be.
  const again = RawEvent.encode(RawEvent.decode(message)).finish();
  const isEmptyList =
    Array.isArray(args) && args.length === 0 && Object.hasOwn(expected as object, 'syscall');
  if (!isEmptyList) expect(Buffer.compare(message, again)).toBe(0);
  else {
    // What a list of no numbers has: it is said to be there, which protobufjs does not write.
    expect(message.includes(EMPTY_LIST)).toBe(true);
    expect(message.length - again.length - EMPTY_LIST.length).toBeOneOf([0, 1]);
  }
}

test('messages of rows of every op have what the rows have, in buffers or not', () => {
  const encoder = new RawEventEncoder();
  for (const [type, rows] of rowsByType()) {
    for (const columns of [columnsWith, looseColumns]) {
      const messages = messagesOf(encoder.encode([whole(type, rows, columns)]));
      expect(messages.length).toBe(rows.length);
      rows.forEach((row, i) => {
        check(messages[i] as Buffer, expectedRaw(type, row, OFFSET), row);
      });
    }
  }
});

test('runs of several types and blocks come in the order in which they are given', () => {
  const blocks = [...rowsByType()].flatMap(([type, rows]) =>
    // Another dictionary each, and another clock.
    [OFFSET, -5n].map((offset) => ({
      ...{ type, rows, offset },
      block: blockOf(type, columnsWith(type, rows), offset),
    })),
  );
  const runs = Array.from({ length: 400 }, (_, i) => {
    const { rows, ...rest } = blocks[(i * 7) % blocks.length] as (typeof blocks)[number];
    const from = i % rows.length;
    return { ...rest, rows, from, to: Math.min(rows.length, from + (i % 3)) };
  });
  const encoder = new RawEventEncoder();
  const encoded = encoder.encode(runs);
  const messages = messagesOf(encoded);
  const expected = runs.flatMap(({ type, rows, offset, from, to }) =>
    rows.slice(from, to).map((row) => expectedRaw(type, row, offset)),
  );
  expect(messages.map(decoded)).toEqual(expected);
  messages.forEach((message, i) => {
    expect(messageAt(encoded, i).equals(message)).toBe(true);
  });
  expect(messageAt(encoded, messages.length).length).toBe(0);
  expect(encoder.encode([])).toEqual({ bytes: Buffer.alloc(0), ends: new Uint32Array() });
});

test('only fields that are asked for are written, and only their columns are wanted', () => {
  const fields = ['ktime', 'op', 'pid', 'file.path', 'file.ret', 'process.args'];
  const encoder = new RawEventEncoder({ fields });
  for (const [type, rows] of rowsByType()) {
    const wanted = new Map(
      [...columnsWith(type, rows)].filter(([name]) => encoder.columns(type).includes(name)),
    );
    const messages = messagesOf(
      encoder.encode([{ block: blockOf(type, wanted), from: 0, to: rows.length }]),
    );
    expect(messages.map(decoded)).toEqual(
      rows.map((row) => expectedRaw(type, row, OFFSET, fields)),
    );
  }
  expect(encoder.columns('file')).toEqual(['seq', 'ts', 'op', 'pid', 'path', 'ret']);
  expect(encoder.columns('memory')).toEqual(['seq', 'ts', 'op', 'pid']);
  expect(new RawEventEncoder({ fields: ['type'] }).columns('memory')).toEqual(['seq', 'ts']);
  expect(new RawEventEncoder().columns('network')).toContain('packet');
  expect(() => new RawEventEncoder({ fields: ['file.pth'] })).toThrow(/did you mean file.path/);
});

test('a column is replaced or left out before anything of it is written', () => {
  const asked: string[] = [];
  const encoder = new RawEventEncoder({
    replace: (type, name, column) => {
      asked.push(`${type}.${name}`);
      if (name === 'path') return { get: (row) => (column.get(row) === null ? null : `/…/${row}`) };
      if (name === 'comm') return null;
      return name === 'fd' ? nullVector(99) : column;
    },
  });
  const rows = rowsByType().get('file') ?? [];
  const run = whole('file', rows);
  const expected = rows.map((row, i) =>
    expectedRaw(
      'file',
      { ...row, comm: null, fd: null, path: row.path === null ? null : `/…/${i}` },
      OFFSET,
    ),
  );
  expect(messagesOf(encoder.encode([run])).map(decoded)).toEqual(expected);
  // In parts as well, which see other rows of what lies in no buffer.
  const parts = rows.map((_, from) => messagesOf(encoder.encode([{ ...run, from, to: from + 1 }])));
  expect(parts.flat().map(decoded)).toEqual(expected);
  expect(asked.length).toBe(new Set(asked).size);
  expect(asked).not.toContain('file.ktime');

  const untimed = new RawEventEncoder({
    replace: (_, name, column) => (name === 'ts' ? null : column),
  });
  for (const message of messagesOf(untimed.encode([run]))) {
    expect(Object.keys(decoded(message))).not.toContain('ts');
    expect(Object.keys(decoded(message))).not.toContain('ktime');
  }
});

test('what a column in its place has must be of its type', () => {
  const wrong: readonly (readonly [string, PlainRow[string]])[] = [
    ['pid', 7n],
    ['pid', -1],
    ['pid', 2 ** 32],
    ['pid', 'x'],
    ['seq', 7],
    ['seq', 2n ** 64n],
    ['comm', 7],
    ['args', 'x'],
    ['args', [7n]],
    ['exit_code', 2 ** 31],
  ];
  const rows = rowsByType().get('process') ?? [];
  for (const [field, value] of wrong) {
    const encoder = new RawEventEncoder({
      replace: (_, name, column) => (name === field ? { get: () => value } : column),
    });
    expect(() => encoder.encode([whole('process', rows)]), field).toThrow(RangeError);
  }
});

test(`messages of any rows have what the rows have (seed ${SEED})`, { timeout: 60_000 }, () => {
  const rows = fc
    .constantFrom(...EVENT_TYPES)
    .chain((type) =>
      fc.array(anyRow(type), { minLength: 1, maxLength: 12 }).map((all) => ({ type, all })),
    );
  const picks = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { maxLength: 12 });
  const offset = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(
    fc.property(
      fc.array(rows, { minLength: 1, maxLength: 4 }),
      picks,
      offset,
      fc.boolean(),
      (blocks, runs, tsOffset, isLoose) => {
        const columns = isLoose ? looseColumns : columnsWith;
        const made = blocks.map(({ type, all }) => blockOf(type, columns(type, all), tsOffset));
        const chosen = runs.map(([pick, a, b]) => {
          const index = pick % blocks.length;
          const { type, all } = blocks[index] as (typeof blocks)[number];
          const [from = 0, to = 0] = [a, b].map((n) => n % (all.length + 1)).sort((x, y) => x - y);
          return { block: made[index] as EventBlock, from, to, type, rows: all.slice(from, to) };
        });
        const messages = messagesOf(new RawEventEncoder().encode(chosen));
        const expected = chosen.flatMap(({ type, rows: own }) =>
          own.map((row) => [expectedRaw(type, row, tsOffset), row] as const),
        );
        expect(messages.length).toBe(expected.length);
        expected.forEach(([json, row], i) => {
          check(messages[i] as Buffer, json, row);
        });
      },
    ),
    { seed: SEED, numRuns: RUNS },
  );
});
