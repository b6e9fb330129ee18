// Clients in other languages that know nothing of us but an address: by each way out they get what query prints.

import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findGo, GO_MIN } from '../support/go.ts';
import { queryRows, Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';
import { expectSame } from '../support/same-rows.ts';

const ROWS = 2000;
const PAGE = 600;
const EVENTS = 'tapio.ebpf.v1.EBPFExport';
const RECORDER = 'tapio.ebpf.v1.Recorder';

type Client = (service: string, method: string, request: object) => Promise<Row[]>;

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const address = `unix:${join(store, 'recorder.sock')}`;
const go = findGo();
// Where CI runs there has to be one.
if (go === null && env.CI !== undefined) throw new Error(`no Go ≥ 1.${GO_MIN} on this machine`);
const program = join(directory.path, 'reflect');
let recording: Recording;
let rows: readonly Row[];
beforeAll(async () => {
  if (go !== null) {
    const folder = join(ROOT, 'test/interop/reflect');
    const options = {
      cwd: folder,
      env: { ...env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' },
    };
    execFileSync(go, ['build', '-o', program, '.'], options);
  }
  recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--rate', String(ROWS), '--events', String(ROWS)],
  ]);
  while (rows?.length !== ROWS) {
    await sleep(300);
    rows = queryRows(store);
  }
});
afterAll(async () => {
  if (!recording.hasEnded) await recording.kill();
  directory.remove();
});

const clientOf =
  (command: string, ...args: string[]): Client =>
  async (service, method, request) => {
    const all = [...args, address, service, method, JSON.stringify(request)];
    const { stdout } = await promisify(execFile)(command, all, { maxBuffer: 1 << 28 });
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Row);
  };

const clients: [string, Client][] = [
  ['Python', clientOf(join(ROOT, '.venv/bin/python'), join(ROOT, 'test/interop/reflect.py'))],
  ...(go === null ? [] : [['Go', clientOf(program)] as [string, Client]]),
];

/** Messages, and the trailers behind them. */
function parted(lines: readonly Row[]): { messages: Row[]; trailers: Row } {
  const messages = [...lines];
  return { messages, trailers: messages.pop()?.trailers };
}

test.each(clients)('%s: one by one, in batches, by pages and again', async (_name, client) => {
  const stream = parted(await client(EVENTS, 'StreamRawEvents', { held: true }));
  expect(stream.messages).toHaveLength(ROWS);
  stream.messages.forEach((message, i) => {
    expectSame(message, rows[i] as Row);
  });
  expect(stream.trailers.complete).toEqual(['true']);
  expect(stream.trailers['resume-token'][0]).toMatch(new RegExp(`:${ROWS}$`));

  const batches = parted(await client(EVENTS, 'StreamRawEventBatches', { held: true }));
  expect(batches.messages.flatMap(({ events }) => events)).toEqual(stream.messages);
  expect(batches.messages.every(({ events }) => events.length <= 1000)).toBe(true);

  const paged: Row[] = [];
  for (let token: string | undefined = ''; token !== undefined; ) {
    const request = { page_size: PAGE, page_token: token };
    const { messages } = parted(await client(EVENTS, 'QueryRawEvents', request));
    expect(messages).toHaveLength(1);
    const [{ events, next_page_token: next, complete }] = messages as [Row];
    expect(complete).toBe(true);
    paged.push(...events);
    token = next;
  }
  expect(paged).toEqual(stream.messages);

  const again = parted(await client(RECORDER, 'Replay', { unpaced: true }));
  expect(again.messages).toEqual(stream.messages);
});

test.each(clients)('%s: sums, segments and their files', async (language, client) => {
  const { messages: sums } = parted(await client(RECORDER, 'Stats', { by: ['type', 'op'] }));
  const counted = new Map<string, number>();
  for (const { type, op } of rows)
    counted.set(`${type} ${op}`, (counted.get(`${type} ${op}`) ?? 0) + 1);
  const [{ groups }] = sums as [Row];
  const told = groups.map(({ keys, rows: count }: Row) => [
    keys.map(({ text }: Row) => text).join(' '),
    Number(count),
  ]);
  expect(new Map(told)).toEqual(counted);

  const { messages: lists } = parted(await client(RECORDER, 'ListSegments', {}));
  const [{ segments }] = lists as [Row];
  const held: number[] = segments.flatMap((one: Row) => one.rows.map((of: Row) => Number(of.rows)));
  expect(held.reduce((sum, one) => sum + one, 0)).toBe(ROWS);
  const { name } = segments[0] as Row;
  const { messages: parts } = parted(await client(RECORDER, 'FetchSegment', { name }));
  // What is fetched is a store of its own.
  const copy = join(directory.path, language, name);
  mkdirSync(copy, { recursive: true });
  for (const { file, data = '' } of parts) {
    appendFileSync(join(copy, file), Buffer.from(data, 'base64'));
  }
  expect(queryRows(copy)).toEqual(rows);
});

test.each(clients)('%s: what makes no sense is told', async (_name, client) => {
  const failed = client(EVENTS, 'StreamRawEvents', { selection: { filter: 'pidd == 1' } });
  await expect(failed).rejects.toThrow(/pidd/);
});
