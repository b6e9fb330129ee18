// Zones hold what a batch has, never too little, in few bytes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bloomOf, capacityOf, hashNumber, hashText, mayHave } from '../../src/segment/bloom.ts';
import { type NumberZone, type TextZone, zonesOf } from '../../src/segment/zones.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

test('a filter has all that it was made of', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { maxLength: 400 }),
      fc.array(fc.nat(2 ** 32 - 1), { maxLength: 400 }),
      fc.integer({ min: 64, max: 1 << 15 }),
      (texts, numbers, bitsMax) => {
        const filter = bloomOf([...texts.map(hashText), ...numbers.map(hashNumber)], bitsMax);
        expect(Buffer.from(filter, 'base64').length * 8).toBeLessThanOrEqual(Math.max(64, bitsMax));
        for (const text of texts) expect(mayHave(filter, hashText(text))).toBe(true);
        for (const number of numbers) expect(mayHave(filter, hashNumber(number))).toBe(true);
      },
    ),
    { seed: SEED },
  );
});

test('of what it does not have it says so, nearly always', () => {
  for (const count of [50, 1000, 6000]) {
    const bitsMax = 1 << 16;
    const texts = bloomOf(
      Array.from({ length: count }, (_, i) => hashText(`/usr/lib/file-${i}`)),
      bitsMax,
    );
    const numbers = bloomOf(
      Array.from({ length: count }, (_, i) => hashNumber(1000 + i)),
      bitsMax,
    );
    let wrong = 0;
    for (let i = 0; i < 10_000; i++) {
      if (mayHave(texts, hashText(`/usr/lib/file-${count + i}`))) wrong++;
      if (mayHave(numbers, hashNumber(1000 + count + i))) wrong++;
    }
    // One in a hundred at ten bits a value.
    expect(wrong / 20_000, `${count} values`).toBeLessThan(0.02);
  }
});

test('what is no filter rules nothing out', () => {
  for (const text of ['', 'AAAA', '!', 'A'.repeat(17)]) expect(mayHave(text, 5)).toBe(true);
});

const rowsOf = fc.array(
  fc.record({ text: fc.nat(400), number: fc.oneof(fc.nat(500), fc.nat(2 ** 32 - 1)) }),
  { minLength: 1, maxLength: 3000 },
);

test('zones of columns: every value is in its zone', () => {
  fc.assert(
    fc.property(rowsOf, (rows) => {
      const strings = Array.from({ length: 401 }, (_, i) => `string ${i * 7}`);
      const texts = Int32Array.from(rows, ({ text }) => text);
      const names = Uint16Array.from(rows, ({ text }) => text % 20);
      const numbers = Uint32Array.from(rows, ({ number }) => number);
      const column = (
        name: string,
        type: 'text' | 'name' | 'u32',
        values: Int32Array | Uint16Array | Uint32Array,
        allNull = false,
      ) => ({
        name,
        type,
        allNull,
        memory: values.buffer as ArrayBuffer,
        offset: values.byteOffset,
      });
      const zones = zonesOf(
        [
          column('path', 'text', texts),
          column('comm', 'name', names),
          column('pid', 'u32', numbers),
          column('gid', 'u32', numbers),
          column('cwd', 'text', texts, true),
          column('child_pid', 'u32', numbers, true),
        ],
        rows.length,
        (_, index) => strings[index] ?? '',
      );
      const has = (zone: TextZone | undefined, text: string): boolean =>
        zone === undefined ||
        ('in' in zone ? zone.in.includes(text) : mayHave(zone.bloom, hashText(text)));
      const pid = zones.pid as NumberZone;
      for (const { text, number } of rows) {
        expect(has(zones.path as TextZone | undefined, strings[text] ?? '')).toBe(true);
        expect(has(zones.comm as TextZone, strings[text % 20] ?? '')).toBe(true);
        expect(number >= pid.min && number <= pid.max).toBe(true);
        if (pid.bloom !== undefined) expect(mayHave(pid.bloom, hashNumber(number))).toBe(true);
      }
      expect(zones.gid).toBeUndefined();
      expect(zones.cwd).toEqual({ in: [] });
      expect(zones.child_pid).toEqual({ min: 0, max: -1 });
    }),
    { seed: SEED, numRuns: 60 },
  );
});

test('all of a batch take little room', () => {
  const rows = 65_536;
  const values = Int32Array.from({ length: rows }, (_, i) => i % 5000);
  const zones = zonesOf(
    [{ name: 'path', type: 'text', allNull: false, memory: values.buffer, offset: 0 }],
    rows,
    (_, index) => `/some/path/${index}`,
  );
  const zone = zones.path as { bloom: string };
  expect(zone.bloom.length).toBeLessThan((rows * 2) / 6 + 8);
  expect(capacityOf(rows * 2)).toBeGreaterThan(25_000);
});
