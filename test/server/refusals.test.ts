// What is refused before any handler of ours sees it: each with the code that a client can act on, and one sentence.

import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { framed, type RawAnswer, type RawCall, rawCall, sessionAt } from '../support/raw-grpc.ts';
import { ServedRows } from '../support/served-rows.ts';

const STREAM = '/tapio.ebpf.v1.EBPFExport/StreamRawEvents';
const HEALTH = '/grpc.health.v1.Health/Check';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** A field of a wire type that there is not. */
const GARBAGE = framed(Buffer.of(0x0f));
const { INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, DEADLINE_EXCEEDED } = status;

let served: ServedRows;
beforeAll(async () => {
  served = await ServedRows.open(async function* () {});
});
afterAll(() => served.close());

async function answer(call: RawCall): Promise<RawAnswer> {
  const session = sessionAt(served.path);
  try {
    return await rawCall(session, call);
  } finally {
    session.destroy();
  }
}

const encoding = (name: string): Record<string, string> => ({ 'grpc-encoding': name });

test.each<[string, RawCall, number, RegExp]>([
  [
    'no message of the method',
    { path: STREAM, body: GARBAGE },
    INVALID_ARGUMENT,
    /recorder\.proto/,
  ],
  ['no health request', { path: HEALTH, body: GARBAGE }, INVALID_ARGUMENT, /recorder\.proto/],
  ['no reflection request', { path: REFLECTION, body: GARBAGE }, INVALID_ARGUMENT, /\.proto/],
  [
    'nothing that decompresses',
    { path: STREAM, body: framed(Buffer.from('abc'), 1), headers: encoding('gzip') },
    INVALID_ARGUMENT,
    /decompressed/,
  ],
  [
    'a bomb',
    { path: STREAM, body: framed(gzipSync(Buffer.alloc(30e6)), 1), headers: encoding('gzip') },
    RESOURCE_EXHAUSTED,
    /larger than/,
  ],
  [
    'a compression that nobody knows',
    { path: STREAM, body: framed(Buffer.alloc(3), 1), headers: encoding('zip') },
    UNIMPLEMENTED,
    /zip/,
  ],
  [
    'a length beyond the limit',
    { path: STREAM, body: framed(Buffer.alloc(1), 0, 2 ** 32 - 1), open: true },
    RESOURCE_EXHAUSTED,
    /larger than max/,
  ],
  ['no message', { path: STREAM, body: Buffer.alloc(0) }, UNIMPLEMENTED, /no request message/],
  [
    'part of one',
    { path: STREAM, body: framed(Buffer.alloc(2), 0, 9) },
    UNIMPLEMENTED,
    /no request/,
  ],
  ['two', { path: STREAM, body: Buffer.alloc(10) }, UNIMPLEMENTED, /second/],
  ['another method', { path: `${STREAM}s` }, UNIMPLEMENTED, /StreamRawEventss/],
  ['another service', { path: '/a.B/C' }, UNIMPLEMENTED, /a\.B/],
  ['no path of a method', { path: '/' }, UNIMPLEMENTED, /\//],
  [
    'a time that is none',
    { path: STREAM, headers: { 'grpc-timeout': 'soon' } },
    INVALID_ARGUMENT,
    /grpc-timeout/,
  ],
  [
    'a deadline that has passed',
    { path: STREAM, body: Buffer.alloc(0), open: true, headers: { 'grpc-timeout': '0m' } },
    DEADLINE_EXCEEDED,
    /Deadline/,
  ],
  [
    'a deadline of a millisecond',
    { path: STREAM, body: Buffer.alloc(0), open: true, headers: { 'grpc-timeout': '1m' } },
    DEADLINE_EXCEEDED,
    /Deadline/,
  ],
])('%s', async (_what, call, code, said) => {
  const { status: given, message } = await answer(call);
  expect([given, message]).toEqual([code, expect.stringMatching(said)]);
  expect(message).not.toContain('\n');
  expect(served.said).toEqual([]);
});

test('what a client has said is not said back at length', async () => {
  const service = '🦫'.repeat(6000);
  const name = Buffer.from(service);
  const length = Buffer.of(
    (name.length & 127) | 128,
    ((name.length >> 7) & 127) | 128,
    name.length >> 14,
  );
  const body = framed(Buffer.concat([Buffer.of(0x0a), length, name]));
  const { status: code, message } = await answer({ path: HEALTH, body });
  expect(code).toBe(status.NOT_FOUND);
  expect(message.length).toBeLessThan(1000);
});

test.each(['text/html', 'application/json', ''])('content-type %j is 415', async (type) => {
  const { http } = await answer({ path: STREAM, headers: { 'content-type': type } });
  expect(http).toBe(415);
});
