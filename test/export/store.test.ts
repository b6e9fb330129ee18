// An export holds what a query of the same selection gives, verifies, and its account comes out.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { env } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { exportLines } from '../../src/export/lines.ts';
import { exportStore } from '../../src/export/store.ts';
import type { Exported } from '../../src/export/target.ts';
import { accounts } from '../../src/query/account.ts';
import { missingFrom } from '../../src/query/completeness.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { readCommits } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { openStores, segmentDirectories } from '../../src/segment/store.ts';
import { readStoreFile } from '../../src/segment/store-file.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { random } from '../support/batches.ts';
import { ask, EVERYTHING } from '../support/mutant-check.ts';
import { columnIndex, MadeRecording, type RecordedRow } from '../support/recorded.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { flipped, processRow, socketRow } from '../support/segments.ts';

const PYTHON = join(ROOT, '.venv/bin/python');
const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const ROUNDS = env.TAPIO_LONG === undefined ? 60 : 2_000;

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let made: MadeRecording;
let exports: number;
/** Processes of which segments know. */
let known: Set<string>;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  mkdirSync(join(store, 'segments'), { recursive: true });
  made = new MadeRecording(join(store, 'segments'), 'one', SEED, 0);
  exports = 0;
  known = new Set();
});
afterEach(() => directory.remove());

const cell = ({ type, cells }: RecordedRow, name: string): unknown =>
  cells[columnIndex(type, name)];

/** Writes batches, and a process for each row; the next commit covers these. */
function write(...batches: (readonly [EventType, number])[]): void {
  const before = made.rows.size;
  made.write(...batches);
  const rows = [...made.rows.values()].slice(before);
  for (const row of rows) known.add(keyOf(cell(row, 'pid'), cell(row, 'pstart')));
  made.writer.addProcesses(
    rows.map((row) => ({
      ...processRow(cell(row, 'pid') as number, `of-${cell(row, 'seq')}`),
      pstart: cell(row, 'pstart') as bigint,
    })),
  );
}

const EACH = EVENT_TYPES.map((type) => [type, 12] as const);

/** Sealed segments, merged ones and one in place, and an open one. */
function record(): void {
  write(...EACH, ...EACH);
  write(['file', 3]);
  made.seal();
  write(['network', 40], ['process', 30]);
  made.tell(1, 'init', null).write(['file', 2]).seal();
  write(...EACH);
  made.seal();
  write(['memory', 25]);
  made.write(['syscall', 1]).seal();
  write(...EACH, ['file', 30]);
  made.writer.addSockets([socketRow(4, '10.0.0.4'), socketRow(5, '10.0.0.5')]);
  made.write(['process', 9]);
}

const selected = (more: Partial<Parameters<typeof select>[0]>): Selection =>
  select({ since: null, until: null, types: [], ops: [], pids: [], comms: [], ...more });

interface Made extends Exported {
  readonly path: string;
  readonly missing: readonly string[];
}

