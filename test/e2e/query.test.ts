// query against the plainest reference there is: all rows, filtered in JS.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { queryRows, Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
let all: Row[] = [];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

beforeAll(async () => {
  const recording = await Recording.start(store, [
    '--source',
    'synthetic',
    '--rate',
    '4000',
    '--events',
    '12000',
    '--seed',
    String(seed),
  ]);
  // Several segments, the last of them still open for a while.
  for (let i = 0; i < 3; i++) {
    await sleep(1200);
    recording.signal('SIGUSR2');
  }
  await recording.stop();
  all = queryRows(store);
});
afterAll(() => directory.remove());

/** A small deterministic generator: the seed is printed where an expectation fails. */
function random(state: { n: number }, below: number): number {
  state.n = (Math.imul(state.n, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state.n / 2 ** 32) * below);
}

test('any mix of flags gives what filtering all rows gives', () => {
  expect(all.length).toBe(12_000);
  const state = { n: seed };
  const pick = (): Row => all[random(state, all.length)] ?? {};
  for (let round = 0; round < 24; round++) {
    const flags: string[] = [];
    let expected = all;
    const keep = (test: (row: Row) => boolean): void => {
      expected = expected.filter(test);
    };
    if (random(state, 3) === 0) {
      const { type, op } = pick();
      flags.push('--op', `${type}.${op}`);
      keep((row) => row.type === type && row.op === op);
    }
    if (random(state, 3) === 0) {
      const { type } = pick();
      flags.push('--type', `memory,${type}`);
      keep((row) => row.type === type || row.type === 'memory');
    }
    if (random(state, 3) === 0) {
      const pids = [pick().pid, pick().pid];
      flags.push('--pid', pids.join(','));
      keep((row) => pids.includes(row.pid));
    }
    if (random(state, 3) === 0) {
      const { comm } = pick();
      flags.push('--comm', comm);
      keep((row) => row.comm === comm);
    }
    let ranged = false;
    if (random(state, 2) === 0) {
      const [from = '', to = ''] = [pick().ts, pick().ts].sort();
      if (from !== to) {
        flags.push('--since', from, '--until', to);
        keep((row) => row.ts >= from && row.ts < to);
        ranged = true;
      }
    }
    const limit = 1 + random(state, 50);
    const how = random(state, 3);
    if (how === 0) {
      flags.push('--last', String(limit));
      expected = expected.slice(-limit);
    } else if (how === 1) {
      flags.push('--first', String(limit));
      expected = expected.slice(0, limit);
    } else if (!ranged) flags.push('--all');
    expect(queryRows(store, flags), `seed ${seed}: ${flags.join(' ')}`).toEqual(expected);
  }
});

function query(...flags: string[]): { out: string; err: string; code: number | null } {
  const done = spawnSync(execPath, ['cli/tapio-replay.ts', 'query', '--store', store, ...flags], {
    cwd: ROOT,
    maxBuffer: 1 << 28,
  });
  return { out: done.stdout.toString(), err: done.stderr.toString(), code: done.status };
}

test('the last 20 without a range; chosen fields; an empty answer says why', () => {
  expect(query().out.trim().split('\n').length).toBe(20);
  const fields = query('--first', '1', '-o', 'json', '--fields', 'seq,network.daddr,process.args');
  expect(Object.keys(JSON.parse(fields.out) as object)).toContain('seq');
  const early = query('--until', '2001-01-01T00:00:00Z');
  expect([early.out, early.code]).toEqual(['', 0]);
  expect(early.err).toContain('the window ends before what is held');
});

test('a closed pipe is a normal end', () => {
  const piped = spawnSync(
    'sh',
    [
      '-c',
      `"$0" cli/tapio-replay.ts query --store "$1" --all -o json | head -n 3; echo done`,
      execPath,
      store,
    ],
    { cwd: ROOT },
  );
  expect(piped.stdout.toString().trim().split('\n').length).toBe(4);
  expect(
    piped.stderr
      .toString()
      .split('\n')
      .filter((line) => line !== '').length,
  ).toBe(1);
});

test('event strings cannot command the terminal', async () => {
  const { escapeControls } = await import('../../cli/format.ts');
  expect(escapeControls('\x1b[2Jname\n\x07\x9b')).toBe('\\x1b[2Jname\\n\\x07\\x9b');
});

test('ps of now: what the recorder has is stored first', async () => {
  const now = join(directory.path, 'now');
  const recording = await Recording.start(now, ['--source', 'synthetic', '--rate', '50']);
  try {
    const args = ['cli/tapio-replay.ts', 'ps', '--at', 'now', '--store', now];
    const done = spawnSync(execPath, args, { cwd: ROOT });
    expect(done.stderr.toString()).toContain('the end of what is held');
    expect(done.status).toBe(0);
  } finally {
    await recording.stop();
  }
});
