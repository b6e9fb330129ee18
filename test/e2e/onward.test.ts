// Events go onward from a recording that is killed, to receivers that are killed, cut off, stopped or not there: each of
// them arrives.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import { openStore } from '../../src/segment/store.ts';
import type { SinkStatus } from '../../src/sink/protocol.ts';
import type { UnifiedEvent } from '../../src/unified/event.ts';
import { accountsOf, cleanUp, sleep } from '../crash/cli.ts';
import { NUMBERED_OPS, Workload } from '../crash/workload.ts';
import { NatsServer } from '../support/nats-server.ts';
import { OtherNetwork } from '../support/network.ts';
import { decoded, expectedRaw } from '../support/raw-events.ts';
import { Recording, ROOT, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { rowOf } from '../support/unified-rows.ts';

const why = whyNoKernel();
if (why !== null && env.CI !== undefined) throw new Error(`these tests must run: ${why}`);

const LONG = env.TAPIO_LONG !== undefined;
/** Events a second that are driven, and what is to come together at least. */
const RATE = LONG ? 20_000 : 4_500;
const EVENTS = LONG ? 2_000_000 : 200_000;
const KILLS = 5;
const CUTS = 3;
const WAIT_MS = 60_000;

let directory: ReturnType<typeof temporaryDirectory>;
let store = '';
let recording: Recording | null = null;
let servers: { remove(): Promise<void> | void }[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
});
afterEach(async () => {
  if (recording?.hasEnded === false) await recording.kill();
  recording = null;
  cleanUp(store);
  for (const server of servers.reverse()) await server.remove();
  servers = [];
  directory.remove();
});

async function start(...flags: string[]): Promise<Recording> {
  recording = await Recording.start(store, flags);
  return recording;
}

async function sinks(): Promise<SinkStatus[]> {
  return (await askRecorder(store, 'status')).sinks as SinkStatus[];
}

async function until(what: string, holds: () => Promise<boolean>, ms = WAIT_MS): Promise<void> {
  for (const begun = Date.now(); !(await holds()); await sleep(100)) {
    if (Date.now() - begun > ms) throw new Error(`waited in vain until ${what}`);
  }
}

/** Waits until a sink has all that there was when this was called. */
async function caughtUp(at = 0): Promise<SinkStatus> {
  await askRecorder(store, 'flush');
  await sleep(1000);
  await until('the sink has caught up', async () => (await sinks())[at]?.lag_events === 0);
  return (await sinks())[at] as SinkStatus;
}

/** What is in the stream of a server. */
async function messagesOf(server: NatsServer): ReturnType<NatsServer['messages']> {
  const [stream] = await (await server.manager()).streams.list().next();
  return server.messages(stream?.config.name ?? '');
}

