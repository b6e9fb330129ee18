import { expect, test } from 'vitest';
import { clockChange, formatTs, tsOffset } from '../../src/event/clock.ts';

const base = { realtime: 1_000_000_000_000n, monotonic: 5_000_000_000n, boottime: 5_000_000_000n };
const later = (ns: bigint): typeof base => ({
  realtime: base.realtime + ns,
  monotonic: base.monotonic + ns,
  boottime: base.boottime + ns,
});

test('time that passes is no change; a step of either sign and a suspend are', () => {
  expect(clockChange(base, later(1_000_000_000n))).toBeNull();
  const forward = later(1_000_000_000n);
  expect(clockChange(base, { ...forward, realtime: forward.realtime + 3_600_000_000_000n })).toBe(
    'clock_step',
  );
  expect(clockChange(base, { ...forward, realtime: forward.realtime - 2_000_000n })).toBe(
    'clock_step',
  );
  // NTP slewing stays below the limit.
  expect(clockChange(base, { ...forward, realtime: forward.realtime + 500_000n })).toBeNull();
  const slept = 60_000_000_000n;
  expect(
    clockChange(base, {
      ...forward,
      boottime: forward.boottime + slept,
      realtime: forward.realtime + slept,
    }),
  ).toBe('suspend');
});

test('ts − ktime', () => {
  expect(tsOffset(base)).toBe(995_000_000_000n);
});

test('nine digits, UTC', () => {
  expect(formatTs(1_795_395_932_782_281_946n)).toBe('2026-11-23T01:05:32.782281946Z');
  expect(formatTs(5n)).toBe('1970-01-01T00:00:00.000000005Z');
});
