// Clients that mean harm, beside one that does not: it gets every event meanwhile, the recorder loses none, and its memory
// is what it was.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import { STREAMS_AT_ONCE } from '../../src/server/capacity.ts';
import { cli } from '../crash/cli.ts';
import { ask, clientsAt, type Export, streamed } from '../support/grpc-client.ts';
import {
  bytesTo,
  END_HEADERS,
  END_STREAM,
  frame,
  framed,
  headerBlock,
  hungUp,
  PREFACE,
  put,
  rawCall,
  sessionAt,
  TYPES,
} from '../support/raw-grpc.ts';
import { Recording, temporaryDirectory } from '../support/recording.ts';

const RATE = 4000;
/** More than a collector of garbage leaves lying about; what is attacked here would take gigabytes. */
const MORE_BYTES_MAX = 400e6;
const STREAM = '/tapio.ebpf.v1.EBPFExport/StreamRawEvents';
const QUERY = '/tapio.ebpf.v1.EBPFExport/QueryRawEvents';
/** StreamRequest: since 1. */
const SINCE_ONE = Buffer.of(0x11, 1, 0, 0, 0, 0, 0, 0, 0);
const SETTINGS = frame(TYPES.settings, 0, 0);
const HELLO = Buffer.concat([PREFACE, SETTINGS]);

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const path = join(store, 'recorder.sock');
let recording: Recording;
let events: Export;
let close: () => void;
beforeAll(async () => {
  recording = await Recording.start(store, ['--source', 'synthetic', '--rate', String(RATE)]);
  const clients = clientsAt(path);
  events = clients.events;
  close = () => {
    clients.events.close();
    clients.recorder.close();
  };
  // What the first client has loaded is no fault of the others.
  await ask(events, 'QueryRawEvents', {});
});
afterAll(async () => {
  close();
  if (!recording.hasEnded) await recording.kill();
  directory.remove();
});

const memory = async (): Promise<number> => Number((await askRecorder(store, 'status')).rss_bytes);

/** Does something beside a healthy client, which must not notice. */
async function beside<T>(hostile: () => Promise<T>): Promise<T> {
  const before = await memory();
  const seqs: number[] = [];
  let enough = Number.POSITIVE_INFINITY;
  const healthy = streamed(events.StreamRawEventBatches({}), (all) => {
    for (const { seq } of all.at(-1)?.events ?? []) seqs.push(Number(seq));
    return (seqs.at(-1) ?? 0) >= enough;
  });
  while (seqs.length === 0) await sleep(10);
  const result = await hostile();
  enough = (seqs.at(-1) ?? 0) + RATE / 4;
  const { error } = await healthy;
  expect(error?.code).toBe(status.CANCELLED);
  expect(seqs.findIndex((seq, i) => seq !== (seqs[0] as number) + i)).toBe(-1);
  expect(await memory()).toBeLessThan(before + MORE_BYTES_MAX);
  expect(recording.stderr).not.toMatch(/failed|started again/);
  return result;
}

/** Files that a process may have open. */
function filesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

test('2,000 connections that say nothing, or hello and nothing more', async () => {
  const count = Math.min(2000, filesMax() - 500);
  expect(count).toBeGreaterThan(200);
  const sockets: Socket[] = [];
  await beside(async () => {
    for (let i = 0; i < count; i++) {
      const socket = await bytesTo(path);
      if (i % 2 === 0) await put(socket, HELLO);
      sockets.push(socket);
    }
    expect((await ask(events, 'QueryRawEvents', { page_size: 10 })).events).toHaveLength(10);
  });
  expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([]);
  for (const socket of sockets) socket.destroy();
});

test('many that stop reading', async () => {
  const sessions = Array.from({ length: 20 }, () => sessionAt(path));
  await beside(async () => {
    const body = framed(SINCE_ONE);
    const codes = await Promise.all(
      sessions.flatMap((session) =>
        Array.from({ length: 5 }, () => {
          const stream = session.request({
            ':method': 'POST',
            ':path': STREAM,
            'content-type': 'application/grpc',
            te: 'trailers',
          });
          stream.on('error', () => {});
          stream.end(body);
          return new Promise<unknown>((resolve) =>
            stream.once('response', (headers) => resolve(headers['grpc-status'])),
          );
        }),
      ),
    );
    // One place is the healthy client's.
    expect(codes.filter((code) => code === undefined)).toHaveLength(STREAMS_AT_ONCE - 1);
    expect(new Set(codes)).toEqual(new Set([undefined, String(status.RESOURCE_EXHAUSTED)]));
    await sleep(1000);
  });
  for (const session of sessions) session.destroy();
});

test('rapid reset: calls that are hung up on as they are made', async () => {
  const block = headerBlock(STREAM);
  const reset = Buffer.of(0, 0, 0, 8);
  const bodies: Readonly<Record<string, Buffer | null>> = { none: null, since: framed(SINCE_ONE) };
  for (const [what, body] of Object.entries(bodies)) {
    const refused = await beside(() =>
      Promise.all(
        Array.from({ length: 4 }, async () => {
          const socket = await bytesTo(path);
          await put(socket, HELLO);
          for (let call = 0; call < 10_000; call += 100) {
            const frames = Array.from({ length: 100 }, (_, i) => {
              const id = 2 * (call + i) + 1;
              const data = body === null ? [] : [frame(TYPES.data, END_STREAM, id, body)];
              return [
                frame(TYPES.headers, END_HEADERS, id, block),
                ...data,
                frame(TYPES.rst, 0, id, reset),
              ];
            });
            if (!(await put(socket, Buffer.concat(frames.flat())))) break;
          }
          await hungUp(socket);
          return true;
        }),
      ),
    );
    expect(refused, what).toEqual([true, true, true, true]);
  }
});

