// Secrets in command lines of real programs: none is in a file of the store, in an answer, in what followers and sinks are given.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { accountsOf, cleanUp, cli, statusOf, until } from '../crash/cli.ts';
import { clientsAt, streamed } from '../support/grpc-client.ts';
import {
  queryRows,
  Recording,
  type Row,
  temporaryDirectory,
  whyNoKernel,
} from '../support/recording.ts';
import { Tail } from '../support/tail.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`kernel tests must run: ${why}`);

/** In no name of anything else. */
const SECRET = `hunter2${process.pid}qz`;
const MINIMAL = ['--profile', 'minimal', '--ring-size', '2MiB'];

let directory: ReturnType<typeof temporaryDirectory>;
let store = '';
let recording: Recording | null = null;
let sleeper: ChildProcess | null = null;
let tail: Tail | null = null;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
});
afterEach(async () => {
  if (tail?.child.exitCode === null) await tail.end();
  if (recording?.hasEnded === false) await recording.kill();
  sleeper?.kill('SIGKILL');
  recording = sleeper = tail = null;
  cleanUp(store);
  directory.remove();
});

/** A program that is there for a while. */
async function sleeping(...args: string[]): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', 'read line', 'sh', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await new Promise((resolve) => child.once('spawn', resolve));
  return child;
}

/** Everything below a directory as one text, byte for byte. */
const bytesOf = (path: string): string =>
  readdirSync(path, { recursive: true })
    .map((name) => join(path, String(name)))
    .filter((name) => statSync(name).isFile())
    .map((name) => readFileSync(name, 'latin1'))
    .join('');

const segmentsOf = (): Row[] =>
  cli('tapio-replay', 'segments', '--store', store, '-o', 'json')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

