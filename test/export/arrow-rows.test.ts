// Answers in Arrow form, read by pyarrow and polars, hold what the rows of the query hold.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON } from '../../schemas/events.ts';
import { type AnswerForm, ArrowRows } from '../../src/export/arrow-rows.ts';
import { type Limit, Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { openStores } from '../../src/segment/store.ts';
import { MadeRecording } from '../support/recorded.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { rowsFound } from '../support/rows.ts';

const PYTHON = join(ROOT, '.venv/bin/python');
if (env.CI !== undefined && !existsSync(PYTHON)) {
  throw new Error('the Python environment of the tests is missing: sh setup.sh --test');
}
const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);

const ALL: Limit = { first: null, last: null };
const NARROW: AnswerForm = { fields: null, wide: false };
const WIDE: AnswerForm = { fields: null, wide: true };
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
const EVERYTHING = select(NONE);
const never = (): boolean => false;

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  mkdirSync(join(store, 'segments'), { recursive: true });
});
afterEach(() => directory.remove());

/** Sealed segments, merged and in place, and an open one. */
function record(rows = 12): void {
  const made = new MadeRecording(join(store, 'segments'), 'one', SEED, 0);
  const each = EVENT_TYPES.map((type) => [type, rows] as const);
  made.write(...each, ...each).seal();
  made.write(['network', 40], ['process', 30]).seal();
  made.write(...each, ['file', 9]);
}

