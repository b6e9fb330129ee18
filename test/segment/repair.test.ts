// A repair salvages exactly what can be read, counts the rest by op, and leaves the original alone.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { env } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OP_NAMES } from '../../schemas/events.ts';
import { TapioError } from '../../src/errors.ts';
import { accounts } from '../../src/query/account.ts';
import { pointOf, readCommits } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { Segment } from '../../src/segment/reader.ts';
import { repairSegment } from '../../src/segment/repair.ts';
import { ensureStore } from '../../src/segment/store.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { random } from '../support/batches.ts';
import { type Answer, ask, EVERYTHING } from '../support/mutant-check.ts';
import { mutateFiles } from '../support/mutations.ts';
import { countOps, MadeRecording, type RecordedRow } from '../support/recorded.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { flipped } from '../support/segments.ts';
import { subjectOf, Workspace } from '../support/subjects.ts';

const PYTHON = join(ROOT, '.venv/bin/python');
const SEED = 77;
const COUNT = env.TAPIO_LONG === undefined ? 150 : 3_000;

let directory: ReturnType<typeof temporaryDirectory>;
let made: MadeRecording;
/** The damaged segment, which is not the first of its recording. */
let damaged: string;
/** Its name in its store. */
let name: string;
let repairs: number;
beforeEach(() => {
  directory = temporaryDirectory();
  repairs = 0;
  const segments = join(directory.path, 'segments');
  mkdirSync(segments);
  made = new MadeRecording(segments, 'one', 8, 0);
  made.tell(1, 'init', null).write(['file', 10], ['network', 4], ['file', 5]).seal();
  made.tell(1, 'init', null).tell(2, 'löyly', null);
  made.write(['file', 12], ['network', 30], ['process', 8], ['file', 20], ['network', 6]);
  damaged = join(directory.path, 'damaged');
});
afterEach(() => directory.remove());

const sealed = (): void => {
  const { directory: path } = made.seal();
  name = basename(path);
  cpSync(path, damaged, { recursive: true });
};
const open = (): void => cpSync(made.kill(), damaged, { recursive: true });

/** Of names and contents of all files of a directory. */
function hashOf(path: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(path).sort()) {
    hash.update(name).update(readFileSync(join(path, name)));
  }
  return hash.digest('hex');
}

function flip(file: string, at: number): void {
  const path = join(damaged, file);
  writeFileSync(path, flipped(path, at < 0 ? statSync(path).size + at : at));
}

interface Outcome {
  readonly before: Answer;
  readonly after: Answer;
  readonly result: ReturnType<typeof repairSegment>;
}

/** Repairs a segment into a store of its own, and checks what holds of every repair. */
async function repair(path: string): Promise<Outcome> {
  const hash = hashOf(path);
  const before = await ask(path, EVERYTHING);
  const store = join(directory.path, `repaired-${repairs++}`);
  ensureStore(store);
  const result = repairSegment(diskFiles, path, store);
  expect(hashOf(path)).toBe(hash);
  const { directory: repaired } = result.sealed;
  expect(basename(repaired)).toBe(basename(path).replace('.open-', ''));
  expect(verifySegment(repaired).damage).toEqual([]);
  const after = await ask(repaired, EVERYTHING);
  expect(after.problems).toEqual([]);
  const plain = ({ rows }: Answer): unknown =>
    rows.map(({ seq, type, cells }) => [seq, type, cells]);
  expect(plain(after)).toEqual(plain(before));
  expect(result.rows).toBe(after.rows.length);
  return { before, after, result };
}

/** Rows of the segment under repair. */
function recorded(): RecordedRow[] {
  return [...made.rows].filter(([seq]) => seq > 19n).map(([, row]) => row);
}

/** Loss rows of the repair, by op id. */
function damagedRows({ result }: Outcome): Record<string, number> {
  const ids = new Map([...OP_NAMES].map(([id, { type, op }]) => [`${type}.${op}`, id]));
  const segment = new Segment(result.sealed.directory);
  const losses = segment.losses().filter(({ type }) => type !== null);
  segment.close();
  // That of file.read with an unknown count was recorded.
  const counted = losses.filter(({ count, cause }) => cause === 'damaged' && count !== null);
  return Object.fromEntries(
    counted.map(({ type, op, count }) => [ids.get(`${type}.${op}`), Number(count)]),
  );
}

/** Its losses are the rows that are missing, and the account of what is left comes out. */
function checkCounts(outcome: Outcome): void {
  const { before, result } = outcome;
  const seqs = new Set(before.rows.map(({ seq }) => seq));
  const missing = recorded().filter(({ cells }) => !seqs.has(cells[0] as bigint));
  expect(damagedRows(outcome)).toEqual(countOps(missing));
  expect(result.left).toBe(missing.length);
  const [was, is] = [readCommits(damaged), readCommits(result.sealed.directory)];
  expect(is?.begin).toEqual(was?.begin);
  const [end, last] = [was?.lines.at(-1), is?.lines.at(-1)];
  expect(last && pointOf(last)).toEqual(end && pointOf(end));
  const segment = new Segment(result.sealed.directory);
  expect(accounts([segment])).toMatchObject([{ holds: true, reasons: [] }]);
  segment.close();
}

test('what is whole is repaired into the same rows, with nothing lost', async () => {
  sealed();
  const outcome = await repair(damaged);
  expect(outcome.result).toMatchObject({ rows: 76, left: 0, problems: [] });
  checkCounts(outcome);
});

