// query and stats as people see them: on a terminal, interrupted, and in a pipe that is closed.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import type { Value } from '../../src/segment/vectors.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { HeldReads } from '../support/held-reads.ts';
import { ROOT, type Row, temporaryDirectory } from '../support/recording.ts';
import { append, HEADER, pointAt } from '../support/segments.ts';
import { Terminal } from '../support/terminal.ts';

const directory = temporaryDirectory();
const BATCHES = 40;
const BATCH_ROWS = 25;
const ROWS = BATCHES * BATCH_ROWS;
const WELL = { code: 0, restored: true };
const TS0 = 1_795_000_000_000_000_000n;
/** A bar comes after a second of reading; this is certainly more. */
const BAR_MS = 1_200;
const BAR = /[━╌]{30} \d+ %/;
const BARS = /[▁▂▃▄▅▆▇█▏▎▍▌▋▊▉]/;

type Cells = Readonly<Record<string, Value>>;

/** A store of one open segment: as many batches as there are lists of rows. */
function storeOf(name: string, batches: readonly (readonly Cells[])[]): string {
  const store = join(directory.path, name);
  const segments = join(store, 'segments');
  mkdirSync(segments, { recursive: true });
  const writer = SegmentWriter.create(diskFiles, segments, '20261122T0-0000001', HEADER, null);
  const maker = new BatchMaker(1);
  for (const rows of batches) {
    const batch = maker.of('file', rows);
    append(writer, batch);
    writer.commit(pointAt(batch.item.lastSeq));
  }
  writer.abandon();
  return store;
}

/** So long that the rows of a store are written in several pieces. */
const LONG = 'x'.repeat(150);

const row = (i: number, more: Cells = {}): Cells => ({
  ...{ ts: TS0 + BigInt(i) * 1_000_000n, op: i % 3 === 0 ? 'close' : 'open', pid: 7, tid: 7 },
  ...{ pstart: 5n, ppid: 1, uid: 0, gid: 0, cpu: 0, comm: `c${i % 4}`, cgroup_id: 1n },
  ...{ weight: 1, flags: 0, path: `/p/${LONG}/${i}`, ret: 0n, latency_ns: 1_000n + BigInt(i) },
  ...more,
});

/** Strings that command a terminal, or make it show another order than they have. */
const HOSTILE = [
  '\x1b[2J',
  '\x1b]0;title\x07',
  '\x1bP+q\x1b\\',
  'a\nb\tc\rd\be',
  '\x00\x7f',
  '\x9b31m\x90\x9d\x85',
  '\u202egpj.exe',
  '\u2066a\u2069\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u2067\u2068',
];

/** What no string may bring to a terminal: C0, DEL, C1, bidi. The lines of the program itself are apart. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const COMMANDS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

let store: string;
let hostile: string;
beforeAll(() => {
  const numbers = Array.from({ length: ROWS }, (_, i) => i);
  store = storeOf(
    'store',
    Array.from({ length: BATCHES }, (_, n) =>
      numbers.slice(n * BATCH_ROWS, (n + 1) * BATCH_ROWS).map((i) => row(i)),
    ),
  );
  hostile = storeOf('hostile', [
    HOSTILE.map((text, i) => row(i, { comm: text, path: `/${text}/${i}` })),
  ]);
});
afterAll(() => directory.remove());

const file = (name: string): string => join(directory.path, name);

describe('event strings cannot command a terminal', () => {
  const words = (...more: string[]): string[] => ['query', '--store', hostile, '--all', ...more];
  test.each([
    ['compact lines', () => words()],
    ['tables', () => words('-o', 'table')],
    ['tables of paths', () => words('-o', 'table', '--fields', 'comm,file.path')],
    ['groups', () => ['stats', '--store', hostile, '--by', 'comm,file.path']],
  ] as const)('in %s', async (_, command) => {
    const terminal = new Terminal(command());
    expect(await terminal.ended()).toEqual(WELL);
    const lines = terminal.shown.split('\r\n');
    expect(lines.filter((line) => COMMANDS.test(line))).toEqual([]);
    // What was there is told: each row is one line, and says which characters it had.
    for (const shown of ['\\x1b[2J', '\\x07', '\\x9b31m', '\\nb\\tc\\rd\\x08e', '\\x00\\x7f']) {
      expect(terminal.shown).toContain(shown);
    }
    for (const shown of ['\\u202egpj.exe', '\\u2066a\\u2069\\u200e\\u200f\\u061c']) {
      expect(terminal.shown).toContain(shown);
    }
  });
});

test('a cell that is cut is cut between characters', async () => {
  const long = storeOf('long', [
    Array.from({ length: 4 }, (_, i) => row(i, { path: `/${'x'.repeat(i)}${'🦫'.repeat(80)}` })),
  ]);
  const terminal = new Terminal(['query', '--store', long, '-o', 'table', '--fields', 'file.path']);
  expect(await terminal.ended()).toEqual(WELL);
  const cells = terminal.lines().filter((line) => line.startsWith('/'));
  expect(cells.length).toBe(4);
  for (const cell of cells) expect(cell).toMatch(/^\/x*🦫+…$/u);
});

/** Questions that read all of the store. */
const QUESTIONS = [
  ['rows', ['query', '--all', '-o', 'json']],
  ['a count', ['query', '--count', 'comm == "c1"']],
  ['sums', ['stats', '-o', 'json']],
] as const;

