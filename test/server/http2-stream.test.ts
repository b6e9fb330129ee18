// What the fast path takes for granted of grpc-js: where a call's HTTP/2 stream is, and what writing there does. And that
// clients get the same without it.

import { connect, type ServerHttp2Stream } from 'node:http2';
import { connect as connectTo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Part } from '../../src/service/served-stream.ts';
import { clientsAt, type Streamed, streamed } from '../support/grpc-client.ts';
import { runOf, ServedRows } from '../support/served-rows.ts';

type Find = (call: unknown) => ServerHttp2Stream | null;
const path = vi.hoisted(() => ({ find: null as Find | null, found: [] as unknown[] }));
vi.mock('../../src/server/http2-stream.ts', async (original) => {
  const { http2StreamOf } = await original<typeof import('../../src/server/http2-stream.ts')>();
  return {
    http2StreamOf: (call: unknown) => {
      const stream = (path.find ?? http2StreamOf)(call);
      path.found.push(stream);
      return stream;
    },
  };
});

const PIDS = Array.from({ length: 20_000 }, (_, i) => i + 1);
const AT_ONCE = 1000;

let served: ServedRows | null = null;
beforeEach(() => {
  path.find = null;
  path.found.length = 0;
});
afterEach(async () => {
  await served?.close();
  served = null;
});

async function* parts(): AsyncGenerator<Part> {
  for (let i = 0; i < PIDS.length; i += AT_ONCE) {
    yield { kind: 'rows', runs: [runOf(PIDS.slice(i, i + AT_ONCE))] };
    if (i === 10 * AT_ONCE) {
      const of = { firstSeq: 7n, lastSeq: 9n, firstTs: 1n, lastTs: 2n };
      yield { kind: 'lost', lost: { ...of, cause: 'reader', count: 3n } };
    }
  }
}

async function taken(): Promise<Streamed> {
  served = await ServedRows.open(parts);
  const { events, recorder } = clientsAt(served.path);
  const all = await streamed(events.StreamRawEvents({}));
  events.close();
  recorder.close();
  return all;
}

/** The body of a stream as it comes over the wire. */
async function bytesOf(sock: string): Promise<Buffer> {
  const session = connect('http://localhost', { createConnection: () => connectTo(sock) });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/tapio.ebpf.v1.EBPFExport/StreamRawEvents',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(Buffer.alloc(5));
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  session.close();
  return Buffer.concat(chunks);
}

test('a call has its stream where we look for it, and what is written there arrives in order', async () => {
  const { messages, trailers, error } = await taken();
  expect(path.found).toHaveLength(1);
  expect(path.found[0]).toHaveProperty('respond');
  expect(error).toBeNull();
  const rows = messages.filter(({ loss }) => loss === null || loss === undefined);
  expect(rows.map(({ pid }) => pid)).toEqual(PIDS);
  // What goes by the public path keeps its place among what does not.
  expect(messages.findIndex(({ loss }) => loss?.count === '3')).toBe(11 * AT_ONCE);
  expect(trailers?.get('complete')).toEqual(['true']);
  expect(trailers?.get('resume-token')).toEqual(['01KB:1']);
});

test('where it is not found, the same bytes go by the public path', async () => {
  served = await ServedRows.open(parts);
  const direct = await bytesOf(served.path);
  path.find = () => null;
  const plain = await bytesOf(served.path);
  expect(path.found[1]).toBeNull();
  expect(plain.length).toBeGreaterThan(100_000);
  expect(plain.equals(direct)).toBe(true);
});

test('what is no call of the package has no stream', async () => {
  const { http2StreamOf } = await vi.importActual<
    typeof import('../../src/server/http2-stream.ts')
  >('../../src/server/http2-stream.ts');
  const endless: { call?: unknown } = {};
  endless.call = endless;
  for (const call of [null, undefined, 1, {}, { stream: {} }, { call: { stream: 1 } }, endless])
    expect(http2StreamOf(call)).toBeNull();
});

test.each([
  ['directly', null],
  ['by the public path', () => null],
])(
  'a client that does not read stops what is written %s, until it reads on',
  async (_how, find) => {
    path.find = find;
    let given = 0;
    served = await ServedRows.open(async function* () {
      for (; given < 2000; given++) yield { kind: 'rows', runs: [runOf(PIDS.slice(0, AT_ONCE))] };
    });
    const { events, recorder } = clientsAt(served.path);
    const call = events.StreamRawEvents({});
    call.on('error', () => {});
    await new Promise((resolve) => call.once('data', resolve));
    call.pause();
    // It has stopped when it stands still for a while.
    for (let before = -1; before !== given; await sleep(200)) before = given;
    const stalledAt = given;
    expect(stalledAt).toBeLessThan(500);
    const ended = new Promise<{ code: status }>((resolve) => call.once('status', resolve));
    let count = 1;
    call.on('data', () => count++);
    call.resume();
    while (given < stalledAt + 50) await sleep(10);
    call.cancel();
    expect((await ended).code).toBe(status.CANCELLED);
    events.close();
    recorder.close();
  },
);
