// Whatever bytes a client sends as a message of each method: it is told what is wrong with them, with the right code and in
// one sentence, and everybody else is served as before.

import type { ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { definitions } from '../../src/rpc/messages.ts';
import { random } from '../support/batches.ts';
import { ask, clientsAt } from '../support/grpc-client.ts';
import { framed, type RawAnswer, rawCall, sessionAt } from '../support/raw-grpc.ts';
import { queryRows, Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const CASES = process.env.TAPIO_LONG === undefined ? 10_000 : 100_000;
const AT_ONCE = 24;
const SENTENCE_MAX = 1000;
const ROWS = 2000;
/** More than garbage that is not collected yet; a leak of a kilobyte a case would be as much. */
const MORE_BYTES_MAX = 400e6;

const { OK, INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED } = status;
/** What a message may get. Nothing is INTERNAL or UNKNOWN. */
const FAIR: readonly number[] = [
  OK,
  INVALID_ARGUMENT,
  NOT_FOUND,
  RESOURCE_EXHAUSTED,
  UNIMPLEMENTED,
];

/** Every method that is served. */
function methods(): MethodDefinition<object, object>[] {
  const { services } = definitions();
  const others = [
    ['grpc-health-check/proto/health/v1/health.proto', 'grpc.health.v1.Health'],
    ...['v1', 'v1alpha'].map((version) => [
      `@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`,
      `grpc.reflection.${version}.ServerReflection`,
    ]),
  ].map(([file, name = '']) => loadSync(`${ROOT}/node_modules/${file}`, { keepCase: true })[name]);
  return [services.EBPFExport, services.Recorder, ...others].flatMap(
    (service) => Object.values(service as object) as MethodDefinition<object, object>[],
  );
}

const TEXTS = [
  'pid == 1',
  'type == "network" && network.dport in [443]',
  '('.repeat(3000),
  'matches(comm, "(a*)*b")',
  'network',
  'exec',
  'seq',
  'nowhere',
  '',
  '01KB:7',
  '../../etc/passwd',
  '\u0000',
  '💥'.repeat(50),
  'tapio.ebpf.v1.RawEvent',
  '__proto__',
  'constructor',
];
const NUMBERS = ['0', '1', '7', '1000', String(2 ** 32 - 1), String(2n ** 63n - 1n)];

/** Requests of any kind, as objects that fit several of the methods. */
function request(next: () => number): Row {
  const below = (count: number): number => Math.floor(next() * count);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const some = <T>(make: () => T): T[] =>
    Array.from({ length: next() < 0.02 ? 3000 : below(4) }, make);
  const text = (): string => pick(TEXTS);
  const number = (): number => Number(pick(NUMBERS.slice(0, 5)));
  const out: Row = {};
  const put = (name: string, make: () => unknown): void => {
    if (next() < 0.3) out[name] = make();
  };
  put('selection', () => ({
    ...(next() < 0.5 && { filter: text() }),
    ...(next() < 0.3 && { types: some(text) }),
    ...(next() < 0.3 && { ops: some(text) }),
    ...(next() < 0.3 && { fields: some(text) }),
    ...(next() < 0.3 && { sample: number(), negate: true }),
    ...(next() < 0.3 && { process: { pids: some(number), comms: some(text) } }),
    ...(next() < 0.3 && { network: { addresses: some(text), ports: some(number) } }),
  }));
  for (const name of ['since', 'until', 'over_since', 'over_until']) put(name, () => pick(NUMBERS));
  for (const name of ['resume_token', 'page_token', 'name', 'of', 'service']) put(name, text);
  for (const name of ['list_services', 'file_by_filename', 'file_containing_symbol'])
    put(name, text);
  for (const name of ['page_size', 'top', 'loops']) put(name, number);
  for (const name of ['speed', 'rate']) put(name, () => pick([0, 1, -1, 1e308, Number.NaN]));
  for (const name of ['by', 'sums']) put(name, () => some(text));
  for (const name of ['newest', 'held', 'unpaced', 'rebase']) put(name, () => true);
  return out;
}

/** Bytes that are changed here and there: bits, lengths, parts that go or come again. */
function changed(bytes: Buffer, next: () => number): Buffer {
  let out = Buffer.from(bytes);
  const below = (count: number): number => Math.floor(next() * count);
  for (let left = 1 + below(4); left > 0; left--) {
    const at = below(out.length + 1);
    switch (below(6)) {
      case 0:
        if (at < out.length) out[at] = below(256);
        break;
      case 1:
        out = out.subarray(0, at);
        break;
      case 2:
        out = Buffer.concat([
          out.subarray(0, at),
          Buffer.from(Array(below(9)).fill(255)),
          out.subarray(at),
        ]);
        break;
      case 3:
        out = Buffer.concat([out, out.subarray(at)]);
        break;
      case 4:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + 1 + below(4))]);
        break;
      default:
        out = Buffer.concat([
          Buffer.from(Array.from({ length: below(40) }, () => below(256))),
          out,
        ]);
    }
  }
  return out;
}

