// A full audit disk: nothing is served that could not be written down, the recording goes on, and with room again all is as
// before.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askRecorder } from '../../src/control.ts';
import { cli } from '../crash/cli.ts';
import { fill } from '../support/full-disk.ts';
import { ask, clientsAt, streamed } from '../support/grpc-client.ts';
import { Recording, type Row, temporaryDirectory, whyNoKernel } from '../support/recording.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`cannot mount: ${why}`);

const DISK_BYTES = 256 * 1024;

let directory: ReturnType<typeof temporaryDirectory>;
let undo: (() => unknown)[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  undo = [];
});
afterEach(async () => {
  for (const one of undo.reverse()) await one();
  directory.remove();
});

test.skipIf(why !== null)('a full audit disk stops serving, and nothing else', async () => {
  const store = join(directory.path, 'store');
  const audit = join(store, 'audit');
  mkdirSync(audit, { recursive: true, mode: 0o700 });
  const room = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=700`, 'tmpfs', audit];
  execFileSync('mount', room);
  undo.push(() => execFileSync('umount', ['-l', audit]));
  const recording = await Recording.start(store, ['--source', 'synthetic', '--rate', '2000']);
  undo.push(() => (recording.hasEnded ? null : recording.kill()));
  const { events, recorder } = clientsAt(join(store, 'recorder.sock'));
  undo.push(() => {
    events.close();
    recorder.close();
  });
  const page = (): Promise<Row> => ask(events, 'QueryRawEvents', { page_size: 1 });
  expect((await page()).events).toHaveLength(1);
  let had = 0;
  const running = streamed(events.StreamRawEventBatches({}), (all) => {
    had = all.length;
    return false;
  });
  while (had === 0) await sleep(10);

  fill(join(audit, 'filler'));
  // A line may still fit in the last block that the log has.
  let refused: Row | null = null;
  while (refused === null)
    refused = await page().then(
      () => null,
      (error: Row) => error,
    );
  expect([refused.code, refused.details]).toEqual([
    status.UNAVAILABLE,
    expect.stringMatching(/audit.*the disk is full: make room there/),
  ]);
  const { error } = await running;
  expect([error?.code, error?.details]).toEqual([
    status.UNAVAILABLE,
    expect.stringMatching(/audit/),
  ]);
  for (const call of [
    ask(recorder, 'GetStatus', {}),
    ask(recorder, 'Stats', {}),
    ask(recorder, 'ListSegments', {}),
  ]) {
    expect(await call.catch(({ code }: Row) => code)).toBe(status.UNAVAILABLE);
  }
  const before = await askRecorder(store, 'status');
  // Recording goes on: that would wait for ever.
  for (let after = before; ; after = await askRecorder(store, 'status')) {
    if (JSON.stringify(after.events) !== JSON.stringify(before.events)) break;
    await sleep(100);
  }

  rmSync(join(audit, 'filler'));
  let again: Row | null = null;
  while (again === null) {
    again = await page().catch(() => null);
    await sleep(20);
  }
  expect(again.events).toHaveLength(1);
  const { messages } = await streamed(events.StreamRawEvents({}), (all) => all.length > 10);
  expect(messages.length).toBeGreaterThan(10);
  const { summary } = await recording.stop();
  expect(summary.lost).toEqual({});
  expect(readdirSync(audit).length).toBeGreaterThan(0);
  const verified = cli('tapio-replay', 'audit', 'verify', audit, '--key', join(store, 'audit.key'));
  expect([verified.status, verified.stderr]).toEqual([0, '']);
});
