// What must hold of an answer from a store that was changed: every row is one that was recorded, and what
// is missing is said.

import { isDeepStrictEqual } from 'node:util';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../../src/errors.ts';
import { accounts } from '../../src/query/account.ts';
import { missingFrom, whatIsMissing } from '../../src/query/completeness.ts';
import { Reading } from '../../src/query/reading.ts';
import type { Selection } from '../../src/query/select.ts';
import { type Commits, lengthIn } from '../../src/segment/commits.ts';
import {
  COMMITS_FILE,
  LOSSES_FILE,
  PROCESS_LOG,
  PROCESSES_FILE,
} from '../../src/segment/file-names.ts';
import type { Problem, Segment } from '../../src/segment/reader.ts';
import { openStore } from '../../src/segment/store.ts';
import type { Value } from '../../src/segment/vectors.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { directoriesOf, type Mutant } from './mutations.ts';
import { columnIndex, type RecordedRow } from './recorded.ts';
import {
  type Range,
  type Subject,
  type SubjectSegment,
  sameBytes,
  type Workspace,
} from './subjects.ts';

export const EVERYTHING: Selection = {
  since: null,
  until: null,
  types: EVENT_TYPES,
  ops: null,
  pids: null,
  comms: null,
};

interface AnsweredRow extends RecordedRow {
  readonly segment: Segment;
  readonly seq: bigint;
}

/** What a query of all columns gives. */
export interface Answer {
  readonly rows: readonly AnsweredRow[];
  readonly problems: readonly Problem[];
  /** Sentences that the command line prints. */
  readonly texts: readonly string[];
  readonly notes: readonly string[];
  readonly segments: readonly Segment[];
  /** Per segment: its small tables, and its problems when all was read. */
  readonly small: ReadonlyMap<Segment, { readonly processes: unknown; readonly losses: unknown }>;
  readonly accountsHold: boolean;
}

const columnsOf = (type: EventType): string[] => EVENT_TABLES[type].columns.map((c) => c.name);

/** Asks as `tapio-replay query --all` does. */
export async function ask(path: string, selection: Selection): Promise<Answer> {
  const opened = openStore(path);
  const { segments } = opened;
  try {
    const rows: AnsweredRow[] = [];
    const reading = Reading.of(opened, selection);
    for await (const { block, from, to } of reading.rows({ first: null, last: null }, columnsOf)) {
      const { segment, info, columns } = block;
      for (let row = from; row < to; row++) {
        const cells = [...columns.values()].map((column) => column.get(row));
        rows.push({ segment, seq: columns.get('seq')?.get(row) as bigint, type: info.type, cells });
      }
    }
    const texts = missingFrom(opened, selection);
    const problems = [...opened.problems, ...segments.flatMap((one) => one.problems)];
    const small = new Map(
      segments.map((one) => [one, { processes: one.processes(), losses: one.losses() }]),
    );
    const notes = segments.flatMap((one) => one.notes);
    const accountsHold = accounts(segments).every(({ holds }) => holds);
    return { rows, problems, texts, notes, segments, small, accountsHold };
  } finally {
    for (const segment of segments) segment.close();
  }
}

function sameValue(a: Value, b: Value): boolean {
  return a === b || (typeof a === 'object' && isDeepStrictEqual(a, b));
}

function sameRow(a: RecordedRow, b: RecordedRow | undefined): boolean {
  if (b === undefined || a.type !== b.type || a.cells.length !== b.cells.length) return false;
  return a.cells.every((cell, i) => sameValue(cell, b.cells[i] ?? null));
}

/** What is to be expected of one directory of a mutant. */
interface Expected {
  readonly base: SubjectSegment;
  /** Rows of it up to here were committed, as far as its commit lines can tell. */
  readonly through: bigint;
  /** Bytes that a commit covers are not what they were. */
  readonly changed: boolean;
  /** Nothing is changed but what zstd's checksums cover, or cut off, or the commit lines. */
  readonly framed: boolean;
  /** Its commit lines have one that is whole and of another segment. */
  readonly foreign: boolean;
}

const lineTexts = (bytes: Buffer | undefined): string[] =>
  (bytes?.toString('latin1') ?? '').split('\n').filter((line) => line !== '');

/** What a power cut can leave of a line that was not synced: its beginning, or zeros in its place. */
function isTornLine(bytes: Buffer): boolean {
  const end = bytes.indexOf('\n');
  return end < 0 || (end === bytes.length - 1 && bytes.includes(0));
}

/**
 * How many commit lines are left of an open segment where all but a torn one is as it was; one that stands
 * there again is none of its own.
 */
function linesKept(
  { commits, open }: SubjectSegment,
  base: Buffer,
  now: Buffer | undefined,
): number {
  const { length } = commits.lines;
  if (!open || now === undefined) return length;
  const was = lineTexts(base);
  let kept = 0;
  for (let at = 0; ; ) {
    const end = now.indexOf('\n', at) + 1;
    const text = now.toString('latin1', at, end - 1);
    const isNext = end > 0 && text === was[kept];
    const isAgain = end > 0 && was.slice(0, kept).includes(text);
    if (!isNext && !isAgain) {
      // The first line is that of the segment.
      return isTornLine(now.subarray(at)) ? Math.max(0, Math.min(length, kept - 1)) : length;
    }
    if (isNext) kept++;
    at = end;
  }
}

