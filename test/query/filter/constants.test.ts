// Times, durations and networks that are written as strings; patterns.

import { run } from '@bufbuild/cel';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTs } from '../../../src/event/clock.ts';
import {
  checkNetwork,
  parseDuration,
  parseTimestamp,
} from '../../../src/query/filter/constants.ts';
import { checkPattern, regexOf } from '../../../src/query/filter/pattern.ts';
import { parseAddress } from '../../../src/query/predicate.ts';

test('times are exact, and have a zone', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 61n), max: 2n ** 62n }), (ns) => {
      const ts = ns < 0n ? ns - (ns % 1_000_000_000n) : ns;
      const text = ns < 0n ? `${new Date(Number(ts / 1_000_000n)).toISOString()}` : formatTs(ts);
      expect(parseTimestamp(text)).toBe(ts);
    }),
  );
  expect(parseTimestamp('2024-02-29t23:59:59.5+23:59')).toBe(
    BigInt(Date.parse('2024-02-29T23:59:59.5+23:59')) * 1_000_000n,
  );
  expect(parseTimestamp('1969-12-31T23:59:59.999999999Z')).toBe(-1n);
  for (const wrong of [
    ...[
      '',
      '2026',
      '2026-11-22',
      '2026-11-22T18:00:00',
      '2026-11-22T18:00Z',
      '2026-13-01T00:00:00Z',
    ],
    ...[
      '2026-02-29T00:00:00Z',
      '2026-11-22T24:00:00Z',
      '2026-11-22T18:00:60Z',
      '0000-01-01T00:00:00Z',
    ],
    ...['2026-11-22T18:00:00.Z', '2026-11-22T18:00:00.1234567890Z', '2026-11-22 18:00:00Z'],
    ...['2026-11-22T18:00:00+24:00', '0001-01-01T00:00:00+00:01', ' 2026-11-22T18:00:00Z'],
  ]) {
    expect(parseTimestamp(wrong), wrong).toBeNull();
  }
});

test.each<[string, bigint | null]>([
  ['0', 0n],
  ['-0', 0n],
  ['1h30m', 5_400_000_000_000n],
  ['1.5s', 1_500_000_000n],
  ['-100ms', -100_000_000n],
  ['+1us', 1000n],
  ['1µs1μs1ns', 2001n],
  ['.5ms', 500_000n],
  ['5.m', 300_000_000_000n],
  ['0.000000001s', 1n],
  ['2562047h', 9_223_369_200_000_000_000n],
  ...['', '-', '5', 's', '.s', '1.5', '1d', '1 s', '1s ', '--1s', '1e3s', '1.5ns', '2562048h'].map(
    (wrong): [string, null] => [wrong, null],
  ),
])('duration %j', (text, ns) => {
  expect(parseDuration(text)).toBe(ns);
});

test.each<[string, string | null]>([
  ['10.0.0.0/8', null],
  ['0.0.0.0/0', null],
  ['10.1.2.3/32', null],
  ['fe80::/10', null],
  ['::1/128', null],
  ['10.0.0.1/8', 'bits are set beyond its first 8'],
  ['fe80::1/10', 'bits are set beyond its first 10'],
  ['::ffff:10.0.0.0/104', 'addresses mapped into IPv6 are recorded as IPv4'],
  ...[
    '',
    '10.0.0.0',
    '10.0.0/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    'fe80::%eth0/64',
  ].map((wrong): [string, string] => [wrong, 'write 10.0.0.0/8 or fe80::/10']),
])('network %j', (text, wrong) => {
  expect(checkNetwork(text)).toBe(wrong);
});

test('addresses are numbers', () => {
  expect(parseAddress('1.2.3.4')).toEqual({ bits: 32, value: 0x01020304n });
  expect(parseAddress('::')).toEqual({ bits: 128, value: 0n });
  expect(parseAddress('1::2')).toEqual({ bits: 128, value: (1n << 112n) + 2n });
  expect(parseAddress('1:2:3:4:5:6:7:8')?.value).toBe(0x00010002000300040005000600070008n);
  expect(parseAddress('64:ff9b::1.2.3.4')?.value).toBe((0x64ff9bn << 96n) + 0x01020304n);
  for (const wrong of ['', '1.2.3', '1.2.3.04', '1.2.3.256', ':', '1::2::3', 'g::', '::1%lo']) {
    expect(parseAddress(wrong), wrong).toBeNull();
  }
});

