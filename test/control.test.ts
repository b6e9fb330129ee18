// The control socket: requests in order, refusals, and an end that waits for nobody who asked nothing.

import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type Answer,
  askRecorder,
  ControlServer,
  connectRecorder,
  controlPath,
  type Peer,
} from '../src/control.ts';
import { TapioError } from '../src/errors.ts';
import { temporaryDirectory } from './support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let server: ControlServer | null = null;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  server?.close();
  server = null;
  directory.remove();
});

/** Sends text, gives what comes until the other side hangs up or `lines` are there. */
function talk(store: string, text: string, lines: number): Promise<unknown[]> {
  return new Promise((resolve) => {
    let heard = '';
    const socket: Socket = createConnection(controlPath(store), () => socket.write(text));
    const finish = (): void => {
      socket.destroy();
      const whole = heard.split('\n').slice(0, -1);
      resolve(whole.map((line): unknown => JSON.parse(line)));
    };
    socket.on('data', (part) => {
      heard += part.toString();
      if (heard.split('\n').length > lines) finish();
    });
    socket.on('close', finish);
    // A reset is one way to hang up.
    socket.on('error', finish);
  });
}

test('requests are answered in order, errors with their code', async () => {
  const asked: string[] = [];
  server = await ControlServer.open(directory.path, async (request) => {
    asked.push(request);
    if (request === 'flush') throw new TapioError('io', 'no room');
    return { was: request, text: 'naïve' };
  });
  expect(statSync(controlPath(directory.path)).mode & 0o777).toBe(0o600);
  const text = ['status', 'flush', 'reboot'].map((request) => JSON.stringify({ request }));
  const answers = await talk(directory.path, `${[...text, 'nonsense', 'null'].join('\n')}\n`, 5);
  const unknown = { error: 'unknown request: one of status, flush, follow, stop', code: 'usage' };
  expect(answers).toEqual([
    { was: 'status', text: 'naïve' },
    { error: 'no room', code: 'io' },
    unknown,
    unknown,
    unknown,
  ]);
  expect(asked).toEqual(['status', 'flush']);
  await expect(askRecorder(directory.path, 'flush')).rejects.toMatchObject({ code: 'io' });
  expect(await askRecorder(directory.path, 'stop')).toMatchObject({ was: 'stop' });
});

test('a line without an end is hung up on', async () => {
  server = await ControlServer.open(directory.path, async () => ({}));
  expect(await talk(directory.path, 'x'.repeat(100_000), 1)).toEqual([]);
});

test('closing answers who asked and hangs up on who did not', async () => {
  let release: () => void = () => {};
  let heard: () => void = () => {};
  const isHeard = new Promise<void>((resolve) => {
    heard = resolve;
  });
  server = await ControlServer.open(directory.path, async () => {
    heard();
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { last: true };
  });
  const silent = talk(directory.path, '', 1);
  const asking = askRecorder(directory.path, 'stop');
  await isHeard;
  server.close();
  expect(existsSync(controlPath(directory.path))).toBe(false);
  expect(await silent).toEqual([]);
  release();
  expect(await asking).toEqual({ last: true });
  server = null;
});

test('nobody there, someone gone, someone else: each its sentence', async () => {
  const none = askRecorder(join(directory.path, 'none'), 'status');
  await expect(none).rejects.toMatchObject({ code: 'not_running' });
  writeFileSync(controlPath(directory.path), '');
  await expect(askRecorder(directory.path, 'status')).rejects.toMatchObject({
    code: 'not_running',
    message: expect.stringContaining('nothing is recording into'),
  });
});

test('a socket that a crash left is replaced; a store with a long path has one too', async () => {
  const store = join(directory.path, 'd'.repeat(200));
  mkdirSync(store);
  writeFileSync(controlPath(store), '');
  server = await ControlServer.open(store, async () => ({ ok: true }));
  expect(await askRecorder(store, 'status')).toEqual({ ok: true });
  server.close();
  server = null;
  expect(existsSync(controlPath(store))).toBe(false);
});

test('who follows is told more, and is known to be gone', async () => {
  let peer: Peer | null = null;
  let gone = 0;
  server = await ControlServer.open(directory.path, async (_request, caller) => {
    peer = caller;
    caller.onGone(() => gone++);
    return { ring: '/proc/1/fd/2' };
  });
  const heard: Answer[] = [];
  const until = async (what: () => boolean): Promise<void> => {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const first = await connectRecorder(directory.path, 'follow', (line) => void heard.push(line));
  expect([first.answer, first.isOpen]).toEqual([{ ring: '/proc/1/fd/2' }, true]);
  const caller = peer as unknown as Peer;
  expect([caller.pid, caller.gone]).toEqual([process.pid, false]);
  caller.tell({ note: 'loud' });
  await until(() => heard.length > 0);
  expect(heard).toEqual([{ note: 'loud' }]);
  first.close();
  await until(() => gone === 1);
  expect(caller.gone).toBe(true);
  const second = await connectRecorder(directory.path, 'follow');
  (peer as unknown as Peer).hangUp();
  await until(() => !second.isOpen);
  const third = await connectRecorder(directory.path, 'follow');
  server.close();
  await until(() => !third.isOpen);
});
