// Events as lines in files and on the standard output, through full disks, torn lines and readers that went.

import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { makeNdjson } from '../../src/sink/ndjson.ts';
import type { Sink } from '../../src/sink/sink.ts';
import { ROOT, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { Outcome, onwardEvents, until } from '../support/sinks.ts';

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function directory(): string {
  const one = temporaryDirectory();
  ends.push(one.remove);
  return one.path;
}

async function open(url: string): Promise<{ sink: Sink; outcome: Outcome }> {
  const outcome = new Outcome();
  const sink = await makeNdjson(new URL(url), outcome);
  ends.push(() => sink.close());
  return { sink, outcome };
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);

test('events are lines in the order in which they were sent', async () => {
  const path = join(directory(), 'a b.ndjson');
  const events = onwardEvents(5000);
  const { sink, outcome } = await open(`ndjson:${path}`);
  for (let at = 0; at < events.length; at += 100) outcome.send(sink, events.slice(at, at + 100));
  await outcome.settle(sink);
  expect(linesOf(path)).toEqual(events.map(({ json }) => String(json)));
  expect(outcome.takenIds.size).toBe(5000);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(sink.place).toBe(`ndjson:${path}`);
});

test('a file that is there is appended to, and its torn last line is cut', async () => {
  const path = join(directory(), 'onward.ndjson');
  const [first, second] = [onwardEvents(3), onwardEvents(3, 3)];
  const one = await open(`ndjson:${path}`);
  await one.outcome.settle(one.sink, first);
  await one.sink.close();
  // Longer than what is looked at at once.
  appendFileSync(path, `{"torn":"${'x'.repeat(200_000)}`);
  const two = await open(`ndjson:${path}`);
  await two.outcome.settle(two.sink, second);
  expect(linesOf(path)).toEqual([...first, ...second].map(({ json }) => String(json)));

  const torn = join(directory(), 'torn.ndjson');
  writeFileSync(torn, '{"torn":');
  const three = await open(`ndjson:${torn}`);
  await three.outcome.settle(three.sink, second);
  expect(linesOf(torn)).toEqual(second.map(({ json }) => String(json)));
});

test('files are rotated by size under numbered names, and so many are kept', async () => {
  const folder = directory();
  const path = join(folder, 'onward.ndjson');
  const { sink, outcome } = await open(`ndjson:${path}?rotate=16KiB&keep=3`);
  const events = onwardEvents(500, 0, 100);
  for (let at = 0; at < events.length; at += 50) {
    await outcome.settle(sink, events.slice(at, at + 50));
  }
  const names = ['', '.1', '.2', '.3'].map((end) => `onward.ndjson${end}`);
  expect(readdirSync(folder).sort()).toEqual(names);
  for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(16_384);
  const lines = names.reverse().flatMap((name) => linesOf(join(folder, name)));
  expect(lines).toEqual(events.slice(-lines.length).map(({ json }) => String(json)));
  expect(outcome.takenIds.size).toBe(500);
  // One that is larger than a file may be is alone in one.
  await outcome.settle(sink, onwardEvents(2, 500, 20_000));
  expect(linesOf(path)).toHaveLength(1);
  expect(linesOf(`${path}.1`)).toHaveLength(1);
});

test('a file that somebody moved away is made anew', async () => {
  const path = join(directory(), 'onward.ndjson');
  const { sink, outcome } = await open(`ndjson:${path}`);
  await outcome.settle(sink, onwardEvents(2));
  renameSync(path, `${path}.moved`);
  await outcome.settle(sink, onwardEvents(3, 2));
  expect(linesOf(`${path}.moved`)).toHaveLength(2);
  expect(linesOf(path)).toHaveLength(3);
});

test('a directory that is not there returns events until it is', async () => {
  const folder = join(directory(), 'later');
  const { sink, outcome } = await open(`ndjson:${folder}/onward.ndjson`);
  await outcome.settle(sink, onwardEvents(10));
  expect([...outcome.reasons]).toEqual([`${folder}/onward.ndjson cannot be written (ENOENT)`]);
  mkdirSync(folder);
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(linesOf(join(folder, 'onward.ndjson'))).toHaveLength(10);
});

test.skipIf(whyNoKernel())('a full disk returns events; when there is room they come', async () => {
  const disk = directory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk]);
  ends.push(() => execFileSync('umount', ['-l', disk]));
  const path = join(disk, 'onward.ndjson');
  writeFileSync(join(disk, 'other'), Buffer.alloc(90_000));
  const { sink, outcome } = await open(`ndjson:${path}`);
  const events = onwardEvents(300, 0, 200);
  for (let at = 0; at < events.length; at += 20) {
    await outcome.settle(sink, events.slice(at, at + 20));
  }
  expect(outcome.takenIds.size).toBeGreaterThan(0);
  expect(outcome.back.length).toBe(300 - outcome.takenIds.size);
  expect([...outcome.reasons]).toEqual([`${path} cannot be written (the disk is full)`]);
  expect(linesOf(path)).toHaveLength(outcome.takenIds.size);
  expect(readFileSync(path, 'utf8').endsWith('\n')).toBe(true);
  rmSync(join(disk, 'other'));
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(linesOf(path).sort()).toEqual(events.map(({ json }) => String(json)).sort());
});

