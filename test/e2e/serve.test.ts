// The service as its clients see it: the same rows as a query gives, live and recorded, to those who may see them.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import {
  ask,
  clientsAt,
  type Export,
  healthClient,
  type RecorderClient,
  reflectionClient,
  streamed,
} from '../support/grpc-client.ts';
import { queryRows, Recording, type Row, temporaryDirectory } from '../support/recording.ts';
import { expectSame } from '../support/same-rows.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store = '';
let recording: Recording | null = null;
let events: Export;
let recorder: RecorderClient;
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  ({ events, recorder } = clientsAt(join(store, 'recorder.sock')));
});
afterEach(async () => {
  events.close();
  recorder.close();
  if (recording?.hasEnded === false) await recording.kill();
  recording = null;
  directory.remove();
});

async function start(...flags: string[]): Promise<Recording> {
  recording = await Recording.start(store, ['--source', 'synthetic', ...flags]);
  return recording;
}

test('a page after the other, a stream and its batches give what query gives', async () => {
  await start('--rate', '20000', '--events', '12000');
  await sleep(2000);
  const rows = queryRows(store);
  expect(rows.length).toBe(12_000);
  const paged: Row[] = [];
  for (let token = ''; ; ) {
    const page = await ask(events, 'QueryRawEvents', { page_size: 5000, page_token: token });
    paged.push(...page.events);
    expect([page.complete, page.incomplete_reasons]).toEqual([true, []]);
    token = page.next_page_token;
    if (token === '') break;
  }
  expect(paged.map(({ seq }) => Number(seq))).toEqual(rows.map(({ seq }) => seq));
  for (let i = 0; i < rows.length; i += 97) expectSame(paged[i] as Row, rows[i] as Row);
  const until = `${BigInt(Date.now()) * 1_000_000n}`;
  const whole = await streamed(events.StreamRawEvents({ since: '1', until }));
  expect(whole.error).toBeNull();
  expect(whole.messages).toEqual(paged);
  expect(whole.trailers?.get('complete')).toEqual(['true']);
  expect(String(whole.trailers?.get('resume-token'))).toMatch(/:12000$/);
  const batches = await streamed(events.StreamRawEventBatches({ since: '1', until }));
  expect(batches.messages.flatMap((one) => one.events)).toEqual(paged);
  expect(batches.messages.every((one) => one.events.length <= 1000)).toBe(true);
});

test('selections: CEL, types, ops, processes, ends of connections, fields', async () => {
  await start('--rate', '20000', '--events', '6000');
  await sleep(1500);
  const rows = queryRows(store);
  const { comm, pid } = rows[0] as Row;
  const { daddr } =
    rows.find((row) => row.network?.daddr !== undefined && row.network.daddr !== null)?.network ??
    {};
  const asked: [object, (row: Row) => boolean][] = [
    [{ filter: 'type == "file" && file.ret < 0' }, (row) => row.file?.ret < 0],
    [{ types: ['network'] }, (row) => row.type === 'network'],
    [{ ops: ['process.exec', 'open'] }, (row) => ['exec', 'open'].includes(row.op)],
    [{ process: { pids: [pid], comms: [comm] } }, (row) => row.pid === pid && row.comm === comm],
    [
      { network: { addresses: [daddr] } },
      (row) => [row.network?.saddr, row.network?.daddr].includes(daddr),
    ],
    [
      { network: { ports: [443], addresses: ['0.0.0.0/0'] } },
      (row) =>
        [row.network?.sport, row.network?.dport].includes(443) &&
        !String(row.network?.daddr).includes(':'),
    ],
  ];
  for (const [selection, matches] of asked) {
    const { events: found } = await ask(events, 'QueryRawEvents', { selection, page_size: 10_000 });
    const expected = rows.filter(matches).map(({ seq }) => seq);
    expect(
      found.map(({ seq }: Row) => Number(seq)),
      JSON.stringify(selection),
    ).toEqual(expected);
    expect(expected.length).toBeGreaterThan(0);
  }
  const fields = ['seq', 'network.dport'];
  const { events: masked } = await ask(events, 'QueryRawEvents', {
    selection: { types: ['network'], fields },
  });
  const [first] = rows.filter(({ type }) => type === 'network') as [Row];
  expect(masked[0]).toMatchObject({
    seq: String(first.seq),
    pid: 0,
    comm: '',
    network: { dport: first.network.dport },
  });
  expect(masked[0].network.daddr ?? '').toBe('');
});

