import { execFileSync } from 'node:child_process';
import { execPath } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { parseTime, parseWindow, type WindowFlags } from '../../src/query/time.ts';
import { ROOT } from '../support/recording.ts';

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
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (ts) => {
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

test('nonsense is refused with the grammar', () => {
  for (const text of [
    ...[
      '',
      'soon',
      '25:00',
      '10',
      '10x',
      '2026-13-01',
      'm',
      '-5m',
      '1h30',
      'ago',
      'today',
      '12:60',
    ],
    ...['2026-02-30T00:00:00Z', '2026-04-31', '2026-11-22T24:00:00Z', '2026-11-22T10:00.5Z'],
    ...['2026-11-22T10:00:00+24:00', '2026-11-22T10:00:00.1234567890Z', '23:59:61', 'today 24:00'],
  ]) {
    expect(() => parseTime(text, NOW), text).toThrow('is no time');
  }
});

test('leap seconds are refused with a sentence', () => {
  for (const text of [
    '2016-12-31T23:59:60Z',
    '2016-12-31 23:59:60.5',
    '23:59:60',
    'today 7:00:60',
  ]) {
    expect(() => parseTime(text, NOW), text).toThrow('is a leap second');
  }
});

test('what no timestamp holds is out of range', () => {
  const century = '36525d';
  expect(parseTime(century, NOW)).toBeLessThan(0n);
  for (const text of [
    '400000d',
    '0001-01-01T00:00:00Z',
    '9999-12-31T00:00:00Z',
    `${'9'.repeat(30)}d`,
  ]) {
    expect(() => parseTime(text, NOW), text).toThrow('is out of range');
  }
});

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const TEXTS = process.env.TAPIO_LONG === undefined ? 5_000 : 100_000;
const RUNS = { numRuns: TEXTS, seed: SEED };

/** A time, or wrong usage: anything else is a bug. */
function timeOrUsage(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TapioError && error.code === 'usage') return null;
    throw error;
  }
}

// Text that is near the grammar: its words, its signs and digits in any order.
const nearTime = fc
  .array(
    fc.oneof(
      fc.constantFrom('today ', 'yesterday ', ' ago', 'now', '+', '-', ':', 'T', 'Z', '.', ' '),
      fc.constantFrom('2026-11-22', '18:00:00', '02:30', '+01:00', 'ms', 's', 'm', 'h', 'd', '\0'),
      fc.nat({ max: 99_999 }).map(String),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));
/** A good time of each form. */
const pad = (number: number, digits = 2): string => String(number).padStart(digits, '0');
const clock = fc
  .tuple(fc.nat(23), fc.nat(59), fc.option(fc.nat(59), { nil: null }))
  .map(([h, m, s]) => `${pad(h)}:${pad(m)}${s === null ? '' : `:${pad(s)}`}`);
const date = fc
  .tuple(fc.integer({ min: 1600, max: 2300 }), fc.integer({ min: 1, max: 12 }), fc.nat(31))
  .map(([y, m, d]) => `${pad(y, 4)}-${pad(m)}-${pad(d)}`);
const zone = fc.constantFrom('', 'Z', 'z', '+01:00', '-11:30', '+23:59');
const fraction = fc.oneof(
  fc.constant(''),
  fc.nat(999_999_999).map((ns) => `.${ns}`),
);
const span = fc
  .array(fc.tuple(fc.nat(5_000), fc.constantFrom('ms', 's', 'm', 'h', 'd', '.5s')), {
    minLength: 1,
    maxLength: 3,
  })
  .map((parts) => parts.map(([number, unit]) => `${number}${unit}`).join(''));
const goodTime = fc.oneof(
  date,
  fc.tuple(date, fc.constantFrom('T', ' '), clock, fraction, zone).map((parts) => parts.join('')),
  fc.tuple(fc.constantFrom('', 'today ', 'yesterday ', 'Today  '), clock).map((p) => p.join('')),
  fc.tuple(fc.constantFrom('', '+'), span, fc.constantFrom('', ' ago')).map((p) => p.join('')),
);

/** One that something was done to: a part lost, doubled, moved, or replaced. */
const mutatedTime = fc
  .tuple(
    goodTime,
    goodTime,
    fc.array(fc.tuple(fc.nat(40), fc.nat(6), fc.nat(40), fc.nat(6)), { maxLength: 3 }),
  )
  .map(([text, other, edits]) =>
    edits.reduce((sum, [to, length, from, count]) => {
      const at = to % (sum.length + 1);
      return sum.slice(0, at) + other.slice(from, from + count) + sum.slice(at + length);
    }, text),
  );
const hostile = fc.oneof(
  nearTime,
  mutatedTime,
  mutatedTime,
  fc.string({ maxLength: 40, unit: 'binary' }),
  fc.string(),
);

test(`${TEXTS} hostile texts are a time of 64 bits, or wrong usage`, () => {
  let times = 0;
  fc.assert(
    fc.property(hostile, (text) => {
      const time = timeOrUsage(() => parseTime(text, NOW, NOW)) as bigint | null;
      if (time === null) return;
      times++;
      expect(BigInt.asIntN(64, time)).toBe(time);
    }),
    RUNS,
  );
  expect(times, `seed ${SEED}`).toBeGreaterThan(TEXTS / 50);
});

test('a clock time is the last that was, at most a day and an hour ago', () => {
  fc.assert(
    fc.property(fc.nat({ max: 86_399 }), fc.nat({ max: 4_000_000_000 }), (second, now) => {
      const at = new Date(second * 1000).toISOString().slice(11, 19);
      const time = parseTime(at, BigInt(now) * 1_000_000_000n);
      const ago = BigInt(now) - time / 1_000_000_000n;
      expect(ago).toBeGreaterThanOrEqual(0n);
      expect(ago).toBeLessThanOrEqual(90_000n);
      const shown = new Date(Number(time / 1_000_000n)).toTimeString().slice(0, 8);
      expect(shown).toBe(at);
    }),
    { seed: SEED },
  );
});