async function exporting(
  selection: Selection,
  stores: readonly string[] = [store],
  how: typeof exportStore = exportStore,
): Promise<Made> {
  const path = join(directory.path, `export-${exports++}`);
  const opened = openStores(stores);
  try {
    const { signal } = new AbortController();
    const query = Reading.of(opened, selection);
    let through = 0;
    const onBatch = (done: number): void => {
      through = done;
    };
    const done = await how(query, { files: diskFiles, path, signal, onBatch });
    if (how === exportStore) expect(through).toBe(query.plan.batches.length);
    return { ...done, path, missing: missingFrom(opened, selection) };
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

type Plain = readonly (readonly [EventType, RecordedRow['cells']])[];

const plain = (rows: readonly RecordedRow[]): Plain => rows.map(({ type, cells }) => [type, cells]);

const keyOf = (pid: unknown, pstart: unknown): string => `${pid}:${pstart}`;

/** Processes that rows name. */
function named(rows: readonly RecordedRow[]): Set<string> {
  return new Set(
    rows.flatMap((row) => {
      const own = keyOf(cell(row, 'pid'), cell(row, 'pstart'));
      const child = row.type === 'process' ? cell(row, 'child_pid') : null;
      return child === null ? [own] : [own, keyOf(child, cell(row, 'child_pstart') ?? 0n)];
    }),
  );
}

/** Holds an export against a query of the same selection; gives the rows. */
async function check(done: Made, selection: Selection, problems: unknown[] = []): Promise<Plain> {
  const expected = await ask(store, selection);
  const got = await ask(done.path, EVERYTHING);
  expect(plain(got.rows)).toEqual(plain(expected.rows));
  expect(got.problems).toEqual(problems);
  for (const one of segmentDirectories(done.path)) expect(verifySegment(one).damage).toEqual([]);
  const counts: Record<string, number> = {};
  for (const { type } of got.rows) counts[type] = (counts[type] ?? 0) + 1;
  expect(done.rows).toEqual(counts);
  expect(done.copied + done.written).toBe(got.segments.length);
  expect(got.accountsHold).toBe(expected.accountsHold);
  return plain(got.rows);
}

test('whatever is selected, query of the export is query of the store', {
  timeout: 60_000 + ROUNDS * 2_000,
}, async () => {
  record();
  const rows = [...made.rows.values()];
  let excerpts = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const next = random(SEED + round);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] as T;
    const often = (share: number): boolean => next() < share;
    const times = [pick(rows), pick(rows)].map((row) => cell(row, 'ts') as bigint).sort();
    const [since = 0n, until = 0n] =
      times[0] === times[1]
        ? [times[0], (times[0] ?? 0n) + 1n]
        : times.sort((a, b) => (a < b ? -1 : 1));
    const one = pick(rows);
    const expressions = [
      `cpu < ${Math.floor(next() * 65_536)}`,
      'has(file.path) && file.path.startsWith("/var")',
      `comm == ${JSON.stringify(cell(one, 'comm'))} || seq > ${Math.floor(next() * rows.length)}`,
      `pid == ${cell(one, 'pid')} || op == "${cell(one, 'op')}"`,
      'true',
    ];
    const selection = selected({
      since: often(0.5) ? since : null,
      until: often(0.5) ? until : null,
      types: often(0.3) ? [pick(EVENT_TYPES), pick(EVENT_TYPES)] : [],
      ops: often(0.2) ? Object.keys(EVENTS[one.type].ops) : [],
      pids: often(0.1) ? [String(cell(one, 'pid')), String(cell(pick(rows), 'pid'))] : [],
      comms: often(0.2) ? [String(cell(one, 'comm')), 'nginx'].filter((c) => c !== '') : [],
      filter: often(0.5) ? await parseFilter(pick(expressions)) : null,
      not: often(0.1),
    });
    try {
      const done = await exporting(selection);
      await check(done, selection);
      excerpts += done.written;
      checkProcesses(done.path);
      rmSync(done.path, { recursive: true });
    } catch (error) {
      (error as Error).message = `seed ${SEED}, round ${round}: ${(error as Error).message}`;
      throw error;
    }
  }
  expect(excerpts).toBeGreaterThan(ROUNDS / 4);
});

