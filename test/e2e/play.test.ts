// play as people run it: in a pipe, and on a terminal with keys.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { queryRows, Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';
import { Terminal } from '../support/terminal.ts';

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
let all: Row[] = [];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

beforeAll(async () => {
  const flags = [
    '--source',
    'synthetic',
    '--rate',
    '2000',
    '--events',
    '4000',
    '--seed',
    `${seed}`,
  ];
  const recording = await Recording.start(store, flags);
  // Two segments.
  await sleep(1200);
  recording.signal('SIGUSR2');
  await sleep(1500);
  await recording.stop();
  all = queryRows(store);
});
afterAll(() => directory.remove());

const PLAY = ['cli/tapio-replay.ts', 'play', '--store', store];

interface Done {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
  readonly rows: Row[];
}

function play(flags: readonly string[], input = ''): Done {
  const done = spawnSync(execPath, [...PLAY, ...flags], { cwd: ROOT, input, maxBuffer: 1 << 28 });
  const out = done.stdout.toString();
  return {
    out,
    err: done.stderr.toString(),
    code: done.status,
    rows: out.startsWith('{"seq"') ? rowsIn(out) : [],
  };
}

function rowsIn(text: string): Row[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

test('played is what was queried, row for row, whatever the pace', () => {
  expect(all.length).toBe(4000);
  for (const pace of [
    ['--speed', 'max'],
    ['--speed', '20x'],
    ['--rate', '20000/s'],
  ]) {
    const { rows, err, code } = play([...pace, '-o', 'json']);
    expect([code, rows], `seed ${seed}: ${pace.join(' ')}`).toEqual([0, all]);
    expect(err).toMatch(/played 4,000 rows in /);
  }
  const { type, op } = all[17] ?? {};
  const some = play(['--speed', 'max', '-o', 'json', '--op', `${type}.${op}`, '--loop', '3']);
  const expected = all.filter((row) => row.type === type && row.op === op);
  expect(some.rows, `seed ${seed}`).toEqual([...expected, ...expected, ...expected]);
  const chosen = play(['--speed', 'max', '-o', 'json', `pid == ${all[17]?.pid}`]);
  expect(chosen.rows, `seed ${seed}`).toEqual(all.filter((row) => row.pid === all[17]?.pid));
  const compact = play(['--speed', 'max', '--until', all[5]?.ts]);
  expect(compact.out.split('\n').length).toBe(6);
});

test('the summary says how many, how fast and how exactly', () => {
  const paced = play(['--speed', '10x', '-o', 'none', '--stats', 'json']);
  const summary = JSON.parse(paced.out) as Row;
  expect(summary).toMatchObject({ rows: 4000, loops: 1 });
  expect(Object.keys(summary.error_us)).toEqual(['p50', 'p99', 'max']);
  const [first, last] = [all[0]?.ts, all.at(-1)?.ts].map((ts) => Date.parse(ts));
  // Whole ms are all that Date knows of a ts; rows at the end may be late ones.
  expect(Math.abs(summary.scheduled_s * 10_000 - ((last ?? 0) - (first ?? 0)))).toBeLessThan(50);
  expect(summary.wall_s).toBeGreaterThanOrEqual(summary.scheduled_s - 0.001);
  const max = JSON.parse(play(['--speed', 'max', '-o', 'none', '--stats', 'json']).out) as Row;
  expect(max).toMatchObject({ rows: 4000, scheduled_s: null, error_us: null, late_rows: 0 });
});

test('--step takes a row for each line, and ends with the lines', () => {
  const { rows, code } = play(['--step', '-o', 'json'], '\n\nany\n');
  expect([code, rows]).toEqual([0, all.slice(0, 3)]);
});

test('--rebase now shifts ts and nothing else, and says so', () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const { rows, err } = play(['--speed', 'max', '--rebase', 'now', '-o', 'json']);
  const shift = BigInt(/\((\d+) ns\)/.exec(err)?.[1] ?? 0);
  expect(err).toContain('ts is shifted forward by');
  const ns = (ts: string): bigint =>
    BigInt(Date.parse(ts.slice(0, 19).concat('Z'))) * 1_000_000n + BigInt(ts.slice(20, 29));
  expect(ns(rows[0]?.ts)).toBeGreaterThan(before);
  expect(rows.map((row) => ns(row.ts) - shift)).toEqual(all.map((row) => ns(row.ts)));
  const without = (list: Row[]): Row[] => list.map((row) => ({ ...row, ts: null }));
  expect(without(rows)).toEqual(without(all));
});