/** Reads until they are held: small batches take one each, and more than a scan has ahead are through. */
const HELD_AFTER = 15;

const asked = (words: readonly string[]): string[] => [...words, '--store', store];

function plain(words: readonly string[]): string {
  const command = ['cli/tapio-replay.ts', ...asked(words)];
  return spawnSync(execPath, command, { cwd: ROOT, maxBuffer: 1 << 26 }).stdout.toString();
}

describe('a reading of more than a second', () => {
  test.each(QUESTIONS)('of %s shows a bar, which is gone at the end', async (_, words) => {
    const held = new HeldReads(directory.path, store, HELD_AFTER);
    const out = file('slow.out');
    const terminal = new Terminal(asked(words), { file: out, env: held.env });
    await held.reached(terminal.child);
    await sleep(BAR_MS);
    expect(terminal.shown).not.toMatch(BAR);
    held.open();
    expect(await terminal.ended()).toEqual(WELL);
    expect(terminal.shown).toMatch(BAR);
    expect(terminal.lines()).toEqual([`tapio-replay: reading ${store}`, '']);
    expect(readFileSync(out, 'utf8')).toBe(plain(words));
  });

  test.each([
    ['rows', ['query', '--all']],
    ['an export', ['export', '--format', 'ndjson', '-o', '-']],
  ])('of %s shares a terminal with its bar', async (_, words) => {
    const held = new HeldReads(directory.path, store, HELD_AFTER);
    const terminal = new Terminal(asked(words), { env: held.env });
    await held.reached(terminal.child);
    await sleep(BAR_MS);
    held.open();
    expect(await terminal.ended()).toEqual(WELL);
    expect(terminal.shown).toMatch(BAR);
    const lines = terminal.lines().slice(0, -1);
    const rows = lines.filter((line) => !line.startsWith('tapio-replay: '));
    expect(rows).toEqual(plain(words).trim().split('\n'));
  });

  test.each(QUESTIONS)('of %s shows none where stderr is no terminal', async (_, words) => {
    const held = new HeldReads(directory.path, store, HELD_AFTER);
    const command = ['cli/tapio-replay.ts', ...asked(words)];
    const child = spawn(execPath, command, { cwd: ROOT, env: { ...process.env, ...held.env } });
    const texts = { out: '', err: '' };
    child.stdout.on('data', (part) => {
      texts.out += part;
    });
    child.stderr.on('data', (part) => {
      texts.err += part;
    });
    await held.reached(child);
    await sleep(BAR_MS);
    held.open();
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(texts).toEqual({ out: plain(words), err: `tapio-replay: reading ${store}\n` });
  });
});

/** A question that is interrupted while it reads; what it had written by its end, and what it said. */
async function interrupted(words: readonly string[]): Promise<[string, string]> {
  const held = new HeldReads(directory.path, store, HELD_AFTER);
  const out = file('interrupted.out');
  const terminal = new Terminal(asked(words), { file: out, env: held.env });
  await held.reached(terminal.child);
  await terminal.interrupt();
  held.open();
  expect(await terminal.ended()).toEqual(WELL);
  return [readFileSync(out, 'utf8'), terminal.lines().slice(1).join('\n')];
}

