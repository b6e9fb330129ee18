// So many calls at once, and no more: streams beyond are refused, answers wait for their turn.

import type { ClientReadableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import {
  ANSWERS_AT_ONCE,
  ANSWERS_UNREAD_MAX,
  STREAMS_AT_ONCE,
  WAITING_MAX,
} from '../../src/server/capacity.ts';
import type { Part } from '../../src/service/served-stream.ts';
import { ask, clientsAt, healthClient } from '../support/grpc-client.ts';
import { rawCall, sessionAt } from '../support/raw-grpc.ts';
import type { Row } from '../support/recording.ts';
import { runOf, ServedRows } from '../support/served-rows.ts';

const STATUS = '/tapio.ebpf.v1.Recorder/GetStatus';

let undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.reverse()) await one();
  undo = [];
});

async function serve(...given: Parameters<typeof ServedRows.open>): Promise<string> {
  const served = await ServedRows.open(...given);
  undo.push(() => served.close());
  return served.path;
}

/** Whether a stream is taken (0), or how it is refused. */
const outcome = (stream: ClientReadableStream<Row>): Promise<number> =>
  new Promise((resolve) => {
    stream.on('data', () => resolve(0));
    stream.on('error', ({ code }: { code?: number }) => resolve(code ?? -1));
  });

test('streams beyond the number are refused until one ends; health is answered meanwhile', async () => {
  const path = await serve(async function* (): AsyncGenerator<Part> {
    yield { kind: 'rows', runs: [runOf([1])] };
    await new Promise(() => {});
  });
  const { events, recorder } = clientsAt(path);
  const health = healthClient(`unix:${path}`);
  undo.push(
    () => events.close(),
    () => recorder.close(),
    () => health.close(),
  );
  const streams = Array.from({ length: STREAMS_AT_ONCE + 6 }, () => events.StreamRawEvents({}));
  const outcomes = await Promise.all(streams.map(outcome));
  expect(outcomes.filter((code) => code === 0)).toHaveLength(STREAMS_AT_ONCE);
  expect(outcomes.filter((code) => code === status.RESOURCE_EXHAUSTED)).toHaveLength(6);
  expect(await ask(health, 'check', {})).toEqual({ status: 'SERVING' });
  streams[outcomes.indexOf(0)]?.cancel();
  let again = -1;
  while (again !== 0) again = await outcome(events.StreamRawEventBatches({}));
});

test('answers are made a few at a time, in turn, whoever has hung up', async () => {
  let [now, most, made] = [0, 0, 0];
  const path = await serve(
    async function* () {},
    async () => {
      now++;
      made++;
      most = Math.max(most, now);
      await new Promise((resolve) => setTimeout(resolve, 2));
      now--;
      return {};
    },
  );
  const sessions = Array.from({ length: 4 }, () => sessionAt(path));
  undo.push(() => sessions.map((session) => session.destroy()));
  const asked = sessions.flatMap((session, i) =>
    Array.from({ length: 50 }, () =>
      rawCall(session, {
        path: STATUS,
        whole: true,
        headers: i === 0 ? { 'grpc-timeout': '10m' } : {},
      }),
    ),
  );
  const answers = (await Promise.all(asked)).slice(50);
  expect(new Set(answers.map((one) => one.status))).toEqual(new Set([status.OK]));
  expect(made).toBeGreaterThanOrEqual(150);
  expect(most).toBe(ANSWERS_AT_ONCE);
  expect(now).toBe(0);
});

test('where too many wait, others are refused', async () => {
  const gate = Promise.withResolvers<Readonly<Record<string, unknown>>>();
  const path = await serve(
    async function* () {},
    () => gate.promise,
  );
  const sessions = Array.from({ length: 12 }, () => sessionAt(path));
  undo.push(() => sessions.map((session) => session.destroy()));
  const asked = sessions.flatMap((session) =>
    Array.from({ length: 90 }, () => rawCall(session, { path: STATUS, whole: true })),
  );
  await Promise.race(asked);
  gate.resolve({});
  const answers = await Promise.all(asked);
  const refused = answers.filter((one) => one.status === status.RESOURCE_EXHAUSTED);
  const known = 12 * 90 - WAITING_MAX - ANSWERS_AT_ONCE;
  expect(refused.length).toBeGreaterThanOrEqual(known);
  expect(refused[0]?.message).toContain('ask again later');
  expect(answers.filter((one) => one.status === status.OK)).toHaveLength(12 * 90 - refused.length);
});

test('answers that nobody reads are so many, and are forgotten with who does not read them', async () => {
  const path = await serve(
    async function* () {},
    () => Promise.resolve({ store: 'x'.repeat(200_000) }),
  );
  const hostile = sessionAt(path);
  undo.push(() => hostile.destroy());
  const ended: number[] = [];
  for (let i = 0; i < ANSWERS_UNREAD_MAX; i++) {
    const stream = hostile.request({
      ':method': 'POST',
      ':path': STATUS,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => {});
    stream.on('response', () => ended.push(i));
    stream.end(Buffer.alloc(5));
  }
  while (ended.length < ANSWERS_UNREAD_MAX) await new Promise((resolve) => setTimeout(resolve, 5));
  const other = sessionAt(path);
  undo.push(() => other.destroy());
  const once = (): Promise<number | null> =>
    rawCall(other, { path: STATUS, whole: true }).then((one) => one.status);
  expect(await once()).toBe(status.RESOURCE_EXHAUSTED);
  hostile.destroy();
  let code: number | null = null;
  while (code !== status.OK) code = await once();
});
