// Events to a double of Tapio's server.

import { readFileSync } from 'node:fs';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OnwardEvent, Sink } from '../../src/sink/sink.ts';
import { makeTapio } from '../../src/sink/tapio.ts';
import { certificates } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { Outcome, onwardEvent, onwardEvents, until } from '../support/sinks.ts';
import { type Message, TapioServer } from '../support/tapio-server.ts';

let outcome: Outcome;
let server: TapioServer | null;
let sink: Sink | null;
beforeEach(() => {
  outcome = new Outcome();
  server = null;
  sink = null;
});
afterEach(async () => {
  await sink?.close();
  server?.kill();
});

const TIMES = { ackMs: 60_000, closeMs: 2_000 };

async function open(port: number, query = '', times = TIMES): Promise<Sink> {
  sink = await makeTapio(new URL(`tapio://127.0.0.1:${port}${query}`), outcome, times);
  return sink;
}

const now = (event: OnwardEvent): OnwardEvent => ({
  ...event,
  unified: { ...event.unified, timestamp: new Date().toISOString() },
});
const recent = (count: number, from = 0): OnwardEvent[] => onwardEvents(count, from).map(now);

test('every event arrives, no more at once than the queue of the server holds', async () => {
  server = await TapioServer.start();
  const to = await open(server.port);
  expect(to.window).toBeLessThan(1000);
  expect(to.place).toBe(`tapio://127.0.0.1:${server.port}`);
  const events = recent(3_000);
  await outcome.deliver(to, events);
  expect(outcome.takenIds.size).toBe(3_000);
  expect([...server.stored.keys()].sort()).toEqual(events.map(({ unified }) => unified.id).sort());
  expect([server.dropped, outcome.faults, outcome.refusals.size]).toEqual([0, 0, 0]);
});

test('the server finds what it looks for: no key of data is nested', async () => {
  server = await TapioServer.start();
  const to = await open(server.port);
  const unified = {
    ...now(onwardEvent(1)).unified,
    type: 'process' as const,
    severity: 'critical' as const,
    entity: { type: 'process' as const, name: 'nginx', uid: '7:8' },
    kernel: { pid: 7, comm: 'nginx', return_code: -2, args: { 0: 'nginx', 1: '-g' } },
    network: { dest_ip: '10.0.0.1', dest_port: 443, bytes_sent: 5 },
    attributes: { event: 'process.exec', host: 'box', seq: '9', original_timestamp: 'then' },
  };
  await outcome.deliver(to, [{ ...onwardEvent(1), unified }]);
  const event = server.stored.get(unified.id) as Message;
  const { fields } = event.data;
  expect(fields.pid.number_value).toBe(7);
  expect(fields.return_code.number_value).toBe(-2);
  expect(fields.arg_1.string_value).toBe('-g');
  expect(fields.entity_name.string_value).toBe('nginx');
  expect(fields.dest_port.number_value).toBe(443);
  expect(fields.original_timestamp.string_value).toBe('then');
  expect(Object.values(fields).every((value) => !('struct_value' in (value as object)))).toBe(true);
  expect([event.type, event.severity, event.source]).toEqual([4, 5, 1]);
  expect(event.timestamp.seconds * 1000).toBeCloseTo(Date.parse(unified.timestamp), -4);
  expect(event.context.node).toBe('box');
  expect(event.attributes.seq).toBe('9');
});

test('what the server drops or forgets to acknowledge comes back, and is known by its id', async () => {
  let asked = 0;
  server = await TapioServer.start({
    answer: () => (asked++ % 3 === 0 ? { silent: true } : null),
  });
  const to = await open(server.port, '', { ...TIMES, ackMs: 400 });
  await outcome.deliver(to, recent(60));
  expect(outcome.takenIds.size).toBe(60);
  expect(server.stored.size).toBe(60);
  expect([...outcome.reasons].join()).toContain('acknowledges nothing within 0.4 s');
});

