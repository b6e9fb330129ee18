// What the service gives beyond streams and pages: segments, replay, sums, samples, what is held, losses as they happen.

import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import { accountsOf, cli } from '../crash/cli.ts';
import { ask, clientsAt, streamed } from '../support/grpc-client.ts';
import { queryRows, Recording, type Row, temporaryDirectory } from '../support/recording.ts';

const EVENTS = 20_000;

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const { events, recorder } = clientsAt(join(store, 'recorder.sock'));
let recording: Recording;
let rows: Row[] = [];

/** So many events, over two segments, of a recorder that goes on. */
beforeAll(async () => {
  recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--rate', '8000', '--events', String(EVENTS)],
  ]);
  // The first segment has rows, whatever else the machine does.
  while (typeof (await askRecorder(store, 'status')).first_ts !== 'string') await sleep(100);
  recording.signal('SIGUSR2');
  while (rows.length < EVENTS) {
    await sleep(200);
    await askRecorder(store, 'flush');
    rows = queryRows(store);
  }
}, 60_000);
afterAll(async () => {
  events.close();
  recorder.close();
  await recording.kill();
  directory.remove();
});

const seqs = (rows: readonly Row[]): number[] => rows.map(({ seq }) => Number(seq));
const failureOf = (asked: Promise<Row>): Promise<Row> =>
  asked.then(
    () => ({ code: 'ok' }),
    (error) => error,
  );

test('segments: listed as the command lists them, and fetched byte for byte, the open one as far as it is committed', async () => {
  const listed = cli('tapio-replay', 'segments', '--store', store, '-o', 'json')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
  expect(listed.length).toBeGreaterThan(1);
  const { segments, problems } = await ask(recorder, 'ListSegments', {});
  expect(problems).toEqual([]);
  const plain = segments.map((one: Row) => ({
    name: one.name,
    state: one.sealed ? 'sealed' : 'open',
    rows: Object.fromEntries(one.rows.map(({ type, rows }: Row) => [type, Number(rows)])),
    bytes: Number(one.bytes),
    losses: Number(one.lost),
  }));
  expect(plain).toEqual(
    listed.map(({ name, state, rows: own, bytes, losses }) => ({
      ...{ name, state, rows: own, bytes, losses },
    })),
  );
  const copy = join(directory.path, 'copy', 'segments');
  mkdirSync(copy, { recursive: true, mode: 0o700 });
  for (const { name, sealed } of segments) {
    const target = join(copy, sealed ? name : `.open-${name}`);
    mkdirSync(target, { mode: 0o700 });
    const { messages, error } = await streamed(recorder.FetchSegment({ name }));
    expect(error).toBeNull();
    for (const { file, data } of messages) appendFileSync(join(target, file), data);
    if (!sealed) continue;
    const original = join(store, 'segments', name);
    expect(readdirSync(target).sort()).toEqual(readdirSync(original).sort());
    for (const file of readdirSync(original)) {
      const hash = (path: string): string =>
        createHash('sha256').update(readFileSync(path)).digest('hex');
      expect(hash(join(target, file)), file).toBe(hash(join(original, file)));
    }
  }
  expect(queryRows(join(directory.path, 'copy'))).toEqual(rows);
  expect(cli('tapio-replay', 'verify', '--store', join(directory.path, 'copy')).status).toBe(0);
  const { error } = await streamed(recorder.FetchSegment({ name: '../../etc' }));
  expect([error?.code, error?.details]).toEqual([
    status.NOT_FOUND,
    expect.stringContaining('there is no segment ../../etc'),
  ]);
  // Those of a window.
  const last = segments.at(-1);
  const some = await ask(recorder, 'ListSegments', { since: last.first_ts });
  expect(some.segments.map(({ name }: Row) => name)).toContain(last.name);
  const none = await ask(recorder, 'ListSegments', { until: '1' });
  expect(none.segments).toEqual([]);
});

