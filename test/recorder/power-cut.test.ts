// The recorder dies all over its life, killed or with the power, and starts again: what was acknowledged is
// there, each row once, and what is not there is told.

import { env } from 'node:process';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  livesRuns,
  type MakeWorld,
  mutateLives,
  operationsOfLife,
  replayLives,
  sitesOfLives,
} from '../support/lives.ts';
import { fakeTime, RecorderWorld, type Step } from '../support/recorder-world.ts';

const SEED = 20260101;
const POINTS = env.TAPIO_LONG === undefined ? 600 : 6000;

/** Segments sealed in place and merged, losses, a clock step, and a retention that has much to do. */
const SCRIPT: readonly Step[] = [
  (w) => {
    w.emit('process', 'fork', 1, { row: { pid: 5_000_000, comm: 'sh', child_pid: 5_000_001 } });
    w.emit('file', 'open', 3);
  },
  (w) => w.tick(),
  (w) => {
    w.emit('file', 'unlink', 6);
    w.emit('file', 'open', 2, { fate: 'overwritten' });
    w.emit('file', 'open', 1, { fate: 'malformed' });
  },
  (w) => w.tick(),
  // Two batches of a type: merged.
  (w) => w.recorder.rotate(),
  (w) => w.emit('memory', 'oom', 2),
  (w) => w.tick(),
  // One batch: sealed in place.
  (w) => w.recorder.rotate(),
  (w) => {
    w.emit('file', 'open', 3, { fate: 'overwritten' });
    w.host.refuse('file', 'open', 'table_full');
    w.host.filter('file', 'open');
  },
  (w) => w.tick(),
  // Losses alone.
  (w) => w.recorder.rotate(),
  (w) => {
    w.emit('file', 'open', 1, { held: true });
    w.emit('file', 'open', 5);
    w.emit('process', 'signal', 1, { fate: 'own' });
  },
  (w) => w.tick(),
  (w) => w.host.settle(),
  (w) => w.tick(),
  (w) => w.stepClock(5_000_000_000n),
  (w) => w.tick(),
  (w) => w.emit('memory', 'oom', 1),
  (w) => w.tick(),
  (w) => w.emit('file', 'rename', 2),
];

const make: MakeWorld = (directory, seed) =>
  new RecorderWorld(directory, seed, { script: SCRIPT, bytesMax: 60_000 });

beforeEach(fakeTime);
afterEach(() => {
  vi.useRealTimers();
});

test('dev', { timeout: 600_000 }, async () => {
  const { length } = await operationsOfLife(make);
  const runs = livesRuns(length, Number(env.RUNS ?? 100), SEED);
  const said = new Map<string, string[]>();
  const t = process.hrtime.bigint();
  for (const run of runs) {
    try {
      await replayLives(make, run);
    } catch (e) {
      const m = (e as Error).message;
      const k = m.split('\n')[0]?.replace(/\d{8}T\d+\.\d+Z-/g, 'S').replace(/\d{4,}/g, 'N').replace(/tapio-disk-\w+/, '').replace(/[0-9a-f]{8}-\S+/, 'R').slice(0, 70) ?? '';
      const kk = k.replace(/row \d+/, 'row');
      said.set(kk, [...(said.get(kk) ?? []), m]);
    }
  }
  console.log('ms per run', Number((process.hrtime.bigint() - t) / 1000n) / 1000 / runs.length);
  for (const [k, v] of [...said].slice(0, 8)) console.log(v.length, k, '\n', v.sort((a, b) => a.length - b.length)[0]?.slice(0, 1500));
  expect(mutateLives).not.toBe(sitesOfLives);
});