/** What local times mean in a zone: ISO times, or the start of the refusal. */
function inZone(zone: string, now: string, texts: readonly string[]): string[] {
  const script = `
    const { parseTime } = await import('./src/query/time.ts');
    const { formatTs } = await import('./src/event/clock.ts');
    const [now, ...texts] = process.argv.slice(1);
    const tell = (text) => {
      try {
        return formatTs(parseTime(text, BigInt(Date.parse(now)) * 1000000n)).replace('.000000000', '');
      } catch (error) {
        return error.code + ': ' + error.message;
      }
    };
    console.log(JSON.stringify(texts.map(tell)));`;
  const out = execFileSync(execPath, ['--input-type=module', '-e', script, '--', now, ...texts], {
    cwd: ROOT,
    env: { ...process.env, TZ: zone },
  });
  return JSON.parse(out.toString()) as string[];
}

test('the day on which clocks go forward lacks an hour', () => {
  const noon = '2026-03-29T10:00:00Z';
  const [before, gap, after, bare, local, midnight, day] = inZone('Europe/Berlin', noon, [
    ...['today 01:59', 'today 02:30', 'today 03:00', '02:30', '2026-03-29T02:30:00', 'today 0:00'],
    ...['2026-03-29'],
  ]);
  expect([before, after]).toEqual(['2026-03-29T00:59:00Z', '2026-03-29T01:00:00Z']);
  expect(gap).toMatch(/^usage: today 02:30 does not exist here/);
  expect(local).toMatch(/^usage: 2026-03-29T02:30:00 does not exist here/);
  // The last 02:30 that was is that of the day before.
  expect(bare).toBe('2026-03-28T01:30:00Z');
  expect([midnight, day]).toEqual(['2026-03-28T23:00:00Z', '2026-03-28T23:00:00Z']);
});

test('the day on which clocks go back has an hour twice: the first, and of bare times the last', () => {
  const texts = [
    'today 02:30',
    '02:30',
    '2026-10-25T02:30:00',
    'today 03:00',
    '2026-10-25 02:30+01:00',
  ];
  expect(inZone('Europe/Berlin', '2026-10-25T10:00:00Z', texts)).toEqual([
    '2026-10-25T00:30:00Z',
    '2026-10-25T01:30:00Z',
    '2026-10-25T00:30:00Z',
    '2026-10-25T02:00:00Z',
    '2026-10-25T01:30:00Z',
  ]);
  // Between the two, the first is the last that was.
  expect(inZone('Europe/Berlin', '2026-10-25T01:00:00Z', ['02:30'])).toEqual([
    '2026-10-25T00:30:00Z',
  ]);
  expect(inZone('Australia/Lord_Howe', '2026-04-05T00:00:00Z', ['01:45'])).toEqual([
    '2026-04-04T15:15:00Z',
  ]);
});

const seconds = (n: number): bigint => BigInt(n) * 1_000_000_000n;

test('a window: since and until, or a span half before and half behind a time', () => {
  const since = seconds(100);
  expect(parseWindow({}, NOW)).toEqual({ since: null, until: null });
  expect(parseWindow({ since: '1970-01-01T00:01:40Z', until: '+30s' }, NOW)).toEqual({
    since,
    until: since + seconds(30),
  });
  const around = '1970-01-01T00:01:40Z';
  expect(parseWindow({ around }, NOW)).toEqual({ since: seconds(85), until: seconds(115) });
  expect(parseWindow({ around, span: '1m' }, NOW)).toEqual({
    since: seconds(70),
    until: seconds(130),
  });
  // Also the shortest has its middle in it.
  const shortest = parseWindow({ around, span: '0.000001ms' }, NOW);
  expect(shortest).toEqual({ since, until: since + 1n });
});

test('windows that contradict themselves are refused in one sentence', () => {
  const refused: readonly (readonly [WindowFlags, string])[] = [
    [{ around: '10m', since: '20m' }, '--around and --since contradict each other'],
    [{ around: '10m', until: '5m' }, '--around and --until contradict each other'],
    [{ span: '10s' }, '--span is the length of a window --around a time'],
    [{ span: '10s', since: '10m' }, '--span is the length of a window --around a time'],
    [{ since: '10m', until: '20m' }, '--until is not after --since'],
    [{ since: '10m', until: '10m' }, '--until is not after --since'],
    [{ since: ['10m', '5m'] }, '--since is given more than once'],
    [{ around: '10m', span: '0s' }, '--span 0s is no span of time'],
    [{ around: '10m', span: 'long' }, '--span long is no span of time'],
    [{ around: '10m', span: '' }, '--span  is no span of time'],
    [{ until: '+30s' }, 'counts from --since'],
  ];
  for (const [flags, sentence] of refused) {
    expect(() => parseWindow(flags, NOW), JSON.stringify(flags)).toThrow(sentence);
  }
});

test('hostile windows are a window or wrong usage, and a window is never empty', () => {
  const flag = fc.option(hostile, { nil: undefined });
  fc.assert(
    fc.property(flag, flag, flag, flag, (since, until, around, span) => {
      const made = timeOrUsage(() => parseWindow({ since, until, around, span }, NOW));
      const window = made as ReturnType<typeof parseWindow> | null;
      if (window === null) return;
      for (const edge of [window.since ?? 0n, window.until ?? 0n]) {
        expect(BigInt.asIntN(64, edge)).toBe(edge);
      }
      if (window.since !== null && window.until !== null) {
        expect(window.since).toBeLessThan(window.until);
      }
    }),
    RUNS,
  );
});