test('what contradicts itself, and what is no value, is refused in one sentence', () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['--speed', '2x', '--rate', '5/s'], '--speed and --rate contradict each other'],
    [['--speed', '2x', '--step'], '--speed and --step contradict each other'],
    [['--rate', '5/s', '--step'], '--rate and --step contradict each other'],
    [['--rate', '5/s', '--max-gap', '2s'], '--max-gap and --rate contradict each other'],
    [
      ['--speed', 'max', '--max-gap', '2s'],
      '--max-gap means nothing with --speed max: there are no gaps',
    ],
    [['--speed', 'fast'], '--speed fast is no speed: write 10x, 0.5x, 200% or max'],
    [['--speed', '2', '--speed', '3'], '--speed 2,3 is no speed: write 10x, 0.5x, 200% or max'],
    [['--rate', '5k'], '--rate 5k is no rate: write 5000/s, or --speed max'],
    [['--max-gap', '2'], '--max-gap 2 is no duration: write 500ms, 2s or 1m'],
    [['--loop', 'ever'], '--loop ever is no number: write 3, or forever'],
    [['--rebase', 'then'], '--rebase then is not known: write --rebase now'],
    [['--typ', 'file'], 'unknown flag --typ (did you mean --type?)'],
  ];
  for (const [flags, sentence] of cases) {
    const { out, err, code } = play(flags);
    expect([code, out, err]).toEqual([2, '', `tapio-replay: ${sentence}\n`]);
  }
});

test('nothing to play says why', () => {
  const { out, err, code } = play(['--until', '2001-01-01T00:00:00Z', '-o', 'json']);
  expect([out, code]).toEqual(['', 0]);
  expect(err).toContain('the window ends before what is held');
});

test('a closed pipe is a normal end', () => {
  const piped = spawnSync(
    'sh',
    [
      '-c',
      '"$0" "$@" --speed max --loop forever -o json | head -n 3; echo done',
      execPath,
      ...PLAY,
    ],
    { cwd: ROOT },
  );
  const lines = piped.stdout.toString().trim().split('\n');
  expect([lines.length, lines.at(-1)]).toEqual([4, 'done']);
  expect(piped.stderr.toString()).not.toContain('bug');
});

