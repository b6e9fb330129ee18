// A checkpoint says after any crash what was through before it, never more.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { Checkpoint } from '../../src/sink/checkpoint.ts';
import { SeqRanges } from '../../src/sink/seq-ranges.ts';
import { temporaryDirectory } from '../support/recording.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const open = (name = 'nats'): Checkpoint => new Checkpoint(diskFiles, directory.path, name);
const file = (name = 'nats'): string => join(directory.path, 'sinks', `${name}.json`);

test('a set of seqs is what was added to it, in as few ranges as there can be', () => {
  const range = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 6 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), fc.nat(20), (added, through) => {
      const ranges = new SeqRanges(through);
      const plain = new Set(Array.from({ length: through }, (_, i) => i + 1));
      for (const [first, length] of added) {
        ranges.add(first, first + length - 1);
        for (let seq = first; seq < first + length; seq++) plain.add(seq);
      }
      for (let seq = 1; seq < 80; seq++) expect(ranges.has(seq)).toBe(plain.has(seq));
      let contiguous = 0;
      while (plain.has(contiguous + 1)) contiguous++;
      expect(ranges.through).toBe(contiguous);
      let before = ranges.through;
      for (const [first, last] of ranges.beyond) {
        expect(first).toBeGreaterThan(before + 1);
        expect(last).toBeGreaterThanOrEqual(first);
        before = last;
      }
      expect(new SeqRanges(ranges.through, ranges.beyond)).toEqual(ranges);
    }),
    { seed: SEED },
  );
});

test('what was saved is there again, for each recording', () => {
  const one = open();
  one.of('a').add(1, 9);
  one.of('a').add(12);
  one.of('b').add(3);
  one.save();
  const again = open();
  expect([again.of('a').through, again.of('a').beyond]).toEqual([9, [[12, 12]]]);
  expect([again.of('b').through, again.of('b').beyond]).toEqual([0, [[3, 3]]]);
  expect(again.of('c').through).toBe(0);
  again.hold(new Map([['b', 3]]), 'b');
  again.save();
  expect(open().of('a').through).toBe(0);
  expect(open('other').of('b').through).toBe(0);
});

test('what has not changed is not written', () => {
  const one = open();
  one.of('a').add(1);
  one.save();
  writeFileSync(file(), 'mine');
  one.save();
  expect(readFileSync(file(), 'utf8')).toBe('mine');
});

test('a garbled file says nothing, one of a later version is not touched', () => {
  const one = open();
  one.of('a').add(1, 5);
  one.save();
  const text = readFileSync(file(), 'utf8');
  for (const garbled of ['', '{', text.slice(0, -9), 'null', '[]', '{"format":1,"recordings":7}']) {
    writeFileSync(file(), garbled);
    expect(open().of('a').through).toBe(0);
  }
  for (const beyond of ['7', '[[1]]', '[["1",2]]', '[[1,2.5]]', '[[-1,2]]']) {
    writeFileSync(file(), `{"format":1,"recordings":{"a":{"through":3,"beyond":${beyond}}}}`);
    expect(open().of('a').through).toBe(0);
  }
  writeFileSync(file(), '{"format":2}');
  expect(() => open()).toThrow('was written by a later version');
});

test('a name is a name', () => {
  for (const name of ['', '../x', 'a/b', '.hidden', 'x'.repeat(65), 'a b']) {
    expect(() => open(name)).toThrow('is no name for a sink');
  }
});
