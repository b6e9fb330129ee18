// The programs as users run them, on the synthetic source: reading while writing, rotation, one recorder
// a store, and every sealed file in pyarrow, polars and DuckDB.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { queryRows, Recording, ROOT, temporaryDirectory } from '../support/recording.ts';

const PYTHON = join(ROOT, '.venv/bin/python');
if (process.env.CI !== undefined && !existsSync(PYTHON)) {
  throw new Error('the Python environment of the tests is missing: sh setup.sh --test');
}

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
});
afterEach(() => directory.remove());

const SYNTHETIC = ['--source', 'synthetic', '--enable', 'file.read,file.write,syscall.call'];
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function cli(
  program: 'tapio-record' | 'tapio-replay',
  ...args: string[]
): ReturnType<typeof spawnSync> {
  return spawnSync(execPath, [`cli/${program}.ts`, ...args], {
    cwd: ROOT,
    timeout: 60_000,
    maxBuffer: 1 << 28,
  });
}

/** Polls until `ready` or a minute is over. */
async function until(ready: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !ready(); i++) await sleep(100);
  expect(ready()).toBe(true);
}

function sealed(): string[] {
  const folder = join(store, 'segments');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, name));
}

describe('a store', () => {
  test('every sealed file opens in pyarrow, polars and DuckDB, and all agree with query', async () => {
    const recording = await Recording.start(store, [
      ...SYNTHETIC,
      '--rate',
      '20000',
      '--events',
      '20000',
      '--seed',
      '5',
    ]);
    await sleep(1500);
    recording.signal('SIGUSR2');
    await until(() => sealed().length === 1);
    await sleep(500);
    await recording.stop();
    expect(sealed().length).toBeGreaterThanOrEqual(1);
    for (const segment of sealed()) {
      const rows = join(directory.path, 'rows.json');
      const out = cli('tapio-replay', 'query', '--store', segment, '--all', '-o', 'json');
      writeFileSync(rows, out.stdout);
      const checked = execFileSync(PYTHON, ['test/interop/check.py', segment, rows], { cwd: ROOT });
      const files = JSON.parse(checked.toString()) as Record<string, { rows: number }>;
      expect(files['processes.arrow']?.rows).toBeGreaterThan(0);
      expect(files['index.arrow']?.rows).toBeGreaterThan(0);
    }
    expect(queryRows(store).length).toBe(20_000);
  });

  test('what is read while it is written equals what is read after sealing', async () => {
    const recording = await Recording.start(store, [
      ...SYNTHETIC,
      '--rate',
      '20000',
      '--events',
      '15000',
    ]);
    await until(() => queryRows(store, ['--all', '--fields', 'seq']).length === 15_000);
    expect(sealed()).toEqual([]);
    const live = queryRows(store);
    const segmentsLive = JSON.parse(
      cli('tapio-replay', 'segments', '--store', store, '-o', 'json').stdout.toString(),
    );
    expect(segmentsLive).toMatchObject({ state: 'open' });
    await recording.stop();
    expect(sealed().length).toBe(1);
    expect(queryRows(store)).toEqual(live);
    // A copy of one directory is as good as the store.
    expect(queryRows(sealed()[0] ?? '')).toEqual(live);
  });

  test('status and stop through the control socket; a second recorder is refused', async () => {
    const recording = await Recording.start(store, [...SYNTHETIC, '--rate', '5000']);
    expect(statSync(join(store, 'control.sock')).mode & 0o777).toBe(0o600);
    const second = cli('tapio-record', 'start', '--store', store, '--source', 'synthetic');
    expect(second.status).toBe(1);
    expect(second.stderr.toString()).toContain(`process ${recording.pid} is recording`);
    await until(() => {
      const status = cli('tapio-record', 'status', '--store', store, '-o', 'json');
      const { events, pid } = JSON.parse(status.stdout.toString()) as {
        events: object;
        pid: number;
      };
      expect(pid).toBe(recording.pid);
      return Object.keys(events).length > 0;
    });
    const stop = cli('tapio-record', 'stop', '--store', store, '-o', 'json');
    expect(stop.status).toBe(0);
    const { summary } = await recording.finished();
    expect(summary.segments).toBe(1);
    expect(sealed().length).toBe(1);
    expect(cli('tapio-record', 'status', '--store', store).status).toBe(1);
  });

  test('SIGHUP reads the configuration again; a broken file keeps the old one', async () => {
    const config = join(directory.path, 'config.yaml');
    writeFileSync(config, 'source: synthetic\nrate: 5000\nprofile: minimal\n');
    const recording = await Recording.start(store, ['--config', config]);
    await until(() => queryRows(store, ['--all', '--fields', 'type']).length > 500);
    writeFileSync(config, 'source: synthetic\nrate: 5000\nprofil: default\n');
    recording.signal('SIGHUP');
    await until(() => recording.stderr.includes('did you mean profile'));
    writeFileSync(config, 'source: synthetic\nrate: 5000\nprofile: default\n');
    recording.signal('SIGHUP');
    await until(
      () => queryRows(store, ['--all', '--type', 'network', '--fields', 'type']).length > 0,
    );
    const { summary } = await recording.stop();
    expect(summary.events.network?.connect).toBeGreaterThan(0);
  });

  test('processes.arrow has who forked, and what they ran', async () => {
    const recording = await Recording.start(store, [
      '--source',
      'synthetic',
      '--rate',
      '5000',
      '--events',
      '5000',
    ]);
    await until(() => queryRows(store, ['--all', '--fields', 'seq']).length === 5_000);
    await recording.stop();
    const { openSegments } = await import('../support/segments.ts');
    const [segment] = openSegments(store);
    const processes = segment?.processes() ?? [];
    segment?.close();
    const execs = queryRows(store, ['--all', '--op', 'exec']);
    const byKey = new Map(processes.map((p) => [`${p.pid}:${p.pstart}`, p]));
    expect(byKey.size).toBe(processes.length);
    for (const row of execs) {
      const known = byKey.get(`${row.pid}:${row.pstart}`);
      expect(known).toMatchObject({ exe: row.process.filename, args: row.process.args });
    }
  });
});

