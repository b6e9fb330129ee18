// What a question reads of a large store: little, where little of it can match; and the rows are those that a look
// at every row finds.

import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatTs } from '../../src/event/clock.ts';
import { openStore } from '../../src/segment/store.ts';
import { random } from '../support/batches.ts';
import { FULL_ROWS, LargeStore, pathOf } from '../support/large-store.ts';
import { ROOT, type Row, temporaryDirectory } from '../support/recording.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const LONG = process.env.TAPIO_LONG !== undefined;
/** With more of them a window of 1 % of the time, which begins and ends amid batches, is less than 2 % of all. */
const SEGMENTS = LONG ? 10 : 5;
const BATCHES = 16;
const ROWS = SEGMENTS * BATCHES * FULL_ROWS;
const NEEDLE = '/srv/7/data/needle';
const SHARE_MAX = 0.02;

const next = random(SEED);
const below = (limit: number): number => Math.floor(next() * limit);
/** Rows of one batch, which alone have that path: somebody opened a file, and nobody else ever did. */
const needleBatch = below(SEGMENTS * BATCHES);
const needles = [1, 2, 3].map((part) => needleBatch * FULL_ROWS + below(part * 20_000));
const windowRows = Math.floor(ROWS / 100);
const windowFirst = below(ROWS - windowRows);

const directory = temporaryDirectory();
let large: LargeStore;
let bytes: number;
beforeAll(() => {
  large = new LargeStore(
    directory.path,
    { segments: SEGMENTS, batches: BATCHES, seed: SEED },
    { path: NEEDLE, rows: needles },
  );
  const files = readdirSync(large.store, { recursive: true, withFileTypes: true });
  bytes = files
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
});
afterAll(() => directory.remove());

/** Seqs of the rows for which this is true, found by a look at every row. */
function everyRow(
  names: readonly string[],
  matches: (get: (name: string) => unknown) => boolean,
): number[] {
  const opened = openStore(large.store);
  const out: number[] = [];
  for (const segment of opened.segments) {
    for (const info of segment.batches('file')) {
      const columns = segment.read(info, ['seq', ...names]);
      for (let row = 0; row < info.rows; row++) {
        if (matches((name) => columns.get(name)?.get(row))) {
          out.push(Number(columns.get('seq')?.get(row)));
        }
      }
    }
    segment.close();
  }
  return out;
}

interface Answer {
  readonly out: string;
  readonly rows: readonly Row[];
  /** Of the store's bytes. */
  readonly share: number;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB'];

/** Asks with --explain; what was read is what it says, rounded up. */
function ask(...words: string[]): Answer {
  const command = ['cli/tapio-replay.ts', 'query', '--store', large.store, '--explain', ...words];
  const done = spawnSync(execPath, command, { cwd: ROOT, maxBuffer: 1 << 28 });
  expect(done.status, done.stderr.toString()).toBe(0);
  const out = done.stdout.toString();
  const said = /^read: .*, ([\d.]+) (\w+) of files/m.exec(done.stderr.toString());
  const read = (Number(said?.[1]) + 0.05) * 1024 ** UNITS.indexOf(said?.[2] ?? '');
  const lines = out.split('\n').filter((line) => line.startsWith('{'));
  return { out, rows: lines.map((line) => JSON.parse(line) as Row), share: read / bytes };
}

const seqs = ({ rows }: Answer): number[] => rows.map(({ seq }) => seq);

function window(): { since: bigint; until: bigint; flags: string[] } {
  const [since, until] = [large.tsOf(windowFirst), large.tsOf(windowFirst + windowRows)];
  return { since, until, flags: ['--since', formatTs(since), '--until', formatTs(until)] };
}

test('a path that few rows have is found without reading the others', () => {
  const found = everyRow(['path'], (get) => get('path') === NEEDLE);
  const rows = [...new Set(needles)].sort((a, b) => a - b).map((row) => row + 1);
  expect(found, `seed ${SEED}`).toEqual(rows);
  const answer = ask('-o', 'json', '--all', `file.path == "${NEEDLE}"`);
  expect(seqs(answer), `seed ${SEED}`).toEqual(found);
  expect(answer.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX);
  expect(answer.share).toBeGreaterThan(0);
  const count = ask('--count', `file.path == "${NEEDLE}"`);
  expect(count.out, `seed ${SEED}`).toBe(`${rows.length}\n`);
  expect(count.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX / 4);
});

test('a path that no row has costs no more, and one of many batches only their paths', () => {
  const none = ask('-o', 'json', '--all', 'file.path == "/srv/7/data/none"');
  expect(none.out, `seed ${SEED}`).toBe('');
  expect(none.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX);
  // Each path is one of two batches that follow one another.
  const path = pathOf(below(SEGMENTS * BATCHES * 1_500));
  const found = everyRow(['path'], (get) => get('path') === path);
  const count = ask('--count', `file.path == "${path}"`);
  expect(count.out, `seed ${SEED}`).toBe(`${found.length}\n`);
  expect(count.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX);
});

test('of a process in one hundredth of the time, little more than that is read', () => {
  const { since, until, flags } = window();
  const inWindow = (ts: unknown): boolean => (ts as bigint) >= since && (ts as bigint) < until;
  const found = everyRow(['ts', 'pid'], (get) => get('pid') === 1003 && inWindow(get('ts')));
  expect(found.length, `seed ${SEED}`).toBeGreaterThan(0);
  const fields = ['--fields', 'seq,ts,op,pid,comm,file.path'];
  const answer = ask('-o', 'json', 'pid == 1003', ...flags, ...fields);
  expect(seqs(answer), `seed ${SEED}`).toEqual(found);
  expect(answer.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX);
  const count = ask('--count', 'pid == 1003', ...flags);
  expect(count.out, `seed ${SEED}`).toBe(`${found.length}\n`);
  expect(count.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX);
});

test('one hundredth of the time is counted by its edges, and has just its rows', () => {
  const { flags } = window();
  const rows = Array.from({ length: windowRows }, (_, i) => windowFirst + i + 1);
  const count = ask('--count', ...flags);
  expect(count.out, `seed ${SEED}`).toBe(`${windowRows}\n`);
  expect(count.share, `seed ${SEED}`).toBeLessThan(SHARE_MAX / 2);
  const answer = ask('-o', 'json', ...flags);
  expect(seqs(answer), `seed ${SEED}`).toEqual(rows);
  // All columns of the batches at its edges are read, which are large beside a window of a small store.
  const edges = (Math.ceil(windowRows / FULL_ROWS) + 1) / (SEGMENTS * BATCHES);
  expect(answer.share, `seed ${SEED}`).toBeLessThan(LONG ? SHARE_MAX : edges * 1.1);
});