test('no secret is in any file, answer, stream or sink', async () => {
  sleeper = await sleeping('--token', `${SECRET}-before`, `zz${SECRET}`);
  const config = join(directory.path, 'tapio.yaml');
  writeFileSync(config, 'profile: minimal\n');
  const events = join(directory.path, 'events.ndjson');
  const flags = ['--config', config, '--ring-size', '2MiB', '--sink', `ndjson:${events}`];
  recording = await Recording.start(store, [...flags, '--sink-filter', 'true']);
  tail = new Tail(store, ['--op', 'exec']);
  await tail.until(() => tail?.stderr.includes('following') === true);
  const clients = clientsAt(join(store, 'recorder.sock'));
  const stream = streamed(
    clients.events.StreamRawEvents({ since: '1', selection: { filter: 'op == "exec"' } }),
    (some) => JSON.stringify(some.at(-1)).includes('the-last'),
  );

  execFileSync('sh', ['-c', `: --password=${SECRET}`, `--password=${SECRET}`]);
  execFileSync('true', ['--api-key', SECRET, `https://user:${SECRET}@host/path`]);
  execFileSync('env', [`DB_PASSWORD=${SECRET}`, 'true', '-H', `Authorization: Bearer ${SECRET}`]);
  // A byte that is no UTF-8 within it; in the script it is written as octal digits.
  const octal = [...Buffer.from(`${SECRET}\xff${SECRET}`, 'latin1')]
    .map((byte) => `\\${byte.toString(8).padStart(3, '0')}`)
    .join('');
  execFileSync('sh', ['-c', `exec /bin/true "--password=$(printf '${octal}')"`]);
  // What is kept of the arguments ends within it.
  execFileSync('true', ['x'.repeat(4050), `https://user:${SECRET}${SECRET}${SECRET}@host/`]);
  execFileSync(
    'true',
    Array.from({ length: 10_000 }, (_, i) => `--token=${SECRET}${i}`),
  );
  execFileSync('true', ['the-last']);
  await tail.until(() => tail?.lines.some((line) => line.includes('the-last')) === true);
  const { messages } = await stream;
  for (const client of Object.values(clients)) client.close();
  // What waits to be sealed is as it is.
  expect(bytesOf(store).replaceAll(`zz${SECRET}`, '').includes(SECRET)).toBe(false);

  // From here on, what the user named is masked as well: also of a program that runs since before.
  writeFileSync(config, "profile: minimal\nmask: ['(?m)^zz(.*)$']\n");
  recording.signal('SIGHUP');
  await until('another segment begins', () =>
    readdirSync(join(store, 'segments')).some((name) => !name.startsWith('.')),
  );
  execFileSync('true', [`zz${SECRET}-after`, `--password=${SECRET}`]);
  await tail.until(() => tail?.lines.some((line) => line.includes('zz***')) === true);
  // It is told a little later.
  const told = (): Row => statusOf(store).masked as Row;
  await until('it is counted', () => told()['(?m)^zz(.*)$'] >= 1);
  expect(told().assignment).toBeGreaterThan(100);
  const { summary } = await recording.stop();
  await tail.end();

  const rows = queryRows(store);
  const lines = rows.flatMap(({ process: own }) => (own?.args == null ? [] : [own.args.join(' ')]));
  for (const [line, times] of [
    ['true --api-key *** https://user:***@host/path', 1],
    ['true -H Authorization: Bearer ***', 1],
    ['/bin/true --password=***', 1],
    ['true zz***', 1],
  ]) {
    expect(lines.filter((one) => one.startsWith(String(line))).length, String(line)).toBe(times);
  }
  const ps = cli('tapio-replay', 'ps', '--store', store, '-o', 'json').stdout;
  const pid = String(sleeper.pid);
  const texts: Readonly<Record<string, string>> = {
    rows: JSON.stringify(rows),
    ps,
    trace: cli('tapio-replay', 'trace', pid, '--store', store, '-o', 'json').stdout,
    tail: tail.lines.join('\n'),
    stream: JSON.stringify(messages),
    sink: readFileSync(events, 'utf8'),
    store: bytesOf(store),
    summary: JSON.stringify(summary),
    log: recording.stderr,
  };
  for (const [name, text] of Object.entries(texts)) {
    // What began with zz was none until it was said.
    const left = text.replaceAll(`zz${SECRET}`, '');
    expect(left.includes(SECRET), name).toBe(false);
    expect(left.includes(SECRET.slice(0, 9)), name).toBe(false);
  }
  for (const name of ['rows', 'tail', 'stream', 'sink']) expect(texts[name]).toContain('***');
  const lasting = ps
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row)
    .find((one) => one.pid === Number(pid));
  expect(lasting?.args).toEqual(['sh', '-c', 'read line', 'sh', '--token', '***', 'zz***']);

  const [first, ...later] = segmentsOf();
  expect(first?.mask).toEqual(['assignment', 'flag', 'url', 'header', 'key', 'program']);
  expect(later.at(-1)?.mask).toEqual([...(first?.mask ?? []), '(?m)^zz(.*)$']);
  expect(first?.masked.flag).toBeGreaterThanOrEqual(2);
  expect(summary.masked.flag).toBeGreaterThanOrEqual(first?.masked.flag);
  expect(accountsOf(store).map(({ holds }) => holds)).toEqual([true]);
});

test('a filter cannot tell what is masked', async () => {
  const filter = `process.args.exists(arg, arg == "--password=***")`;
  recording = await Recording.start(store, [...MINIMAL, '--filter', filter]);
  execFileSync('true', [`--password=${SECRET}`]);
  await recording.stop();
  expect(queryRows(store).map(({ process: own }) => own.args)).toEqual([
    ['true', '--password=***'],
  ]);
});

test('a pattern that is none is told in a sentence', () => {
  const bad = cli('tapio-record', 'start', '--store', store, '--mask', 'a(b', '--duration', '1s');
  expect([bad.status, bad.stderr.trim().split('\n').length]).toEqual([2, 1]);
  expect(bad.stderr).toContain('--mask a(b: missing ): a(b: write a pattern that RE2 takes');
});
