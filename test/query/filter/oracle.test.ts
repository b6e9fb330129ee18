// The filter language against another CEL: the same expression over the same row must be true, false or an
// error to both.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventType } from '../../../schemas/arrow.ts';
import { check } from '../../../src/query/filter/check.ts';
import { parseFilter } from '../../../src/query/filter/filter.ts';
import { lower } from '../../../src/query/filter/lower.ts';
import { parse } from '../../../src/query/filter/parse.ts';
import { Source } from '../../../src/query/filter/source.ts';
import { type Bool, fieldsIn, matches } from '../../../src/query/predicate.ts';
import {
  type Expression,
  expressionOf,
  getter,
  oracleOf,
  type Row,
  rowOf,
} from '../../support/expressions.ts';

const EXPRESSIONS = process.env.TAPIO_LONG === undefined ? 1000 : 10_000;
const ROWS = 4;
const TYPES: readonly EventType[] = ['process', 'network', 'syscall'];

interface Case {
  readonly expression: Expression;
  readonly rows: readonly Row[];
}

const caseOf = fc.constantFrom(...TYPES).chain((type): fc.Arbitrary<Case> => {
  const own = rowOf(type);
  const any = fc.oneof({ weight: 5, arbitrary: own }, rowOf('file'));
  return fc.record({
    expression: expressionOf(type),
    rows: fc.array(any, { minLength: ROWS, maxLength: ROWS }),
  });
});

/** What is refused although it is well typed: limits, and constants that are errors wherever they stand. */
const REFUSED =
  /divides by zero|beyond 64 bits|no address|too many cases|nested more|grows too large|longer than/;

async function predicateOf(text: string): Promise<Bool | null> {
  const source = new Source(text);
  try {
    return check(source, await parse(source));
  } catch (error) {
    expect((error as Error).message).toMatch(REFUSED);
    return null;
  }
}

test('another CEL agrees: true, false and errors', async () => {
  const seen = { true: 0, false: 0, null: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(caseOf, async ({ expression, rows }) => {
      const predicate = await predicateOf(expression.ours);
      if (predicate === null) {
        seen.refused++;
        return;
      }
      const filter = await parseFilter(expression.ours);
      const oracle = oracleOf(expression.oracle);
      for (const row of rows) {
        const wanted = oracle(row);
        seen[`${wanted}`]++;
        expect(matches(lower(predicate, row.type), getter(row))).toBe(wanted);
        const final = filter.for(row.type);
        if (final.kind === 'false' || final.kind === 'error') expect(wanted).not.toBe(true);
        else expect(matches(final, getter(row))).toBe(wanted);
        for (const field of fieldsIn(final)) expect(row.values).toHaveProperty(field);
      }
    }),
    { numRuns: EXPRESSIONS },
  );
  // Each outcome came up often, or the comparison says little.
  const pairs = seen.true + seen.false + seen.null;
  expect(pairs).toBeGreaterThan(EXPRESSIONS * ROWS * 0.9);
  for (const outcome of ['true', 'false', 'null'] as const) {
    expect(seen[outcome]).toBeGreaterThan(pairs / 20);
  }
});

test('integers of all widths compare by value', async () => {
  const edges = [
    0n,
    1n,
    2n ** 31n,
    2n ** 32n,
    2n ** 53n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ];
  const near = fc
    .tuple(fc.constantFrom(...edges), fc.constantFrom(-1n, 0n, 1n))
    .map(([edge, by]) => edge + by)
    .filter((n) => n >= 0n && n < 2n ** 64n);
  const orders = fc.constantFrom('==', '!=', '<', '<=', '>', '>=');
  await fc.assert(
    fc.asyncProperty(near, near, near, orders, async (constant, inode, device, order) => {
      const values = { inode, device, ret: -inode < -(2n ** 63n) ? null : -inode };
      const row: Row = { type: 'file', values };
      const literal = constant >= 2n ** 63n ? `${constant}u` : `${constant}`;
      for (const text of [
        `file.inode ${order} ${literal}`,
        `${literal} ${order} file.inode`,
        `file.ret ${order} ${literal}`,
        `file.inode ${order} file.device`,
        `file.ret ${order} file.device`,
        `file.inode in [${literal}, 7]`,
      ]) {
        const predicate = await predicateOf(text);
        const result = predicate === null ? null : matches(lower(predicate, 'file'), getter(row));
        expect(result, text).toBe(oracleOf(text)(row));
      }
    }),
    { numRuns: 200 },
  );
});
