// Verification reads every committed byte, names the piece that is damaged, and sees nothing where nothing is.

import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lengthIn, readCommits } from '../../src/segment/commits.ts';
import { committedFiles, committedRanges } from '../../src/segment/damage.ts';
import { Segment } from '../../src/segment/reader.ts';
import { damageSentence, type Verified, verifySegment } from '../../src/segment/verify.ts';
import { MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { flipped } from '../support/segments.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let made: MadeRecording;
beforeEach(() => {
  directory = temporaryDirectory();
  made = new MadeRecording(directory.path, 'one', 8, 0).tell(1, 'init', null);
});
afterEach(() => directory.remove());

/** One of each kind: sealed in place, sealed merged, open. */
function segments(): string[] {
  const inPlace = made.write(['file', 40], ['network', 20]).seal().directory;
  const merged = made.write(['file', 10], ['file', 12], ['process', 9]).seal().directory;
  return [inPlace, merged, made.write(['memory', 11], ['file', 7]).tell(2, 'sh', 4n).kill()];
}

const sentences = (found: Verified): string[] =>
  found.damage.map((one) => damageSentence(found, one));

test('what is whole has no damage, and its bytes and rows are counted', () => {
  const rows = [60, 31, 18];
  segments().forEach((path, i) => {
    const commits = readCommits(path);
    if (commits === null) throw new Error('no commits');
    const bytes = committedFiles(commits).reduce(
      (sum, file) => sum + lengthIn(commits.lines.at(-1)?.files[file]),
      0,
    );
    let told = 0;
    const found = verifySegment(path, (read) => {
      told += read;
    });
    expect(found).toEqual({
      segment: basename(path).replace('.open-', ''),
      state: i === 2 ? 'open' : 'sealed',
      bytes,
      rows: rows[i],
      damage: [],
    });
    expect(told).toBe(bytes);
  });
});

test('every committed piece that changes is named, and no other', () => {
  for (const path of segments()) {
    const commits = readCommits(path);
    if (commits === null) throw new Error('no commits');
    let pieces = 0;
    for (const file of committedFiles(commits)) {
      const at = join(path, file);
      const whole = readFileSync(at);
      for (const { from, to } of committedRanges(commits, file)) {
        writeFileSync(at, flipped(at, to - 1));
        const found = verifySegment(path);
        expect(found.damage).toEqual([{ file, from, to, reason: 'checksum' }]);
        expect(sentences(found)).toEqual([
          `${found.segment}/${file}: bytes ${from} to ${to} are not what was committed`,
        ]);
        writeFileSync(at, whole);
        pieces++;
      }
    }
    expect(pieces).toBeGreaterThan(5);
  }
});

test('what was never committed is no damage', () => {
  const [sealed = '', , open = ''] = segments();
  appendFileSync(join(open, 'file.arrow'), 'a batch that was being written');
  appendFileSync(join(open, 'commits.ndjson'), '{"n":3,"of":"');
  appendFileSync(join(sealed, 'file.arrow'), 'more');
  writeFileSync(join(sealed, 'notes.txt'), 'of the user');
  expect(verifySegment(open).damage).toEqual([]);
  expect(verifySegment(sealed).damage).toEqual([]);
});

test('a torn line in the middle is damage, and one of a sealed segment always', () => {
  const [sealed = '', , open = ''] = segments();
  for (const path of [sealed, open]) {
    const commits = join(path, 'commits.ndjson');
    const lines = readFileSync(commits, 'utf8').split('\n');
    lines[1] = lines[1]?.slice(0, 200) ?? '';
    writeFileSync(commits, lines.join('\n'));
    const found = verifySegment(path);
    expect(found.damage.map(({ file }) => file)).toContain('commits.ndjson');
    expect(sentences(found).join()).toContain('some of its lines are missing or damaged');
  }
});

test('without commit lines it is decoded, and what cannot be is named', () => {
  const [sealed = ''] = segments();
  rmSync(join(sealed, 'commits.ndjson'));
  expect(verifySegment(sealed).damage).toMatchObject([{ reason: 'commits' }]);
  const segment = new Segment(sealed);
  const [batch] = segment.batches('network');
  segment.close();
  const path = join(sealed, 'network.arrow');
  // In the middle of the first column, which zstd's checksum covers.
  const at = (batch?.offset ?? 0) + (batch?.metadataLength ?? 0) + 20;
  writeFileSync(path, flipped(path, at));
  expect(sentences(verifySegment(sealed))).toEqual([
    expect.stringContaining('no commits.ndjson'),
    expect.stringMatching(/network\.arrow.*: .*cannot be decoded/),
  ]);
});

test('what is no segment is said in a sentence', () => {
  const empty = join(directory.path, 'empty');
  mkdirSync(empty);
  expect(sentences(verifySegment(empty))).toEqual([
    expect.stringMatching(/empty\/commits\.ndjson: .* is neither a store nor a segment/),
  ]);
  const [, , open = ''] = segments();
  const copy = join(directory.path, 'copy');
  cpSync(open, copy, { recursive: true });
  expect(verifySegment(copy).damage).toEqual([]);
});
