// An export is there whole or not at all: whatever operation of the disk fails, wherever it is full, interrupted or
// the power goes.

import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { exportLines } from '../../src/export/lines.ts';
import { exportStore } from '../../src/export/store.ts';
import { checkTarget, type Exported } from '../../src/export/target.ts';
import { Reading } from '../../src/query/reading.ts';
import { select } from '../../src/query/select.ts';
import { openStore } from '../../src/segment/store.ts';
import { random } from '../support/batches.ts';
import { ask, EVERYTHING } from '../support/mutant-check.ts';
import { MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { diskDirectory, PowerCut, SimDisk } from '../support/sim-disk.ts';

const CODES = ['ENOSPC', 'EIO', 'EROFS', 'EDQUOT'] as const;

let directory: ReturnType<typeof temporaryDirectory>;
let target: ReturnType<typeof diskDirectory>;
let made: MadeRecording;
beforeEach(() => {
  directory = temporaryDirectory();
  target = diskDirectory();
  mkdirSync(join(directory.path, 'segments'));
  made = new MadeRecording(join(directory.path, 'segments'), 'one', 5, 0);
  made.write(['file', 10], ['network', 10], ['file', 5]).seal();
  made.tell(1, 'init', 3n).write(['file', 20]).seal();
  made.write(['process', 7], ['file', 5]);
});
afterEach(() => {
  directory.remove();
  target.remove();
});

const NAME = 'export';
// The second segment is copied, the others are excerpts.
const window = (): ReturnType<typeof select> => {
  const times = [...made.rows.values()].map(({ cells }) => cells[1] as bigint);
  const given = { types: [], ops: [], pids: [], comms: [] };
  return select({ ...given, since: times[7] ?? 0n, until: times.at(-3) ?? 0n });
};

async function exported(
  disk: SimDisk,
  how: typeof exportStore = exportStore,
  signal = new AbortController().signal,
  onBatch: (done: number) => void = () => {},
): Promise<Exported> {
  const opened = openStore(directory.path);
  try {
    const query = Reading.of(opened, window());
    return await how(query, { files: disk, path: join(target.path, NAME), signal, onBatch });
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

/** The disk of one export after another. */
function newDisk(): SimDisk {
  for (const name of readdirSync(target.path)) rmSync(join(target.path, name), { recursive: true });
  return new SimDisk(target.path);
}

async function failure(made: Promise<unknown>): Promise<unknown> {
  try {
    await made;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** Operations of an export that ends well. */
async function operations(how: typeof exportStore): Promise<number> {
  const disk = newDisk();
  const { written, copied } = await exported(disk, how);
  if (how === exportStore) expect([copied, written]).toEqual([1, 2]);
  expect(readdirSync(target.path)).toEqual([NAME]);
  expect(disk.openFiles).toBe(0);
  return disk.operations;
}

for (const how of [exportStore, exportLines]) {
  test(`${how.name}: an operation that fails leaves nothing`, { timeout: 300_000 }, async () => {
    const count = await operations(how);
    expect(count).toBeGreaterThan(how === exportStore ? 60 : 4);
    for (let at = 1; at <= count; at++) {
      const disk = newDisk();
      disk.failAt(at, CODES[at % CODES.length] ?? 'EIO');
      const error = await failure(exported(disk, how));
      expect(error, `at operation ${at}`).toMatchObject({ code: 'io' });
      expect(String(error)).toContain('nothing is left of it');
      expect(readdirSync(target.path), `at operation ${at}`).toEqual([]);
      expect(disk.openFiles, `at operation ${at}`).toBe(0);
    }
  });

  test(`${how.name}: a disk that fails from then on`, { timeout: 300_000 }, async () => {
    const count = await operations(how);
    for (let at = 1; at <= count; at++) {
      const disk = newDisk();
      disk.failAt(({ number }) => number >= at, 'EIO');
      const error = await failure(exported(disk, how));
      expect(error).toBeInstanceOf(TapioError);
      const left = readdirSync(target.path);
      // Not even what was begun can be removed then, and it is said how it is called.
      for (const name of left) expect(String(error)).toContain(`remove ${join(target.path, name)}`);
      if (at < count) expect(left).not.toContain(NAME);
      expect(disk.openFiles).toBe(0);
    }
  });

  test(`${how.name}: a full disk, wherever the write is torn`, { timeout: 300_000 }, async () => {
    const whole = newDisk();
    const { bytes } = await exported(whole, how);
    const step = Math.max(1, Math.floor(bytes / 40));
    for (let free = 0; free < bytes; free += step) {
      const disk = newDisk();
      disk.free(free);
      const error = await failure(exported(disk, how));
      expect(String(error)).toMatch(/the disk is full: make room.*nothing is left of it/);
      expect(readdirSync(target.path)).toEqual([]);
    }
  });

  test(`${how.name}: the power goes anywhere`, { timeout: 300_000 }, async () => {
    const count = await operations(how);
    const expected = (await ask(directory.path, window())).rows.length;
    let whole = 0;
    for (let at = 1; at <= count + 1; at++) {
      const disk = newDisk();
      disk.cutAt(at);
      if (at <= count) expect(await failure(exported(disk, how))).toBeInstanceOf(PowerCut);
      else await exported(disk, how);
      disk.lose(random(at));
      if (!existsSync(join(target.path, NAME))) continue;
      whole++;
      if (how === exportLines) continue;
      const got = await ask(join(target.path, NAME), EVERYTHING);
      expect(got.problems, `cut at ${at}`).toEqual([]);
      expect(got.rows.length).toBe(expected);
    }
    // Once it has its name and that is durable it stays.
    expect(whole).toBeGreaterThan(0);
    expect(existsSync(join(target.path, NAME))).toBe(true);
  });
}

test('interrupted at any batch it leaves nothing', async () => {
  let batches = 0;
  await exported(newDisk(), exportStore, undefined, () => batches++);
  for (let at = 0; at < batches; at++) {
    const controller = new AbortController();
    let seen = 0;
    const disk = newDisk();
    const onBatch = (): void => {
      if (seen++ === at) controller.abort();
    };
    const ended = exported(disk, exportStore, controller.signal, onBatch);
    expect(await failure(ended)).toBe(controller.signal.reason);
    expect(readdirSync(target.path)).toEqual([]);
    expect(disk.openFiles).toBe(0);
  }
});

test('where it cannot go is said before anything is read', async () => {
  const at = (name: string): string => join(target.path, name);
  mkdirSync(at('there'));
  expect(() => checkTarget(at('there'), [])).toThrow('is there already: remove it');
  expect(() => checkTarget(at('none/there'), [])).toThrow('there is no directory');
  expect(() => checkTarget(at('there/in'), [at('there')])).toThrow('which is read');
  checkTarget(at('new'), [at('there')]);
});

test('what came in between is not replaced', async () => {
  const disk = newDisk();
  const path = join(target.path, NAME);
  const ended = exported(disk, exportStore, undefined, () => mkdirSync(path, { recursive: true }));
  expect(String(await failure(ended))).toContain('is there already');
  expect(readdirSync(target.path)).toEqual([NAME]);
  expect(readdirSync(path)).toEqual([]);
});
