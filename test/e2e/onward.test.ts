// Events go onward from a recording that is killed, to receivers that are killed, cut off, stopped or not there: each of
// them arrives.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import type { SinkStatus } from '../../src/sink/protocol.ts';
import type { UnifiedEvent } from '../../src/unified/event.ts';
import { accountsOf, cleanUp, sleep } from '../crash/cli.ts';
import { NUMBERED_OPS, Workload } from '../crash/workload.ts';
import { NatsServer } from '../support/nats-server.ts';
import { OtherNetwork } from '../support/network.ts';
import { Recording, ROOT, temporaryDirectory, whyNoKernel } from '../support/recording.ts';

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
    const [stream = ''] = await server.manager().then(async (manager) => {
      const names: string[] = [];
      for await (const one of manager.streams.list()) names.push(one.config.name);
      return names;
    });
    const messages = await server.messages(stream);
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
