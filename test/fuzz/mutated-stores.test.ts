// Stores whose files were changed in every way but a forger's: never a row that was not recorded, never a
// shorter answer that does not say so, never a crash or an endless loop.
//
// Where commit lines are there, every byte that is read is held against them. Without them a segment is
// read "unverified": its rows are right as long as nothing was changed but what lies within zstd frames
// (which have checksums), was cut off, or is gone. Metadata and buffers that did not compress have no
// other checksum than the commit lines', so such segments are only asked not to crash.
//
// Nothing can tell that the last segments, or the last commit lines of an open one, were removed: these are
// states that the store once had. Here they count as such.

import { spawn } from 'node:child_process';
import fs, { cpSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Selection } from '../../src/query/select.ts';
import { OPEN_PREFIX } from '../../src/segment/file-names.ts';
import { segmentDirectories, segmentsOf } from '../../src/segment/store.ts';
import { random } from '../support/batches.ts';
import { type Answer, ask, EVERYTHING, MutantCheck } from '../support/mutant-check.ts';
import { type Mutant, mutateFiles } from '../support/mutations.ts';
import { MadeRecording } from '../support/recorded.ts';
import { Recording, ROOT, temporaryDirectory } from '../support/recording.ts';
import { openSegments } from '../support/segments.ts';
import { type Subject, subjectOf, Workspace } from '../support/subjects.ts';

/** One that failed is had again with the seed that it prints, and TAPIO_MUTANTS=1. */
const SEED = Number(env.TAPIO_SEED ?? 20261125);
const COUNT = Number(env.TAPIO_MUTANTS ?? (env.TAPIO_LONG === undefined ? 1_500 : 50_000));
const COMMANDS = Math.min(100, COUNT);
/** Whole stores take up to 2,000. */
const READS_MAX = 20_000;
const FAILURES_MAX = 10;
const VERIFIED_OF = 5;

let directory: ReturnType<typeof temporaryDirectory>;
let recordings: MadeRecording[];
let subjects: Subject[];
beforeAll(async () => {
  directory = temporaryDirectory();
  subjects = await makeSubjects(directory.path);
});
afterAll(() => directory.remove());

/** Two recordings: sealed in place, merged, and one as a killed recorder leaves it. */
function makeStore(segments: string): MadeRecording[] {
  const first = new MadeRecording(segments, 'first', 1, 0);
  first.tell(1, 'init', 7n);
  first.write(['process', 9], ['network', 12], ['file', 8], ['memory', 7], ['syscall', 6]).seal();
  first.write(['file', 20], ['network', 5], ['file', 11], ['file', 30]).tell(2, 'löyly', 3n);
  first.write(['network', 4]).seal();
  first.write(['network', 25]).seal();
  first.write(['process', 6], ['process', 5], ['syscall', 14]).seal();
  const second = new MadeRecording(segments, 'second', 2, 5);
  second.write(['file', 10], ['memory', 12], ['memory', 3]).tell(3, '日本', null);
  second.write(['file', 13]).seal();
  second.tell(4, 'nginx', 2n).write(['network', 16], ['file', 9]).tell(5, 'sh', 1n);
  second.write(['network', 7], ['process', 10], ['file', 5], ['network', 8]);
  second.append('file', 6);
  const killed = second.kill();
  fs.appendFileSync(join(killed, 'network.arrow'), 'the beginning of a batch');
  return [first, second];
}

