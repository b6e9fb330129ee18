// Rows that went over the wire are the rows that were sent, to the byte; and what is no message is told, whatever it is.

import { env } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fixtureRows } from '../../fixtures/make-unified.ts';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { eventAnswer } from '../../src/client/answers.ts';
import { type Decoded, RawEventDecoder } from '../../src/client/decoder.ts';
import { TapioError } from '../../src/errors.ts';
import { JsonEncoders } from '../../src/event/json.ts';
import type { EventBlock, EventRun } from '../../src/event/stream.ts';
import { RawEventEncoder } from '../../src/raw/encoder.ts';
import { asField } from '../../src/server/frames.ts';
import { anyRow } from '../support/any-rows.ts';
import { random } from '../support/batches.ts';
import { RawEvent } from '../support/raw-events.ts';
import { columnsWith, looseColumns, type PlainRow } from '../support/unified-rows.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const RUNS = 300;
const MUTATIONS = 2000;
const ORIGIN = { recording: '01KB', host: 'host', boot_id: 'boot' };
const NONE = new Uint8Array(0);

const allColumns = (type: EventType): string[] =>
  EVENT_TABLES[type].columns.map(({ name }) => name);

/** A list of no texts is told from none by its length: nobody has one without the other. */
function asRecorded(type: EventType, row: PlainRow): PlainRow {
  if (type !== 'process') return row;
  const { args = null, args_length: length = null } = row;
  if (length === 0 && args === null) return { ...row, args: [] };
  return Array.isArray(args) && args.length === 0 && length !== 0 ? { ...row, args: null } : row;
}

function blockOf(
  type: EventType,
  rows: readonly PlainRow[],
  tsOffset: bigint,
  loose = false,
): EventBlock {
  const columns = loose ? looseColumns(type, rows) : columnsWith(type, rows);
  return { type, origin: ORIGIN, tsOffset, columns };
}

const batchOf = (runs: readonly EventRun[], tail = NONE): Buffer => {
  const messages = new RawEventEncoder().encode(runs);
  return asField(messages, 0, messages.ends.length, tail);
};

function decoded(message: Uint8Array, decoder = new RawEventDecoder(allColumns)): Decoded {
  const { bytes, events } = eventAnswer(message);
  return decoder.decode(bytes, events, () => ORIGIN);
}

function linesOf(runs: readonly EventRun[], encoders = new JsonEncoders()): string[] {
  return runs.flatMap(({ block, from, to }) =>
    Array.from({ length: to - from }, (_, i) =>
      encoders.of(block.type).encode(block.columns, from + i, block.tsOffset),
    ),
  );
}

/** Rows of the fixtures, one block of each type. */
function fixtureRuns(): EventRun[] {
  const byType = Map.groupBy(fixtureRows(), ({ type }) => type);
  return [...byType].map(([type, rows]) => ({
    block: blockOf(
      type,
      rows.map(({ row }) => asRecorded(type, row)),
      5n,
    ),
    from: 0,
    to: rows.length,
  }));
}

test(`rows of any types, in any order, have the same lines (seed ${SEED})`, {
  timeout: 60_000,
}, () => {
  const blocks = fc.constantFrom(...EVENT_TYPES).chain((type) =>
    fc.record({
      type: fc.constant(type),
      rows: fc.array(
        anyRow(type).map((row) => asRecorded(type, row)),
        { minLength: 1, maxLength: 12 },
      ),
      tsOffset: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    }),
  );
  const picks = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { maxLength: 12 });
  // What went before is nobody's any more.
  const decoder = new RawEventDecoder(allColumns);
  fc.assert(
    fc.property(
      fc.array(blocks, { minLength: 1, maxLength: 4 }),
      picks,
      fc.boolean(),
      (all, runs, loose) => {
        const made = all.map(({ type, rows, tsOffset }) => blockOf(type, rows, tsOffset, loose));
        const chosen = runs.map(([pick, a, b]) => {
          const index = pick % all.length;
          const length = all[index]?.rows.length ?? 0;
          const [from = 0, to = 0] = [a, b].map((n) => n % (length + 1)).sort((x, y) => x - y);
          return { block: made[index] as EventBlock, from, to };
        });
        const found = decoded(batchOf(chosen), decoder);
        // ts less ktime is known up to 2 ** 64 only, as both are sent.
        expect(linesOf(found.runs).map(wrapped)).toEqual(linesOf(chosen).map(wrapped));
        expect([found.missed, found.unknown]).toEqual([[], 0]);
      },
    ),
    { seed: SEED, numRuns: RUNS },
  );
});

/** ktime as 64 bits hold it. */
function wrapped(line: string): string {
  return line.replace(
    /"ktime":"(-?\d+)"/,
    (_, ktime) => `"ktime":"${BigInt.asIntN(64, BigInt(ktime))}"`,
  );
}

