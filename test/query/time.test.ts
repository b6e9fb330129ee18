import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTs } from '../../src/event/clock.ts';
import { parseTime } from '../../src/query/time.ts';

const at = (text: string): bigint => BigInt(Date.parse(text)) * 1_000_000n;
const NOW = at('2026-11-22T15:30:00Z');

test('RFC 3339 keeps all nine digits', () => {
  expect(parseTime('2026-11-22T18:00:00.123456789Z', NOW)).toBe(
    at('2026-11-22T18:00:00Z') + 123_456_789n,
  );
  expect(parseTime('2026-11-22T18:00:00+01:00', NOW)).toBe(at('2026-11-22T17:00:00Z'));
  expect(parseTime('2026-11-22 18:00:00Z', NOW)).toBe(at('2026-11-22T18:00:00Z'));
});

test('what formatTs writes, parseTime reads', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }), (ts) => {
      expect(parseTime(formatTs(ts), NOW)).toBe(ts);
    }),
  );
});

test('spans count back from now, or on from since', () => {
  const minutes = 60_000_000_000n;
  expect(parseTime('10m', NOW)).toBe(NOW - 10n * minutes);
  expect(parseTime('10m ago', NOW)).toBe(NOW - 10n * minutes);
  expect(parseTime('1h30m', NOW)).toBe(NOW - 90n * minutes);
  expect(parseTime('500ms', NOW)).toBe(NOW - 500_000_000n);
  expect(parseTime('+30s', NOW, 1n)).toBe(30_000_000_001n);
  expect(() => parseTime('+30s', NOW)).toThrow('counts from --since');
  expect(parseTime('now', NOW)).toBe(NOW);
});

test('clock times are local; a bare one is the last that was', () => {
  const local = (text: string): Date => new Date(Number(parseTime(text, NOW) / 1_000_000n));
  expect(local('today 03:04').getHours()).toBe(3);
  expect(local('today 03:04').getMinutes()).toBe(4);
  expect(parseTime('yesterday 03:04', NOW)).toBeLessThan(parseTime('today 03:04', NOW));
  for (const text of ['00:00', '14:00', '23:59:59']) {
    const time = parseTime(text, NOW);
    expect(time).toBeLessThanOrEqual(NOW);
    expect(NOW - time).toBeLessThan(25n * 3_600_000_000_000n);
  }
});

test('nonsense is refused with the grammar, and nothing throws otherwise', () => {
  for (const text of ['', 'soon', '25:00', '10', '10x', '2026-13-01', 'm', '-5m', '1h30']) {
    expect(() => parseTime(text, NOW), text).toThrow('is no time');
  }
  fc.assert(
    fc.property(fc.string({ maxLength: 30 }), (text) => {
      try {
        expect(typeof parseTime(text, NOW, NOW)).toBe('bigint');
      } catch (error) {
        expect((error as { code?: string }).code).toBe('usage');
      }
    }),
  );
});