describe('bad input', () => {
  const cases: readonly [string, string[], number, string][] = [
    ['unknown op', ['--enable', 'file.raed'], 2, 'did you mean file.read'],
    ['unknown flag', ['--profle', 'full'], 2, 'did you mean --profile'],
    ['unknown profile', ['--profile', 'ful'], 2, 'did you mean full'],
    ['unknown syscall', ['--syscalls', 'getpidd'], 2, 'did you mean getpid'],
    ['unknown exclusion', ['--exclude', 'com=x'], 2, 'did you mean comm'],
    ['ring size', ['--ring-size', '3MiB'], 2, 'power of two'],
    ['duration', ['--duration', 'soon'], 2, 'is no duration'],
    ['config file', ['--config', '/nonexistent.yaml'], 2, 'cannot read'],
  ];
  for (const [name, flags, code, words] of cases) {
    test(`${name}: one sentence, exit ${code}`, () => {
      const out = cli('tapio-record', 'start', '--store', store, '--source', 'synthetic', ...flags);
      expect(out.stderr.toString()).toContain(words);
      expect(out.stderr.toString().trim().split('\n').length).toBe(1);
      expect(out.status).toBe(code);
    });
  }

  test('no store, and a store that is open to others', () => {
    const none = cli('tapio-replay', 'query', '--store', join(directory.path, 'none'));
    expect([none.status, none.stderr.toString()]).toMatchObject([
      1,
      expect.stringContaining('no store'),
    ]);
    execFileSync('mkdir', ['-m', '755', store]);
    const open = cli('tapio-record', 'start', '--store', store, '--source', 'synthetic');
    expect([open.status, open.stderr.toString()]).toMatchObject([
      1,
      expect.stringContaining('chmod 700'),
    ]);
  });

  const queries: readonly [string, string[], string][] = [
    ['field', ['--fields', 'pidd'], 'did you mean pid'],
    ['op', ['--op', 'conect'], 'did you mean connect'],
    ['type', ['--type', 'netwrok'], 'did you mean network'],
    ['time', ['--since', 'whenever'], 'is no time'],
    ['window', ['--since', '1m', '--until', '2m'], 'not after --since'],
    ['limits', ['--first', '1', '--last', '1'], 'contradict'],
  ];
  for (const [name, flags, words] of queries) {
    test(`query with a wrong ${name}: exit 2`, () => {
      const out = cli('tapio-replay', 'query', '--store', store, ...flags);
      expect(out.stderr.toString()).toContain(words);
      expect(out.status).toBe(2);
    });
  }
});
