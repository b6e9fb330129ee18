// What one connection may take: headers, streams, answers that nobody reads, calls that are hung up on.

import { constants } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import {
  HEADER_BYTES_MAX,
  limitSessions,
  REQUEST_BYTES_MAX,
  STREAMS_MAX,
} from '../../src/server/limits.ts';
import { framed, rawCall, sessionAt } from '../support/raw-grpc.ts';
import { ServedRows } from '../support/served-rows.ts';

const STREAM = '/tapio.ebpf.v1.EBPFExport/StreamRawEvents';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

let served: ServedRows | null = null;
afterEach(async () => {
  await served?.close();
  served = null;
});
const serve = async (): Promise<ServedRows> => {
  served = await ServedRows.open(async function* () {});
  return served;
};

test('the package keeps its options where we look for them', () => {
  expect(limitSessions(new Server())).toBe(true);
  expect(limitSessions({} as Server)).toBe(false);
});

test('a server says its limits, and holds to them', async () => {
  const { path } = await serve();
  const session = sessionAt(path);
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  expect(session.remoteSettings).toMatchObject({
    maxConcurrentStreams: STREAMS_MAX,
    maxHeaderListSize: HEADER_BYTES_MAX,
  });
  const large = { 'x-large': 'x'.repeat(HEADER_BYTES_MAX) };
  const refused = await rawCall(session, { path: STREAM, headers: large });
  // What gRPC clients take for RESOURCE_EXHAUSTED.
  expect([refused.http, refused.reset]).toEqual([0, constants.NGHTTP2_ENHANCE_YOUR_CALM]);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, '']));
  expect((await rawCall(session, { path: STREAM, headers: many })).http).toBe(0);
  const fits = await rawCall(session, { path: STREAM, headers: { 'x-l': 'x'.repeat(8000) } });
  expect(fits.http).toBe(200);
  const body = framed(Buffer.alloc(REQUEST_BYTES_MAX + 1));
  expect((await rawCall(session, { path: STREAM, body })).status).toBe(status.RESOURCE_EXHAUSTED);
  session.destroy();
});

test('who asks again and again and reads nothing is read no further', async () => {
  const { path } = await serve();
  const session = sessionAt(path);
  const stream = session.request({
    ':method': 'POST',
    ':path': REFLECTION,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  const symbol = 'tapio.ebpf.v1.RawEvent';
  const question = framed(Buffer.concat([Buffer.of(0x22, symbol.length), Buffer.from(symbol)]));
  const chunk = Buffer.concat(Array.from({ length: 500 }, () => question));
  let asked = 0;
  const ask = (): void => {
    while (stream.write(chunk)) asked += 500;
    asked += 500;
  };
  stream.on('drain', ask);
  ask();
  // It has stopped when it stands still for a while.
  for (let before = -1; before !== asked; await sleep(200)) before = asked;
  expect(asked).toBeLessThan(20_000);
  // Read, it goes on.
  const stoodAt = asked;
  stream.resume();
  while (asked < stoodAt + 5000) await sleep(10);
  session.destroy();
});

test('who hangs up on calls as fast as it makes them is hung up on, and nobody else', async () => {
  const { path } = await serve();
  const [hostile, other] = [sessionAt(path), sessionAt(path)];
  const gone = new Promise<void>((resolve) => hostile.once('close', resolve));
  let calls = 0;
  for (; calls < 20_000 && !hostile.destroyed && !hostile.closed; calls++) {
    const stream = hostile.request({ ':method': 'POST', ':path': STREAM });
    stream.on('error', () => {});
    stream.close(constants.NGHTTP2_CANCEL);
    if (calls % 50 === 0) await sleep(0);
  }
  await gone;
  expect(calls).toBeLessThan(20_000);
  expect((await rawCall(other, { path: STREAM, whole: true })).status).toBe(status.OK);
  other.destroy();
});
