// The native pacer: it never wakes early, and what it waits for can be changed and dropped.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, pacedClock } from '../../src/replay/clock.ts';
import { native } from '../../src/source/binding.ts';
import { MS, S } from '../support/streams.ts';

let clock: Clock;
beforeEach(() => {
  clock = pacedClock();
});
afterEach(() => clock.close());

test('a wait ends at its time, never before, near or far or past', async () => {
  for (const wait of [0, -S, 1000, 20_000, 60_000, 200_000, MS, 20 * MS]) {
    for (let i = 0; i < 20; i++) {
      const at = clock.now() + wait;
      await clock.sleepUntil(at);
      expect(clock.now()).toBeGreaterThanOrEqual(at);
    }
  }
});

test('a wait for ever, or for an hour, ends when it is woken', async () => {
  for (const at of [Number.POSITIVE_INFINITY, clock.now() + 3600 * S]) {
    setImmediate(() => clock.wake());
    await clock.sleepUntil(at);
  }
});

test('the last wait is the one that counts; a wake that is on its way may end it early', async () => {
  const ends: string[] = [];
  const pacer = new (native().Pacer)(() => ends.push('woken'));
  pacer.set(clock.now() + 3600 * S);
  pacer.set(clock.now() + 5 * MS);
  while (ends.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  pacer.set(clock.now() + 5 * MS);
  pacer.cancel();
  await clock.sleepUntil(clock.now() + 50 * MS);
  expect(ends).toEqual(['woken']);
  pacer.close();
  pacer.close();
  pacer.set(clock.now());
  pacer.cancel();
});

test('its times are those of CLOCK_MONOTONIC, and of the wall', () => {
  const before = native().clocks();
  const [now, wall] = [clock.now(), clock.wall()];
  const after = native().clocks();
  expect(now).toBeGreaterThanOrEqual(Number(before.monotonic) - 2048);
  expect(now).toBeLessThanOrEqual(Number(after.monotonic) + 2048);
  expect(wall >= before.realtime && wall <= after.realtime).toBe(true);
});
