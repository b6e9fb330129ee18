// tapio-replay --server against tapio-replay --store: the same bytes, whatever is asked.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import { certificates } from '../support/certificates.ts';
import { Recording, type Row, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { type Replayed, replay } from '../support/replay.ts';
import { Tail } from '../support/tail.ts';

const EVENTS = 6000;

const directory = temporaryDirectory();
const at = (name: string): string => join(directory.path, name);
const [store, other] = [at('store'), at('other')];
const server = `unix:${join(store, 'recorder.sock')}`;
const otherServer = `unix:${join(other, 'recorder.sock')}`;
/** What is fetched goes there, and goes again. */
const temporary = at('tmp');
const recordings: Recording[] = [];

const countOf = async (of: string): Promise<number> =>
  Number((await replay(['query', '--count', '--store', of])).stdout);

/** A recorder of so many events, over two segments, that goes on without more. */
async function recorded(into: string, ...flags: string[]): Promise<void> {
  const synthetic = ['--source', 'synthetic', '--rate', '20000', '--events', String(EVENTS)];
  const recording = await Recording.start(into, [...synthetic, ...flags]);
  recordings.push(recording);
  recording.signal('SIGUSR2');
  do {
    await sleep(100);
    await askRecorder(into, 'flush');
  } while ((await countOf(into)) < EVENTS);
}

beforeAll(async () => {
  mkdirSync(temporary);
  await recorded(store);
  await recorded(other, '--seed', '7');
});
afterAll(async () => {
  for (const recording of recordings) if (!recording.hasEnded) await recording.kill();
  directory.remove();
});

/** Both answers are the same; a difference is told in one line. */
function expectSame(found: Replayed, expected: Replayed, what: string): void {
  const end = Math.min(found.stdout.length, expected.stdout.length);
  const byte = expected.stdout.findIndex((one, i) => one !== found.stdout[i]);
  const from = Math.max(0, byte - 60);
  const near = ({ stdout }: Replayed): string =>
    byte < 0 ? '' : stdout.toString('utf8', from, Math.min(end, byte + 60));
  expect([found.code, found.stdout.length, near(found)], `${what}\n${found.stderr}`).toEqual([
    expected.code,
    expected.stdout.length,
    near(expected),
  ]);
}

async function check(words: readonly string[], stores: string[], servers: string[]): Promise<void> {
  const [expected, found] = await Promise.all([
    replay([...words, ...stores.flatMap((one) => ['--store', one])]),
    replay([...words, ...servers.flatMap((one) => ['--server', one])], { TMPDIR: temporary }),
  ]);
  expectSame(found, expected, words.join(' '));
}

test('rows: each form, from each end, by each way of choosing', { timeout: 240_000 }, async () => {
  const asked: string[][] = [
    ['--all', '-o', 'json'],
    ['--last', '2500'],
    [
      '--first',
      '1500',
      '--fields',
      'ts,ktime,process.args,syscall.args,network.packet',
      '-o',
      'json',
    ],
    ['-o', 'table'],
    ['--all', '-o', 'arrow'],
    ['--all', '-o', 'arrow', '--wide', '--fields', 'seq,comm,file.path,network.sport'],
    ['network.dport in [443, 8443] || file.ret < 0', '--not', '--type', 'network,file', '--all'],
    ['--op', 'exec,network.connect', '--comm', 'nginx,bash', '--all', '-o', 'json'],
    ['--count', '--not', 'pid % 2 == 0'],
    ['pid == 99999999', '--exit-code'],
    ['--type', 'file', '--op', 'exec', '--all'],
    ['--since', '2020-01-01T00:00:00Z', '--until', '+1h'],
    ['--pid', '1010', '--children', '--all', '-o', 'json'],
  ];
  for (const flags of asked) await check(['query', ...flags], [store], [server]);
  await check(['play', '--speed', 'max', '-o', 'json'], [store], [server]);
});

test('sums, segments, and what needs tables beside rows', { timeout: 240_000 }, async () => {
  const asked: string[][] = [
    ['stats'],
    [
      'stats',
      '-o',
      'json',
      '--by',
      'comm,network.dport',
      '--top',
      '3',
      '--sum',
      'network.bytes_sent',
    ],
    ['stats', '-o', 'json', '--of', 'file.bytes', '--by', 'file.device,ts', '--top', '4'],
    ['segments'],
    ['segments', '-o', 'json'],
    ['ps', '--tree', '-o', 'json'],
    ['conns', '-o', 'json'],
    ['trace', '1010', '-o', 'json'],
    ['account', '-o', 'json'],
    ['verify', '-o', 'json'],
    ['export', '--op', 'exec', '--format', 'ndjson', '-o', '-'],
  ];
  for (const words of asked) await check(words, [store], [server]);
  expect(readdirSync(temporary)).toEqual([]);
  const [kept, copy] = [at('kept'), at('copy')];
  await replay(['export', '--op', 'exec', '-o', kept, '--store', store]);
  await replay(['export', '--op', 'exec', '-o', copy, '--server', server], { TMPDIR: temporary });
  const rows = ['query', '--all', '-o', 'json'];
  expectSame(
    await replay([...rows, '--store', copy]),
    await replay([...rows, '--store', kept]),
    'export',
  );
});

test('several servers, and servers beside stores, are read as one', {
  timeout: 240_000,
}, async () => {
  const asked: string[][] = [
    ['query', '--all', '-o', 'json'],
    ['query', '--last', '50'],
    ['stats', '-o', 'json', '--by', 'comm'],
    ['ps', '-o', 'json'],
  ];
  for (const words of asked) await check(words, [store, other], [server, otherServer]);
  const [both, mixed, twice] = await Promise.all([
    replay(['query', '--first', '3000', '-o', 'json', '--store', store, '--store', other]),
    replay(['query', '--first', '3000', '-o', 'json', '--store', store, '--server', otherServer]),
    replay(['query', '--count', '--store', store]),
  ]);
  expectSame(mixed, both, 'a store and a server');
  // A store and its own server have the same rows, each of which comes once.
  const once = await replay(['query', '--all', '-o', 'json', '--store', store, '--server', server]);
  expect(once.stdout.toString().split('\n').length - 1).toBe(Number(twice.stdout));
});

test('tail goes on across a restart of the recorder, each row once', {
  timeout: 240_000,
}, async () => {
  const store = at('restarted');
  const socket = at('restarted.sock');
  const flags = ['--source', 'synthetic', '--rate', '2000', '--listen', `unix:${socket}`];
  const first = await Recording.start(store, flags);
  recordings.push(first);
  await sleep(500);
  const tail = new Tail(store, ['--all'], ['--server', `unix:${socket}`]);
  const short = new Tail(store, ['--last', '15'], ['--server', `unix:${socket}`]);
  try {
    await tail.until(() => tail.count > 1000);
    await short.until(() => short.count > 100);
    await first.stop();
    await tail.until(
      () => tail.stderr.includes('Trying again') || tail.stderr.includes('trying again'),
    );
    const second = await Recording.start(store, [...flags, '--events', '3000']);
    recordings.push(second);
    let stored: string[] = [];
    for (let before = -1; stored.length !== before; ) {
      before = stored.length;
      await sleep(1000);
      await askRecorder(store, 'flush');
      const { stdout } = await replay(['query', '--all', '-o', 'json', '--store', store]);
      stored = stdout.toString().trim().split('\n');
    }
    await tail.until(() => tail.count >= stored.length);
    await short.until(() => short.lines.at(-1) === stored.at(-1));
    expect(tail.lines.findIndex((line, i) => line !== stored[i])).toBe(-1);
    expect(tail.count).toBe(stored.length);
    expect(tail.stderr).toContain('is back');
    // Without a seam behind the last that were held.
    const from = stored.indexOf(short.lines[0] as string);
    expect(from).toBeGreaterThan(0);
    expect(short.lines.findIndex((line, i) => line !== stored[from + i])).toBe(-1);
    expect(short.count).toBe(stored.length - from);
    expect([await tail.end(), await short.end()]).toEqual([0, 0]);
  } finally {
    for (const one of [tail, short]) one.child.kill('SIGKILL');
  }
});

const free = (): Promise<number> =>
  new Promise((resolve) => {
    const listening = createServer().listen(0, '127.0.0.1', () => {
      const { port } = listening.address() as AddressInfo;
      listening.close(() => resolve(port));
    });
  });

const POLICY = `rules:
  - who: 'cn:agent'
    allow: [network]
    redact: [network.daddr]
  - who: 'san:DNS:chief.test'
    allow: '*'
`;

test('over TLS: who may see rows alone is told what is left; who is not trusted, why', {
  timeout: 240_000,
}, async () => {
  const file = certificates(directory.path, 'server', 'agent', 'chief');
  writeFileSync(at('policy.yaml'), POLICY, { mode: 0o600 });
  const port = await free();
  const guarded = at('guarded');
  await recorded(
    guarded,
    ...[
      '--policy',
      at('policy.yaml'),
      '--listen',
      `127.0.0.1:${port}`,
      '--tls-client-ca',
      file('ca.pem'),
    ],
    ...['--tls-cert', file('server.pem'), '--tls-key', file('server.key')],
  );
  const by = (name: string): string[] => [
    ...['--server', `127.0.0.1:${port}`, '--tls-ca', file('ca.pem'), '--tls-name', 'tapio.test'],
    ...['--tls-cert', file(`${name}.pem`), '--tls-key', file(`${name}.key`)],
  ];
  const all = ['query', '--all', '-o', 'json'];
  expectSame(
    await replay([...all, ...by('chief')]),
    await replay([...all, '--store', guarded]),
    'chief',
  );
  const network = await replay([...all, ...by('agent')]);
  const rows: Row[] = network.stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rows.length).toBeGreaterThan(100);
  expect(new Set(rows.map(({ type, network: own }) => `${type} ${own.daddr}`))).toEqual(
    new Set(['network null']),
  );
  const ps = await replay(['ps', ...by('agent')], { TMPDIR: temporary });
  expect([ps.code, ps.stdout.length]).toEqual([1, 0]);
  expect(ps.stderr).toMatch(/reads whole segments.*query .*are answered with rows alone/);
  const wrong: [string[], RegExp][] = [
    [by('chief').with(3, file('other.pem')), /cannot be reached over TLS.*--tls-ca/],
    [by('chief').with(5, 'other.test'), /cannot be reached over TLS.*--tls-name/],
    [by('chief').slice(0, 6), /--tls-cert/],
  ];
  for (const [flags, said] of wrong) {
    const { code, stderr } = await replay(['query', ...flags]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(said)]);
  }
});