/** An excerpt has the processes that its rows name, and each string that they use once. */
function checkProcesses(path: string): void {
  for (const segment of openStores([path]).segments) {
    const isExcerpt = segment.commits?.lines.at(-1)?.left_out !== undefined;
    const rows: RecordedRow[] = [];
    for (const type of segment.types()) {
      const names = EVENT_TABLES[type].columns.map(({ name }) => name);
      for (const info of segment.batches(type)) {
        const columns = [...segment.read(info, names).values()];
        for (let row = 0; row < info.rows; row++) {
          rows.push({ type, cells: columns.map((column) => column.get(row)) });
        }
      }
      if (!isExcerpt) continue;
      for (const [name, strings] of segment.strings(type, names)) {
        const own = rows.filter((row) => row.type === type);
        const used = new Set(own.map((row) => cell(row, name)).filter((text) => text !== null));
        expect(new Set(strings.all())).toEqual(used);
        expect(strings.length).toBe(used.size);
      }
    }
    const processes = segment.processes().map(({ pid, pstart }) => keyOf(pid, pstart));
    if (isExcerpt) {
      const expected = [...named(rows)].filter((key) => known.has(key));
      expect(processes.sort()).toEqual(expected.sort());
    }
    segment.close();
  }
}

test('segments of which all is wanted are copied byte for byte; the open one is sealed', async () => {
  record();
  const done = await exporting(selected({}));
  expect(done).toMatchObject({ copied: 4, written: 1, notes: [] });
  await check(done, EVERYTHING);
  const originals = segmentDirectories(store);
  segmentDirectories(done.path).forEach((copy, i) => {
    const original = originals[i] as string;
    expect(basename(copy)).toBe(basename(original).replace('.open-', ''));
    if (i === 4) return;
    expect(readdirSync(copy).sort()).toEqual(readdirSync(original).sort());
    for (const name of readdirSync(copy)) {
      expect(readFileSync(join(copy, name)).equals(readFileSync(join(original, name)))).toBe(true);
    }
  });
  const [open, sealed] = [originals[4], segmentDirectories(done.path)[4]].map((one) =>
    readCommits(one as string),
  );
  const { files: _files, batches: _batches, ...end } = open?.lines.at(-1) ?? {};
  expect(sealed?.lines.at(-1)).toEqual({ ...end, files: expect.anything(), sealed: true });
  expect(sealed?.header).toEqual(open?.header);
  const tables = [originals[4], segmentDirectories(done.path)[4]].map((one) => {
    const segment = new Segment(one as string);
    const both = [segment.sockets(), segment.processes()];
    segment.close();
    return both;
  });
  expect(tables[1]).toEqual(tables[0]);
  expect(tables[0]?.[0]).toHaveLength(2);
  // Its rings are none of the store that it was made from.
  expect(readStoreFile(done.path)).toMatchObject({ recording: null });
  expect(readStoreFile(done.path).id).not.toBe(readStoreFile(store).id);
});

test('a window cuts the segments at its ends and copies those within', async () => {
  record();
  const rows = [...made.rows.values()];
  const [since, until] = [rows[40], rows.at(-60)].map(
    (row) => cell(row as RecordedRow, 'ts') as bigint,
  );
  const window = selected({ since: since ?? 0n, until: until ?? 0n });
  const done = await exporting(window);
  expect(done).toMatchObject({ copied: 3, written: 2 });
  await check(done, window);
  const [first, , , , last] = segmentDirectories(done.path).map(
    (one) => readCommits(one)?.lines.at(-1)?.left_out,
  );
  const left = (of: typeof first): number =>
    Object.values(of?.rows ?? {}).reduce((a, b) => a + b, 0);
  expect(left(first) + left(last)).toBe(
    rows.length - Object.values(done.rows).reduce((a, b) => a + b, 0),
  );
});

test('segments without a row that is wanted are no gap, and their rows are accounted for', async () => {
  record();
  const rows = [...made.rows.values()];
  const [first, last] = [rows[0], rows.at(-1)] as [RecordedRow, RecordedRow];
  const pids = selected({ pids: [first, last].map((row) => String(cell(row, 'pid'))) });
  const done = await exporting(pids);
  // The second has a loss; the third and the fourth have nothing that is wanted.
  expect(done).toMatchObject({ copied: 0, written: 3 });
  await check(done, pids);
  const opened = openStores([done.path]);
  const [account] = accounts(opened.segments);
  for (const segment of opened.segments) segment.close();
  expect(account).toMatchObject({ holds: true, leftOut: rows.length - 2 });
});