test('a reader that stops reading makes it late and loses nothing', async () => {
  const child = spawn(
    execPath,
    [...PLAY, '--speed', '20x', '-o', 'json', '--stats', 'json', '--loop', '2'],
    {
      cwd: ROOT,
    },
  );
  let text = '';
  let err = '';
  child.stderr.on('data', (part) => {
    err += part;
  });
  await new Promise((resolve) => child.stdout.once('readable', resolve));
  // The pipe is full long before this ends.
  await sleep(1500);
  child.stdout.on('data', (part) => {
    text += part;
  });
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  expect(rowsIn(text)).toEqual([...all, ...all]);
  const summary = JSON.parse(err.trim().split('\n').at(-1) ?? '') as Row;
  expect(summary.late_rows).toBeGreaterThan(1000);
  expect(summary.error_us.max).toBeGreaterThan(500_000);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s is a normal end with the count', async (signal) => {
  const child = spawn(execPath, [...PLAY, '--speed', '0.01x', '-o', 'json'], { cwd: ROOT });
  let err = '';
  child.stderr.on('data', (part) => {
    err += part;
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill(signal);
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  expect(err).toMatch(/played [1-9]\d* rows? in /);
});

const file = (name: string): string => join(directory.path, name);

/** A play on a terminal; with `name` its stdout goes to a file of that name. */
function onTerminal(flags: readonly string[], name?: string): Terminal {
  const words = ['play', '--store', store, ...flags];
  return new Terminal(words, name === undefined ? {} : { file: file(name) });
}

/** Rows that went to a file. */
const rowsOf = (name: string): Row[] => rowsIn(readFileSync(file(name), 'utf8'));

/** T where it is stopped. */
function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .charAt(0);
}

/** The modes of its terminal, as stty tells them. */
const modesOf = (pid: number): string =>
  spawnSync('stty', ['-F', `/proc/${pid}/fd/0`, '-a']).stdout.toString();

const WELL = { code: 0, restored: true };

/** So slow that nearly all that comes was asked for. */
const SLOW = ['--speed', '0.00001x', '-o', 'json'];

test('keys: step, pause, speed, seek, quit; what was played is in order', async () => {
  const terminal = onTerminal(SLOW, 'keys.json');
  await terminal.sees(/▶ 0\.00001×.* [1-9]\d* rows/);
  terminal.type(' ');
  const [, shown] = await terminal.sees(/⏸ 0\.00001×.* (\d+) rows/);
  const paused = Number(shown);
  terminal.type('sss');
  await terminal.sees(new RegExp(`⏸ .* ${paused + 3} rows`));
  terminal.type('\r');
  await terminal.sees(new RegExp(`⏸ .* ${paused + 4} rows`));
  terminal.type('++');
  await terminal.sees(/⏸ 0\.00004×/);
  terminal.type('-');
  await terminal.sees(/⏸ 0\.00002×/);
  // Back to before the first row, and on.
  terminal.type('\x1b[D');
  terminal.type('s');
  await terminal.sees(new RegExp(`⏸ .* ${paused + 5} rows`));
  terminal.type(' ');
  await terminal.sees(/▶ 0\.00002×/);
  terminal.type('q');
  expect(await terminal.ended()).toEqual(WELL);
  const rows = rowsOf('keys.json').slice(0, paused + 5);
  expect(rows, `seed ${seed}`).toEqual([...all.slice(0, paused + 4), all[0]]);
  expect(terminal.shown).toMatch(/played \d+ rows/);
});

test('→ beyond the end is the end', async () => {
  const terminal = onTerminal(SLOW, 'right.json');
  await terminal.sees(/▶ .* [1-9]\d* rows/);
  terminal.type('\x1bOC');
  expect(await terminal.ended()).toEqual(WELL);
  expect(rowsOf('right.json').length).toBeLessThan(all.length);
});

test('--step on a terminal: a row for each space or Enter', async () => {
  const terminal = onTerminal(['--step', '-o', 'json'], 'step.json');
  await terminal.sees(/⏸ .* 0 rows/);
  terminal.type(' \r');
  await terminal.sees(/⏸ .* 2 rows/);
  terminal.type('q');
  expect(await terminal.ended()).toEqual(WELL);
  expect(rowsOf('step.json')).toEqual(all.slice(0, 2));
});

test('rows and the status line share a terminal', async () => {
  const terminal = onTerminal(['--speed', '1x', '--until', all[400]?.ts ?? '']);
  expect(await terminal.ended()).toEqual(WELL);
  // Whatever the status line was, it is gone where a row begins.
  const lines = terminal.shown
    .split('\r\n')
    .map((line) => line.split('\x1b[K').at(-1) ?? '')
    .filter((line) => /^\d\d:\d\d:\d\d\.\d{6} {2}/.test(line));
  expect(lines.length).toBe(400);
});

test.each([
  ['Ctrl-C', (terminal: Terminal) => terminal.type('\x03'), WELL],
  [
    'Ctrl-C twice',
    (terminal: Terminal) => terminal.type('\x03\x03'),
    { code: 130, restored: true },
  ],
] as const)('%s gives the terminal back', async (_, end, expected) => {
  const terminal = onTerminal(['--speed', '0.01x', '-o', 'json'], 'end.json');
  await terminal.sees(/▶ /);
  end(terminal);
  expect(await terminal.ended()).toEqual(expected);
});

test('Ctrl-Z gives the terminal back, and going on takes it again', async () => {
  const terminal = onTerminal(SLOW, 'stop.json');
  await terminal.sees(/▶ .* [1-9]\d* rows/);
  const player = terminal.pid;
  terminal.type('\x1a');
  while (stateOf(player) !== 'T') await sleep(10);
  expect(modesOf(player)).toContain(' icanon');
  process.kill(player, 'SIGCONT');
  while (modesOf(player).includes(' icanon')) await sleep(10);
  await terminal.sees(/▶ /);
  terminal.type(' ');
  await terminal.sees(/⏸ /);
  terminal.type('q');
  expect(await terminal.ended()).toEqual(WELL);
});

test('--no-keys leaves the terminal alone', async () => {
  const terminal = onTerminal(['--no-keys', '--speed', '20x', '-o', 'json'], 'none.json');
  await terminal.sees(/reading/);
  terminal.type('q');
  expect(await terminal.ended()).toEqual(WELL);
  expect(rowsOf('none.json')).toEqual(all);
  expect(terminal.shown).not.toContain('▶');
});