test('what makes no sense, or nobody answers, is one sentence', { timeout: 240_000 }, async () => {
  const wrong: [string[], number, RegExp][] = [
    [['query', '--server', `unix:${at('none.sock')}`], 1, /cannot be reached \(ENOENT\)/],
    [
      ['ps', '--server', `127.0.0.1:${await free()}`, '--insecure'],
      1,
      /cannot be reached \(ECONNREFUSED\)/,
    ],
    [['query', '--server', '10.0.0.1:1', '--insecure'], 2, /--insecure is for this host alone/],
    [['query', '--server', 'nowhere'], 2, /write unix:PATH, HOST:PORT/],
    [['stats', '--explain', '--server', server], 2, /--explain tells of stores/],
    [['tail', '--server', server, '--server', otherServer], 2, /looks at one/],
    [['verify', '--server', server, '--store', store], 2, /looks at one/],
    [['query', 'pid == (', '--server', server], 2, /ends too early/],
    [['query', '--token-file', at('none'), '--server', server], 2, /cannot be read \(ENOENT\)/],
    [['repair', '--server', server], 2, /unknown flag --server/],
  ];
  await Promise.all(
    wrong.map(async ([words, expected, said]) => {
      const { code, stdout, stderr } = await replay(words, { TMPDIR: temporary });
      expect([code, stdout.length, stderr], words.join(' ')).toEqual([
        expected,
        0,
        expect.stringMatching(said),
      ]);
    }),
  );
  const { stdout, code } = await replay(['query', '--count'], { TAPIO_SERVER: server });
  expect([code, stdout.toString()]).toEqual([0, `${EVENTS}\n`]);
  expect(readdirSync(temporary)).toEqual([]);
});

test.skipIf(whyNoKernel() !== null)('a recording of the kernel', { timeout: 240_000 }, async () => {
  const live = at('live');
  const began = Date.now();
  recordings.push(await Recording.start(live, ['--syscalls', 'getpid,sched_yield,read']));
  await sleep(1500);
  const window = ['--since', new Date(began).toISOString(), '--until', new Date().toISOString()];
  // All of the window is stored then.
  await sleep(1500);
  const words = ['query', '--all', '-o', 'json', ...window];
  await check(words, [live], [`unix:${join(live, 'recorder.sock')}`]);
  expect(
    Number((await replay(['query', '--count', ...window, '--store', live])).stdout),
  ).toBeGreaterThan(0);
});