test.each<[string, Buffer, boolean]>([
  ['pings', frame(TYPES.ping, 0, 0, Buffer.alloc(8)), true],
  ['settings', frame(TYPES.settings, 0, 0, Buffer.of(0, 4, 0, 0, 255, 255)), true],
  ['window updates of nothing', frame(TYPES.window, 0, 0, Buffer.alloc(4)), true],
  ['window updates', frame(TYPES.window, 0, 0, Buffer.of(0, 0, 0, 1)), false],
  ['frames of a type that there is not', frame(0xbe, 0, 0, Buffer.alloc(8)), false],
  ['data of no call', frame(TYPES.data, 0, 9, Buffer.alloc(8)), true],
])('a flood of %s, whose answers are not read', async (_what, one, ends) => {
  const chunk = Buffer.concat(Array.from({ length: 1000 }, () => one));
  const sockets = await Promise.all(Array.from({ length: 4 }, () => bytesTo(path)));
  await beside(async () => {
    await Promise.all(
      sockets.map(async (socket) => {
        await put(socket, HELLO);
        socket.pause();
        for (let i = 0; i < 100; i++) {
          // Where nobody takes it any more it has been stopped as well.
          const late = sleep(2000, false);
          if (!(await Promise.race([put(socket, chunk), late]))) break;
        }
        socket.resume();
        if (ends) await hungUp(socket);
      }),
    );
  });
  for (const socket of sockets) socket.destroy();
});

test('headers that do not end, connections that are none', async () => {
  const block = headerBlock(STREAM);
  const open = frame(TYPES.headers, 0, 1, block);
  const more = frame(TYPES.continuation, 0, 1, Buffer.alloc(0));
  const field = Buffer.concat([Buffer.of(0, 1, 0x78, 126), Buffer.alloc(126, 0x79)]);
  const filled = frame(TYPES.continuation, 0, 1, Buffer.concat(Array(100).fill(field)));
  const times = (count: number, part: Buffer): Buffer[] => Array(count).fill(part);
  const ending: Readonly<Record<string, Buffer[]>> = {
    'continuations of nothing': [HELLO, open, ...times(5000, more)],
    'continuations of headers': [HELLO, open, ...times(500, filled)],
    'a header table that is a bomb': [
      HELLO,
      frame(
        TYPES.headers,
        END_HEADERS,
        1,
        Buffer.concat([Buffer.of(0x40), field.subarray(1), ...times(10_000, Buffer.of(0xbe))]),
      ),
      frame(TYPES.ping, 0, 0, Buffer.alloc(4)),
    ],
    'a frame that is too large': [HELLO, Buffer.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1)],
    'HTTP/1.1': [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    'TLS that nobody speaks': [Buffer.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196), Buffer.alloc(200)],
    noise: [Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251))],
  };
  const waiting = [
    [PREFACE.subarray(0, 9)],
    [HELLO, open],
    [HELLO, frame(TYPES.headers, END_HEADERS, 1, block)],
    [HELLO, frame(TYPES.headers, END_HEADERS, 1, block), frame(TYPES.data, 0, 1, Buffer.alloc(3))],
  ];
  const held: Socket[] = [];
  await beside(async () => {
    for (const parts of waiting) {
      const socket = await bytesTo(path);
      for (const part of parts) await put(socket, part);
      held.push(socket);
    }
    for (const parts of Object.values(ending)) {
      const socket = await bytesTo(path);
      for (const part of parts) if (!(await put(socket, part))) break;
      await hungUp(socket);
    }
    expect((await ask(events, 'QueryRawEvents', { page_size: 1 })).events).toHaveLength(1);
  });
  for (const socket of held) socket.destroy();
});

test('a connection that is cut off in the middle of each thing it does', async () => {
  const whole = Buffer.concat([
    HELLO,
    frame(TYPES.headers, END_HEADERS, 1, headerBlock(STREAM)),
    frame(TYPES.data, END_STREAM, 1, framed(SINCE_ONE)),
  ]);
  await beside(async () => {
    for (let length = 1; length <= whole.length; length++) {
      const socket = await bytesTo(path);
      await put(socket, whole.subarray(0, length));
      socket.destroy();
    }
  });
});

test('deadlines of a millisecond, and calls beyond the number that there may be', async () => {
  const session = sessionAt(path);
  await beside(async () => {
    const late = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        rawCall(session, {
          path: i % 2 === 0 ? QUERY : STREAM,
          body: framed(i % 2 === 0 ? Buffer.of(0x20, 0x90, 0x4e) : SINCE_ONE),
          headers: { 'grpc-timeout': i % 3 === 0 ? '0n' : '1m' },
          whole: true,
        }),
      ),
    );
    const codes = new Set(late.map((one) => one.status));
    // One that is quick is answered, one that is beyond what there may be is refused.
    for (const other of [status.OK, status.RESOURCE_EXHAUSTED]) codes.delete(other);
    expect([...codes]).toEqual([status.DEADLINE_EXCEEDED]);
    const answers = await Promise.all(
      Array.from({ length: 60 }, () =>
        rawCall(session, { path: QUERY, body: framed(Buffer.of(0x20, 0x90, 0x4e)), whole: true }),
      ),
    );
    expect(new Set(answers.map((one) => one.status))).toEqual(new Set([status.OK]));
  });
  session.destroy();
});

test('all in all nothing was lost, and the audit verifies', async () => {
  const { summary, stderr } = await recording.stop();
  const audit = join(store, 'audit');
  const key = join(store, 'audit.key');
  expect(cli('tapio-replay', 'audit', 'verify', audit, '--key', key).stderr).toBe('');
  expect(summary.lost).toEqual({});
  expect(stderr).not.toMatch(/failed|started again/);
});