test('a stream goes from the past into what comes, across a rotation, and is taken up again', async () => {
  const source = await start('--rate', '5000');
  await sleep(1500);
  const taken = streamed(events.StreamRawEventBatches({ since: '1' }), (all) => all.length > 200);
  await sleep(700);
  source.signal('SIGUSR2');
  const { messages, error } = await taken;
  expect(error?.code).toBe(status.CANCELLED);
  const token = messages
    .map((one) => one.resume_token)
    .filter((one) => one !== '')
    .at(-1);
  const seqs = messages.flatMap((one) => one.events).map(({ seq }) => Number(seq));
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));
  const resumed = await streamed(
    events.StreamRawEvents({ resume_token: token }),
    (all) => Number(all.at(-1)?.seq) > seqs.length + 5000,
  );
  const again = resumed.messages.map(({ seq }) => Number(seq));
  expect(again[0]).toBe(Number(String(token).split(':')[1]) + 1);
  expect(again[0]).toBeLessThanOrEqual(seqs.length + 1);
  expect(again).toEqual(again.map((_, i) => (again[0] as number) + i));
  await source.stop();
});

test('what makes no sense is said in one sentence, and the next call is answered', async () => {
  await start('--rate', '1000');
  await sleep(1500);
  const wrong: [object, RegExp][] = [
    [{ selection: { filter: 'pid ==' } }, /filter|expression|end/i],
    [{ selection: { filter: 'pidd == 1' } }, /pid/],
    [{ selection: { types: ['netwrk'] } }, /did you mean network/],
    [{ selection: { fields: ['network.dprt'] } }, /network\.dport/],
    [{ selection: { network: { addresses: ['10.0.0.0/99'] } } }, /10\.0\.0\.0\/99/],
    [{ page_token: 'no token' }, /token/],
    [{ page_size: 1_000_000 }, /10000/],
    [{ since: '2', until: '1' }, /until/],
  ];
  for (const [request, said] of wrong) {
    const failure = await ask(events, 'QueryRawEvents', request).catch((error) => error);
    expect(failure.code, JSON.stringify(request)).toBe(status.INVALID_ARGUMENT);
    expect(failure.details).toMatch(said);
  }
  const metrics = await ask(events, 'GetRingMetrics', {});
  expect(metrics.ops.length).toBeGreaterThan(3);
  expect(await ask(recorder, 'GetStatus', {})).toMatchObject({ store });
  expect(statSync(join(store, 'recorder.sock')).mode & 0o777).toBe(0o600);
});

test('a client that stops reading holds up nobody, and has lost nothing when it goes on', async () => {
  const count = 150_000;
  const source = await start('--rate', '30000', '--events', String(count));
  const since = '1';
  const stalled = events.StreamRawEvents({ since });
  const seen: number[] = [];
  stalled.on('data', ({ seq }: Row) => {
    seen.push(Number(seq));
    if (seen.length === 1000) stalled.pause();
  });
  stalled.on('error', () => {});
  const healthy = await Promise.all(
    [1, 2, 3].map(() =>
      streamed(
        events.StreamRawEventBatches({ since }),
        (all) => Number(all.at(-1)?.events.at(-1)?.seq) === count,
      ),
    ),
  );
  for (const { messages } of healthy) {
    const seqs = messages.flatMap((one) => one.events).map(({ seq }) => Number(seq));
    expect(seqs.length).toBe(count);
    expect(seqs.every((seq, i) => seq === i + 1)).toBe(true);
  }
  const { rss_bytes: rss } = await askRecorder(store, 'status');
  expect(seen.length).toBeLessThan(20_000);
  stalled.resume();
  while (seen.length < count) await sleep(50);
  stalled.cancel();
  expect(seen.every((seq, i) => seq === i + 1)).toBe(true);
  const { rss_bytes: later } = await askRecorder(store, 'status');
  expect(Number(later)).toBeLessThan(Number(rss) + 150e6);
  const { summary } = await source.stop();
  expect(summary.lost).toEqual({});
});

test('a client that does not read does not hold up the end', async () => {
  const source = await start('--rate', '50000', '--events', '100000');
  await sleep(2500);
  const stalled = events.StreamRawEvents({ since: '1' });
  stalled.on('error', () => {});
  await new Promise((resolve) => stalled.once('data', resolve));
  stalled.pause();
  await sleep(500);
  const { summary, stderr } = await source.stop();
  expect(summary.lost).toEqual({});
  expect(stderr).not.toContain('failed');
});

test('reflection and health answer who may not see anything else', async () => {
  await start('--rate', '10');
  const path = `unix:${join(store, 'recorder.sock')}`;
  const health = healthClient(path);
  expect(await ask(health, 'check', { service: 'tapio.ebpf.v1.EBPFExport' })).toEqual({
    status: 'SERVING',
  });
  health.close();
  for (const version of ['v1', 'v1alpha']) {
    const reflection = reflectionClient(path, version);
    const call = reflection.ServerReflectionInfo();
    call.on('error', () => {});
    const answered = new Promise<Row>((resolve) => call.once('data', resolve));
    call.write({ list_services: '' });
    const { list_services_response: list } = await answered;
    expect(list.service.map(({ name }: Row) => name)).toContain('tapio.ebpf.v1.EBPFExport');
    call.end();
    reflection.close();
  }
});
