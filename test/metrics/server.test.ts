// The port itself: who asks wrongly, slowly or too often gets a plain answer or none, and costs nothing.

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Measured } from '../../src/metrics/measured.ts';
import { CONNECTIONS_MAX, MetricsServer, PATIENCE_MS } from '../../src/metrics/server.ts';
import { asked, scrape } from '../support/scrape.ts';
import { until } from '../support/sinks.ts';
import { measuredWith } from './measured.ts';

let measured: Measured | null;
let reads: number;
let server: MetricsServer;
let port: number;
let sockets: Socket[];
beforeEach(async () => {
  measured = measuredWith({});
  reads = 0;
  sockets = [];
  const address = { host: '127.0.0.1', port: 0 };
  server = await MetricsServer.open({ address, measured: () => measured });
  port = Number(new URL(server.url).port);
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** A connection that says something, and what comes back. */
async function raw(text: string): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let heard = '';
  socket.on('error', () => {});
  socket.on('data', (part) => {
    heard += part;
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(text);
  return { socket, heard: () => heard };
}

test('paths and methods', async () => {
  expect((await scrape(port)).size).toBeGreaterThan(20);
  expect((await scrape(port, true)).size).toBeGreaterThan(20);
  expect(await asked(port, '/metrics?x=1')).toMatchObject({ status: 200 });
  expect(await asked(port, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
  expect(await asked(port, '/readyz')).toEqual({ status: 200, text: 'ok\n' });
  for (const path of ['/', '/metrics/', '/constructor', '/__proto__', '/..%2f']) {
    expect(await asked(port, path), path).toEqual({
      status: 404,
      text: 'nothing is at that path: /metrics, /healthz, /readyz\n',
    });
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const body = method === 'OPTIONS' ? null : 'x'.repeat(100_000);
    expect(await asked(port, '/metrics', { method, body }), method).toEqual({
      status: 405,
      text: 'only GET is answered here\n',
    });
  }
  expect(await asked(port, '/metrics', { method: 'HEAD' })).toEqual({ status: 200, text: '' });
});

test('health and readiness say in a sentence what is wrong', async () => {
  const good = measuredWith({});
  measured = null;
  expect(await asked(port, '/healthz')).toMatchObject({ status: 200 });
  for (const path of ['/readyz', '/metrics']) {
    expect(await asked(port, path)).toMatchObject({ status: 503 });
  }
  measured = measuredWith({ outage: { cause: 'no_space', since: 1 } });
  expect(await asked(port, '/healthz')).toMatchObject({ status: 200 });
  const { status, text } = await asked(port, '/readyz');
  expect([status, text]).toEqual([
    503,
    expect.stringMatching(/^the store cannot be written \(no_space\)/),
  ]);
  measured = { ...good, silentMs: 12_000 };
  for (const path of ['/healthz', '/readyz']) {
    expect(await asked(port, path)).toEqual({
      status: 503,
      text: expect.stringMatching(/^the recording thread has not answered for 12 s/),
    });
  }
  measured = { ...good, isEnding: true };
  expect(await asked(port, '/healthz')).toMatchObject({ status: 200 });
  expect(await asked(port, '/readyz')).toMatchObject({ status: 503 });
});

test('a port that is taken is told in a sentence', async () => {
  const address = { host: '127.0.0.1', port };
  await expect(MetricsServer.open({ address, measured: () => measured })).rejects.toThrow(
    `--metrics 127.0.0.1:${port} cannot be listened at (EADDRINUSE): name another address`,
  );
});

test('what is told is made once for all who ask at the same time', async () => {
  const known = measuredWith({});
  measured = {
    ...known,
    get sinks() {
      reads++;
      return known.sinks;
    },
  };
  await scrape(port);
  const once = reads;
  await Promise.all(Array.from({ length: 50 }, () => scrape(port)));
  // A second may have passed.
  expect(reads).toBeLessThanOrEqual(once * 5);
});

test(
  'half a request, none, a head without end and an endless body are hung up on',
  async () => {
    const half = await raw('GET /metrics HTTP/1.1\r\nHost: a\r\n');
    const none = await raw('');
    const body = await raw(
      'POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nabc',
    );
    const head = await raw(`GET /metrics HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    const garbage = await raw('\x16\x03\x01\x02\x00\x01\x00\r\n\r\n');
    await until(() => head.heard().startsWith('HTTP/1.1 431'), 'a head that is too large');
    await until(() => garbage.heard().startsWith('HTTP/1.1 400'), 'what is no HTTP');
    await until(() => body.heard().startsWith('HTTP/1.1 405'), 'a body that nobody wants');
    // Others are answered meanwhile.
    await scrape(port);
    for (const { socket } of [half, none, body]) {
      await until(() => socket.destroyed || socket.readableEnded, 'hanging up');
    }
    expect(half.heard()).toMatch(/^HTTP\/1\.1 408/);
  },
  PATIENCE_MS * 10,
);

test('one connection more takes the place of the oldest, and an honest scraper is answered', async () => {
  const idle: Socket[] = [];
  for (let i = 0; i < 200; i++) idle.push((await raw(i % 2 === 0 ? '' : 'GET /me')).socket);
  await until(() => idle.filter(({ destroyed }) => !destroyed).length <= CONNECTIONS_MAX, 'room');
  expect(idle[0]?.destroyed).toBe(true);
  expect(idle.at(-1)?.destroyed).toBe(false);
  expect((await scrape(port)).size).toBeGreaterThan(20);
});

test('who asks and does not read is not answered for ever', async () => {
  const REQUESTS = 20_000;
  const known = measuredWith({});
  server.close();
  const address = { host: '127.0.0.1', port: 0 };
  const counted = (): Measured => {
    reads++;
    return known;
  };
  server = await MetricsServer.open({ address, measured: counted });
  port = Number(new URL(server.url).port);
  const { socket } = await raw('');
  socket.pause();
  for (let i = 0; i < REQUESTS; i++) socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => reads > 0, 'the first answer');
  await sleep(1000);
  expect(reads).toBeLessThan(REQUESTS / 2);
  expect((await scrape(port)).size).toBeGreaterThan(20);
});
