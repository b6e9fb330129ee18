// The converter's text is, byte for byte, what the plainest way of making it gives: of every op, whatever is in the columns.

import { env } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS, type FieldSpec } from '../../schemas/events.ts';
import { Converter, type Origin, type Rebase } from '../../src/unified/convert.ts';
import { parseUnified } from '../../src/unified/event.ts';
import { plainJson } from '../support/unified-plain.ts';
import { columnsWith, looseColumns, type PlainRow, specsOf } from '../support/unified-rows.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const RUNS = 300;
const ORIGIN: Origin = {
  recording: '01KB"\\',
  host: 'löyly\n\u2028',
  boot_id: '0f1d7a0c-6c1e-4d53-9a52-3c1d5f7f8a11',
  tsOffset: 1_794_900_000_123_456_789n,
};
const U64 = 2n ** 64n - 1n;

const hostile = fc.oneof(
  fc.constantFrom('', '"', '\\', '\u0000', '\u001f\u007f', '\u2028\u2029', 'ä', '😀', '::1', '0'),
  fc.constantFrom('},"kernel":', '"entity":{', '\\u0000', '7', 'x'.repeat(33), '/a/b.c'),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ maxLength: 12 }),
  fc
    .array(fc.constantFrom('\n', '"', 'é', 'a'), { minLength: 400, maxLength: 5000 })
    .map((all) => all.join('')),
);
/** Only columns without a buffer can hold these. */
const lone = fc.oneof(hostile, fc.constantFrom('\ud800', 'a\udc00b', '\ude00\ud83d'));
const edges = [0n, 1n, 9n, 10n, 999n, 1000n, 999_999n, 1_000_000n, 999_999_999n, 1_000_000_000n];
const wide = (min: bigint, max: bigint): fc.Arbitrary<bigint> => {
  const steps = [...edges, 2n ** 32n, 2n ** 53n, 2n ** 63n, U64].flatMap((n) => [n - 1n, n, -n]);
  const inside = steps.filter((n) => n >= min && n <= max);
  return fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(...inside));
};
const small = (min: number, max: number): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min, max }), fc.integer({ min: Math.max(min, -150), max: 150 }));

function anyOf({ type }: FieldSpec, text: fc.Arbitrary<string>): fc.Arbitrary<PlainRow[string]> {
  switch (type) {
    case 'u16':
      return small(0, 2 ** 16 - 1);
    case 'u32':
      return small(0, 2 ** 32 - 1);
    case 'i32':
      return small(-(2 ** 31), 2 ** 31 - 1);
    case 'u64':
      return wide(0n, U64);
    case 'i64':
      return wide(-(2n ** 63n), 2n ** 63n - 1n);
    case 'timestamp':
      return fc.oneof(
        fc.bigInt({ min: ORIGIN.tsOffset, max: 2n ** 62n }),
        fc.bigInt({ min: 0n, max: 10n ** 10n }).map((n) => ORIGIN.tsOffset + n),
        fc.nat(50).map((s) => 1_795_000_000_000_000_000n + BigInt(s) * 100_000_000n),
      );
    case 'texts':
      return fc.array(text, { maxLength: 12 });
    case 'u64s':
      return fc.array(wide(0n, U64), { maxLength: 7 });
    case 'bytes':
      return fc.constant(null);
    default:
      return text;
  }
}

/** What is kept of a thread is written again only where many rows are of the same. */
const THREAD: PlainRow = { pid: 7, tid: 7, pstart: 5n, uid: 1000, gid: 0, comm: 'a"' };
const THREADS: readonly PlainRow[] = [
  ...[{}, {}, { pid: 8 }, { pstart: 6n }, { uid: 0 }, { gid: 2 }, { comm: 'b' }],
  { pid: 0, tid: 0, pstart: 0n, uid: 0, gid: 0, comm: '' },
].map((other) => ({ ...THREAD, ...other }));

/** A row of any op of a type: common columns are always there, own ones may be null. */
function rowOf(type: EventType, text: fc.Arbitrary<string>): fc.Arbitrary<PlainRow> {
  const own = Object.keys(EVENTS[type].fields);
  const columns = Object.entries(specsOf(type)).map(([name, spec]) => {
    const value = anyOf(spec, text);
    return [name, own.includes(name) ? fc.option(value) : value] as const;
  });
  const named = fc.oneof(fc.constant('enum'), text);
  const row = fc.record({
    ...Object.fromEntries(columns),
    op: fc.constantFrom(...Object.keys(EVENTS[type].ops)),
    direction: fc.option(fc.oneof(fc.constantFrom('sent', 'received'), named)),
    kstack_id: fc.oneof(fc.constant(0n), wide(0n, U64)),
    pid: small(0, 2 ** 32 - 1),
    weight: fc.constantFrom(1, 2, 1000, 2 ** 32 - 1),
  }) as fc.Arbitrary<PlainRow>;
  return fc
    .tuple(row, fc.option(fc.constantFrom(...THREADS)))
    .map(([one, thread]) => ({ ...one, ...thread }));
}

const rebases = fc.option(
  fc.record<Rebase>({
    shift: fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }),
    salt: fc.string(),
  }),
);

/** Blocks of rows, each with dictionaries of its own, through one converter. */
function check(text: fc.Arbitrary<string>, columnsOf: typeof columnsWith): void {
  const block = fc.constantFrom(...EVENT_TYPES).chain((type) =>
    fc.record({
      type: fc.constant(type),
      rows: fc.array(rowOf(type, text), { minLength: 1, maxLength: 6 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 3 }), rebases, (blocks, rebase) => {
      const options = rebase === null ? {} : { rebase };
      const converter = new Converter(ORIGIN, options);
      for (const { type, rows } of blocks) {
        const columns = columnsOf(type, rows);
        for (const [i, row] of rows.entries()) {
          const json = converter.json(type, columns, i);
          expect(json).toBe(plainJson(type, row, ORIGIN, options.rebase));
          expect(JSON.stringify(parseUnified(json as string))).toBe(json);
        }
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
}

test(`text is what the plainest way gives, from columns of segments, seed ${SEED}`, () => {
  // A dictionary holds UTF-8: what is half a character is another one there.
  check(hostile, columnsWith);
});

test(`text is what the plainest way gives, from columns without buffers, seed ${SEED}`, () => {
  check(lone, looseColumns);
});
