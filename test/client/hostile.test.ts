// A server that is none of ours: nothing that it sends gets out of the mirror, fills the memory or reaches a terminal.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addressOf } from '../../src/client/address.ts';
import { Connection } from '../../src/client/connection.ts';
import { Mirror } from '../../src/client/mirror.ts';
import { RemoteRows } from '../../src/client/remote-rows.ts';
import { listSegments } from '../../src/client/segments.ts';
import { TapioError } from '../../src/errors.ts';
import { select } from '../../src/query/select.ts';
import { questionOf } from '../../src/query/summary.ts';
import { definitions } from '../../src/rpc/messages.ts';
import { temporaryDirectory } from '../support/recording.ts';

const WHOLE = { since: null, until: null };
const ALL = select({ ...WHOLE, types: [], ops: [], pids: [], comms: [] });
const ACCESS = { ca: null, cert: null, key: null, name: null, tokenFile: null, insecure: false };
const NAME = '20261122T180000.000Z-0000001';

/** What the server answers. */
interface Answers {
  segments: object[];
  parts: object[];
  batches: Buffer[];
  page: Buffer;
  stats: object;
  trailers: Metadata;
  failure: { code: status; details: string } | null;
}

let answers: Answers;
let server: Server;
let directory: ReturnType<typeof temporaryDirectory>;
let connection: Connection;

const asIs = (bytes: Buffer): Buffer => bytes;

beforeEach(async () => {
  answers = {
    ...{ segments: [], parts: [], batches: [], page: Buffer.alloc(0), stats: {} },
    ...{ trailers: new Metadata(), failure: null },
  };
  directory = temporaryDirectory();
  const path = join(directory.path, 'sock');
  const { EBPFExport, Recorder } = definitions().services;
  server = new Server({ 'grpc.max_send_message_length': -1 });
  const raw = (name: string): object => ({ ...EBPFExport[name], responseSerialize: asIs });
  type Unary = (call: unknown, done: (error: object | null, answer?: unknown) => void) => void;
  type Streaming = (call: {
    write(one: unknown): void;
    end(trailers?: Metadata): void;
    emit(name: string, error: object): void;
  }) => void;
  const unary =
    (answer: () => unknown): Unary =>
    (_, done) =>
      answers.failure === null ? done(null, answer()) : done(answers.failure);
  const streaming =
    (messages: () => readonly unknown[]): Streaming =>
    (call) => {
      for (const message of messages()) call.write(message);
      if (answers.failure === null) call.end(answers.trailers);
      else call.emit('error', answers.failure);
    };
  server.addService(
    {
      ...EBPFExport,
      StreamRawEventBatches: raw('StreamRawEventBatches'),
      QueryRawEvents: raw('QueryRawEvents'),
    } as never,
    {
      StreamRawEventBatches: streaming(() => answers.batches),
      QueryRawEvents: unary(() => answers.page),
    } as never,
  );
  server.addService(Recorder, {
    ListSegments: unary(() => ({ segments: answers.segments })),
    FetchSegment: streaming(() => answers.parts),
    Stats: unary(() => answers.stats),
    GetStatus: unary(() => ({})),
  } as never);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  connection = new Connection(addressOf(`unix:${path}`, ACCESS));
});
afterEach(() => {
  connection.close();
  server.forceShutdown();
  directory.remove();
});

const failureOf = async (asked: Promise<unknown>): Promise<TapioError> => {
  const error = await asked.then(
    () => null,
    (one) => one,
  );
  expect(error).toBeInstanceOf(TapioError);
  return error;
};

async function fetched(): Promise<{ error: TapioError | null; files: string[] }> {
  const mirror = Mirror.open();
  try {
    const error = await mirror
      .fetch(connection, WHOLE, () => {})
      .then(
        () => null,
        (one) => one,
      );
    const files = readdirSync(mirror.path, { recursive: true }).map(String);
    return { error, files: files.sort() };
  } finally {
    mirror.remove();
    expect(existsSync(mirror.path)).toBe(false);
  }
}

test('names of segments and files are those that recorders give, or nothing is written', async () => {
  const part = { file: 'commits.ndjson', data: Buffer.from('x') };
  const names = ['../out', '/etc/x', '.open-x', '', 'a/b', 'a\0b', 'x'.repeat(101), 'a\nb', '..'];
  for (const name of names) {
    Object.assign(answers, { segments: [{ name, bytes: 9 }], parts: [part] });
    const { error, files } = await fetched();
    expect([name, error?.code, files]).toEqual([name, 'io', ['segments']]);
  }
  for (const file of ['../commits.ndjson', '/tmp/x', 'x', '', '.', 'commits.ndjson/x', 'a\0b']) {
    Object.assign(answers, {
      segments: [{ name: NAME, bytes: 9 }],
      parts: [part, { ...part, file }],
    });
    const { error, files } = await fetched();
    expect([file, error?.code]).toEqual([file, 'io']);
    expect(files).toEqual([
      'segments',
      `segments/.part-${NAME}`,
      `segments/.part-${NAME}/commits.ndjson`,
    ]);
  }
});

