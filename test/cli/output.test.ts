// What query writes where its output is no terminal: Arrow streams, and a standard output that takes no more.

import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MadeRecording } from '../support/recorded.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';

const PYTHON = join(ROOT, '.venv/bin/python');

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  mkdirSync(join(store, 'segments'), { recursive: true });
  const made = new MadeRecording(join(store, 'segments'), 'one', 3, 0);
  made.write(['file', 40], ['network', 1_200]).seal();
  made.write(['file', 30], ['process', 10]).seal();
});
afterEach(() => directory.remove());

interface Said {
  readonly out: Buffer;
  readonly err: string;
  readonly code: number | null;
}

function query(words: readonly string[], stdout: 'pipe' | number = 'pipe'): Said {
  const done = spawnSync(execPath, ['cli/tapio-replay.ts', 'query', '--store', store, ...words], {
    cwd: ROOT,
    env: { ...process.env, TZ: 'UTC', TAPIO_STORE: '' },
    stdio: ['ignore', stdout, 'pipe'],
    maxBuffer: 1 << 28,
  });
  return { out: done.stdout, err: done.stderr.toString(), code: done.status };
}

function streams(out: Buffer): { type: string; rows: unknown[] }[] {
  const path = join(directory.path, 'answer.arrows');
  writeFileSync(path, out);
  const lines = execFileSync(PYTHON, ['test/interop/answers.py', path], {
    cwd: ROOT,
    maxBuffer: 1 << 28,
  });
  return lines
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const counts = (out: Buffer): (readonly [string, number])[] =>
  streams(out).map(({ type, rows }) => [type, rows.length] as const);

test('-o arrow writes a stream of each type, and says how many', () => {
  const several = query(['--all', '-o', 'arrow']);
  expect(counts(several.out)).toEqual([
    ['process', 10],
    ['network', 1_200],
    ['file', 70],
  ]);
  expect(several.err).toContain('3 Arrow streams follow one another (process, network, file)');
  const one = query(['--all', '-o', 'arrow', '--type', 'file']);
  expect(counts(one.out)).toEqual([['file', 70]]);
  expect(one.err).not.toContain('follow one another');
  const wide = query(['--all', '-o', 'arrow', '--wide']);
  expect(counts(wide.out)).toEqual([['process,network,file,memory,syscall', 1_280]]);
  expect([several.code, one.code, wide.code]).toEqual([0, 0, 0]);
});

test('without a range it is the last 20 rows, as in every form', () => {
  const { out } = query(['-o', 'arrow', '--wide']);
  const seqs = streams(out)[0]?.rows.map((row) => (row as { seq: string }).seq);
  const lines = query(['-o', 'json']).out.toString().trim().split('\n');
  expect(seqs).toEqual(lines.map((line) => JSON.parse(line).seq.toString()));
  expect(seqs?.length).toBe(20);
});

test.each([
  [['--wide'], '--wide is a form of -o arrow: add that, or leave out --wide'],
  [['--follow', '-o', 'arrow'], '-o arrow cannot be followed'],
  [['--fields', 'nosuch', '-o', 'arrow'], 'unknown field nosuch'],
] as const)('%j is refused before anything is read', (words, sentence) => {
  const { out, err, code } = query(words);
  expect([out.length, code]).toEqual([0, 2]);
  expect(err).toContain(sentence);
});

test.each([
  ['query', ['--all', '-o', 'json']],
  ['query in Arrow form', ['--all', '-o', 'arrow']],
] as const)('%s to a full disk: one sentence, exit 1', (_, words) => {
  const full = openSync('/dev/full', 'w');
  try {
    const { err, code } = query(words, full);
    expect(code).toBe(1);
    expect(err).toContain(
      'standard output takes no more, the disk is full: make room, or send the rows elsewhere',
    );
    expect(err).not.toContain('bug');
  } finally {
    closeSync(full);
  }
});

test('stats tells what it reads, as query does', () => {
  const words = ['stats', '--store', store, '--explain', '--type', 'file'];
  const done = spawnSync(execPath, ['cli/tapio-replay.ts', ...words], { cwd: ROOT });
  expect(done.stderr.toString()).toMatch(/^plan: 2 batches of 2 segments \(70 rows/m);
  expect(done.stderr.toString()).toMatch(/^read: \d+ batches, /m);
  expect(done.status).toBe(0);
});
