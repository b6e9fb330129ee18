// Whatever the text, the outcome is a filter or a refusal, soon.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../../schemas/arrow.ts';
import { type Filter, parseFilter } from '../../../src/query/filter/filter.ts';
import { NODES_MAX, nodesIn } from '../../../src/query/filter/values.ts';
import { matches } from '../../../src/query/predicate.ts';
import { getter, rowOf } from '../../support/expressions.ts';
import { changedFilter, randomFilter } from '../../support/hostile-filters.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
/** As many at random, and as many that a good expression was changed into. */
const TEXTS = process.env.TAPIO_LONG === undefined ? 2_500 : 50_000;

/** A row of each type with values, and one without any. */
const ROWS = new Map(
  EVENT_TYPES.map((type) => {
    const [row] = fc.sample(rowOf(type), { numRuns: 1, seed: SEED });
    return [type, [() => null, ...(row === undefined ? [] : [getter(row)])]];
  }),
);

const DEEP = 'this is nested more than 64 deep';

/** The filter, or the first line of the refusal; anything else that is thrown fails the test. */
async function outcomeOf(text: string): Promise<Filter | string> {
  const nodes: number[] = [];
  try {
    const filter = await parseFilter(text);
    for (const type of EVENT_TYPES) {
      const predicate = filter.for(type);
      for (const get of ROWS.get(type) ?? []) matches(predicate, get);
      nodes.push(nodesIn(predicate));
    }
    return filter;
  } catch (error) {
    expect(error, `${text}, seed ${SEED}`).toMatchObject({ name: 'TapioError', code: 'usage' });
    const [first = ''] = (error as Error).message.split('\n');
    return first;
  } finally {
    // Each node is a step for each row: this is what a text can cost.
    expect(Math.max(...nodes), text).toBeLessThanOrEqual(NODES_MAX);
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

test(`${2 * TEXTS} random and mutated texts are filters or refused`, async () => {
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
      { numRuns: TEXTS, seed: SEED },
    );
  await run(randomFilter);
  await run(changedFilter);
  expect(taken, `seed ${SEED}`).toBeGreaterThan(TEXTS / 20);
  expect(refused, `seed ${SEED}`).toBeGreaterThan(TEXTS);
}, 600_000);