describe('patterns', () => {
  const ATOMS = [
    ...[
      'a',
      'b',
      'é',
      '.',
      '^',
      '$',
      '|',
      '(',
      ')',
      '(?:',
      '(?i)',
      '(?i:',
      '(?-i)',
      '(?s)',
      '(?m)',
    ],
    ...[
      '(?P<n>',
      '*',
      '+',
      '?',
      '*?',
      '{2}',
      '{1,3}',

      '}',
      '\\d',
      '\\D',
      '\\w',
      '\\W',
    ],
    ...['\\s', '\\S', '\\b', '\\B', '\\A', '\\z', '\\.', '\\-', '\\/', '\\x61', '\\x{62}', '\\101'],
    ...['\\pL', '\\p{Lu}', '\\P{Greek}', '\\Qa.b\\E', '[', ']', '[^', '[a-c]', '[^ab]', '[]a]'],
    ...[
      '[\\d-]',
      '[[:alpha:]]',
      '[[:^space:]x]',
      '[\\S]',
      '[a-]',
      '-',
      '/',
      ':',
      '\\n',
      '\n',
      '(?=',
      '\\1',
      '\\q',
    ],
  ];
  const SUBJECTS = [
    '',
    'a',
    'A',
    'ab',
    'b\na',
    'é',
    'aB.b',
    '-',
    'a.b',
    '{2}',
    '\u2028',
    ' a1_',
    ']',
  ];
  const pattern = fc
    .array(fc.constantFrom(...ATOMS), { maxLength: 6 })
    .map((parts) => parts.join(''));

  test('mean what RE2 means', () => {
    let taken = 0;
    fc.assert(
      fc.property(pattern, (text) => {
        if (checkPattern(text) !== null) return;
        taken++;
        const regex = regexOf(text);
        for (const subject of SUBJECTS) {
          const wanted = run('s.matches(p)', { s: subject, p: text });
          // What this takes, RE2 takes.
          expect(wanted, text).toBeTypeOf('boolean');
          expect(regex.test(subject), `${text} on ${JSON.stringify(subject)}`).toBe(wanted);
        }
      }),
      { numRuns: process.env.TAPIO_LONG === undefined ? 2000 : 20_000 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  test.each([
    ...[
      '^/etc/[^/]+$',
      '(?i)nginx',
      'a(?i)b|c',
      'x{1,1000}',
      '(?P<name>a)',
      '\\Q(\\E',
      '[[:digit:]]+',
    ],
    ...['(a|b)*?c', '\\x{1F600}', '[\\]\\-]', 'a{,2}', '{', '\\pN', '^\\d{1,3}(\\.\\d{1,3}){3}$'],
  ])('%s is taken', (text) => {
    expect(checkPattern(text)).toBeNull();
  });

  test.each([
    ['(?=a)', 'RE2 has no lookaround'],
    ['(?<!a)', 'RE2 has no lookaround'],
    ['(a)\\1', 'RE2 has no backreferences'],
    ['(?P=n)', 'RE2 has no backreferences'],
    ['(?>a)', 'RE2 has no such group'],
    ['(?#a)', 'RE2 has no such group'],
    ['\\q', 'RE2 has no \\q'],
    ['\\', 'a \\ ends it'],
    ['(', 'a ) is missing'],
    [')', 'there is a ) too many'],
    ['[a', 'a ] is missing'],
    ['[b-a]', 'a range is the wrong way'],
    ['a{1001}', 'it repeats more than 1000 times'],
    ['(a{100}){11}', 'it repeats more than 1000 times'],
    ['a{2,1}', 'numbers out of order in {} quantifier'],
    ['*', 'nothing to repeat'],
    ['a**', 'nothing to repeat'],
    ['\\p{Nothing}', 'invalid property name in character class'],
    ['[[:nothing:]]', 'RE2 has no [:nothing:]'],
    ['\\x{110000}', 'there is no such character'],
  ])('%s is refused', (text, why) => {
    expect(checkPattern(text)).toBe(why);
  });
});
