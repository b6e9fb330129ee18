// tail against query: what was followed is what is stored, once, in order.

import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import type { Summary } from '../../src/daemon.ts';
import { Recording, ROOT, run, temporaryDirectory } from '../support/recording.ts';
import { Tail } from '../support/tail.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let recording: Recording | null = null;
let tails: Tail[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
});
afterEach(async () => {
  for (const tail of tails) tail.child.kill('SIGKILL');
  tails = [];
  if (recording?.hasEnded === false) await recording.kill();
  recording = null;
  directory.remove();
});

const FIELDS = ['--fields', 'seq,ts,type,op,pid,comm,network.daddr,file.path'];
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function record(...flags: string[]): Promise<Recording> {
  recording = await Recording.start(store, ['--source', 'synthetic', ...flags]);
  return recording;
}

function tail(...flags: string[]): Tail {
  const made = new Tail(store, [...FIELDS, ...flags]);
  tails.push(made);
  return made;
}

/** What query gives, as lines. */
async function stored(...flags: string[]): Promise<string[]> {
  const words = ['query', '--store', store, '-o', 'json', ...FIELDS, '--all', ...flags];
  const text = await run(execPath, ['cli/tapio-replay.ts', ...words]);
  return text.split('\n').filter((line) => line !== '');
}

const seqOf = (line: string): number => (JSON.parse(line) as { seq: number }).seq;

/** How far the recorder is. */
async function status(): Promise<{ rows: number; segments: number }> {
  const { events, segments } = (await askRecorder(store, 'status')) as unknown as Summary;
  const counts = Object.values(events).flatMap((ops) => Object.values(ops));
  return { rows: counts.reduce((a, b) => a + b, 0), segments };
}

/** Ends the segment, and waits until the next has begun. */
async function rotate(source: Recording): Promise<void> {
  const { segments } = await status();
  source.signal('SIGUSR2');
  while ((await status()).segments === segments) await sleep(100);
}

/** Two lists are the same; a difference is told in one line, not in a hundred thousand. */
function expectSame(found: readonly string[], expected: readonly string[]): void {
  const at = expected.findIndex((line, i) => line !== found[i]);
  expect([at, at < 0 ? '' : found[at], found.length]).toEqual([
    -1,
    at < 0 ? '' : expected[at],
    expected.length,
  ]);
}

test('from the past across rotations and under load: every row once, in order', async () => {
  const source = await record('--rate', '50000');
  await sleep(1500);
  const followers = [tail('--all'), tail('--since', '1s')];
  for (let i = 0; i < 3; i++) {
    await sleep(500);
    await rotate(source);
  }
  // One that comes when others are there already.
  followers.push(tail('--last', '5'));
  for (const one of followers) await one.until(() => one.count > 1000);
  await sleep(500);
  const { summary } = await source.stop();
  for (const one of followers) {
    await one.until(() => one.stderr.includes('the recorder has ended'));
    expect(await one.end(), one.stderr).toBe(0);
    expect(one.stderr).not.toContain('missed');
  }
  expect(summary.lost).toEqual({});
  expect(summary.segments).toBeGreaterThan(3);
  const all = await stored();
  const [whole, since, late] = followers.map(({ lines }) => lines) as [
    string[],
    string[],
    string[],
  ];
  expectSame(whole, all);
  // Without an end of their own the others have all that came after their first row.
  for (const lines of [since, late]) {
    expect(lines.length).toBeGreaterThan(1000);
    expectSame(lines, all.slice(all.length - lines.length));
  }
  expect(since.length).toBeGreaterThan(late.length);
});

test('a filter sees live rows as it sees stored ones', async () => {
  const source = await record('--rate', '20000');
  const expressions = [
    'comm.startsWith("w") || pid % 3 == 0',
    'ktime % 2 == 0 && network.dport in [443, 80]',
    'has(file.path) && file.path.contains("/") && !(op == "unlink")',
    'process.args.exists(a, size(a) > 3) || cpu == 0',
  ];
  const followers = expressions.map((expression) => tail(expression, '--last', '0'));
  for (const one of followers) await one.until(() => one.count > 100);
  await sleep(500);
  await rotate(source);
  await sleep(1500);
  await source.stop();
  for (const [i, one] of followers.entries()) {
    await one.until(() => one.stderr.includes('the recorder has ended'));
    expect(await one.end(), one.stderr).toBe(0);
    const expected = await stored(expressions[i] as string);
    const { lines } = one;
    expect(lines.length, expressions[i]).toBeGreaterThan(100);
    expectSame(lines, expected.slice(expected.length - lines.length));
  }
});

