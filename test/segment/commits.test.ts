import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type CommitLine,
  checksumOf,
  commitText,
  noPoint,
  readCommits,
} from '../../src/segment/commits.ts';
import { crc32c, crcText } from '../../src/segment/crc32c.ts';
import { COMMITS_FILE } from '../../src/segment/file-names.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { HEADER } from '../support/segments.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const line = (seq: number): CommitLine => ({
  ...noPoint(),
  through_seq: seq,
  positions: ['0', '18446744073709551615'],
  consumed: [{ 1: seq }],
  rows: { process: seq },
  files: { 'process.arrow': [100, '00000000'] },
});

test('CRC-32C is Castagnoli’s', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345')))).toBe(0xe3069283);
});

test('a line comes back as it was written', () => {
  const { lines } = read([...texts(1, 2), commitText(3, line(7), checksumOf(texts()[0] ?? ''))]);
  expect(lines.at(-1)).toEqual(line(7));
  expect(lines.slice(2)).toEqual([line(7)]);
});

test('no changed byte goes unseen', () => {
  const [first] = texts();
  const text = commitText(1, line(123)).trimEnd();
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
      const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
      if (changed !== text) expect(read([first ?? '', `${changed}\n`]).lines).toEqual([]);
    }),
  );
});

const texts = (...numbers: number[]): string[] => {
  const first = commitText(0, { segment: HEADER, begin: null });
  const rest = numbers.map((n) => commitText(n, line(n * 10), checksumOf(first)));
  return [first, ...rest];
};

function read(lines: readonly string[]): NonNullable<ReturnType<typeof readCommits>> {
  writeFileSync(join(directory.path, COMMITS_FILE), lines.join(''));
  const commits = readCommits(directory.path);
  if (commits === null) throw new Error('there is a file');
  return commits;
}

test('rows of lines that cannot be used are known by the last one', () => {
  expect(read(texts(1, 2, 3))).toMatchObject({ torn: false, damaged: false, lost: null });
  const dropped = read(texts(1, 3, 4));
  expect(dropped).toMatchObject({ damaged: true, lines: { length: 1 }, lost: { rows: 30 } });
  const [first = '', ...rest] = texts(1, 2, 3);
  const damaged = rest.map((text, i) => (i === 0 ? text.replace('rows', 'rowz') : text));
  expect(read([first, ...damaged])).toMatchObject({ lines: [], lost: { rows: 30 } });
  // Behind the last line that verifies there may be others.
  expect(read([...texts(1, 3), 'garbage\n'])).toMatchObject({ lost: { rows: null } });
  expect(read([...texts(1, 2), 'garbage\n'])).toMatchObject({
    lines: { length: 2 },
    lost: { rows: null },
  });
});

test('a line twice costs nothing; lines out of order are not used', () => {
  expect(read(texts(1, 1, 2))).toMatchObject({ damaged: true, lines: { length: 2 }, lost: null });
  expect(read(texts(1, 2, 2))).toMatchObject({ damaged: true, lines: { length: 2 }, lost: null });
  expect(read(texts(1, 2, 1))).toMatchObject({ lines: { length: 2 }, lost: { rows: null } });
  expect(read(texts(2, 1, 3))).toMatchObject({ lines: { length: 0 }, lost: { rows: 30 } });
});

test('what verifies and is no JSON was written by nobody of us', () => {
  const [first = ''] = texts();
  for (const body of ['{"n":1,"of', '{"n":1,"sealed":true,', '{"n":1,']) {
    const made = `${body},"crc":"${crcText(crc32c(Buffer.from(body)))}"}\n`;
    expect(() => read([first, made]).lines.at(-1)).toThrow('written by no recorder');
  }
});

test('a power cut may tear the last line: that is no damage', () => {
  const whole = commitText(3, line(30));
  for (const torn of [whole.slice(0, 50), '\0'.repeat(80), `${'\0'.repeat(9)}${whole.slice(9)}`]) {
    expect(read([...texts(1, 2), torn])).toMatchObject({ torn: true, damaged: false, lost: null });
  }
  expect(read([...texts(1, 2), whole.replace('rows', 'rowz')])).toMatchObject({ damaged: true });
});

test('a line of another segment is known as such, the first one too', () => {
  const other = commitText(0, { segment: { ...HEADER, host: 'other' }, begin: null });
  const theirs = commitText(2, line(77), checksumOf(other));
  const [first = '', one = '', two = '', three = ''] = texts(1, 2, 3);
  expect(read([first, one, theirs, three])).toMatchObject({
    lines: [{ through_seq: 10 }],
    lost: { rows: 20 },
  });
  expect(read([other, one, two, three])).toMatchObject({ header: null, lines: [] });
  const sealed = commitText(2, { ...line(20), sealed: true }, checksumOf(first));
  expect(read([other, one, sealed])).toMatchObject({ header: null, lines: { length: 2 } });
  expect(read([first, one, sealed, theirs])).toMatchObject({
    sealed: true,
    damaged: true,
    lines: [{}, { through_seq: 20 }],
  });
});

test('reading stops at the first line that does not verify', () => {
  const path = join(directory.path, COMMITS_FILE);
  const first = commitText(0, { segment: HEADER, begin: null });
  writeFileSync(path, first + [1, 2, 3].map((seq) => commitText(seq, line(seq))).join(''));
  expect(readCommits(directory.path)).toMatchObject({
    torn: false,
    lines: [{}, {}, { through_seq: 3 }],
  });
  appendFileSync(path, commitText(4, line(4)).slice(0, -20));
  expect(readCommits(directory.path)).toMatchObject({ torn: true, lines: { length: 3 } });
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('\n', first.length) + 20] = 0x7a;
  writeFileSync(path, bytes);
  expect(readCommits(directory.path)).toMatchObject({ torn: true, lines: { length: 1 } });
});