test('an error in the stream is told with what it held up', async () => {
  server = await TapioServer.start({
    answer: () => ({ error: { code: 'Internal', message: 'batch too large' } }),
  });
  const to = await open(server.port, '', { ...TIMES, ackMs: 300 });
  await until(async () => {
    await outcome.settle(to, recent(1));
    return [...outcome.reasons].some((reason) => reason.includes('batch too large'));
  }, 'the complaint');
});

test('what the server will not process is refused', async () => {
  server = await TapioServer.start({
    answer: ({ id }) => ({ ack: { event_id: id, status: 'rejected', message: 'no such tenant' } }),
  });
  const to = await open(server.port);
  await outcome.deliver(to, recent(2));
  expect([...outcome.refusals.values()]).toEqual([
    'rejected no such tenant',
    'rejected no such tenant',
  ]);
});

test('an event over the limit is refused, and the others arrive', async () => {
  server = await TapioServer.start();
  const to = await open(server.port);
  const huge = now(onwardEvent(5, 1 << 20));
  await outcome.deliver(to, [...recent(3), huge, ...recent(3, 10)]);
  expect([...outcome.refusals.keys()]).toEqual([huge.unified.id]);
  expect(outcome.takenIds.size).toBe(6);
});

test('a server that is killed and comes back', async () => {
  server = await TapioServer.start({ workMs: 1 });
  const { port } = server;
  const to = await open(port);
  const events = recent(600);
  const delivering = outcome.deliver(to, events);
  await until(() => outcome.takenIds.size > 100, 'some to be taken');
  server.kill();
  await until(() => outcome.reasons.size > 0, 'trouble');
  server = await TapioServer.start({ port });
  await delivering;
  expect(outcome.takenIds.size).toBe(600);
  expect(outcome.faults).toBe(0);
});

test('nobody listens at first, and the server comes later', async () => {
  const early = await TapioServer.start();
  const { port } = early;
  early.kill();
  const to = await open(port);
  await until(async () => {
    await outcome.settle(to, recent(1));
    return [...outcome.reasons].some((reason) => reason.includes('ECONNREFUSED'));
  }, 'a refusal');
  server = await TapioServer.start({ port });
  await outcome.deliver(to, recent(50, 100));
  expect(outcome.takenIds.size).toBeGreaterThanOrEqual(50);
});

test('TLS both ways, and a CA that the server is not of', async () => {
  const directory = temporaryDirectory();
  try {
    const at = certificates(directory.path, 'server', 'client');
    const read = (name: string): Buffer => readFileSync(at(name));
    const pair = { private_key: read('server.key'), cert_chain: read('server.pem') };
    server = await TapioServer.start({
      credentials: ServerCredentials.createSsl(read('ca.pem'), [pair], true),
    });
    const own = `name=tapio.test&cert=${at('client.pem')}&key=${at('client.key')}`;
    const to = await open(server.port, `?ca=${at('ca.pem')}&${own}`);
    await outcome.deliver(to, recent(20));
    expect(outcome.takenIds.size).toBe(20);
    await to.close();
    const wrong = await open(server.port, `?ca=${at('other.pem')}&${own}`);
    await until(async () => {
      await outcome.settle(wrong, recent(1, 500));
      return [...outcome.reasons].some((reason) => /certificate|self-signed|CERT/.test(reason));
    }, 'distrust');
    expect(outcome.takenIds.size).toBe(20);
  } finally {
    directory.remove();
  }
});

test.each([
  ['tapio://', 'has no host'],
  ['tapio://h/path', 'means nothing'],
  ['tapio://h?widnow=3', 'did you mean window'],
  ['tapio://h?window=0', 'write a number of 1 or more'],
  ['tapio://h?cert=/dev/null', 'go together'],
  ['tapio://h?ca=/nosuch', 'cannot be read'],
  ['tapio://10.0.0.1?tls=yes', 'add ?name='],
  ['tapio://[::1]?tls=yes', 'add ?name='],
] as const)('%s is refused', async (url, sentence) => {
  await expect(makeTapio(new URL(url), outcome)).rejects.toThrow(sentence);
});