test('lists that are empty are no lists that are not there', () => {
  const [first] = fixtureRows().filter(({ type }) => type === 'syscall');
  const { row = {} } = first ?? {};
  const syscalls = [
    { ...row, args: [] },
    { ...row, args: null },
    { ...row, args: [0n, 2n ** 64n - 1n] },
  ];
  const processes = [
    { ...asExec, args: [], args_length: 0 },
    { ...asExec, args: null, args_length: null },
    { ...asExec, args: [''], args_length: 1 },
    { ...asExec, args: null, args_length: 9 },
  ];
  const runs = [
    { block: blockOf('syscall', syscalls, 0n), from: 0, to: 3 },
    { block: blockOf('process', processes, 0n), from: 0, to: 4 },
  ];
  expect(linesOf(decoded(batchOf(runs)).runs)).toEqual(linesOf(runs));
  const [block] = decoded(batchOf(runs)).runs.map((run) => run.block);
  expect([0, 1].map((i) => block?.columns.get('args')?.get(i))).toEqual([[], null]);
});

const asExec = fixtureRows().find(({ row }) => row.op === 'exec')?.row ?? {};

test('only columns that are wanted are made, and rows of one type lie together', () => {
  const decoder = new RawEventDecoder((type) => (type === 'file' ? ['path', 'comm'] : []));
  const runs = fixtureRuns();
  const found = decoded(batchOf(runs), decoder);
  expect(found.runs.map(({ block, from, to }) => [block.type, block.rows, to - from])).toEqual(
    runs.map(({ block, to }) => [block.type, to, to]),
  );
  for (const { block } of found.runs) {
    const names = block.type === 'file' ? ['seq', 'ts', 'comm', 'path'] : ['seq', 'ts'];
    expect([...block.columns.keys()]).toEqual(names);
    expect(block.tsOffset).toBe(5n);
  }
});

test('losses, and events of types that are not known, are no rows', () => {
  const events = [
    { loss: { cause: 'ring overwritten', count: 7 } },
    { loss: { cause: 'crash' } },
    { seq: 4 },
    {},
  ].map((event) => RawEvent.encode(RawEvent.fromObject(event)).finish());
  // A type of a later version, and fields of one.
  const later = Buffer.from([0x08, 0x05, 0xf2, 0x06, 0x01, 0xff, 0xfa, 0x01, 0x02, 0x08, 0x01]);
  const batch = Buffer.concat(
    [...events, later].flatMap((event) => [Buffer.from([0x0a, event.length]), event]),
  );
  expect(decoded(batch)).toEqual({
    runs: [],
    missed: [
      { cause: 'ring overwritten', count: 7n },
      { cause: 'crash', count: null },
    ],
    unknown: 3,
  });
});

test('fields may come in another order, and more than once: the last one stands', () => {
  const file = EVENTS.file.fields;
  const text = (field: number, value: string): number[] => {
    const tag = (field << 3) | 2;
    return [
      ...(tag < 128 ? [tag] : [(tag & 127) | 128, tag >> 7]),
      value.length,
      ...Buffer.from(value),
    ];
  };
  const own = [...text(file.path.id, '/a'), ...text(file.path.id, '/b')];
  const event = [
    0xba,
    0x06,
    own.length,
    ...own,
    ...text(11, 'x'),
    ...text(11, 'y'),
    0x08,
    0x01,
    0x08,
    0x02,
  ];
  const { runs } = decoded(Buffer.from([0x0a, event.length, ...event]));
  const block = runs[0]?.block;
  const values = ['seq', 'comm', 'path'].map((name) => block?.columns.get(name)?.get(0));
  expect([block?.type, ...values]).toEqual(['file', 2n, 'y', '/b']);
});

test(`what is no message is told, and nothing else happens (seed ${SEED})`, {
  timeout: 60_000,
}, () => {
  const next = random(SEED);
  const whole = batchOf(fixtureRuns(), Buffer.from([0x12, 0x03, 0x61, 0x3a, 0x31]));
  const decoder = new RawEventDecoder(allColumns);
  let refused = 0;
  const attempt = (message: Uint8Array): void => {
    try {
      linesOf(decoded(message, decoder).runs);
    } catch (error) {
      expect(error).toBeInstanceOf(TapioError);
      expect((error as TapioError).code).toBe('io');
      refused++;
    }
  };
  for (let length = 0; length < Math.min(whole.length, 1500); length++)
    attempt(whole.subarray(0, length));
  for (let i = 0; i < MUTATIONS; i++) {
    const message = Buffer.from(whole);
    for (let n = 1 + Math.floor(next() * 4); n > 0; n--) {
      message[Math.floor(next() * message.length)] = Math.floor(next() * 256);
    }
    attempt(message);
  }
  for (let i = 0; i < MUTATIONS; i++) {
    attempt(
      Buffer.from(Array.from({ length: Math.floor(next() * 40) }, () => Math.floor(next() * 256))),
    );
  }
  expect(refused).toBeGreaterThan(100);
  // After all of that it reads what is one.
  expect(linesOf(decoded(whole, decoder).runs)).toEqual(linesOf(fixtureRuns()));
});

test('more events than a page has are refused before they take memory', () => {
  expect(() => eventAnswer(Buffer.alloc(2 * 10_001, Buffer.from([0x0a, 0x00])))).toThrow(
    TapioError,
  );
  expect(eventAnswer(Buffer.alloc(2 * 10_000, Buffer.from([0x0a, 0x00]))).events.length).toBe(
    10_000,
  );
});