test('a gap stays a gap, and of what is left out beside it nothing is told as gone', async () => {
  record();
  write(['file', 20]);
  made.seal();
  const names = segmentDirectories(store);
  rmSync(names[3] as string, { recursive: true });
  const [first, last] = [made.rows.get(1n), [...made.rows.values()].at(-1)] as RecordedRow[];
  const pids = selected({
    pids: [first, last].map((row) => String(cell(row as RecordedRow, 'pid'))),
  });
  const done = await exporting(pids);
  const got = await ask(done.path, EVERYTHING);
  expect(got.problems).toMatchObject([{ rows: 26, text: expect.stringContaining('are gone') }]);
  expect(plain(got.rows)).toEqual(plain((await ask(store, pids)).rows));
  // The gap, and the loss of the second segment.
  expect(done.missing).toHaveLength(2);
});

test('losses of the window and the types go along, others are accounted for', async () => {
  write(['file', 10]);
  made.tell(1, 'init', 7n).write(['network', 10]);
  made.tell(1, 'init', null).write(['file', 5]).seal();
  const files = selected({ types: ['file'] });
  const told = await exporting(files);
  expect((await ask(told.path, EVERYTHING)).texts).toEqual((await ask(store, files)).texts);
  const networks = selected({ types: ['network'] });
  const silent = await exporting(networks);
  expect((await ask(silent.path, EVERYTHING)).texts).toEqual([]);
  const [commits] = segmentDirectories(silent.path).map(readCommits);
  expect(commits?.lines.at(-1)?.left_out?.losses).toEqual([
    { stage: 'store', cause: 'damaged', type: 'file', op: 'read', count: 7 },
    { stage: 'store', cause: 'damaged', type: 'file', op: 'read', count: null },
  ]);
});

test('an export of an export is one of the store', async () => {
  record();
  const types = selected({ types: ['file', 'network'] });
  const first = await exporting(types);
  const filter = await parseFilter('cpu < 30000');
  const second = await exporting(selected({ filter }), [first.path]);
  const both = selected({ types: ['file', 'network'], filter });
  const direct = await exporting(both);
  await check(second, both);
  const leftOut = (path: string): unknown =>
    segmentDirectories(path).map((one) => readCommits(one)?.lines.at(-1)?.left_out);
  expect(leftOut(second.path)).toEqual(leftOut(direct.path));
});

test('several stores become one; equal names are told apart', async () => {
  record();
  const other = join(directory.path, 'other');
  mkdirSync(join(other, 'segments'), { recursive: true });
  new MadeRecording(join(other, 'segments'), 'two', SEED + 1, 0)
    .write(['file', 10], ['network', 5])
    .seal();
  const names = [store, other].map((one) => basename(segmentDirectories(one)[0] as string));
  expect(names[0]).toBe(names[1]);
  const done = await exporting(selected({}), [store, other]);
  expect(done).toMatchObject({ copied: 5, written: 1 });
  const opened = openStores([done.path]);
  const found = await ask(done.path, EVERYTHING);
  expect(found.problems).toEqual([]);
  expect(found.rows).toHaveLength(made.rows.size + 15);
  for (const segment of opened.segments) segment.close();
});

test('nothing that matches makes an empty store', async () => {
  record();
  const none = selected({ until: 5n });
  const done = await exporting(none);
  expect(done).toMatchObject({ rows: {}, copied: 0, written: 0 });
  expect(await check(done, none)).toEqual([]);
});