/** A stream as Python reads it: numbers as text. */
interface Read {
  readonly type: string;
  readonly schema: Readonly<Record<string, string>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

interface Answer {
  readonly read: readonly Read[];
  readonly told: Readonly<Record<string, number>>;
  readonly streams: readonly string[];
}

async function answer(
  form: AnswerForm,
  selection: Selection = EVERYTHING,
  limit: Limit = ALL,
  isEnded: () => boolean = never,
): Promise<Answer> {
  const opened = openStores([store]);
  try {
    const rows = new ArrowRows(Reading.of(opened, selection), form);
    const pieces = await Array.fromAsync(rows.pieces(limit, isEnded));
    const path = join(directory.path, 'answer.arrows');
    writeFileSync(path, Buffer.concat(pieces));
    const lines = execFileSync(PYTHON, ['test/interop/answers.py', path], {
      cwd: ROOT,
      maxBuffer: 1 << 28,
    });
    const read = lines.toString().trim().split('\n');
    return {
      read: read.map((line) => JSON.parse(line) as Read),
      told: rows.rows,
      streams: rows.streams,
    };
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

/** A value as answers.py prints it. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : value;
}

const columnsOf = (type: EventType): string[] => EVENT_TABLES[type].columns.map((c) => c.name);

/** The rows of a query: common columns and those of the type. */
async function expected(
  selection: Selection,
  limit: Limit,
): Promise<{ type: EventType; common: Record<string, unknown>; own: Record<string, unknown> }[]> {
  const opened = openStores([store]);
  try {
    const found = await rowsFound(opened, selection, columnsOf, limit);
    return found.map(({ type, get, run }) => {
      const cells = columnsOf(type).map((name) => [name, plain(get(name))] as const);
      const ktime = String((get('ts') as bigint) - run.block.tsOffset);
      const isCommon = ([name]: readonly [string, unknown]): boolean => name in COMMON;
      return {
        type,
        common: { ...Object.fromEntries(cells.filter(isCommon)), ktime, type },
        own: Object.fromEntries(cells.filter((cell) => !isCommon(cell))),
      };
    });
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

const LIMITS: readonly Limit[] = [ALL, { first: 33, last: null }, { first: null, last: 71 }];

test('one stream of each type has its rows, and no other', async () => {
  record();
  for (const limit of LIMITS) {
    const { read, told, streams } = await answer(NARROW, EVERYTHING, limit);
    const rows = await expected(EVERYTHING, limit);
    const types = EVENT_TYPES.filter((type) => rows.some((row) => row.type === type));
    expect(streams).toEqual(types);
    expect(read.map(({ type }) => type)).toEqual(types);
    for (const { type, rows: got } of read) {
      const own = rows.filter((row) => row.type === type);
      expect(got, `seed ${SEED}`).toEqual(own.map((row) => ({ ...row.common, ...row.own })));
      expect(told[type]).toBe(own.length);
    }
  }
});

test('wide, all rows are in one stream in order, with a struct for each type', async () => {
  record();
  for (const limit of LIMITS) {
    const { read } = await answer(WIDE, EVERYTHING, limit);
    const rows = await expected(EVERYTHING, limit);
    expect(read.length).toBe(1);
    const none = Object.fromEntries(EVENT_TYPES.map((type) => [type, null]));
    expect(read[0]?.rows, `seed ${SEED}`).toEqual(
      rows.map(({ type, common, own }) => ({ ...common, ...none, [type]: own })),
    );
    expect(read[0]?.schema.file).toContain('struct<path: string');
  }
});

test('strings are utf8, times ns in UTC, lists lists', async () => {
  record();
  const { read } = await answer(NARROW);
  const schema = Object.assign({}, ...read.map((one) => one.schema)) as Record<string, string>;
  expect(schema.ts).toBe('timestamp[ns, tz=UTC]');
  expect(schema.comm).toBe('string');
  expect(schema.path).toBe('string');
  expect(schema.pid).toBe('uint32');
  expect(schema.weight).toMatch(/^uint/);
  expect(Object.values(schema).some((type) => type.startsWith('dictionary'))).toBe(false);
});

test('--fields chooses columns, in its order, of streams and of structs', async () => {
  record();
  const fields = ['file.path', 'pid', 'ktime', 'type', 'network.dport'];
  const narrow = await answer({ fields, wide: false });
  const columns = new Map(narrow.read.map(({ type, schema }) => [type, Object.keys(schema)]));
  expect(columns.get('file')).toEqual(['pid', 'ktime', 'type', 'path']);
  expect(columns.get('network')).toEqual(['pid', 'ktime', 'type', 'dport']);
  expect(columns.get('syscall')).toEqual(['pid', 'ktime', 'type']);
  const wide = await answer({ fields, wide: true });
  expect(Object.keys(wide.read[0]?.schema ?? {})).toEqual([
    ...['pid', 'ktime', 'type'],
    ...['network', 'file'],
  ]);
  const rows = await expected(EVERYTHING, ALL);
  expect(wide.read[0]?.rows.map(({ pid, ktime, type }) => [pid, ktime, type])).toEqual(
    rows.map(({ common: { pid, ktime, type } }) => [pid, ktime, type]),
  );
});

test('many rows come in batches that are bounded', async () => {
  record(12_000);
  const { read } = await answer({ fields: ['seq', 'file.path'], wide: true });
  expect(read[0]?.rows.length).toBe(12_000 * EVENT_TYPES.length * 3 + 79);
  const seqs = read[0]?.rows.map(({ seq }) => Number(seq)) ?? [];
  expect(seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] as number))).toBe(true);
});

test('an answer without rows is a stream without rows', async () => {
  record();
  const nobody = select({ ...NONE, pids: ['4000000000'], types: ['file'] });
  for (const form of [NARROW, WIDE]) {
    const { read, streams } = await answer(form, nobody);
    expect(read.length).toBe(1);
    expect(read[0]?.type).toBe('file');
    expect(read[0]?.rows).toEqual([]);
    expect(streams).toEqual([]);
  }
});

test('what is ended early ends as a whole stream', async () => {
  record();
  let asked = 0;
  const { read, told } = await answer(WIDE, EVERYTHING, ALL, () => ++asked > 3);
  const rows = Object.values(told).reduce((sum, count) => sum + count, 0);
  expect(read[0]?.rows.length).toBe(rows);
  expect(rows).toBeGreaterThan(0);
  expect(rows).toBeLessThan((await expected(EVERYTHING, ALL)).length);
});