const inRanges = (ranges: readonly Range[], at: number): boolean =>
  ranges.some(({ from, to }) => at >= from && at < to);

/** True where a file is as it was, but for what lies in `frames`, and may be cut. */
function isFramed(base: Buffer, now: Buffer | undefined, frames: readonly Range[]): boolean {
  if (now === undefined) return true;
  if (now.length > base.length) return false;
  for (let at = 0; at < now.length; at++) {
    if (now[at] !== base[at] && !inRanges(frames, at)) return false;
  }
  return true;
}

function expectedOf(subject: Subject, mutant: Mutant, directory: string): Expected {
  const origin = mutant.origins.get(directory) ?? '';
  const base = subject.segments.get(origin);
  if (base === undefined) throw new Error(`${directory} comes from nowhere`);
  const { commits } = base;
  const was = (file: string): Buffer => subject.files.get(`${origin}/${file}`) ?? Buffer.alloc(0);
  const is = (file: string): Buffer | undefined => mutant.files.get(`${directory}/${file}`);
  const kept = linesKept(base, was(COMMITS_FILE), is(COMMITS_FILE));
  const line = commits.lines[kept - 1];
  const names = [...subject.files.keys()]
    .filter((path) => path.startsWith(`${origin}/`))
    .map((path) => path.slice(origin.length + 1));
  const changed = (file: string): boolean => {
    if (file === COMMITS_FILE) {
      const end = commits.ends[kept - 1] ?? 0;
      return !sameBytes(is(file), was(file), base.open ? end : was(file).length);
    }
    const committed = lengthIn(line?.files[file]);
    return committed > 0 && !sameBytes(is(file), was(file), committed);
  };
  const foreign = lineTexts(is(COMMITS_FILE)).some(
    (text) =>
      !lineTexts(was(COMMITS_FILE)).includes(text) &&
      [...subject.segments.keys()].some((other) =>
        lineTexts(subject.files.get(`${other}/${COMMITS_FILE}`)).includes(text),
      ),
  );
  return {
    base,
    through: BigInt(line?.through_seq ?? 0),
    changed: names.some(changed),
    framed: names.every(
      (file) =>
        file === COMMITS_FILE ||
        isFramed(was(file), is(file), base.frames.get(`${origin}/${file}`) ?? []),
    ),
    foreign,
  };
}

function through({ begin, lines }: Commits): [bigint, bigint] {
  return [BigInt(begin?.through_seq ?? 0), BigInt(lines.at(-1)?.through_seq ?? 0)];
}

function isWanted({ type, cells }: RecordedRow, { types, since, until }: Selection): boolean {
  const ts = cells[columnIndex(type, 'ts')] as bigint;
  return types.includes(type) && (since === null || ts >= since) && (until === null || ts < until);
}

/** Checks one mutant, which lies at `path`; throws an error that says what does not hold. */
export class MutantCheck {
  readonly #subject: Subject;
  readonly #workspace: Workspace;
  readonly #expected: ReadonlyMap<string, Expected>;
  readonly #untouched: boolean;

  constructor(subject: Subject, mutant: Mutant, workspace: Workspace) {
    this.#subject = subject;
    this.#workspace = workspace;
    const directories = directoriesOf(mutant.files);
    this.#expected = new Map(directories.map((one) => [one, expectedOf(subject, mutant, one)]));
    this.#untouched =
      [...this.#expected].every(
        ([directory, { base, changed, through: to }]) =>
          mutant.origins.get(directory) === directory &&
          !changed &&
          to === through(base.commits)[1] &&
          mutant.files.get(`${directory}/${COMMITS_FILE}`) ===
            subject.files.get(`${directory}/${COMMITS_FILE}`),
      ) && this.#expected.size === subject.segments.size;
  }

  /** The answer, or null where it was refused. */
  async query(path: string, selection: Selection): Promise<Answer | null> {
    let answer: Answer;
    try {
      answer = await ask(path, selection);
    } catch (error) {
      this.#refused(error);
      return null;
    }
    this.#checkRows(answer, selection);
    this.#checkComplete(answer, selection);
    this.#checkSmall(answer);
    const said = whatIsMissing([], answer.problems, EVERYTHING);
    if (this.#untouched && said.length > 0) {
      throw new Error(`nothing is changed that was committed, but: ${said.join('; ')}`);
    }
    return answer;
  }