/** A message in a message in a message …, each field 1. */
function nested(depth: number): Buffer {
  let out = Buffer.alloc(0);
  for (let i = 0; i < depth && out.length < 60_000; i++) {
    const length = out.length < 128 ? [out.length] : [(out.length & 127) | 128, out.length >> 7];
    if (out.length >= 128 * 128) break;
    out = Buffer.concat([Buffer.of(0x0a, ...length), out]);
  }
  return out;
}

function bodyOf(method: MethodDefinition<object, object>, next: () => number): Buffer {
  const kind = next();
  if (kind < 0.05) return nested(1 + Math.floor(next() * 4000));
  if (kind < 0.15)
    return framed(Buffer.from(Array.from({ length: 200 * next() }, () => 256 * next())));
  let message: Buffer;
  try {
    message = method.requestSerialize(request(next));
  } catch {
    // What the library itself does not send.
    message = Buffer.alloc(0);
  }
  if (kind > 0.35) message = changed(message, next);
  if (kind > 0.95) return framed(message, Math.floor(256 * next()), Math.floor(2 ** 32 * next()));
  return framed(message);
}

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const path = join(store, 'recorder.sock');
let recording: Recording;
beforeAll(async () => {
  recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--rate', String(ROWS), '--events', String(ROWS)],
  ]);
  while (queryRows(store).length < ROWS) await sleep(200);
});
afterAll(async () => {
  if (!recording.hasEnded) await recording.kill();
  directory.remove();
});

test(`${CASES} messages (seed ${SEED})`, { timeout: 1_200_000 }, async () => {
  const next = random(SEED);
  const all = methods();
  expect(all.length).toBeGreaterThanOrEqual(14);
  const { events, recorder } = clientsAt(path);
  const first = await ask(recorder, 'GetStatus', {});
  const outcomes = new Map<string, number>();
  let left = CASES;
  const wrong: string[] = [];
  const look = (method: string, body: Buffer, answer: RawAnswer): void => {
    const { status: code, message, taken, reset } = answer;
    const said = taken && code === null ? 'taken' : `${code ?? `reset ${reset}`}`;
    outcomes.set(said, (outcomes.get(said) ?? 0) + 1);
    const isFair = taken && code === null ? true : code !== null && FAIR.includes(code);
    // Of a filter that is wrong its place is shown below the sentence.
    const isSentence =
      code === OK ||
      taken ||
      (message !== '' && message.length < SENTENCE_MAX && !/\bat .*:\d/.test(message));
    if (!isFair || !isSentence)
      wrong.push(`${method} ${body.toString('base64').slice(0, 400)}: ${said} ${message}`);
  };
  const client = async (): Promise<void> => {
    let session: ClientHttp2Session = sessionAt(path);
    while (left-- > 0) {
      if (session.destroyed || session.closed) session = sessionAt(path);
      const method = all[Math.floor(next() * all.length)] as MethodDefinition<object, object>;
      const body = bodyOf(method, next);
      look(method.path, body, await rawCall(session, { path: method.path, body }));
    }
    session.destroy();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  expect(wrong.slice(0, 5)).toEqual([]);
  // All kinds of answers were had.
  expect([...outcomes.keys()].sort()).toEqual(
    expect.arrayContaining(['0', '3', '5', '8', 'taken']),
  );
  const last = await ask(recorder, 'GetStatus', {});
  expect(Number(last.memory_bytes)).toBeLessThan(Number(first.memory_bytes) + MORE_BYTES_MAX);
  expect((await ask(events, 'QueryRawEvents', { page_size: 10 })).events).toHaveLength(10);
  events.close();
  recorder.close();
  const { summary, stderr } = await recording.stop();
  expect(summary.lost).toEqual({});
  expect(stderr).not.toMatch(/failed|started again/);
});
