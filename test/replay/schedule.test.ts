// The schedule against sums that are made without it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import {
  parseLoop,
  parseMaxGap,
  parseRate,
  parseSpeed,
  Schedule,
} from '../../src/replay/schedule.ts';
import { MS, S, TS0 } from '../support/streams.ts';

/** Gaps between rows, ns: bursts, seconds, now and then an hour, and rows that come late. */
const gaps = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 50_000 }),
    fc.integer({ min: -20 * MS, max: 0 }),
    fc.integer({ min: 0, max: 5 * S }),
    fc.constant(3600 * S),
  ),
  { minLength: 1, maxLength: 60 },
);
const speeds = fc.oneof(
  fc.constantFrom(0.5, 1, 2, 10, 3),
  fc.double({ min: 0.01, max: 1000, noNaN: true }),
);

function timesOf(steps: readonly number[]): bigint[] {
  let ts = TS0;
  return steps.map((gap) => {
    ts += BigInt(gap);
    return ts;
  });
}

/** Due times of rows one after another. */
function dues(schedule: Schedule, times: readonly bigint[]): number[] {
  return times.map((ts) => {
    const due = schedule.due(ts);
    schedule.pass(ts);
    return due;
  });
}

/** Per row the time recorded since the first, where late rows count as the latest before them. */
function elapsed(times: readonly bigint[]): number[] {
  let latest = times[0] ?? 0n;
  return times.map((ts) => {
    if (ts > latest) latest = ts;
    return Number(latest - (times[0] ?? 0n));
  });
}

/** Floating point, and nothing that adds up: a billionth of the time since the anchor. */
function close(actual: number, expected: number, since: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-9 * Math.abs(expected - since) + 0.01);
}

test('at a speed, a row is due at its recorded time through the speed, whatever came before', () => {
  fc.assert(
    fc.property(gaps, speeds, (steps, speed) => {
      const times = timesOf(steps);
      const schedule = new Schedule({ speed });
      schedule.begin(7 * S);
      const expected = elapsed(times).map((ns) => 7 * S + ns / speed);
      dues(schedule, times).forEach((due, i) => void close(due, expected[i] ?? 0, 7 * S));
    }),
  );
});

test('a million rows drift by nothing', () => {
  const schedule = new Schedule({ speed: 3 });
  schedule.begin(0);
  let due = 0;
  const gap = 1_000_001n;
  for (let i = 0n; i < 1_000_000n; i++) {
    due = schedule.due(TS0 + i * gap);
    schedule.pass(TS0 + i * gap);
  }
  expect(due).toBe(Number(999_999n * gap) / 3);
});

test('with --max-gap nobody waits longer, whatever the speed; shorter gaps keep their length', () => {
  fc.assert(
    fc.property(gaps, speeds, fc.integer({ min: MS, max: 10 * S }), (steps, speed, maxGap) => {
      const times = timesOf(steps);
      const schedule = new Schedule({ speed }, maxGap);
      schedule.begin(0);
      const got = dues(schedule, times);
      const recorded = elapsed(times);
      let expected = 0;
      got.forEach((due, i) => {
        if (i > 0)
          expected += Math.min(((recorded[i] ?? 0) - (recorded[i - 1] ?? 0)) / speed, maxGap);
        // What is cut is cut to whole ns of recorded time.
        expect(Math.abs(due - expected)).toBeLessThanOrEqual(i / speed + 1e-9 * expected + 0.01);
      });
    }),
  );
});

test('at a rate rows are evenly apart, over rounds too, and ts does not matter', () => {
  fc.assert(
    fc.property(gaps, fc.double({ min: 0.1, max: 1e6, noNaN: true }), (steps, rate) => {
      const times = timesOf(steps);
      const schedule = new Schedule({ rate });
      schedule.begin(S);
      const first = dues(schedule, times);
      schedule.again();
      [...first, ...dues(schedule, times)].forEach((due, i) => {
        close(due, S + (i * S) / rate, S);
      });
    }),
  );
});

test('each round keeps the pacing of the first, and begins when the last row of the one before was due', () => {
  fc.assert(
    fc.property(gaps, speeds, fc.integer({ min: 2, max: 5 }), (steps, speed, rounds) => {
      const times = timesOf(steps);
      const schedule = new Schedule({ speed });
      schedule.begin(0);
      const recorded = elapsed(times);
      const span = recorded.at(-1) ?? 0;
      for (let round = 0; round < rounds; round++) {
        dues(schedule, times).forEach((due, i) => {
          close(due, (round * span + (recorded[i] ?? 0)) / speed, 0);
        });
        schedule.again();
      }
    }),
  );
});

test('a pause moves what follows by its length; two pauses are one', () => {
  fc.assert(
    fc.property(gaps, speeds, fc.nat(S), fc.nat(10 * S), (steps, speed, at, length) => {
      const times = timesOf(steps);
      const [plain, paused] = [new Schedule({ speed }), new Schedule({ speed })];
      plain.begin(0);
      paused.begin(0);
      paused.pause(at);
      paused.pause(at + 1);
      expect(paused.due(times[0] ?? 0n)).toBe(Number.POSITIVE_INFINITY);
      paused.resume(at + length);
      paused.resume(at + 2 * length);
      const expected = dues(plain, times).map((due) => due + length);
      dues(paused, times).forEach((due, i) => {
        close(due, expected[i] ?? 0, 0);
      });
    }),
  );
});

