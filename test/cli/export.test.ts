// export as it is typed.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exportCommand } from '../../cli/commands/export.ts';
import { columnIndex, MadeRecording } from '../support/recorded.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let target: string;
let made: MadeRecording;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  target = join(directory.path, 'out');
  mkdirSync(join(store, 'segments'), { recursive: true });
  made = new MadeRecording(join(store, 'segments'), 'one', 3, 0);
  made.write(['file', 40], ['network', 1_200]).seal();
  made.write(['file', 30], ['process', 10]).seal();
});
afterEach(() => directory.remove());

interface Said {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
}

const ENV = { ...process.env, TZ: 'UTC', TAPIO_STORE: '' };

function replay(...words: string[]): Said {
  const options = { cwd: ROOT, env: ENV, maxBuffer: 1 << 28 };
  const done = spawnSync(execPath, ['cli/tapio-replay.ts', ...words], options);
  return { out: done.stdout.toString(), err: done.stderr.toString(), code: done.status };
}

const exporting = (...words: string[]): Said => replay('export', '--store', store, ...words);

const query = (path: string, ...words: string[]): string =>
  replay('query', '--store', path, '--all', '-o', 'json', ...words).out;

const sizeOf = (path: string): number =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

const text = (count: number): string => count.toLocaleString('en-US');

test('a store that every command takes, with exact totals', () => {
  const { code, err, out } = exporting('--type', 'file', '-o', target);
  expect([code, out]).toEqual([0, '']);
  expect(err).toContain(
    `exported 70 rows (file 70) to ${target}, 0 segments copied and 2 written anew: `,
  );
  expect(err).toContain(`(${text(sizeOf(target))} bytes)`);
  expect(query(target)).toBe(query(store, '--type', 'file'));
  expect(replay('verify', '--store', target).code).toBe(0);
  const account = replay('account', '--store', target);
  expect(account.code).toBe(0);
  expect(account.out).toContain('an export left out 1,210 rows');
  expect(statSync(target).mode & 0o777).toBe(0o700);
});

test('all of it, and an open segment as far as it is committed', () => {
  made.write(['memory', 5]);
  made.append('memory', 3);
  const { code, err } = exporting('-o', target);
  expect(code).toBe(0);
  expect(err).toContain('exported 1,285 rows (file 70, memory 5, network 1,200, process 10)');
  expect(err).toContain('2 segments copied and 1 written anew');
  expect(query(target)).toBe(query(store));
});

test('lines in a file and on stdout are those of query', () => {
  const words = ['cpu < 20000', '--format', 'ndjson', '-o'];
  const expected = query(store, 'cpu < 20000');
  expect(expected.length).toBeGreaterThan(0);
  expect(exporting(...words, target).code).toBe(0);
  expect(readFileSync(target, 'utf8')).toBe(expected);
  expect(statSync(target).mode & 0o777).toBe(0o600);
  const { code, out, err } = exporting(...words, '-');
  expect([code, out]).toEqual([0, expected]);
  expect(err).toContain(`(${text(Buffer.byteLength(expected))} bytes)`);
});

test('nothing that matches is said, and makes an empty store', () => {
  const { code, err } = exporting('--until', '2001-01-01T00:00:00Z', '-o', target);
  expect(code).toBe(0);
  expect(err).toContain('the window ends before what is held');
  expect(err).toContain('exported 0 rows');
  expect(query(target)).toBe('');
});

test('what is wrong is said with what to do, and nothing is written', async () => {
  mkdirSync(join(directory.path, 'there'));
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ output: undefined }, /export to where\?.*-o PATH/],
    [{ output: '' }, /export to where/],
    [{ output: [target, target] }, /more than once/],
    [{ output: '-' }, /choose --format ndjson/],
    [{ output: join(directory.path, 'there') }, /is there already: remove it/],
    [{ output: join(store, 'segments', 'x') }, /which is read: name another/],
    [{ output: join(directory.path, 'none', 'x') }, /there is no directory/],
    [{ type: 'fiel' }, /did you mean file/],
    [{ _: ['cpu <'] }, /cpu </],
    [{ children: true }, /--pid/],
  ];
  for (const [flags, message] of cases) {
    const ended = exportCommand.run({ _: [], format: 'arrow', output: target, store, ...flags });
    await expect(ended, JSON.stringify(flags)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  }
  for (const words of [
    ['--format', 'parquet'],
    ['--lsat', '3'],
  ]) {
    const { code, out } = exporting('-o', target, ...words);
    expect([words, code, out]).toEqual([words, 2, '']);
  }
  expect(readdirSync(directory.path).sort()).toEqual(['store', 'there']);
});

test('a process with its descendants', () => {
  const [row] = [...made.rows.values()].filter(({ type }) => type === 'process');
  const pid = String(row?.cells[columnIndex('process', 'pid')]);
  const { code } = exporting('--pid', pid, '--children', '-o', target);
  expect(code).toBe(0);
  expect(query(target)).toBe(query(store, '--pid', pid, '--children'));
});

test('a closed pipe is a normal end; a full disk is a sentence', () => {
  const shell = (line: string): Said => {
    const done = spawnSync('bash', ['-c', line, execPath, store], { cwd: ROOT, env: ENV });
    return { out: done.stdout.toString(), err: done.stderr.toString(), code: done.status };
  };
  const command = '"$0" cli/tapio-replay.ts export --store "$1" --format ndjson -o -';
  const closed = shell(`${command} | head -n 3; exit \${PIPESTATUS[0]}`);
  expect([closed.code, closed.out.split('\n').length]).toEqual([0, 4]);
  const full = shell(`${command} > /dev/full`);
  expect(full.code).toBe(1);
  expect(full.err).toContain('the disk is full: make room');
  expect(full.err).not.toContain('bug');
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends it, also where nobody reads`, async () => {
    const words = ['export', '--store', store, '--format', 'ndjson', '-o', '-'];
    const options = { cwd: ROOT, env: ENV };
    const child = spawn(execPath, ['cli/tapio-replay.ts', ...words], options);
    let err = '';
    child.stderr.on('data', (piece) => {
      err += piece;
    });
    // More is written than the pipe takes, and none of it is read.
    await once(child.stdout, 'readable');
    child.kill(signal);
    const [code] = await once(child, 'exit');
    expect(code).toBe(130);
    expect(err).toContain('interrupted');
    child.stdout.destroy();
  });
}

test('killed, it leaves nothing under its name, and the next one goes on without it', async () => {
  const words = ['cli/tapio-replay.ts', 'export', '--store', store, '-o', target];
  const child = spawn(execPath, words, { cwd: ROOT, env: ENV, stdio: 'ignore' });
  while (!readdirSync(directory.path).some((name) => name.startsWith('out'))) {
    await setTimeout(1);
    if (child.exitCode !== null) break;
  }
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  const whole = existsSync(target);
  if (whole) expect(replay('verify', '--store', target).code).toBe(0);
  expect(exporting('-o', `${target}-again`).code).toBe(0);
  expect(query(`${target}-again`)).toBe(query(store));
});
