import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reversibleText } from '../../src/event/text.ts';

/** The bytes that a reversible text stands for. */
function bytesOf(text: string): Buffer {
  const parts = text.split(/(\\\\|\\x[0-9a-f]{2})/);
  return Buffer.concat(
    parts.map((part) => {
      if (part === '\\\\') return Buffer.from('\\');
      return part.startsWith('\\x') ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
    }),
  );
}

test('any bytes come back', () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 6 }),
    fc
      .constantFrom('\\', '\\x41', '\\\\', 'é', '€', '🦫', '\0')
      .map((text) => new Uint8Array(Buffer.from(text))),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const bytes = Buffer.concat(parts);
      expect(bytesOf(reversibleText(bytes)).equals(bytes)).toBe(true);
    }),
  );
});

test('plain text is itself; what is no UTF-8 is escaped byte by byte', () => {
  expect(reversibleText(Buffer.from('naïve 🦫'))).toBe('naïve 🦫');
  expect(reversibleText(Buffer.from('a\\b'))).toBe('a\\\\b');
  expect(reversibleText(Buffer.from([0x61, 0xff, 0xc3, 0x28, 0xe2, 0x82]))).toBe(
    'a\\xff\\xc3(\\xe2\\x82',
  );
  // A surrogate and an overlong form are no UTF-8.
  expect(reversibleText(Buffer.from([0xed, 0xa0, 0x80]))).toBe('\\xed\\xa0\\x80');
  expect(reversibleText(Buffer.from([0xc0, 0x80]))).toBe('\\xc0\\x80');
});