describe('Ctrl-C ends with what there is so far', () => {
  const [[, rows], [, count], [, sums]] = QUESTIONS;

  test('of rows: the first so many, whole, and how many', async () => {
    const [text, said] = await interrupted(rows);
    const all = plain(rows);
    expect(all.startsWith(text)).toBe(true);
    const lines = text.split('\n').length - 1;
    expect(lines).toBeGreaterThan(0);
    expect(lines).toBeLessThan(ROWS);
    expect(said).toBe(`^Ctapio-replay: interrupted after ${lines} rows\n`);
  });

  test('of a table: the rows that came', async () => {
    const [text] = await interrupted(['query', '--all', '-o', 'table']);
    const lines = text.split('\n').slice(1, -1);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(ROWS);
  });

  test('of a count: what was counted in the batches that were read', async () => {
    const [text, said] = await interrupted(count);
    const perBatch = Array.from(
      { length: BATCHES },
      (_, n) =>
        Array.from({ length: BATCH_ROWS }, (_row, i) => n * BATCH_ROWS + i).filter(
          (i) => i % 4 === 1,
        ).length,
    );
    const sumsOfFirst = perBatch.map((_, n) => perBatch.slice(0, n + 1).reduce((a, b) => a + b, 0));
    expect(sumsOfFirst.slice(0, -1)).toContain(Number(text));
    expect(said).toBe('^Ctapio-replay: interrupted: this is what was counted so far\n');
  });

  test('of sums: those of what was read', async () => {
    const [text, said] = await interrupted(sums);
    const answer = JSON.parse(text) as Row;
    expect(answer.rows).toBeGreaterThan(0);
    expect(answer.rows).toBeLessThan(ROWS);
    expect(answer.rows % BATCH_ROWS).toBe(0);
    const groups = answer.groups as Row[];
    expect(groups.reduce((sum, group) => sum + group.rows, 0)).toBe(answer.rows);
    expect(said).toBe('^Ctapio-replay: interrupted: these are sums of what was read so far\n');
  });

  test('and twice ends the program', async () => {
    const held = new HeldReads(directory.path, store, HELD_AFTER);
    const terminal = new Terminal(asked(rows), { file: file('twice.out'), env: held.env });
    await held.reached(terminal.child);
    await terminal.interrupt();
    terminal.type('\x03');
    expect(await terminal.ended()).toEqual({ code: -2, restored: true });
  });
});

describe('a closed pipe is a normal end', () => {
  test.each([
    ['rows as JSON', ['query', '--all', '-o', 'json']],
    ['rows', ['query', '--all']],
    ['a table', ['query', '--all', '-o', 'table']],
    ['an export', ['export', '--format', 'ndjson', '-o', '-']],
  ])('of %s, when its reader has its line', (_, words) => {
    const script = `"$@" | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const command = [execPath, 'cli/tapio-replay.ts', ...asked(words)];
    const done = spawnSync('bash', ['-c', script, 'bash', ...command], { cwd: ROOT });
    const [line, code] = done.stdout.toString().split('\n');
    expect([line, code]).toEqual([plain(words).split('\n')[0], '0']);
    const said = done.stderr.toString().split('\n');
    // What an export has written until then is told, and is no error.
    expect(said.filter((one) => !/^tapio-replay: (reading|exported) |^$/.test(one))).toEqual([]);
  });

  test.each([
    ['rows', ['query', '--all', '-o', 'json']],
    ['a count', ['query', '--count', 'comm == "c1"']],
    ['a table of sums', ['stats']],
    ['sums as JSON', ['stats', '-o', 'json']],
    ['an export', ['export', '--format', 'ndjson', '-o', '-']],
    ['an Arrow stream', ['query', '--all', '-o', 'arrow']],
  ])('of %s, when nobody reads from the start', async (_, words) => {
    const child = spawn(execPath, ['cli/tapio-replay.ts', ...asked(words)], { cwd: ROOT });
    child.stdout.destroy();
    let err = '';
    child.stderr.on('data', (part) => {
      err += part;
    });
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    const said = err.split('\n').filter((one) => !/^tapio-replay: exported |^$/.test(one));
    expect(said).toEqual([`tapio-replay: reading ${store}`]);
  });
});

test('stats draws bars and the course of time on a terminal, and none in a pipe', async () => {
  const terminal = new Terminal(asked(['stats']));
  expect(await terminal.ended()).toEqual(WELL);
  const [, header, ...lines] = terminal.lines().slice(0, -1);
  expect(header).toMatch(/^type +op +events +per s +p50 +p90 +p99 +max$/);
  // The largest group has the longest bar, and the other one in proportion to it.
  expect(lines[0]).toMatch(/^file +open +666 .* █{16}$/);
  expect(lines[1]).toMatch(/^file +close +334 .* [^█]█{8}$/);
  expect(lines.at(-1)).toMatch(/^[▁▂▃▄▅▆▇█]{60}$/);
  const piped = plain(['stats']);
  expect(piped).not.toMatch(BARS);
  expect(piped).not.toMatch(/ $/m);
  // Otherwise it is the same.
  const bare = lines.slice(0, -1).map((line) => line.replace(/ +[█▏▎▍▌▋▊▉]*$/, ''));
  expect(piped.trimEnd().split('\n')).toEqual([header, ...bare]);
});
