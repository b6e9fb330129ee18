// tapio-record as its user meets it: signals, a full disk, no privileges, a caller that says nothing.

import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { queryRows, Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
});
afterEach(() => directory.remove());

const SYNTHETIC = ['--source', 'synthetic', '--rate', '2000'];
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function record(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ReturnType<typeof spawnSync> {
  return spawnSync(execPath, ['cli/tapio-record.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
}

test('--duration ends by itself; the summary is one line of what is in the store', () => {
  const done = record([
    '--store',
    store,
    ...SYNTHETIC,
    '--events',
    '500',
    '--duration',
    '2s',
    '-o',
    'json',
  ]);
  expect(done.status).toBe(0);
  const lines = done.stdout.toString().trim().split('\n');
  expect(lines.length).toBe(1);
  const summary = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  expect(summary).toMatchObject({ lost: {}, late: 0, segments: 1 });
  for (const name of ['bytes', 'duration_s', 'cpu_s', 'rss_bytes']) {
    expect(summary[name], name).toBeGreaterThan(0);
  }
  const rows = queryRows(store);
  expect(rows.length).toBe(500);
  const counted: Record<string, Record<string, number>> = {};
  for (const { type, op } of rows as { type: string; op: string }[]) {
    const ops = counted[type] ?? {};
    counted[type] = { ...ops, [op]: (ops[op] ?? 0) + 1 };
  }
  expect(summary.events).toEqual(counted);
});

test('SIGINT twice within one keypress is one; SIGTERM ends with a summary too', async () => {
  for (const signals of [['SIGINT', 'SIGINT'], ['SIGTERM']] as const) {
    const recording = await Recording.start(store, SYNTHETIC);
    for (const signal of signals) {
      recording.signal(signal);
      await sleep(5);
    }
    expect((await recording.finished()).code).toBe(0);
  }
});

test('a caller that says nothing does not keep the recorder from ending', async () => {
  const recording = await Recording.start(store, SYNTHETIC);
  const silent = createConnection(join(store, 'control.sock'));
  await once(silent, 'connect');
  const { code } = await recording.stop();
  expect(code).toBe(0);
  silent.destroy();
});

test('a log that cannot be written does not end a recording', () => {
  const command = '"$0" cli/tapio-record.ts "$@" 2>/dev/full';
  const words = ['--store', store, ...SYNTHETIC, '--events', '500', '--duration', '2s'];
  const done = spawnSync('sh', ['-c', command, execPath, ...words], { cwd: ROOT, timeout: 60_000 });
  expect([done.status, done.stdout.toString()]).toEqual([
    0,
    expect.stringContaining('recorded 500 events'),
  ]);
});

test('--filter stores what a query with it finds, and counts the rest', () => {
  const made = [...SYNTHETIC, '--rate', '0', '--seed', '5', '--events', '3000', '--duration', '1s'];
  const all = join(directory.path, 'all');
  expect(record(['--store', all, ...made]).status).toBe(0);
  const identity = ({ seq: _1, ts: _2, ktime: _3, flags: _4, ...row }: Row): string =>
    JSON.stringify(row);
  for (const filter of [
    'network.dport == 443 || comm == "nginx"',
    'file.path.startsWith("/etc/") && op in ["open", "read"]',
    'type == "process" && !("--option-1" in process.args) && uid != 0',
  ]) {
    const store = join(directory.path, filter.length.toString());
    const done = record(['--store', store, ...made, '--filter', filter, '-o', 'json']);
    expect(done.status).toBe(0);
    const rows = queryRows(store).map(identity).sort();
    expect(rows).toEqual(queryRows(all, ['--all', filter]).map(identity).sort());
    expect(rows.length).toBeGreaterThan(0);
    const { filtered } = JSON.parse(done.stdout.toString()) as { filtered: number };
    expect(filtered).toBe(3000 - rows.length);
    const account = spawnSync(
      execPath,
      ['cli/tapio-replay.ts', 'account', '--store', store, '-o', 'json'],
      { cwd: ROOT },
    );
    expect(account.status, account.stdout.toString()).toBe(0);
  }
});

test('a filter that is none ends it with the place; one that is read again is kept if it is none', async () => {
  const wrong = record(['--store', store, ...SYNTHETIC, '--filter', 'network.dprt == 443']);
  expect([wrong.status, wrong.stderr.toString()]).toEqual([
    2,
    expect.stringContaining('did you mean dport?)\n  network.dprt == 443\n          ^'),
  ]);
  const config = join(directory.path, 'c.yaml');
  writeFileSync(config, 'filter: pid > 5\n');
  const recording = await Recording.start(store, [...SYNTHETIC, '--config', config]);
  const status = (): string =>
    record(['status', '--store', store, '-o', 'json']).stdout?.toString() ?? '';
  const reread = async (text: string, said: string): Promise<void> => {
    writeFileSync(config, text);
    recording.signal('SIGHUP');
    while (!recording.stderr.includes(said)) await sleep(20);
  };
  expect(JSON.parse(status())).toMatchObject({ filter: 'pid > 5' });
  await reread('filter: pid >\n', 'the old configuration is kept');
  expect(JSON.parse(status())).toMatchObject({ filter: 'pid > 5' });
  await sleep(500);
  await reread('filter: type == "file"\n', 'was read again');
  expect(JSON.parse(status())).toMatchObject({ filter: 'type == "file"' });
  await sleep(500);
  const { summary } = await recording.stop();
  // Another filter is another segment.
  expect(summary.segments).toBe(2);
  const listed = spawnSync(
    execPath,
    ['cli/tapio-replay.ts', 'segments', '--store', store, '-o', 'json'],
    { cwd: ROOT },
  );
  const lines = listed.stdout.toString().trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).filter as string)).toEqual([
    'pid > 5',
    'type == "file"',
  ]);
  const rows = queryRows(store);
  const from = rows.findLastIndex(({ type }) => type !== 'file') + 1;
  expect(from).toBeGreaterThan(0);
  expect(rows.length).toBeGreaterThan(from + 10);
});

test('the environment names settings, and a file of them', () => {
  const config = join(directory.path, 'c.yaml');
  writeFileSync(config, `store: ${store}\nsource: synthetic\nevents: 50\nduration: 1s\n`);
  const done = record(['-o', 'json'], {
    TAPIO_RECORD_CONFIG: config,
    TAPIO_RECORD_EVENTS: '70',
  });
  expect(done.status).toBe(0);
  expect(queryRows(store).length).toBe(70);
  const wrong = record(['--store', store], { TAPIO_RECORD_EVENT: '70' });
  expect([wrong.status, wrong.stderr.toString()]).toEqual([
    2,
    expect.stringContaining('did you mean TAPIO_RECORD_EVENTS'),
  ]);
});

const root = process.getuid?.() === 0;
if (!root && process.env.CI !== undefined) throw new Error('these tests must run as root in CI');

describe.skipIf(!root)(`as root ${root ? '' : '(not root)'}`, () => {
  test('without privileges: one sentence, exit 1, and it does end', () => {
    chmodSync(directory.path, 0o755);
    mkdirSync(store, { mode: 0o700 });
    execFileSync('chown', ['65534:65534', store]);
    const done = spawnSync(
      'setpriv',
      [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        execPath,
        'cli/tapio-record.ts',
        '--store',
        store,
      ],
      { cwd: ROOT, timeout: 60_000 },
    );
    expect([done.status, done.signal]).toEqual([1, null]);
    expect(done.stderr.toString().trim().split('\n')).toEqual([
      expect.stringContaining('needs root, or the capabilities CAP_BPF and CAP_PERFMON'),
    ]);
  });
});
