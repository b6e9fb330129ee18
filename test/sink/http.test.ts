// Events to a real web server that takes them, refuses some, is busy, slow, or not there.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { makeHttp } from '../../src/sink/http.ts';
import type { Sink } from '../../src/sink/sink.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { Outcome, onwardEvents, until } from '../support/sinks.ts';

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly url: string;
  readonly method: string;
  readonly body: Buffer;
  readonly ids: string[];
}

type Answering = (received: Received, response: ServerResponse) => void;

const ok: Answering = (_, response) => {
  response.writeHead(204).end();
};

/** A server that answers as `answering` has it; it may be given anew. */
class Receiver {
  readonly received: Received[] = [];
  answering: Answering;
  most = 0;
  #running = 0;
  readonly server;

  constructor(answering: Answering, tls?: { key: Buffer; cert: Buffer }) {
    this.answering = answering;
    const take = (request: IncomingMessage, response: ServerResponse): void => {
      this.most = Math.max(this.most, ++this.#running);
      response.on('close', () => this.#running--);
      void this.#take(request, response);
    };
    this.server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const raw = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const lines = body.toString('utf8').split('\n').slice(0, -1);
    const ids = lines.map((line) => JSON.parse(line).id as string);
    const { headers, url = '', method = '' } = request;
    const received = { headers, url, method, body, ids };
    this.received.push(received);
    this.answering(received, response);
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    ends.push(() => this.stop());
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  get ids(): string[] {
    return this.received.flatMap(({ ids }) => ids);
  }
}

async function open(url: string, closeMs?: number): Promise<{ sink: Sink; outcome: Outcome }> {
  const outcome = new Outcome();
  const sink = await makeHttp(new URL(url), outcome, closeMs);
  ends.push(() => sink.close());
  return { sink, outcome };
}

const idsOf = (events: ReturnType<typeof onwardEvents>): string[] =>
  events.map(({ unified }) => unified.id);

test('events arrive as batches of lines, a few at once', async () => {
  const receiver = new Receiver((_, response) => {
    setTimeout(() => response.writeHead(200).end('fine'), 5);
  });
  const port = await receiver.listen();
  const { sink, outcome } = await open(
    `http://127.0.0.1:${port}/in?batch=50&parallel=3&query=a%3Db`,
  );
  const events = onwardEvents(2020);
  await outcome.deliver(sink, events);
  expect(receiver.ids.sort()).toEqual(idsOf(events));
  expect(Math.max(...receiver.received.map(({ ids }) => ids.length))).toBe(50);
  expect(receiver.most).toBeGreaterThan(1);
  expect(receiver.most).toBeLessThanOrEqual(3);
  const [first] = receiver.received;
  expect(first).toMatchObject({ method: 'POST', url: '/in?a=b' });
  expect(first?.headers['content-type']).toBe('application/x-ndjson');
  expect(sink.place).toBe(`http://127.0.0.1:${port}/in`);
  expect(outcome.faults).toBe(0);
});

test('batches are limited by bytes, and may be compressed', async () => {
  const receiver = new Receiver(ok);
  const port = await receiver.listen();
  const { sink, outcome } = await open(`http://127.0.0.1:${port}/?bytes=4KiB&gzip=yes`);
  const events = [...onwardEvents(100, 0, 300), ...onwardEvents(1, 100, 9000)];
  await outcome.deliver(sink, events);
  expect(receiver.ids.sort()).toEqual(idsOf(events));
  for (const { body, ids, headers } of receiver.received) {
    expect(body.length <= 4096 || ids.length === 1).toBe(true);
    expect(headers['content-encoding']).toBe('gzip');
  }
});

test('headers come from options, a file and the URL, and are not shown', async () => {
  const receiver = new Receiver(ok);
  const port = await receiver.listen();
  const { path, remove } = temporaryDirectory();
  ends.push(remove);
  const file = join(path, 'headers');
  writeFileSync(file, '# of the receiver\nX-Token: s3cret:x\n\nX-Both: file\n');
  const query = `?headers=${file}&header=X-One:1&header=x-both:option`;
  const { sink, outcome } = await open(`http://me:p%40ss@127.0.0.1:${port}/in${query}`);
  await outcome.deliver(sink, onwardEvents(1));
  expect(receiver.received[0]?.headers).toMatchObject({
    authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
    'x-token': 's3cret:x',
    'x-one': '1',
    'x-both': 'option',
  });
  expect(sink.place).toBe(`http://127.0.0.1:${port}/in`);
});

test.each([400, 413, 422])(
  'of a batch that is answered %i only the poison is refused',
  async (status) => {
    const poison = new Set([3, 77, 78, 199].map((seq) => seq.toString(16).padStart(32, '0')));
    const receiver = new Receiver(({ ids }, response) => {
      response.writeHead(ids.some((id) => poison.has(id)) ? status : 202).end();
    });
    const port = await receiver.listen();
    const { sink, outcome } = await open(`http://127.0.0.1:${port}/?batch=100`);
    await outcome.settle(sink, onwardEvents(200));
    expect([...outcome.refusals.keys()].sort()).toEqual([...poison]);
    expect(new Set(outcome.refusals.values()).size).toBe(1);
    expect([...outcome.refusals.values()][0]).toContain(`the receiver answers ${status}`);
    expect(outcome.takenIds.size).toBe(196);
    expect(outcome.faults).toBe(0);
  },
);

test.each([301, 401, 403, 404, 408, 429, 500, 503])(
  '%i returns events, which are taken when they are sent again',
  async (status) => {
    const receiver = new Receiver((_, response) => response.writeHead(status).end('no'));
    const port = await receiver.listen();
    const { sink, outcome } = await open(`http://127.0.0.1:${port}/?batch=10`);
    await outcome.settle(sink, onwardEvents(100));
    expect(outcome.back).toHaveLength(100);
    expect(outcome.reasons.size).toBe(1);
    expect([...outcome.reasons][0]).toContain(`the receiver answers ${status}`);
    receiver.answering = ok;
    await outcome.deliver(sink, outcome.back.splice(0));
    expect(outcome.takenIds.size).toBe(100);
  },
);

test('Retry-After holds everything back', async () => {
  const receiver = new Receiver((_, response) => {
    response.writeHead(429, { 'retry-after': '1' }).end();
  });
  const port = await receiver.listen();
  const { sink, outcome } = await open(`http://127.0.0.1:${port}/`);
  await outcome.settle(sink, onwardEvents(10));
  receiver.answering = ok;
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(outcome.takenIds.size).toBe(10);
  expect(outcome.reasons.size).toBe(1);
  // As a date, so far away that what is sent now is returned without a request.
  receiver.answering = (_, response) => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    response.writeHead(503, { 'retry-after': date }).end();
  };
  await outcome.settle(sink, onwardEvents(1, 10));
  const { length } = receiver.received;
  await outcome.settle(sink, outcome.back.splice(0));
  expect(outcome.back).toHaveLength(1);
  expect(receiver.received).toHaveLength(length);
});

test('a receiver that is not there, goes away, or does not answer returns events', async () => {
  const receiver = new Receiver(ok);
  const port = await receiver.listen();
  const { sink, outcome } = await open(`http://127.0.0.1:${port}/?timeout=300ms&batch=10`);
  await outcome.deliver(sink, onwardEvents(10));
  await receiver.stop();
  await outcome.settle(sink, onwardEvents(30, 10));
  expect(outcome.back).toHaveLength(30);
  const again = new Receiver(() => {});
  await again.listen(port);
  await outcome.settle(sink, outcome.back.splice(0));
  expect(outcome.back).toHaveLength(30);
  again.answering = (_, response) => response.destroy();
  await outcome.settle(sink, outcome.back.splice(0));
  expect(outcome.back).toHaveLength(30);
  expect([...outcome.reasons].sort()).toEqual([
    'the receiver cannot be reached (ECONNREFUSED)',
    'the receiver cannot be reached (ECONNRESET)',
    'the receiver does not answer within 0.3 s',
  ]);
  again.answering = ok;
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(outcome.takenIds.size).toBe(40);
});

test('a kept connection that the receiver closed is no trouble', async () => {
  const receiver = new Receiver(ok);
  const port = await receiver.listen();
  const { sink, outcome } = await open(`http://127.0.0.1:${port}/`);
  for (let i = 0; i < 20; i++) {
    await outcome.settle(sink, onwardEvents(3, i * 3));
    receiver.server.closeIdleConnections();
  }
  expect(outcome.takenIds.size).toBe(60);
  expect([...outcome.reasons]).toEqual([]);
});

test('close sends what is queued, and returns what gets no answer', async () => {
  const receiver = new Receiver(ok);
  const port = await receiver.listen();
  const one = await open(`http://127.0.0.1:${port}/?linger=1h&batch=10`);
  one.outcome.send(one.sink, onwardEvents(105));
  await one.sink.close();
  expect(one.outcome.takenIds.size).toBe(105);
  one.outcome.send(one.sink, onwardEvents(1, 105));
  expect([...one.outcome.reasons]).toEqual(['the sink was closed']);

  receiver.answering = () => {};
  const two = await open(`http://127.0.0.1:${port}/?linger=1h&batch=10`, 100);
  two.outcome.send(two.sink, onwardEvents(105));
  await until(() => receiver.most > 1, 'requests');
  await two.sink.close();
  expect(two.outcome.open).toBe(0);
  expect(two.outcome.back).toHaveLength(105);
  expect([...two.outcome.reasons]).toEqual(['the sink was closed']);
});

test('https with the right authority, and with none', async () => {
  const { path, remove } = temporaryDirectory();
  ends.push(remove);
  const [key, cert] = [join(path, 'key.pem'), join(path, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-keyout', key, '-out', cert, '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ],
    { stdio: 'ignore' },
  );
  const receiver = new Receiver(ok, { key: readFileSync(key), cert: readFileSync(cert) });
  const port = await receiver.listen();
  const right = await open(`https://127.0.0.1:${port}/?ca=${cert}`);
  await right.outcome.deliver(right.sink, onwardEvents(10));
  const wrong = await open(`https://127.0.0.1:${port}/`);
  await wrong.outcome.settle(wrong.sink, onwardEvents(10));
  expect([...wrong.outcome.reasons]).toEqual([
    expect.stringMatching(/certificate cannot be trusted/),
  ]);
  expect(receiver.ids).toHaveLength(10);
});

test('URLs that make no sense are refused, without their secrets', async () => {
  const { path, remove } = temporaryDirectory();
  ends.push(remove);
  const file = join(path, 'headers');
  writeFileSync(file, 'Authorization Bearer s3cret\n');
  const refused: readonly (readonly [string, RegExp])[] = [
    ['http://h/?bacth=1', /unknown option of a http: sink bacth \(did you mean batch\?\)/],
    ['http://h/?batch=0', /1 or more/],
    ['http://h/?header=X-A', /write Name: value/],
    ['http://h/?header=Content-Type:%20text', /set by the sink itself/],
    [`http://h/?headers=${file}`, /^a header of .* cannot be sent: write Name: value$/],
    [`http://h/?ca=${file}`, /for https/],
    ['http://h/?headers=/nowhere', /cannot be read/],
    ['http://h/?timeout=soon', /is no duration/],
    ['https://h/?cert=/dev/null', /go together/],
  ];
  for (const [url, reason] of refused) {
    await expect(makeHttp(new URL(url), new Outcome()), url).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(reason),
    });
  }
});
