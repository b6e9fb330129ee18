import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type CommitLine,
  commitText,
  noPoint,
  parseCommitText,
  readCommits,
} from '../../src/segment/commits.ts';
import { crc32c } from '../../src/segment/crc32c.ts';
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
  expect(parseCommitText(commitText(3, line(7)).trimEnd())).toEqual({ n: 3, ...line(7) });
});

test('no changed byte goes unseen', () => {
  const text = commitText(1, line(123)).trimEnd();
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
      const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
      if (changed !== text) expect(parseCommitText(changed)).toBeNull();
    }),
  );
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
