// Rows with whatever their columns can hold.

import fc from 'fast-check';
import type { EventType } from '../../schemas/arrow.ts';
import { EVENTS, type FieldSpec } from '../../schemas/events.ts';
import { type PlainRow, specsOf } from './unified-rows.ts';

const LONG = 20_000;

const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'comm',
    '/usr/bin/x',
    '\\xff\\x80',
    '\u0000',
    'ä',
    '€',
    '😀',
    'x'.repeat(LONG),
  ),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ maxLength: 40 }),
);

const wide = (min: bigint, max: bigint): fc.Arbitrary<bigint> => {
  const edges = Array.from({ length: 65 }, (_, bits) => 2n ** BigInt(bits));
  const all = [0n, ...edges].flatMap((n) => [n - 1n, n, -n]).filter((n) => n >= min && n <= max);
  return fc.oneof(fc.constantFrom(...all), fc.bigInt({ min, max }));
};

const small = (min: bigint, max: bigint): fc.Arbitrary<number> => wide(min, max).map(Number);

function anyValue({ type }: FieldSpec): fc.Arbitrary<PlainRow[string]> {
  switch (type) {
    case 'u16':
      return small(0n, 2n ** 16n - 1n);
    case 'u32':
      return small(0n, 2n ** 32n - 1n);
    case 'i32':
      return small(-(2n ** 31n), 2n ** 31n - 1n);
    case 'u64':
      return wide(0n, 2n ** 64n - 1n);
    case 'i64':
    case 'timestamp':
      return wide(-(2n ** 63n), 2n ** 63n - 1n);
    case 'texts':
      return fc.array(text, { maxLength: 12 });
    case 'u64s':
      return fc.array(wide(0n, 2n ** 64n - 1n), { maxLength: 40 });
    case 'bytes':
      return fc.uint8Array({ maxLength: 400 });
    default:
      return text;
  }
}

/** A row of a type: common columns are always there, own ones may be null. */
export function anyRow(type: EventType): fc.Arbitrary<PlainRow> {
  const own = Object.keys(EVENTS[type].fields);
  const columns = Object.entries(specsOf(type)).map(([name, spec]) => {
    const value = anyValue(spec);
    return [name, own.includes(name) ? fc.option(value) : value] as const;
  });
  return fc.record(Object.fromEntries(columns)) as fc.Arbitrary<PlainRow>;
}