/** Plays what is in a store to a file, as UnifiedEvents. */
function played(
  from: string,
  path: string,
  words: readonly string[] = [],
  under: string[] = [],
): void {
  const program = [execPath, 'cli/tapio-replay.ts', 'play', '--speed', 'max', '--store', from];
  const [command = '', ...args] = [
    ...under,
    ...program,
    '--to',
    `ndjson:${path}?rotate=8GiB`,
    ...words,
  ];
  execFileSync(command, args, { cwd: ROOT, stdio: 'pipe' });
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const idOf = (line: string): string => (JSON.parse(line) as UnifiedEvent).id;

/** The number of a driven event, by its kind. */
function numberOf({ attributes, kernel }: UnifiedEvent): string | null {
  const path = /^\/numbered\/(\d+)$/.exec(String(attributes?.path))?.[1];
  if (path !== undefined) return `file ${path}`;
  return kernel?.syscall === 'kcmp' ? `call ${Number(kernel.args?.[3])}` : null;
}

describe.skipIf(why !== null)(`of a live kernel ${why ?? ''}`, () => {
  test('servers and recorders that are killed and a link that is cut cost no event', {
    timeout: LONG ? 900_000 : 240_000,
  }, async () => {
    const network = new OtherNetwork();
    servers.push(network);
    const server = await NatsServer.start('', 0, network);
    servers.push(server);
    const flags = [...NUMBERED_OPS, '--sink', `nats://${server.server}`, '--sink-filter', 'true'];
    await start(...flags);
    const workload = new Workload(directory.path, RATE / 4);
    servers.push({ remove: () => workload.stop() });
    const pauseMs = (EVENTS / RATE / (2 * KILLS + CUTS)) * 1000;
    const blows: (() => Promise<void>)[] = [];
    for (let i = 0; i < KILLS; i++) {
      blows.push(async () => {
        await server.kill();
        await sleep(500);
        await server.start();
      });
      blows.push(async () => {
        await recording?.kill();
        await start(...flags);
      });
      if (i >= CUTS) continue;
      blows.push(async () => {
        network.cut();
        await sleep(1500);
        network.mend();
      });
    }
    for (const blow of blows) {
      await sleep(pauseMs);
      await blow();
    }
    await until('enough was driven', async () => workload.total() * 2 >= EVENTS, 600_000);
    const done = workload.done();
    await workload.stop();
    const status = await caughtUp();
    expect(status).toMatchObject({ lost: 0, refused: 0, unmapped: 0, trouble: null });
    await recording?.stop();
    expect(accountsOf(store)).toMatchObject([{ holds: true, reasons: [], causes: [] }]);
    const messages = await messagesOf(server);
    const byId = new Map(messages.map(({ id, text }) => [id, text]));
    const numbers = new Set([...byId.values()].map((text) => numberOf(JSON.parse(text))));
    const missing: string[] = [];
    done.forEach((count, driver) => {
      for (let number = 0; number < count; number++) {
        for (const kind of ['file', 'call']) {
          const name = `${kind} ${driver * 1_000_000_000 + number}`;
          if (!numbers.has(name)) missing.push(name);
        }
      }
    });
    expect(missing.slice(0, 10)).toEqual([]);
    // All that is stored, whoever made it.
    const path = join(directory.path, 'all.ndjson');
    played(store, path);
    const ids = new Set(linesOf(path).map(idOf));
    expect([...ids].filter((id) => !byId.has(id)).slice(0, 10)).toEqual([]);
    expect([...byId.keys()].filter((id) => !ids.has(id)).slice(0, 10)).toEqual([]);
    const repeats = messages.length - byId.size;
    console.log(
      `${byId.size} events, ${repeats} repeats, ${status.returned} times one was sent again since the last start`,
    );
    expect(byId.size).toBeGreaterThanOrEqual(EVENTS);
  });

  test('live are the bytes that play gives elsewhere, though pids come again and again', {
    timeout: 240_000,
  }, async () => {
    const processes = 100_000;
    const live = join(directory.path, 'live.ndjson');
    const flags = ['--profile', 'minimal', '--sink', `ndjson:${live}?rotate=8GiB`];
    const source = await start(...flags, '--sink-filter', 'true');
    const program = join(directory.path, 'reuse');
    execFileSync('gcc', ['-O2', '-o', program, 'test/e2e/reuse.c'], { cwd: ROOT });
    const half = String(processes / 2);
    const pids = [1, 2].map(() => {
      const text = execFileSync(program, [half, '24000', '50']).toString();
      source.signal('SIGUSR2');
      return Number(text);
    });
    // Each pid was that of some hundred processes.
    expect(Math.max(...pids)).toBeLessThan(1000);
    await caughtUp();
    const { summary } = await source.stop();
    expect(summary.sinks[0]).toMatchObject({ lag_events: 0, refused: 0 });
    const { exit = 0 } = summary.events.process ?? {};
    expect(exit).toBeGreaterThanOrEqual(processes);
    const [copy, replayed] = [join(directory.path, 'copy'), join(directory.path, 'played.ndjson')];
    cpSync(store, copy, { recursive: true });
    // A file system without any process in it.
    const nowhere = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$0" "$@"'];
    played(copy, replayed, [], nowhere);
    const [ours, theirs] = [live, replayed].map((path) =>
      createHash('sha256').update(readFileSync(path)).digest('hex'),
    );
    expect(ours).toBe(theirs);
  });
});

/** Rows of a store's synthetic recordings, by recording and seq. */
const nameOf = ({ attributes }: UnifiedEvent): string =>
  `${attributes?.recording} ${attributes?.seq}`;
const checkpointOf = (path: string): string => {
  const [name = ''] = readdirSync(join(path, 'sinks')).filter((one) => one.endsWith('.json'));
  return join(path, 'sinks', name);
};
const SYNTHETIC = ['--source', 'synthetic'];
/** Rows that a store holds, as far as they are committed. */
function rowsOf(): number {
  const { segments } = openStore(store);
  try {
    return Math.max(0, ...segments.map(({ commits }) => commits?.last?.through_seq ?? 0));
  } finally {
    for (const segment of segments) segment.close();
  }
}
const free = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

test('a receiver that was down for the whole recording gets all of it once it is there', async () => {
  const port = await free();
  const sink = ['--sink', `nats://127.0.0.1:${port}`, '--sink-filter', 'true'];
  const first = await start(...SYNTHETIC, '--rate', '10000', '--events', '20000', ...sink);
  await until('all is recorded', async () => (await sinks())[0]?.lag_events === 20_000);
  const [down] = await sinks();
  expect(down?.trouble).toMatch(/connect|reach|refused/i);
  const { summary, stderr } = await first.stop();
  expect(summary.sinks).toMatchObject([{ taken: 0, lag_events: 20_000 }]);
  // It is told once, not once for each event.
  expect(stderr.split('\n').filter((line) => line.includes('does not take events')).length).toBe(1);
  const server = await NatsServer.start('', port);
  servers.push(server);
  await start(...SYNTHETIC, '--rate', '1000', '--events', '500', '--seed', '2', ...sink);
  await until('both recordings are there', async () => (await sinks())[0]?.taken === 20_500);
  expect(await caughtUp()).toMatchObject({ lag_events: 0, lag_s: 0, lost: 0, trouble: null });
  await recording?.stop();
  const events = (await messagesOf(server)).map(({ text }) => JSON.parse(text) as UnifiedEvent);
  expect(new Set(events.map(nameOf)).size).toBe(20_500);
  expect(events.length).toBe(20_500);
});

test('a sink that is stopped holds up neither the recording nor another sink', async () => {
  const server = await NatsServer.start();
  servers.push(server);
  const healthy = join(directory.path, 'healthy.ndjson');
  const sink = ['--sink', `nats://${server.server}`, '--sink', `ndjson:${healthy}?rotate=8GiB`];
  await start(
    ...SYNTHETIC,
    '--rate',
    '20000',
    '--events',
    '200000',
    ...sink,
    '--sink-filter',
    'true',
  );
  await until('both take events', async () => (await sinks()).every(({ taken }) => taken > 5000));
  server.signal('SIGSTOP');
  await until('the healthy one has all', async () => (await sinks())[1]?.taken === 200_000);
  const [stalled, other] = await sinks();
  expect(other).toMatchObject({ lag_events: 0, trouble: null });
  expect(stalled?.taken).toBeLessThan(150_000);
  expect(stalled?.lag_events).toBeGreaterThan(50_000);
  server.signal('SIGCONT');
  await until('the other has caught up', async () => (await sinks())[0]?.taken === 200_000);
  const { summary } = await (recording as Recording).stop();
  expect(summary.lost).toEqual({});
  expect(linesOf(healthy).map((line) => Number(JSON.parse(line).attributes.seq))).toEqual(
    Array.from({ length: 200_000 }, (_, i) => i + 1),
  );
  const ids = new Set((await messagesOf(server)).map(({ id }) => id));
  expect(ids.size).toBe(200_000);
});

test('what retention takes before it is sent is counted, with its range, once', async () => {
  const port = await free();
  const flags = [
    ...SYNTHETIC,
    '--sink',
    `http://127.0.0.1:${port}/events`,
    '--sink-filter',
    'true',
  ];
  await start(...flags, '--rate', '60000', '--events', '300000', '--max-bytes', '2MiB');
  await until('segments have gone', async () => {
    const { retention } = await askRecorder(store, 'status');
    return (retention as { retired: number }).retired > 1;
  });
  await until('all is recorded', async () => (await sinks())[0]?.lag_events === 300_000);
  const taken: UnifiedEvent[] = [];
  const server = createHttp((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      for (const line of text.trimEnd().split('\n')) taken.push(JSON.parse(line) as UnifiedEvent);
      response.end();
    });
  });
  server.listen(port, '127.0.0.1');
  servers.push({ remove: () => void server.close() });
  const status = await caughtUp();
  expect(status.lost).toBeGreaterThan(10_000);
  const seqs = new Set(taken.map(({ attributes }) => Number(attributes?.seq)));
  expect(seqs.size + status.lost).toBe(300_000);
  const { stderr } = await (recording as Recording).stop();
  const told = [
    ...stderr.matchAll(/([\d,]+) rows are lost to it \(recording \S+, seq (\d+) to (\d+)\)/g),
  ];
  const sum = told.reduce((a, [, rows]) => a + Number(rows?.replaceAll(',', '')), 0);
  expect(sum).toBe(status.lost);
  for (const [, , from, to] of told) {
    expect([...seqs].some((seq) => seq >= Number(from) && seq <= Number(to))).toBe(false);
  }
  const { lost } = JSON.parse(readFileSync(checkpointOf(store), 'utf8'));
  expect(lost.rows).toBe(status.lost);
  // A start that finds it so counts nothing again.
  await start(...flags, '--rate', '10', '--max-bytes', '2MiB');
  expect((await caughtUp()).lost).toBe(status.lost);
});