  /** Something that was committed is not as it was. */
  get hasDamage(): boolean {
    return [...this.#expected.values()].some(({ changed }) => changed);
  }

  /** Verification can tell: no other bytes are changed, no directory is gone or has another name. */
  get isSure(): boolean {
    return this.#untouched || this.hasDamage;
  }

  /** Verification finds what is changed, and nothing else. */
  verify(): void {
    for (const [directory, { changed }] of this.#expected) {
      let damage: readonly unknown[];
      try {
        ({ damage } = verifySegment(this.#workspace.pathOf(directory)));
      } catch (error) {
        if (!(error instanceof TapioError)) throw error;
        damage = [error.message];
      }
      if (changed && damage.length === 0) throw new Error(`verify sees no damage of ${directory}`);
      if (this.#untouched && damage.length > 0) {
        throw new Error(`verify sees damage of ${directory}: ${JSON.stringify(damage)}`);
      }
    }
  }

  #refused(error: unknown): void {
    if (!(error instanceof TapioError)) throw error;
    if (error.message.length < 20 || error.message.includes('\n')) {
      throw new Error(`refused without a sentence: ${error.message}`);
    }
    if (this.#subject.kind === 'store') throw new Error(`a store is refused: ${error.message}`);
    if (this.#untouched) throw new Error(`refused without a reason: ${error.message}`);
  }

  #directoryOf(segment: Segment): string {
    return segment.directory.slice(segment.directory.lastIndexOf('/') + 1);
  }

  #expectedOf(segment: Segment): Expected {
    const expected = this.#expected.get(this.#directoryOf(segment));
    if (expected === undefined) throw new Error(`${segment.directory} should not be there`);
    return expected;
  }

  /** Read without commit lines: rows are right as far as zstd can tell. */
  #isUnsure(segment: Segment): boolean {
    return segment.commits === null && !this.#expectedOf(segment).framed;
  }

  #checkRows({ rows }: Answer, selection: Selection): void {
    const last = new Map<string, bigint>();
    for (const row of rows) {
      if (this.#isUnsure(row.segment)) continue;
      const { recording } = row.segment.header;
      const place = `row ${row.seq} of ${this.#directoryOf(row.segment)}`;
      const { rows: committed, uncommitted } = this.#subject;
      const sure = row.segment.commits !== null;
      const recorded =
        committed.get(recording)?.get(row.seq) ??
        (sure ? undefined : uncommitted.get(recording)?.get(row.seq));
      if (!sameRow(row, recorded)) throw new Error(`${place} was not recorded`);
      if (!isWanted(row, selection)) throw new Error(`${place} was not asked for`);
      if (!sure) continue;
      if (row.seq <= (last.get(recording) ?? 0n)) throw new Error(`${place} comes again, or late`);
      last.set(recording, row.seq);
    }
  }

  /** Rows that were committed and are wanted, and are not in the answer. */
  #missing({ rows }: Answer, selection: Selection): RecordedRow[] {
    const cut = (recording: string, seq: bigint): boolean =>
      [...this.#expected.values()].some(({ base, through: to }) => {
        const [from, end] = through(base.commits);
        return base.recording === recording && seq > from && seq <= end && seq > to;
      });
    const given = new Map<string, Set<bigint>>();
    for (const { segment, seq } of rows) {
      const { recording } = segment.header;
      given.set(recording, (given.get(recording) ?? new Set()).add(seq));
    }
    return [...this.#subject.rows].flatMap(([recording, recorded]) =>
      [...recorded]
        .filter(([seq]) => given.get(recording)?.has(seq) !== true && !cut(recording, seq))
        .map(([, row]) => row)
        .filter((row) => isWanted(row, selection)),
    );
  }

  #checkComplete(answer: Answer, selection: Selection): void {
    const missing = this.#missing(answer, selection);
    if (missing.length === 0) return;
    const said = whatIsMissing([], answer.problems, selection);
    if (said.length === 0)
      throw new Error(`${missing.length} rows are missing, and nothing says so`);
    if (answer.accountsHold && answer.problems.length === 0) {
      throw new Error(`${missing.length} rows are missing, and the account holds`);
    }
    if ([...this.#expected.values()].some(({ foreign }) => foreign)) return;
    for (const type of EVENT_TYPES) {
      const rows = missing.filter((row) => row.type === type).length;
      const told = answer.problems
        .filter((problem) => problem.type === null || problem.type === type)
        .reduce((sum, problem) => sum + (problem.rows ?? Number.POSITIVE_INFINITY), 0);
      if (told < rows) throw new Error(`${rows} rows of ${type} are missing, said are ${told}`);
    }
  }

  /** The small tables are as they were, or a problem names them. */
  #checkSmall({ small }: Answer): void {
    for (const [segment, { processes, losses }] of small) {
      const { base, foreign, through: to } = this.#expectedOf(segment);
      if (segment.commits === null || foreign || to !== through(base.commits)[1]) continue;
      const named = (...files: string[]): boolean =>
        segment.problems.some(({ text }) =>
          [...files, COMMITS_FILE].some((file) => text.startsWith(file)),
        );
      if (!named(PROCESSES_FILE, PROCESS_LOG) && !isDeepStrictEqual(processes, base.processes)) {
        throw new Error(`the processes of ${segment.name} are others`);
      }
      if (!named(LOSSES_FILE) && !isDeepStrictEqual(losses, base.losses)) {
        throw new Error(`the losses of ${segment.name} are others`);
      }
    }
  }
}
