// The disk fails at every operation of a recording in turn, once or for a while: the recorder waits, and at
// the end each row is stored once, for sure, and what the rings lost meanwhile has the disk as its cause.

import { env } from 'node:process';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { random } from '../support/batches.ts';
import { operationsOfLife } from '../support/lives.ts';
import { SCRIPT } from '../support/recorder-script.ts';
import { fakeTime, RecorderWorld } from '../support/recorder-world.ts';
import { diskDirectory, SimDisk } from '../support/sim-disk.ts';

const CAUSES = {
  ENOSPC: 'no_space',
  EIO: 'io_error',
  EROFS: 'read_only',
  EDQUOT: 'quota',
} as const;
type Code = keyof typeof CAUSES;
const CODES = Object.keys(CAUSES) as Code[];
/** A long run tries each code at each operation. */
const EACH = env.TAPIO_LONG === undefined ? 1 : CODES.length;
const TIMEOUT_MS = 600_000 * EACH;
/** Steps from the beginning of an outage to the end of the fault. */
const STEPS = 3;
/** Op of the records that are overwritten while the store cannot be written. */
const MISSED = 'chmod';

/** How a disk fails: `begin` is called as recording starts, `end` some steps after an outage began. */
interface Fault {
  readonly code: Code;
  readonly begin: (disk: SimDisk) => void;
  readonly end: (disk: SimDisk) => void;
}

/** Records on a disk with a fault, then cuts the power; true where there was an outage. */
async function survive(fault: Fault, seed: number): Promise<boolean> {
  const { path, remove } = diskDirectory();
  const world = new RecorderWorld(path, seed, { script: SCRIPT, bytesMax: 60_000 });
  const disk = new SimDisk(path);
  let steps = 0;
  let missed = 0;
  world.onStart = () => fault.begin(disk);
  world.onStep = () => {
    if (steps === 0 && world.recorder.totals().outage === null) return;
    steps++;
    if (steps === 1) {
      expect(world.recorder.totals().outage?.cause).toBe(CAUSES[fault.code]);
      const before = world.host.records.length;
      world.emit('file', MISSED, 2, { fate: 'overwritten' });
      // None where the programs are detached already.
      missed = world.host.records.length - before;
    }
    if (steps === STEPS) fault.end(disk);
  };
  try {
    try {
      await world.live(disk, null);
    } catch (error) {
      // The end of a recording that cannot be written down: the next start goes on with it.
      expect(error).toMatchObject({
        code: fault.code,
        path: expect.stringMatching(/store(\.json.*)?$/),
      });
      fault.end(disk);
      disk.restart();
      await world.live(disk, 'killed');
    }
    expect(disk.openFiles).toBe(0);
    // What is there is there for sure.
    disk.lose(random(seed));
    world.check();
    const told = world.losses.filter(({ op }) => op === MISSED);
    expect(told.reduce((sum, { count }) => sum + Number(count), 0)).toBe(missed);
    expect(told.every(({ cause }) => cause === CAUSES[fault.code])).toBe(true);
    return steps > 0;
  } finally {
    disk.close();
    remove();
  }
}

/** Fails at operation `at`, and with `lasting` at all that follow. */
function failing(at: number, code: Code, lasting: boolean): Fault {
  let over = false;
  return {
    code,
    begin: (disk) =>
      disk.failAt(({ number }) => !over && (lasting ? number >= at : number === at), code),
    end: () => {
      over = true;
    },
  };
}

async function sweep(lasting: boolean): Promise<void> {
  const make = (directory: string, seed: number): RecorderWorld =>
    new RecorderWorld(directory, seed, { script: SCRIPT, bytesMax: 60_000 });
  const { length } = await operationsOfLife(make);
  let outages = 0;
  for (let at = 1; at <= length; at++) {
    for (let i = 0; i < EACH; i++) {
      const code = CODES[(at + i) % CODES.length] ?? 'EIO';
      try {
        if (await survive(failing(at, code, lasting), at)) outages++;
      } catch (error) {
        const what = `${code} at operation ${at}${lasting ? ' and after it' : ''}`;
        throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  // Nearly all of them are of the recording, and are noticed.
  expect(outages).toBeGreaterThan((length * EACH) / 2);
}

beforeEach(fakeTime);
afterEach(() => {
  vi.useRealTimers();
});

test('an operation that fails once', { timeout: TIMEOUT_MS }, () => sweep(false));

test('a disk that fails for a while', { timeout: TIMEOUT_MS }, () => sweep(true));

test('a disk that is full, wherever the write is torn', { timeout: TIMEOUT_MS }, async () => {
  let outage = true;
  for (let bytes = 0; outage; bytes += 997) {
    const fault: Fault = {
      code: 'ENOSPC',
      begin: (disk) => disk.free(bytes),
      end: (disk) => disk.free(Number.POSITIVE_INFINITY),
    };
    try {
      outage = await survive(fault, bytes);
    } catch (error) {
      throw new Error(`${bytes} bytes free: ${(error as Error).message}`, { cause: error });
    }
  }
});