test.skipIf(why !== null)('a disk that is full for a while costs a sink nothing', async () => {
  mkdirSync(store, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=0700', 'none', store]);
  servers.push({ remove: () => void execFileSync('umount', ['-l', store]) });
  const path = join(directory.path, 'events.ndjson');
  const flags = ['--sink', `ndjson:${path}`, '--sink-filter', 'true', '--min-free', '0%'];
  const source = await start(...SYNTHETIC, '--rate', '5000', '--events', '60000', ...flags);
  await until('it takes events', async () => (await sinks())[0]?.taken !== 0);
  const filler = join(store, 'filler');
  const full = (): void => {
    const file = openSync(filler, 'a');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch {
      closeSync(file);
    }
  };
  full();
  await until('it is found full', async () => (await askRecorder(store, 'status')).outage !== null);
  await sleep(1500);
  rmSync(filler);
  await until(
    'all is through',
    async () => (await sinks())[0]?.lag_events === 0 && rowsOf() === 60_000,
  );
  const { summary } = await source.stop();
  expect(summary.lost).toEqual({});
  const sent = linesOf(path).map((line) => JSON.parse(line) as UnifiedEvent);
  const all = join(directory.path, 'all.ndjson');
  played(store, all);
  const ids = new Set(sent.map(({ id }) => id));
  const stored = linesOf(all);
  expect(stored.length).toBe(60_000);
  expect(stored.filter((line) => !ids.has(idOf(line))).slice(0, 3)).toEqual([]);
  expect(ids.size).toBe(60_000);
});

test('sinks of a file: a name, a filter and a rate each; another file changes them as it runs', async () => {
  const file = join(directory.path, 'config.yaml');
  const [one, two] = ['one', 'two'].map((name) => join(directory.path, `${name}.ndjson`));
  const write = (text: string): void =>
    writeFileSync(file, `source: synthetic\nrate: 2000\n${text}`);
  write(`sinks:
  - {name: one, url: 'ndjson:${one}', filter: 'type == "process"'}
  - {name: slow, url: 'ndjson:${two}', filter: 'true', rate: 50}
`);
  const source = await start('--config', file);
  await sleep(3000);
  const [first, slow] = await sinks();
  expect([first?.name, slow?.name]).toEqual(['one', 'slow']);
  expect(first?.filter).toBe('type == "process"');
  expect(slow?.taken).toBeGreaterThan(20);
  expect(slow?.taken).toBeLessThan(400);
  expect(slow?.lag_events).toBeGreaterThan(1000);
  const text = execFileSync(execPath, ['cli/tapio-record.ts', 'status', '--store', store], {
    cwd: ROOT,
  });
  expect(text.toString()).toMatch(/sink one \(ndjson:.*\): [\d,]+ taken, [\d,]+\/s; /);
  write(`sinks:\n  - {name: one, url: 'ndjson:${one}', filter: 'type == "process"'}\n`);
  source.signal('SIGHUP');
  await until('one is left', async () => (await sinks()).length === 1);
  write(`sinks:\n  - {name: one, url: 'nowhere:'}\n`);
  source.signal('SIGHUP');
  await until('the old file is kept', async () =>
    source.stderr.includes('old configuration is kept'),
  );
  expect((await sinks())[0]?.filter).toBe('type == "process"');
  await caughtUp();
  await source.stop();
  const events = linesOf(one as string).map((line) => JSON.parse(line) as UnifiedEvent);
  expect(events.length).toBeGreaterThan(1000);
  expect(events.every(({ type }) => type === 'process')).toBe(true);
  const seqs = events.map(({ attributes }) => Number(attributes?.seq));
  expect(new Set(seqs).size).toBe(seqs.length);
});

test('a sink that is told so sends rows as they are as well, stored ones and live ones', async () => {
  const file = join(directory.path, 'config.yaml');
  const [raw, plain] = ['raw', 'plain'].map((name) => join(directory.path, `${name}.ndjson`));
  writeFileSync(
    file,
    `source: synthetic
rate: 2000
events: 8000
sinks:
  - {name: raw, url: 'ndjson:${raw}', filter: 'true', raw: true, from: oldest}
  - {name: plain, url: 'ndjson:${plain}', filter: 'true', from: oldest}
`,
  );
  await start('--config', file);
  await until('all is sent', async () => (await sinks()).every(({ taken }) => taken === 8000));
  await recording?.stop();
  const words = ['cli/tapio-replay.ts', 'query', '--all', '--store', store, '-o', 'json'];
  const rows = execFileSync(execPath, words, { cwd: ROOT, maxBuffer: 2 ** 30 }).toString();
  const expected = new Map(
    rows
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const { type, row } = rowOf(line);
        const { ktime } = JSON.parse(line) as { readonly ktime: string };
        const tsOffset = (row.ts as bigint) - BigInt(ktime);
        return [String(row.seq), expectedRaw(type, row, tsOffset)];
      }),
  );
  const texts = linesOf(raw as string);
  expect(texts.length).toBe(expected.size);
  for (const text of texts) {
    const { attributes, raw_data } = JSON.parse(text) as UnifiedEvent;
    const message = decoded(Buffer.from(raw_data ?? '', 'base64'));
    expect(message).toEqual(expected.get(String(attributes?.seq)));
  }
  expect(texts.map((text) => text.replace(/,"raw_data":"[^"]+"\}$/, '}'))).toEqual(
    linesOf(plain as string),
  );
});

