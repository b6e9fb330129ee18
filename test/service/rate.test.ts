// How much an identity gets in a time, by a clock that the tests turn.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Identity } from '../../src/service/identity.ts';
import { type Rates, TokenBucket, Usage } from '../../src/service/rate.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const ANN: Identity = { kind: 'token', name: 'ann' };
const BOB: Identity = { kind: 'token', name: 'bob' };
const FREE: Rates = { eventsPerSecond: null, bytesPerSecond: null, streams: null };

function clock(): { ms: number; now: () => number } {
  const own = { ms: 0, now: () => own.ms };
  return own;
}

test('a second’s worth at once, then as much as a second gives', () => {
  const time = clock();
  const bucket = new TokenBucket(100, time.now);
  expect(bucket.take(100)).toBe(0);
  expect(bucket.take(50)).toBe(500);
  expect(bucket.take(50)).toBe(1000);
  time.ms = 1000;
  expect(bucket.take(10)).toBe(100);
  // Time in which nothing is taken gives no more than one burst.
  time.ms = 60_000;
  expect(bucket.take(100)).toBe(0);
  expect(bucket.take(1)).toBe(10);
});

test('a clock that goes back gives nothing', () => {
  const time = clock();
  time.ms = 5000;
  const bucket = new TokenBucket(10, time.now);
  bucket.take(10);
  time.ms = 0;
  expect(bucket.take(10)).toBe(1000);
  time.ms = 1000;
  expect(bucket.take(0)).toBe(0);
});

test('no second has more than two seconds’ worth, however it is asked for', () => {
  const asks = fc.array(fc.record({ pause: fc.nat(1500), count: fc.nat(40) }), { minLength: 1 });
  fc.assert(
    fc.property(asks, fc.integer({ min: 1, max: 50 }), (all, perSecond) => {
      const time = clock();
      const bucket = new TokenBucket(perSecond, time.now);
      const given: { at: number; count: number }[] = [];
      for (const { pause, count } of all) {
        time.ms += pause;
        given.push({ at: time.ms + bucket.take(count), count });
      }
      for (const { at: from } of given) {
        // Whoever takes more than there is gets it when all of it is there.
        const later = given.filter(({ at }) => at >= from && at < from + 1000);
        const sum = later.slice(1).reduce((total, { count }) => total + count, 0);
        expect(sum).toBeLessThanOrEqual(2 * perSecond + 1e-6);
      }
    }),
    { seed: SEED },
  );
});

test('streams of an identity share its rates, and others have their own', () => {
  const time = clock();
  const usage = new Usage(time.now);
  const rates = { ...FREE, eventsPerSecond: 10, bytesPerSecond: 1000 };
  const [one, two] = [usage.open(ANN, rates), usage.open(ANN, rates)];
  expect(one.take(10, 100)).toBe(0);
  expect(two.take(1, 100)).toBe(100);
  expect(usage.open(BOB, rates).take(1, 100)).toBe(0);
  // Bytes are waited for as well.
  expect(two.take(0, 1800)).toBe(1000);
  expect(usage.open(BOB, FREE).take(1e9, 1e9)).toBe(0);
});

test('a stream too many is refused until another ends', () => {
  const usage = new Usage(clock().now);
  const rates = { ...FREE, streams: 2 };
  const [first] = [usage.open(ANN, rates), usage.open(ANN, rates)];
  expect(() => usage.open(ANN, rates)).toThrow(
    'token:ann has 2 streams, as many as the policy allows: end one first',
  );
  usage.open(BOB, rates);
  first.close();
  first.close();
  usage.open(ANN, rates);
  expect(() => usage.open(ANN, rates)).toThrow('end one first');
});

test('whoever comes back has no new burst, and is forgotten when it would make no difference', () => {
  const time = clock();
  const usage = new Usage(time.now);
  const rates = { ...FREE, eventsPerSecond: 10 };
  const stream = usage.open(ANN, rates);
  stream.take(10, 0);
  stream.close();
  const again = usage.open(ANN, rates);
  expect(again.take(10, 0)).toBe(1000);
  again.close();
  expect(usage.size).toBe(1);
  time.ms = 3000;
  usage.open(BOB, rates);
  expect(usage.size).toBe(1);
});

test('a new policy’s rates hold for streams that are open', () => {
  const time = clock();
  const usage = new Usage(time.now);
  const old = usage.open(ANN, { ...FREE, eventsPerSecond: 1000 });
  usage.open(ANN, { ...FREE, eventsPerSecond: 10 });
  expect(old.take(10, 0)).toBe(0);
  expect(old.take(10, 0)).toBe(1000);
  usage.open(ANN, FREE);
  expect(old.take(1e6, 0)).toBe(0);
});