test('a device that is always full returns', async () => {
  const { sink, outcome } = await open('ndjson:/dev/full');
  await outcome.settle(sink, onwardEvents(5));
  expect([...outcome.reasons]).toEqual(['/dev/full cannot be written (the disk is full)']);
});

test('close writes what was sent', async () => {
  const path = join(directory(), 'onward.ndjson');
  const { sink, outcome } = await open(`ndjson:${path}`);
  outcome.send(sink, onwardEvents(3000));
  await sink.close();
  expect(outcome.takenIds.size).toBe(3000);
  outcome.send(sink, onwardEvents(2));
  expect([...outcome.reasons]).toEqual(['the sink was closed']);
  expect(linesOf(path)).toHaveLength(3000);
});

/** A program that sends 2000 events to its standard output and tells on stderr what became of them. */
const PROGRAM = `
  const { makeNdjson } = await import('${pathToFileURL(join(ROOT, 'src/sink/ndjson.ts'))}');
  const { Outcome, onwardEvents } = await import('${pathToFileURL(join(ROOT, 'test/support/sinks.ts'))}');
  const outcome = new Outcome();
  const sink = await makeNdjson(new URL('ndjson:-'), outcome);
  for (let i = 0; i < 20; i++) await outcome.settle(sink, onwardEvents(100, i * 100, 300));
  await sink.close();
  console.error(JSON.stringify({ taken: outcome.takenIds.size, back: outcome.back.length, reasons: [...outcome.reasons] }));
`;

test('the standard output gets lines; a reader that goes away returns the rest', async () => {
  for (const leaves of [false, true]) {
    const child = spawn(execPath, ['--input-type=module', '-e', PROGRAM], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, told] = ['', ''];
    child.stderr.on('data', (text) => {
      told += text;
    });
    child.stdout.on('data', (text) => {
      out += text;
      if (leaves) child.stdout.destroy();
    });
    await until(() => child.exitCode !== null || child.signalCode !== null, 'the end');
    await until(() => told.includes('\n'), 'what it tells');
    expect(child.exitCode, told).toBe(0);
    const { taken, back, reasons } = JSON.parse(told);
    expect(taken + back).toBe(2000);
    if (leaves) {
      expect(back).toBeGreaterThan(0);
      expect(reasons).toEqual(['the standard output cannot be written (EPIPE)']);
    } else {
      expect(taken).toBe(2000);
      expect(out.split('\n').slice(0, -1)).toEqual(
        onwardEvents(2000, 0, 300).map(({ json }) => String(json)),
      );
    }
  }
});

test('a reader that does not read is not waited for without end', async () => {
  const path = join(directory(), 'pipe');
  execFileSync('mkfifo', [path]);
  // Opened for both, a pipe is there at once; nobody reads it.
  const descriptor = openSync(path, 'r+');
  const outcome = new Outcome();
  const sink = await makeNdjson(new URL('ndjson:-'), outcome, { stdout: descriptor, closeMs: 100 });
  outcome.send(sink, onwardEvents(2000, 0, 300));
  await sink.close();
  expect(outcome.open).toBe(0);
  expect(outcome.back).toHaveLength(2000);
  closeSync(descriptor);
  expect(outcome.faults).toBe(0);
});

test('another descriptor may stand for the standard output', async () => {
  const path = join(directory(), 'out');
  const descriptor = openSync(path, 'w');
  ends.push(() => closeSync(descriptor));
  const outcome = new Outcome();
  const sink = await makeNdjson(new URL('ndjson:-'), outcome, { stdout: descriptor });
  await outcome.settle(sink, onwardEvents(10));
  expect(linesOf(path)).toHaveLength(10);
  await sink.close();
});

test('URLs that make no sense are refused', async () => {
  const path = join(directory(), 'x');
  const refused: readonly (readonly [string, RegExp])[] = [
    ['ndjson:', /has no path/],
    ['ndjson://host/x', /write ndjson:PATH/],
    [`ndjson:${path}?rotat=1MiB`, /did you mean rotate/],
    [`ndjson:${path}?rotate=0`, /too little/],
    [`ndjson:${path}?rotate=much`, /is no size/],
    [`ndjson:${path}?keep=0`, /1 or more/],
    ['ndjson:-?keep=2', /unknown option/],
  ];
  for (const [url, reason] of refused) {
    await expect(makeNdjson(new URL(url), new Outcome()), url).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(reason),
    });
  }
  expect(existsSync(path)).toBe(false);
});