test('a follower that was stopped reads in the store what the ring has lost, and says what nothing holds', async () => {
  const source = await record('--rate', '60000');
  const [healed, robbed] = [tail('--all'), tail('--all')];
  const before = 20_000;
  for (const one of [healed, robbed]) await one.until(() => one.count > before);
  for (const one of [healed, robbed]) one.child.kill('SIGSTOP');
  // More than the ring holds, however small they are.
  const enough = (await status()).rows + (32 * 2 ** 20) / 112;
  while ((await status()).rows < enough) await sleep(100);
  healed.child.kill('SIGCONT');
  const { summary } = await source.stop();
  await healed.until(() => healed.stderr.includes('the recorder has ended'));
  const all = await stored();
  const total = all.length;
  for (const name of readdirSync(join(store, 'segments')))
    rmSync(join(store, 'segments', name), { recursive: true });
  robbed.child.kill('SIGCONT');
  await robbed.until(() => robbed.stderr.includes('the recorder has ended'));
  await healed.end();
  await robbed.end();
  expect(healed.stderr).not.toContain('missed');
  expectSame(healed.lines, all);
  const [, missed = '0'] = /([\d,]+) rows are missed/.exec(robbed.stderr) ?? [];
  const { lines } = robbed;
  expect(lines.length).toBeLessThan(total);
  expect(lines.length + Number(missed.replaceAll(',', '')), robbed.stderr).toBe(total);
  const gaps = lines.filter((line, i) => i > 0 && seqOf(line) !== seqOf(lines[i - 1] ?? '') + 1);
  expect(gaps.length).toBe(1);
  expect(summary.lost).toEqual({});
});

test('a recorder that is killed and comes back is followed on; a new recording is told', async () => {
  let source = await record('--rate', '5000');
  const follower = tail('--all');
  await follower.until(() => follower.count > 8000);
  await source.kill();
  await follower.until(() => follower.stderr.includes('the recorder has ended'));
  source = await record('--rate', '5000', '--seed', '7');
  await follower.until(() => follower.stderr.includes('the recorder is back'));
  const after = follower.count;
  await follower.until(() => follower.count > after + 8000);
  await source.stop();
  const first = await stored();
  source = await record('--rate', '5000');
  await follower.until(() => follower.stderr.includes('a new recording begins'));
  const now = follower.count;
  await follower.until(() => follower.count > now + 5000);
  await source.stop();
  await follower.until(() => follower.stderr.split('the recorder has ended').length > 3);
  expect(await follower.end()).toBe(0);
  const { lines } = follower;
  expect(new Set(lines).size).toBe(lines.length);
  // What was shown and then died with the recorder is in no store; all that is there was shown, in order.
  const all = await stored();
  expect(all.slice(0, first.length)).toEqual(first);
  const held = new Set(all);
  expectSame(
    lines.filter((line) => held.has(line)),
    all,
  );
});

test('what cannot be followed is refused in one sentence; a closed pipe is an end', async () => {
  const replay = (...words: string[]): [number | null, string] => {
    const done = spawnSync(execPath, ['cli/tapio-replay.ts', ...words, '--store', store], {
      cwd: ROOT,
      timeout: 60_000,
    });
    return [done.status, done.stderr.toString()];
  };
  const source = await record('--rate', '2000');
  for (const words of [
    ['query', '--follow', '--until', '14:00'],
    ['query', '--follow', '--count'],
    ['query', '--follow', '--first', '3'],
    ['query', '--follow', '--exit-code'],
    ['query', '--follow', '-o', 'table'],
    ['tail', '--last', '3', '--all'],
  ]) {
    const [code, text] = replay(...words);
    expect([code, text.trim().split('\n').length], text).toEqual([2, 1]);
    expect(text).toMatch(/cannot be followed|contradict/);
  }
  const piped = spawnSync(
    'sh',
    [
      '-c',
      '{ "$0" cli/tapio-replay.ts query --follow --store "$1"; echo $? >&2; } | head -n 25',
      execPath,
      store,
    ],
    { cwd: ROOT, timeout: 60_000 },
  );
  expect(piped.stdout.toString().trim().split('\n').length).toBe(25);
  expect(piped.stderr.toString().trim().split('\n').at(-1)).toBe('0');
  await source.stop();
  const [code, text] = replay('tail');
  expect(code).toBe(1);
  expect(text).toContain(`nothing is recording into ${store}: start it with tapio-record start`);
});