test('status tells whose it is and from when to when is held', async () => {
  const told = await ask(recorder, 'GetStatus', {});
  const nsOf = (iso: string): bigint =>
    BigInt(Date.parse(`${iso.slice(0, 19)}Z`)) * 1_000_000n + BigInt(iso.slice(20, 29));
  const times = rows.map(({ ts }) => nsOf(ts)).sort((a, b) => (a < b ? -1 : 1));
  expect([told.held_since, told.held_until]).toEqual([String(times[0]), String(times.at(-1))]);
  const [{ recording: id } = { recording: '' }] = accountsOf(store);
  expect(told.recording).toBe(id);
  expect(told.host).not.toBe('');
});

test('what is held: a stream that ends with it, and goes on from any token', async () => {
  const whole = await streamed(events.StreamRawEventBatches({ held: true }));
  expect(whole.trailers?.get('complete')).toEqual(['true']);
  expect(seqs(whole.messages.flatMap((one) => one.events))).toEqual(seqs(rows));
  const tokens = whole.messages
    .map(({ resume_token }) => resume_token)
    .filter((token) => token !== '');
  const token = tokens[Math.floor(tokens.length / 2)];
  const rest = await streamed(events.StreamRawEvents({ held: true, resume_token: token }));
  const from = Number(token.split(':')[1]);
  expect(seqs(rest.messages)).toEqual(seqs(rows).filter((seq) => seq > from));
});

test('pages from the newest, backwards, give all of it', async () => {
  const selection = { filter: 'pid % 3 != 0' };
  const wanted = rows.filter(({ pid }) => pid % 3 !== 0);
  const pages: number[][] = [];
  for (let token = ''; ; ) {
    const page = await ask(events, 'QueryRawEvents', {
      ...{ selection, newest: true, page_size: 3000, page_token: token },
    });
    if (page.events.length === 0) break;
    pages.unshift(seqs(page.events));
    token = page.next_page_token;
  }
  expect(pages.flat()).toEqual(seqs(wanted));
  expect(pages.at(-1)?.length).toBe(3000);
});

test('replay: all rows in order, at a rate, in loops, with their time moved', async () => {
  const all = await streamed(recorder.Replay({ unpaced: true }));
  expect([seqs(all.messages), all.trailers?.get('complete')]).toEqual([seqs(rows), ['true']]);
  const selection = { types: ['process'] };
  const some = seqs(rows.filter(({ type }) => type === 'process'));
  const before = Date.now();
  const paced = await streamed(
    recorder.Replay({ selection, rate: some.length, loops: 2, rebase: true }),
  );
  expect(seqs(paced.messages)).toEqual([...some, ...some]);
  // A second for each loop: it cannot have been faster.
  expect(Date.now() - before).toBeGreaterThan(1500);
  const [first] = paced.messages;
  expect(Number(BigInt(first?.ts) / 1_000_000n)).toBeGreaterThan(before - 1);
  const wrong = await streamed(recorder.Replay({ speed: 2, rate: 5 }));
  expect([wrong.error?.code, wrong.error?.details]).toEqual([
    status.INVALID_ARGUMENT,
    'speed, rate and unpaced contradict each other: give one of them',
  ]);
});