/** What the recorder itself makes of synthetic events: two segments, one of which a kill leaves open. */
async function record(store: string): Promise<void> {
  const EVENTS = 1_500;
  const flags = ['--source', 'synthetic', '--seed', '5', '--rate', '500', '--events', `${EVENTS}`];
  const recording = await Recording.start(store, flags);
  const until = async (ready: (rows: number, segments: number) => boolean): Promise<void> => {
    for (;;) {
      const segments = openSegments(store);
      const rows = segments.flatMap((one) => one.types().map((type) => one.rows(type)));
      for (const segment of segments) segment.close();
      if (
        ready(
          rows.reduce((a, b) => a + b, 0),
          segments.length,
        )
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await until((rows) => rows > 0);
  recording.signal('SIGUSR2');
  await until((rows, segments) => rows === EVENTS && segments > 1);
  recording.signal('SIGKILL');
  await recording.finished().catch(() => {});
}

async function makeSubjects(root: string): Promise<Subject[]> {
  const segments = segmentsOf(join(root, 'store'));
  fs.mkdirSync(segments, { recursive: true });
  recordings = makeStore(segments);
  const uncommitted = new Map(recordings.map((one) => [one.recording, one.uncommitted]));
  const all = segmentDirectories(join(root, 'store'));
  const alone = [0, 1, 4, 5].map((i) => {
    const copy = join(root, `copy-${i}`);
    cpSync(all[i] ?? '', copy, { recursive: true });
    return subjectOf(`copy ${i}`, 'segment', [copy], uncommitted);
  });
  const large = join(root, 'large');
  fs.mkdirSync(large);
  const made = new MadeRecording(large, 'large', 3, 0);
  const { directory: split } = made.write(['memory', 4_200]).seal();
  const real = join(root, 'real');
  await record(real);
  expect(segmentDirectories(real).some((path) => path.includes(OPEN_PREFIX))).toBe(true);
  // The store is the likeliest, as most can happen there.
  const store = subjectOf('store', 'store', all, uncommitted);
  return [
    ...[store, store, store, store, ...alone],
    subjectOf('large', 'segment', [split]),
    subjectOf('real', 'store', segmentDirectories(real)),
  ];
}

/** All that was recorded, or a window or types of it. */
function anySelection(subject: Subject, next: () => number): Selection {
  if (next() < 0.6) return EVERYTHING;
  const rows = [...subject.rows.values()].flatMap((one) => [...one.values()]);
  const times = [0, 0].map(() => rows[Math.floor(next() * rows.length)]?.cells[1] as bigint);
  const [since = null, until = null] = times.sort((a, b) => (a < b ? -1 : 1));
  const types = EVERYTHING.types.filter(() => next() < 0.7);
  return { ...EVERYTHING, types, since, until };
}

/** Counts reads of files: what goes on reading is stopped, and said to hang. */
class ReadLimit {
  readonly #read = fs.readSync;
  #left = Number.POSITIVE_INFINITY;
  count = 0;

  constructor() {
    const counted = (...given: unknown[]): number => {
      this.count++;
      if (--this.#left < 0) throw new Error('it reads without end');
      return Reflect.apply(this.#read, fs, given) as number;
    };
    fs.readSync = counted as typeof fs.readSync;
    syncBuiltinESMExports();
  }

  /** Throws where `work` reads more than it may. */
  async during(work: () => Promise<void>): Promise<void> {
    this.#left = READS_MAX;
    await work();
    if (this.#left < 0) throw new Error(`more than ${READS_MAX} reads`);
    this.#left = Number.POSITIVE_INFINITY;
  }

  remove(): void {
    fs.readSync = this.#read;
    syncBuiltinESMExports();
  }
}

/** The mutant of a seed, and the question that it is asked. */
function mutantOf(seed: number): {
  subject: Subject;
  selection: Selection;
  mutant: Mutant;
  said: string;
} {
  const next = random(seed);
  const subject = subjects[Math.floor(next() * subjects.length)] as Subject;
  const selection = anySelection(subject, next);
  const mutant: Mutant = {
    files: new Map(subject.files),
    origins: new Map([...subject.segments.keys()].map((one) => [one, one])),
    random: next,
    places: subject.places,
    middle: subject.middle,
  };
  const said = `TAPIO_SEED=${seed}, ${subject.name}: ${mutateFiles(mutant).join(', then ')}`;
  return { subject, selection, mutant, said };
}

test('whole stores give what was recorded, with nothing to say but the losses', async () => {
  const workspace = new Workspace(join(directory.path, 'whole'));
  for (const subject of subjects) {
    const { rows, problems } = await ask(workspace.write(subject.kind, subject.files), EVERYTHING);
    expect(problems, subject.name).toEqual([]);
    const recorded = [...subject.rows.values()].reduce((sum, one) => sum + one.size, 0);
    expect(rows.length, subject.name).toBe(recorded);
  }
  for (const { recording, rows } of recordings) {
    expect(subjects[0]?.rows.get(recording)).toEqual(rows);
  }
});

test(`${COUNT} changed stores: no other row, no silent gap, no crash`, {
  timeout: 60_000 + COUNT * 500,
}, async () => {
  const workspace = new Workspace(join(directory.path, 'work'));
  const limit = new ReadLimit();
  const failures: string[] = [];
  let incomplete = 0;
  for (let i = 0; i < COUNT && failures.length < FAILURES_MAX; i++) {
    const { subject, selection, mutant, said } = mutantOf(SEED + i);
    const path = workspace.write(subject.kind, mutant.files);
    try {
      const check = new MutantCheck(subject, mutant, workspace);
      await limit.during(async () => {
        const answer = await check.query(path, selection);
        if (answer === null || answer.problems.length > 0) incomplete++;
        check.verify();
      });
    } catch (error) {
      failures.push(`${said}: ${(error as Error).message}`);
    }
  }
  limit.remove();
  console.info(`seed ${SEED}: ${COUNT} mutants, ${incomplete} incomplete, ${limit.count} reads`);
  expect(failures).toEqual([]);
  // Most changes are to be noticed: a harness that changes nothing would prove nothing.
  if (COUNT > 100) expect(incomplete).toBeGreaterThan(COUNT / 4);
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the program on a store that was changed. */
function replay(...args: string[]): Promise<Ran> {
  const child = spawn(execPath, ['cli/tapio-replay.ts', ...args], {
    cwd: ROOT,
    env: { ...env, NODE_COMPILE_CACHE: join(directory.path, 'compiled') },
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

/** What the command says must be what the functions say that it is made of. */
async function checkCommand(seed: number, workspace: Workspace): Promise<string[]> {
  const { subject, mutant, said } = mutantOf(seed);
  const path = workspace.write(subject.kind, mutant.files);
  const check = new MutantCheck(subject, mutant, workspace);
  const answer = await check.query(path, EVERYTHING);
  const ran = await replay('query', '--store', path, '--all', '-o', 'json');
  const found = differences(answer, ran);
  // Verification was checked in full above: here it is for the exit code, of some.
  if (seed % VERIFIED_OF !== 0) return found.map((one) => `${said}: ${one}`);
  const verified = await replay('verify', '--store', path);
  if (verified.code !== 0 && verified.code !== 1) found.push(`verify ends with ${verified.code}`);
  if (check.hasDamage !== (verified.code === 1) && check.isSure) {
    found.push(`verify ends with ${verified.code}: ${verified.out}`);
  }
  return found.map((one) => `${said}: ${one}`);
}

function differences(answer: Answer | null, { code, out, err }: Ran): string[] {
  const found: string[] = [];
  const lines = err.trimEnd().split('\n');
  if (/^ {4}at /m.test(err)) found.push(`it crashes: ${err}`);
  if (answer === null) {
    if (code !== 1 || lines.length !== 1) found.push(`ends with ${code}: ${err}`);
    return found;
  }
  if (code !== 0) found.push(`ends with ${code}: ${err}`);
  const rows = out.split('\n').filter((line) => line !== '');
  const seqs = rows.map((line) => (JSON.parse(line) as { seq: number }).seq);
  if (seqs.join() !== answer.rows.map(({ seq }) => seq).join()) {
    found.push(`${seqs.length} rows instead of ${answer.rows.length}`);
  }
  const texts = lines.filter((line) => line.includes('incomplete: '));
  if (texts.join() !== answer.texts.map((text) => `tapio-replay: ${text}`).join()) {
    found.push(`says ${texts.join()} instead of ${answer.texts.join()}`);
  }
  return found;
}

test(`${COMMANDS} of them by the programs: rows, what they lack, exit codes`, {
  timeout: 60_000 + COMMANDS * 5_000,
}, async () => {
  const failures: string[] = [];
  let next = 0;
  const work = async (name: string): Promise<void> => {
    const workspace = new Workspace(join(directory.path, name));
    while (next < COMMANDS) {
      failures.push(...(await checkCommand(SEED + next++, workspace)));
    }
  };
  await Promise.all(['a', 'b', 'c'].map(work));
  expect(failures).toEqual([]);
});
