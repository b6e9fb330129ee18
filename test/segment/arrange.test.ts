// Segments in order of what they say of themselves: renamed, copied, removed and exchanged directories.

import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { recoverSegments } from '../../src/segment/recover.ts';
import { openStore, segmentsOf } from '../../src/segment/store.ts';
import { ask, EVERYTHING } from '../support/mutant-check.ts';
import { MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let segments: string;
let made: MadeRecording;
let names: string[];
beforeEach(() => {
  directory = temporaryDirectory();
  segments = segmentsOf(directory.path);
  mkdirSync(segments);
  made = new MadeRecording(segments, 'one', 4, 0);
  made.write(['file', 10], ['file', 5]).seal();
  made.write(['network', 20]).seal();
  made.write(['file', 7], ['memory', 3]).seal();
  names = readdirSync(segments).sort();
});
afterEach(() => directory.remove());

const at = (i: number): string => join(segments, names[i] ?? '');
const seqs = async (): Promise<bigint[]> =>
  (await ask(directory.path, EVERYTHING)).rows.map(({ seq }) => seq);
const all = (): bigint[] => [...made.rows.keys()];
const problems = async (): Promise<unknown> => (await ask(directory.path, EVERYTHING)).problems;

test('one with another number stays where its rows belong', async () => {
  renameSync(at(0), join(segments, '20300101T000000.000Z-0000099'));
  expect(await seqs()).toEqual(all());
  expect(await problems()).toEqual([]);
});

test('a copy is left out, and named', async () => {
  cpSync(at(1), join(segments, 'a-copy'), { recursive: true });
  expect(await seqs()).toEqual(all());
  const { problems, notes } = await ask(directory.path, EVERYTHING);
  expect(problems).toEqual([]);
  expect(notes.join()).toMatch(/has rows of .* again: it is left out/);
});

test('of an older copy and the whole, the whole is read', async () => {
  made.write(['file', 8]);
  const open = readdirSync(segments).find((name) => name.startsWith('.open-')) ?? '';
  cpSync(join(segments, open), join(segments, '.open-copy'), { recursive: true });
  made.write(['file', 4]).seal();
  expect(await seqs()).toEqual(all());
});

test('a gap says how many rows it has, in the times in which they can lie', () => {
  rmSync(at(1), { recursive: true });
  const { segments: opened, problems } = openStore(directory.path);
  for (const segment of opened) segment.close();
  const rows = [...made.rows.values()].filter(({ type }) => type === 'network');
  expect(problems).toMatchObject([{ rows: 20, type: null }]);
  const [gap] = problems;
  for (const { cells } of rows) {
    expect(cells[1]).toBeGreaterThanOrEqual((gap?.firstTs ?? 0n) - 20n);
    expect(cells[1]).toBeLessThanOrEqual(gap?.lastTs ?? 0n);
  }
});

test('commit lines of another segment take nothing from that one', async () => {
  writeFileSync(join(at(0), 'commits.ndjson'), readFileSync(join(at(1), 'commits.ndjson')));
  const { rows, problems } = await ask(directory.path, EVERYTHING);
  expect(rows.map(({ seq }) => seq)).toEqual(all().slice(15));
  expect(problems.length).toBeGreaterThan(0);
});

test('an open segment without commits.ndjson is named', async () => {
  made.write(['file', 8]);
  const open = readdirSync(segments).find((name) => name.startsWith('.open-')) ?? '';
  rmSync(join(segments, open, 'commits.ndjson'));
  expect(await seqs()).toEqual(all().slice(0, -8));
  expect(await problems()).toMatchObject([{ text: expect.stringContaining('no commits.ndjson') }]);
});

test('an open segment with a damaged line says how many rows that costs', async () => {
  made.write(['file', 8], ['file', 9]);
  const open = readdirSync(segments).find((name) => name.startsWith('.open-')) ?? '';
  const path = join(segments, open, 'commits.ndjson');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('"through_seq":53', '"through_seq":54'));
  expect(await seqs()).toEqual(all().slice(0, -17));
  expect(await problems()).toMatchObject([{ rows: 17 }]);
  writeFileSync(path, text.replace('"host"', '"hoist"'));
  expect(await seqs()).toEqual(all().slice(0, -17));
  expect(await problems()).toMatchObject([{ rows: null }]);
});

test('a recovery counts the rows behind a damaged line, which it has to cut off', async () => {
  made.write(['file', 8], ['file', 9], ['file', 4]);
  const directoryOfOpen = made.kill();
  const path = join(directoryOfOpen, 'commits.ndjson');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('"through_seq":62', '"through_seq":63'));
  const recovered = recoverSegments(diskFiles, segments);
  const cut = [...(recovered[0]?.cutRows.values() ?? [])].reduce((a, b) => a + b, 0);
  expect(cut).toBe(13);
  expect(await seqs()).toEqual(all().slice(0, -13));
});