test.each([
  [
    ['--sink', 'carrier-pigeon://roof'],
    /sink carrier-pigeon-roof: no sink takes carrier-pigeon: URLs/,
  ],
  [['--sink', 'nats://h', '--sink-filter', 'typ == "process"'], /typ/],
  [['--sink', 'nats://h', '--sink', 'nats://h'], /two sinks are named nats-h/],
  [['--sink-filter', 'true'], /--sink-filter says which rows --sink sends/],
  [['--sink', 'nats://h?colour=red'], /colour/],
])('%j makes no sense: one sentence, exit 2, and nothing is recorded', async (flags, said) => {
  const failed = new Recording(store, [...SYNTHETIC, ...flags]);
  expect(await failed.ended()).toBe(2);
  // An expression is shown with a mark below the place.
  expect(failed.stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  expect(failed.stderr).toMatch(said);
  expect(existsSync(join(store, 'segments'))).toBe(false);
});

test('a filter that matches nothing is told once; what a receiver refuses is in the poison file', async () => {
  const server = createHttp((request, response) => {
    request.resume().on('end', () => {
      response.statusCode = 422;
      response.end('no such thing');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push({ remove: () => void server.close() });
  const { port } = server.address() as AddressInfo;
  const file = join(directory.path, 'config.yaml');
  writeFileSync(
    file,
    `source: synthetic
rate: 500
events: 300
sinks:
  - {name: nothing, url: 'ndjson:/dev/null', filter: 'type == "process" && type == "file"'}
  - {name: refusing, url: 'http://127.0.0.1:${port}/', filter: 'true'}
`,
  );
  await start('--config', file);
  await until('all are refused', async () => (await sinks())[1]?.refused === 300);
  expect(await caughtUp(1)).toMatchObject({ taken: 0, refused: 300, lag_events: 0 });
  const { stderr } = await (recording as Recording).stop();
  expect(stderr.match(/no row can match its filter/g)?.length).toBe(1);
  expect(stderr.match(/is refused, and put into its poison file/g)?.length).toBe(1);
  const lines = linesOf(join(store, 'sinks', 'refusing.poison.ndjson')).map((line) =>
    JSON.parse(line),
  );
  expect(new Set(lines.map(({ seq }) => seq)).size).toBe(300);
  expect(lines[0].refused).toContain('422');
  expect(lines[0].event.attributes.seq).toBe(String(lines[0].seq));
});