test('a segment lies where its files say that it is: sealed, or open', async () => {
  const part = (file: string): object => ({ file, data: Buffer.from(file) });
  Object.assign(answers, {
    segments: [{ name: NAME, bytes: 9, sealed: true }],
    parts: [part('commits.ndjson'), part('file.arrow'), part('file.arrow')],
  });
  const sealed = await fetched();
  expect([sealed.error, sealed.files]).toEqual([
    null,
    [
      'segments',
      `segments/${NAME}`,
      `segments/${NAME}/commits.ndjson`,
      `segments/${NAME}/file.arrow`,
    ],
  ]);
  answers.parts.push(part('dictionary.log'));
  expect((await fetched()).files).toContain(`segments/.open-${NAME}/dictionary.log`);
  answers.failure = { code: status.NOT_FOUND, details: 'gone' };
  expect((await failureOf(listSegments(connection))).message).toMatch(/gone/);
});

test('what is no message, and one that is too large, is told', async () => {
  const rows = async (): Promise<number> => {
    let count = 0;
    const source = new RemoteRows(connection, ALL);
    for await (const { from, to } of source.rows({ first: null, last: null }, () => []))
      count += to - from;
    return count;
  };
  answers.batches = [Buffer.from([0x0a, 0x05, 0x01])];
  expect((await failureOf(rows())).message).toMatch(/is no message of a recorder/);
  answers.batches = [Buffer.alloc((64 << 20) + 1)];
  expect((await failureOf(rows())).message).toMatch(/larger than max/);
  answers.batches = [Buffer.from([0x0a, 0x00]), Buffer.alloc(0)];
  expect(await rows()).toBe(0);
});

test('pages that go on for ever without rows are no more than one', async () => {
  answers.page = Buffer.from([0x12, 0x01, 0x61]);
  const source = new RemoteRows(connection, ALL);
  for await (const run of source.rows({ first: null, last: 5000 }, () => []))
    throw new Error(`${run}`);
  expect(await source.notes()).toEqual([]);
});

test('sums that answer another question are told', async () => {
  answers.stats = { groups: [{ keys: [], rows: '1' }], rows: '1' };
  const question = questionOf(['pid'], [], [], 20);
  const source = new RemoteRows(connection, ALL);
  expect((await failureOf(source.summary(question, undefined, () => true))).code).toBe('io');
});

test('what a server says commands no terminal', async () => {
  const sentence = 'no \u001b[2J\r\nrows\u202e';
  answers.failure = { code: status.PERMISSION_DENIED, details: sentence };
  const error = await failureOf(new RemoteRows(connection, ALL).count(() => true));
  expect(error.code).toBe('not_permitted');
  expect(error.message).toContain('no \\x1b[2J\\r\\nrows\\u202e');
  answers.failure = null;
  answers.trailers.set('incomplete-reason', encodeURIComponent(sentence));
  answers.trailers.add('incomplete-reason', '%zz');
  const source = new RemoteRows(connection, ALL);
  for await (const run of source.rows({ first: null, last: null }, () => []))
    throw new Error(`${run}`);
  expect(await source.notes()).toEqual(['no \\x1b[2J\\r\\nrows\\u202e', '%zz']);
});

test('an answer that nobody waits for any more is given up', async () => {
  let asked = 0;
  answers.stats = { rows: '1' };
  const source = new RemoteRows(connection, ALL);
  expect(await source.count(() => true)).toBe(1);
  // The call hangs as long as the server does.
  server.forceShutdown();
  const error = await failureOf(source.count(() => ++asked < 0));
  expect(['io', 'not_running']).toContain(error.code);
});

test.each([
  [status.UNAUTHENTICATED, 'not_permitted', /--token-file/],
  [status.UNIMPLEMENTED, 'io', /an older recorder/],
  [status.INVALID_ARGUMENT, 'usage', /^unix:.*: so$/],
  [status.RESOURCE_EXHAUSTED, 'exhausted', /ask for less, or later/],
  [status.UNAVAILABLE, 'not_running', /^unix:.*: so$/],
  [status.INTERNAL, 'io', /^unix:.*: so$/],
])('status %i is one sentence', async (code, expected, said) => {
  answers.failure = { code, details: 'so' };
  const error = await failureOf(new RemoteRows(connection, ALL).count(() => true));
  expect([error.code, error.message]).toEqual([expected, expect.stringMatching(said)]);
});

test('addresses and how they are reached', () => {
  const target = (text: string, more: object = {}): string =>
    addressOf(text, { ...ACCESS, ...more }).target;
  expect(target('unix:/a/b')).toBe('unix:/a/b');
  expect(target('example.org:9')).toBe('example.org:9');
  expect(target('[::1]:9', { insecure: true })).toBe('[::1]:9');
  expect(addressOf('127.0.0.1:9', ACCESS).credentials._isSecure()).toBe(true);
  for (const text of ['', 'x', 'x:99999', 'x:y', 'http://x:1', '::1:9', 'a b:1', 'unix:']) {
    expect(() => target(text), text).toThrow(TapioError);
  }
  expect(() => target('example.org:9', { insecure: true })).toThrow(/for this host alone/);
  expect(() => target('example.org:9', { cert: 'x' })).toThrow(/go together/);
  expect(() => target('example.org:9', { ca: '/none' })).toThrow(/cannot be read/);
});
