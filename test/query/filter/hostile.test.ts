// Whatever the text, the outcome is a filter or a refusal, soon.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../../schemas/arrow.ts';
import { type Filter, parseFilter } from '../../../src/query/filter/filter.ts';
import { matches } from '../../../src/query/predicate.ts';
import { expressionOf } from '../../support/expressions.ts';

const TEXTS = process.env.TAPIO_LONG === undefined ? 2500 : 25_000;

const DEEP = 'this is nested more than 64 deep';

/** The filter, or the first line of the refusal; anything else that is thrown fails the test. */
async function outcomeOf(text: string): Promise<Filter | string> {
  try {
    const filter = await parseFilter(text);
    for (const type of EVENT_TYPES) matches(filter.for(type), () => null);
    return filter;
  } catch (error) {
    expect(error, text).toMatchObject({ name: 'TapioError', code: 'usage' });
    const [first = ''] = (error as Error).message.split('\n');
    return first;
  }
}

const fill = (before: string, unit: string, after = ''): string =>
  before + unit.repeat(Math.floor((4096 - before.length - after.length) / unit.length)) + after;

describe('4 KiB of', () => {
  test.each([
    ['(', fill('', '('), DEEP],
    ['( in lists', fill('pid in [', '('), DEEP],
    ['[', fill('', '['), DEEP],
    ['{', fill('', '{'), DEEP],
    ['!', fill('', '!', 'true'), DEEP],
    ['! apart', fill('', '! ', 'true'), DEEP],
    ['! between comments', fill('', '!//\n', 'true'), DEEP],
    ['-', fill('', '-', '1 == 1'), DEEP],
    ['fields', fill('network', '.b'), DEEP],
    ['elements', fill('process.args', '[0]'), DEEP],
    ['calls', fill('', 'has('), DEEP],
    ['methods', fill('comm', '.size()'), DEEP],
    ['sums', fill('1', '+1', ' == 1'), DEEP],
    ['comparisons', fill('1', '==1'), DEEP],
    ['alternatives', fill('', 'true?', 'true'), DEEP],
    ['alternatives at the end', fill('', 'true?true:', 'true'), DEEP],
    ['macros', fill('', 'process.args.all(a,', 'true'), DEEP],
    ['!-', fill('', '!-', '1'), DEEP],
    ['quotes', fill('', '"'), '"""""" is out of place'],
    ['backslashes', fill('comm == "', '\\'), 'the string does not end'],
    ['lines', fill('', '\n', '='), 'write ==, not ='],
    ['parts of strings', fill('"a"', '+"a"', ' == comm'), DEEP],
    ['bracketed conditions', fill('(true)', '==(true)'), DEEP],
  ])('%s', async (_, text, message) => {
    expect(Buffer.byteLength(text)).toBeGreaterThan(4080);
    expect(await outcomeOf(text)).toBe(message);
  });

  test.each([
    ['||', fill('true', '||true')],
    ['&&', fill('pid == 1', '&&pid == 1')],
    ['&& and ||', fill('pid == 1', '&&pid == 1||uid == 2')],
    ['patterns', fill('comm.matches("', '(a+)+', '$")')],
    ['classes', fill('comm.matches("', '[^a-z]', '")')],
    ['spaces', fill('', ' ', 'true')],
    ['a comment', fill('true //', 'x')],
  ])('%s is a filter', async (_, text) => {
    expect(await outcomeOf(text)).toHaveProperty('text', text);
  });
});

const TOKENS = [
  ...['pid', 'ts', 'comm', 'type', 'network', 'process', 'syscall', '.dport', '.args', '.daddr'],
  ...['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', '&&', '||', '!', '?', ':', ','],
  ...['(', ')', '[', ']', '{', '}', '.', ' in ', 'true', 'null', '0', '1', '5u', '0xff', '1.5'],
  ...['1e9', '18446744073709551615', '"a"', "'b'", 'r"\\d"', 'b"x"', '"""c"""', '"\\x41"', ' '],
  ...['has(', 'size(', 'duration("1s")', 'timestamp("2026-11-22T18:00:00Z")', 'cidr("::/0")'],
  ...['.exists(a, ', '.all(a, ', '.matches(', '.startsWith(', '.containsIP(', '.size()', ' a '],
  ...['"(?i)[[:alpha:]]\\\\pL{2,3}"', '__proto__', 'constructor', '.toString', '\n', '//', '\\'],
];

const someType = fc.constantFrom('process', 'network', 'syscall');

/** A good expression that something was done to: a part lost, doubled, moved, or replaced. */
const mutated = fc
  .record({
    text: someType.chain((type) => expressionOf(type).map(({ ours }) => ours)),
    edits: fc.array(
      fc.record({
        at: fc.nat(300),
        length: fc.nat(8),
        with: fc.oneof(fc.constantFrom(...TOKENS), fc.string({ unit: 'binary', maxLength: 3 })),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ text, edits }) =>
    edits.reduce((sum, edit) => {
      const at = edit.at % (sum.length + 1);
      return sum.slice(0, at) + edit.with + sum.slice(at + edit.length);
    }, text),
  );

const random = fc.oneof(
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...TOKENS), { maxLength: 20 }).map((t) => t.join('')),
  },
);

test('random and mutated texts are filters or refused', async () => {
  let taken = 0;
  let refused = 0;
  const run = (texts: fc.Arbitrary<string>): Promise<void> =>
    fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const outcome = await outcomeOf(text);
        if (typeof outcome === 'string') {
          refused++;
          expect(outcome).not.toMatch(/undefined|NaN|\[object|\n/);
        } else taken++;
      }),
      { numRuns: TEXTS },
    );
  await run(random);
  await run(mutated);
  expect(taken).toBeGreaterThan(TEXTS / 100);
  expect(refused).toBeGreaterThan(TEXTS);
});