test('of an open segment the batches that verify are kept', async () => {
  open();
  const places = readCommits(damaged)?.lines.flatMap((line) => line.batches?.['file.arrow'] ?? []);
  flip('file.arrow', (places?.[1]?.[6] ?? 0) + 400);
  const outcome = await repair(damaged);
  expect(outcome.result).toMatchObject({ rows: 56, left: 20 });
  expect(outcome.result.problems).toEqual([expect.stringContaining('file.arrow batch 1')]);
  checkCounts(outcome);
});

test('of a sealed one the types that verify; processes are kept', async () => {
  sealed();
  flip('network.arrow', Math.floor(statSync(join(damaged, 'network.arrow')).size / 2));
  const outcome = await repair(damaged);
  expect(outcome.result).toMatchObject({ rows: 40, left: 36 });
  checkCounts(outcome);
  const segment = new Segment(outcome.result.sealed.directory);
  expect(segment.processes().map(({ comm }) => comm)).toEqual(['init', 'löyly']);
  segment.close();
});

test('nothing may be left: then there are only the losses', async () => {
  sealed();
  for (const name of ['file', 'network', 'process']) rmSync(join(damaged, `${name}.arrow`));
  const outcome = await repair(damaged);
  expect(outcome.result).toMatchObject({ rows: 0, left: 76 });
  checkCounts(outcome);
});

test('without commit lines the loss has no number', async () => {
  sealed();
  rmSync(join(damaged, 'commits.ndjson'));
  rmSync(join(damaged, 'network.arrow'));
  const outcome = await repair(damaged);
  expect(outcome.result).toMatchObject({ rows: 40, left: null });
  const segment = new Segment(outcome.result.sealed.directory);
  expect(segment.losses()).toContainEqual(
    expect.objectContaining({ stage: 'store', cause: 'damaged', type: null, count: null }),
  );
  segment.close();
});

test('what an earlier repair left out is not counted again', async () => {
  sealed();
  flip('network.arrow', Math.floor(statSync(join(damaged, 'network.arrow')).size / 2));
  const { result: first } = await repair(damaged);
  const again = join(directory.path, 'again');
  cpSync(first.sealed.directory, again, { recursive: true });
  rmSync(join(again, 'process.arrow'));
  const { result } = await repair(again);
  expect(result).toMatchObject({ rows: 32, left: 8 });
  const segment = new Segment(result.sealed.directory);
  expect(accounts([segment])).toMatchObject([{ holds: true, reasons: [] }]);
  segment.close();
});

test('without commit lines it stays where it was in its recording', async () => {
  sealed();
  rmSync(join(damaged, 'commits.ndjson'));
  const store = join(directory.path, 'both');
  cpSync(join(directory.path, 'segments'), join(store, 'segments'), { recursive: true });
  rmSync(join(store, 'segments', name), { recursive: true });
  repairSegment(diskFiles, damaged, store);
  const seqs = (await ask(store, EVERYTHING)).rows.map(({ seq }) => seq);
  expect(seqs).toEqual([...made.rows.keys()]);
});

test('where the first commit line is lost, nobody knows what is missing', async () => {
  sealed();
  const path = join(damaged, 'commits.ndjson');
  writeFileSync(path, flipped(path, 10));
  rmSync(join(damaged, 'network.arrow'));
  const { result } = await repair(damaged);
  expect(result).toMatchObject({ rows: 40, left: null });
});

const python = env.CI === undefined && !existsSync(PYTHON) ? test.skip : test;

python('pyarrow, polars and DuckDB read the result', async () => {
  open();
  flip('network.arrow', -200);
  const { result } = await repair(damaged);
  expect(result.left).toBeGreaterThan(0);
  const checked = execFileSync(PYTHON, ['test/interop/check.py', result.sealed.directory], {
    cwd: ROOT,
  });
  const files = JSON.parse(checked.toString()) as Record<string, { rows: number }>;
  expect(Object.keys(files)).toContain('losses.arrow');
  expect(files['process.arrow']?.rows).toBe(8);
});

test(`${COUNT} segments changed at random: salvaged is what is read, and it verifies`, {
  timeout: 60_000 + COUNT * 1_000,
}, async () => {
  const copies = join(directory.path, 'copies');
  cpSync(made.kill(), join(copies, 'open'), { recursive: true });
  made.write(['file', 12], ['network', 30], ['memory', 8]);
  cpSync(made.seal().directory, join(copies, 'sealed'), { recursive: true });
  const subjects = ['open', 'sealed'].map((name) =>
    subjectOf(name, 'segment', [join(copies, name)]),
  );
  const workspace = new Workspace(join(directory.path, 'work'));
  let refused = 0;
  for (let i = 0; i < COUNT; i++) {
    const next = random(SEED + i);
    const subject = subjects[i % 2];
    if (subject === undefined) throw new Error('no subject');
    const origins = new Map([...subject.segments.keys()].map((one) => [one, one]));
    const { places, middle } = subject;
    const mutant = { files: new Map(subject.files), origins, random: next, places, middle };
    const said = mutateFiles(mutant).join(', then ');
    // One directory: what made a second of it is another test's.
    if (origins.size !== 1 || !origins.has(subject.name)) continue;
    try {
      await repair(workspace.write('segment', mutant.files));
    } catch (error) {
      if (!(error instanceof TapioError))
        throw new Error(`seed ${SEED + i}: ${said}`, { cause: error });
      refused++;
    }
    rmSync(join(directory.path, `repaired-${repairs - 1}`), { recursive: true, force: true });
  }
  // Only what has no readable file at all is refused.
  expect(refused).toBeLessThan(COUNT / 10);
});