test('what is damaged is left out and told as a loss; the export verifies', async () => {
  record();
  const [first, second] = segmentDirectories(store) as [string, string];
  const damaged = join(first, 'file.arrow');
  writeFileSync(damaged, flipped(damaged, Math.floor(statSync(damaged).size / 2)));
  truncateSync(join(second, 'network.arrow'), 4_000);
  const lost = [...made.rows.values()].slice(0, 123).filter(({ type }) => type === 'file');
  for (const selection of [selected({}), selected({ types: ['file', 'process'] })]) {
    const done = await exporting(selection);
    const expected = await ask(store, selection);
    const got = await ask(done.path, EVERYTHING);
    expect(plain(got.rows)).toEqual(plain(expected.rows));
    expect(got.problems).toEqual([]);
    expect(expected.problems.length).toBeGreaterThan(0);
    for (const one of segmentDirectories(done.path)) expect(verifySegment(one).damage).toEqual([]);
    const [segment] = got.segments;
    const losses =
      segment === undefined
        ? []
        : (got.small.get(segment)?.losses as { count: bigint; type: string }[]);
    const files = losses.filter(({ type }) => type === 'file');
    expect(files.reduce((sum, { count }) => sum + Number(count), 0)).toBe(lost.length);
    expect(done.missing.length).toBeGreaterThan(0);
    expect(got.accountsHold).toBe(true);
  }
});

test('a segment without commit lines is written anew', async () => {
  record();
  rmSync(join(segmentDirectories(store)[1] as string, 'commits.ndjson'));
  const done = await exporting(selected({}));
  expect(done).toMatchObject({ copied: 3, written: 2 });
  const got = await ask(done.path, EVERYTHING);
  expect(plain(got.rows)).toEqual(plain([...made.rows.values()]));
  expect(got.problems).toEqual([]);
});

test('an excerpt beside what it was made from is left out; two excerpts are told', async () => {
  record();
  const some = await exporting(selected({ types: ['file'] }));
  const others = await exporting(selected({ types: ['network'] }));
  for (const stores of [
    [store, some.path],
    [some.path, store],
  ]) {
    const opened = openStores(stores);
    expect(opened.problems).toEqual([]);
    const rows = opened.segments.reduce(
      (sum, one) => sum + one.types().reduce((a, type) => a + one.rows(type), 0),
      0,
    );
    expect(rows).toBe(made.rows.size);
    for (const segment of opened.segments) segment.close();
  }
  const both = openStores([some.path, others.path]);
  expect(both.problems.map(({ text }) => text).join()).toContain('may have other rows');
  for (const segment of both.segments) segment.close();
});

test('lines are those of the rows, in order', async () => {
  record();
  const selection = selected({ types: ['file', 'process'] });
  const done = await exporting(selection, [store], exportLines);
  const lines = readFileSync(done.path, 'utf8').split('\n').slice(0, -1);
  const rows = lines.map((line) => JSON.parse(line) as { seq: number; type: string });
  const expected = (await ask(store, selection)).rows;
  expect(rows.map(({ seq, type }) => [BigInt(seq), type])).toEqual(
    expected.map(({ seq, type }) => [seq, type]),
  );
  expect(done).toMatchObject({ bytes: readFileSync(done.path).length, copied: 0, written: 0 });
});

const python = env.CI === undefined && !existsSync(PYTHON) ? test.skip : test;

python('pyarrow, polars and DuckDB read an excerpt as query has it', async () => {
  write(...EACH, ...EACH);
  made.tell(1, 'init', 4n).write(['file', 3]).seal();
  const filter = await parseFilter('cpu < 40000 || !has(file.path)');
  const selection = selected({ filter });
  const { path } = await exporting(selection);
  const { path: lines } = await exporting(selection, [store], exportLines);
  const [segment = ''] = segmentDirectories(path);
  const checked = execFileSync(PYTHON, ['test/interop/check.py', segment, lines], { cwd: ROOT });
  const files = JSON.parse(checked.toString()) as Record<string, { rows: number }>;
  const rows = EVENT_TYPES.reduce((sum, type) => sum + (files[`${type}.arrow`]?.rows ?? 0), 0);
  expect(rows).toBe((await ask(store, selection)).rows.length);
  expect(rows).toBeLessThan(made.rows.size);
});