test('sums are those of stats, whatever they are by', async () => {
  const asked: [object, string[]][] = [
    [{}, []],
    [{ by: ['comm', 'uid'], top: 5 }, ['--by', 'comm,uid', '--top', '5']],
    [
      { by: ['network.dport'], sums: ['network.bytes'], selection: { types: ['network'] } },
      ['--by', 'network.dport', '--sum', 'network.bytes', '--type', 'network', '--top', '100000'],
    ],
    [
      { by: ['op'], of: 'file.bytes', selection: { filter: 'pid > 100', negate: true } },
      ['--by', 'op', '--of', 'file.bytes', 'pid > 100', '--not', '--top', '1000'],
    ],
  ];
  for (const [request, flags] of asked) {
    const got = await ask(recorder, 'Stats', request);
    const said = JSON.parse(
      cli('tapio-replay', 'stats', '--store', store, '-o', 'json', ...flags).stdout,
    ) as Row;
    expect([Number(got.rows), Number(got.events)]).toEqual([said.rows, said.events]);
    expect(got.over_time.map(Number)).toEqual(said.time.events);
    const keys = ({ keys: own }: Row): (string | null)[] =>
      own.map((key: Row) => (key.value === undefined ? null : String(key[key.value])));
    const groups = got.groups.map((group: Row) => ({
      keys: keys(group),
      rows: Number(group.rows),
      sums: group.sums.map(Number),
      max: group.buckets.length === 0 ? null : Number(group.largest),
    }));
    expect(groups.slice(0, said.groups.length)).toEqual(
      said.groups.map((group: Row) => ({
        keys: group.keys.map((key: unknown) => (key === null ? null : String(key))),
        rows: group.rows,
        sums: Object.values(group.sums),
        max: group.max,
      })),
    );
    expect(got.complete).toBe(true);
  }
  const wrong = await failureOf(ask(recorder, 'Stats', { by: ['colour'] }));
  expect([wrong.code, wrong.details]).toEqual([
    status.INVALID_ARGUMENT,
    expect.stringContaining('unknown field colour'),
  ]);
});

test('a sample: the same rows each time and by each way, and they stand for all', async () => {
  const selection = { sample: 10 };
  const stream = await streamed(events.StreamRawEvents({ held: true, selection }));
  const got = seqs(stream.messages);
  expect(got.length).toBeGreaterThan(EVENTS / 10 - 300);
  expect(got.length).toBeLessThan(EVENTS / 10 + 300);
  const replayed = await streamed(recorder.Replay({ unpaced: true, selection }));
  expect(seqs(replayed.messages)).toEqual(got);
  const bySeq = new Map(rows.map((row) => [row.seq, row]));
  for (const { seq, weight } of stream.messages) {
    expect(weight).toBe(bySeq.get(Number(seq))?.weight * 10);
  }
  const paged = await ask(events, 'QueryRawEvents', { selection, page_size: 10_000 });
  expect(seqs(paged.events)).toEqual(got.slice(0, paged.events.length));
});

test('what is lost comes as a message for each cause while the stream runs', async () => {
  const other = temporaryDirectory();
  const lossy = join(other.path, 'store');
  const clients = clientsAt(join(lossy, 'recorder.sock'));
  // The smallest rings, which hold a fraction of a second of it.
  const source = ['--source', 'synthetic', '--rate', '150000', '--ring-size', '512KiB'];
  const recorded = await Recording.start(lossy, source);
  try {
    const lost: Row[] = [];
    let taken = 0;
    const stream = clients.events.StreamRawEventBatches({});
    stream.on('error', () => {});
    const enough = new Promise<void>((resolve) => {
      stream.on('data', ({ events: some }) => {
        for (const { loss } of some) if (loss != null) lost.push(loss);
        taken += some.length;
        if (lost.length > 0) resolve();
      });
    });
    while (taken === 0) await sleep(20);
    recorded.signal('SIGSTOP');
    await sleep(300);
    recorded.signal('SIGCONT');
    await enough;
    stream.cancel();
    expect(lost.map(({ cause }) => cause)).toEqual(lost.map(() => 'overwritten'));
    for (const { count, first_ts, last_ts } of lost) {
      expect(Number(count)).toBeGreaterThan(0);
      expect(BigInt(first_ts) <= BigInt(last_ts)).toBe(true);
    }
    await recorded.stop();
    const counted = accountsOf(lossy)
      .flatMap(({ causes }) => causes)
      .reduce((sum: number, { count }) => sum + count, 0);
    expect(lost.reduce((sum, { count }) => sum + Number(count), 0)).toBeLessThanOrEqual(counted);
  } finally {
    clients.events.close();
    clients.recorder.close();
    if (!recorded.hasEnded) await recorded.kill();
    other.remove();
  }
});