test('a change of speed scales what is left of a wait, and of what follows', () => {
  fc.assert(
    fc.property(
      gaps,
      speeds,
      fc.constantFrom(2, 0.5),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (steps, speed, by, share) => {
        const times = timesOf([0, 4 * S, ...steps.map(Math.abs)]);
        const recorded = elapsed(times);
        const schedule = new Schedule({ speed });
        schedule.begin(0);
        schedule.pass(times[0] ?? 0n);
        const at = (share * 4 * S) / speed;
        schedule.scale(by, at);
        expect(schedule.factor).toBeCloseTo(speed * by, 9);
        dues(schedule, times.slice(1)).forEach((due, i) => {
          close(due, at + ((recorded[i + 1] ?? 0) / speed - at) / by, 0);
        });
      },
    ),
  );
});

test('--max-gap holds after a change of speed in the middle of a gap', () => {
  const schedule = new Schedule({ speed: 1 }, 2 * S);
  schedule.begin(0);
  schedule.pass(TS0);
  const later = TS0 + BigInt(100 * S);
  expect(schedule.due(later)).toBe(2 * S);
  schedule.scale(0.5, S);
  expect(schedule.due(later)).toBeLessThanOrEqual(3 * S);
  schedule.scale(8, S);
  expect(schedule.due(later)).toBeLessThanOrEqual(3 * S);
});

test('after a seek the next row is due at once, paused or not', () => {
  const schedule = new Schedule({ speed: 2 });
  schedule.begin(0);
  dues(schedule, timesOf([0, S]));
  schedule.begin(10 * S);
  expect(dues(schedule, [TS0 + BigInt(90 * S), TS0 + BigInt(92 * S)])).toEqual([10 * S, 11 * S]);
  schedule.pause(12 * S);
  schedule.begin(15 * S);
  schedule.resume(20 * S);
  expect(schedule.due(TS0)).toBe(20 * S);
});

test('a row that was stepped to keeps its distance to the next', () => {
  const schedule = new Schedule({ speed: 1 });
  schedule.pause(0);
  schedule.begin(0);
  schedule.pass(TS0);
  schedule.pass(TS0 + BigInt(60 * S));
  schedule.settle(5 * S);
  schedule.resume(9 * S);
  expect(schedule.due(TS0 + BigInt(61 * S))).toBe(10 * S);
});

test('as fast as it goes everything is due, unless it is paused', () => {
  const schedule = new Schedule('max');
  schedule.begin(5);
  expect(schedule.due(TS0)).toBe(Number.NEGATIVE_INFINITY);
  schedule.scale(2, 7);
  schedule.pause(8);
  expect(schedule.due(TS0)).toBe(Number.POSITIVE_INFINITY);
  schedule.resume(9);
  expect([schedule.due(TS0), schedule.unpaced]).toEqual([Number.NEGATIVE_INFINITY, true]);
});

test('what people write', () => {
  expect(
    ['10x', '0.5x', '.5x', '2X', '2×', '3', '200%', '50 %', '33.3%', 'max'].map(parseSpeed),
  ).toEqual(
    [10, 0.5, 0.5, 2, 2, 3, 2, 0.5, 0.33299999999999996, 'max'].map((speed) =>
      speed === 'max' ? speed : { speed },
    ),
  );
  expect(['5000/s', '5000', '0.5/s', '5000 / s'].map(parseRate)).toEqual(
    [5000, 5000, 0.5, 5000].map((rate) => ({ rate })),
  );
  expect(['3', '0', 'forever', '00'].map(parseLoop)).toEqual([
    3,
    ...Array(3).fill(Number.POSITIVE_INFINITY),
  ]);
  expect(['2s', '500ms', '1m30s'].map(parseMaxGap)).toEqual([2 * S, 500 * MS, 90 * S]);
});

test.each([
  [
    parseSpeed,
    ['', '0', '0x', '-1x', 'fast', '10y', '1e3', 'NaN', '0%', '99999999999x', '1x2', '٣x'],
  ],
  [parseRate, ['', '0', '-5', '5000/m', '5k/s', 'x', 'max', '1/0']],
  [parseMaxGap, ['', '2', '-2s', 'long', '2 s x']],
  [parseLoop, ['', '-1', '1.5', 'ever', '1e3', '99999999999999999999']],
])('what %o refuses', (parse, texts) => {
  for (const text of texts) {
    let error: unknown = null;
    try {
      parse(text);
    } catch (thrown) {
      error = thrown;
    }
    expect([text, error]).toEqual([text, expect.any(TapioError)]);
    expect((error as TapioError).message).toMatch(/^--[a-z-]+ .*: write [^\n]+$/);
  }
});
