// commits.ndjson: a segment's first line says what it is and where it begins, every other one is a point
// up to which it is whole. Each line carries its number, the checksum of the first line, whose segment it
// is of, and the CRC-32C of what stands before its `crc`.

import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c, crcText } from './crc32c.ts';
import { damagedError } from './damage.ts';
import { COMMITS_FILE } from './file-names.ts';
import type { Piece } from './files.ts';
import type { Zones } from './zones.ts';

/**
 * What was appended to a file since the line before: its length then, and for each piece the length after
 * it and its CRC-32C (hex). A piece is a batch, a dictionary, a footer or what else was written at once.
 */
export type FileState = readonly (number | string)[];

/** Counters per CPU, sparse: op id → count. */
export type CpuCounts = readonly Readonly<Record<string, number>>[];

/** Clock readings taken together, ns as text: they do not fit a JSON number. */
export interface ClockTexts {
  readonly realtime: string;
  readonly monotonic: string;
  readonly boottime: string;
}

/** What a segment is. Also stands in every Arrow file's schema metadata. */
export interface SegmentHeader {
  readonly format: number;
  readonly fingerprint: string;
  readonly recorder: string;
  readonly host: string;
  readonly boot_id: string;
  readonly kernel: string;
  readonly recording: string;
  /** ns as text; ts = ktime + ts_offset. */
  readonly ts_offset: string;
  /** Taken as the segment began. */
  readonly clocks: ClockTexts;
  /** Only rows that match it were recorded. */
  readonly filter?: string;
  /** Names of the patterns whose secrets were masked in command lines. */
  readonly mask?: readonly string[];
}

/** What stands in every Arrow file's schema metadata. */
export function metadataOf(header: SegmentHeader): Map<string, string> {
  return new Map(
    Object.entries(header).map(([key, value]) => [
      `tapio.${key}`,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
}

/** The header in a file's metadata; null where there is none that makes sense. */
export function headerOf(metadata: ReadonlyMap<string, string>): SegmentHeader | null {
  const text = (key: string): string => metadata.get(`tapio.${key}`) ?? '';
  try {
    // What is no number is no header.
    BigInt(text('ts_offset') || 'none');
    return {
      format: Number(text('format')),
      fingerprint: text('fingerprint'),
      recorder: text('recorder'),
      host: text('host'),
      boot_id: text('boot_id'),
      kernel: text('kernel'),
      recording: text('recording'),
      ts_offset: text('ts_offset'),
      clocks: JSON.parse(text('clocks')) as ClockTexts,
      ...(metadata.has('tapio.filter') && { filter: text('filter') }),
      ...(metadata.has('tapio.mask') && { mask: JSON.parse(text('mask')) as string[] }),
    };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A record batch: readers of an open segment need not ask its rows. ts in ns as text. */
export type CommittedBatch = readonly [
  rows: number,
  firstSeq: number,
  lastSeq: number,
  firstTs: string,
  lastTs: string,
  zones: Zones,
  offset: number,
  metadataLength: number,
  bodyLength: number,
  checksums: string,
];

/** What an export left out of the segments that a segment was made from. */
export interface LeftOut {
  /** Op id → rows. */
  readonly rows: Readonly<Record<string, number>>;
  readonly losses: readonly LossCount[];
}

/** Losses of one stage and cause; a count of null is unknown. */
export interface LossCount {
  readonly stage: string;
  readonly cause: string;
  readonly type: string | null;
  readonly op: string | null;
  readonly count: number | null;
}

/**
 * Where a recording stands: what was given a seq, and the counters of the rings since these were made.
 * The recorder can go on from it after a crash, and the differences between two of them are the account
 * of what lies between.
 */
export interface CommitPoint {
  readonly through_seq: number;
  /** Wall clock of the commit, ms since 1970. */
  readonly at: number;
  /** Which rings the counters are of; another name means that they count from zero. */
  readonly rings: string;
  /** Ring position per CPU, as text: what lies before it is stored or counted. */
  readonly positions: readonly string[];
  /** Positions beyond it, per CPU, whose records are stored already. */
  readonly ahead: readonly (readonly string[])[];
  /** Largest ktime that was given a seq, ns as text. */
  readonly newest: string;
  /** Written by the kernel into the rings. */
  readonly emitted: CpuCounts;
  readonly consumed: CpuCounts;
  readonly filtered: CpuCounts;
  /** Left out by --sample and --limit; absent where nothing was. */
  readonly sampled?: CpuCounts;
  /** Read and left out: the recorder's own records, and what its filter does not want. */
  readonly own: CpuCounts;
  readonly lost: CpuCounts;
  /** By cause, then CPU. */
  readonly refused: Readonly<Record<string, CpuCounts>>;
  /** Could not be decoded: op id → count. */
  readonly malformed: Readonly<Record<string, number>>;
  readonly late: number;
  /** A reading of the clocks, each minute and with the last line. */
  readonly clocks?: ClockTexts;
  /** Secrets masked in the segment so far: name of the pattern → count. */
  readonly masked?: Readonly<Record<string, number>>;
  /** These rings are through: nothing is in them any more. */
  readonly ended?: true;
  /** In the last point of a segment that an export made; from where it begins. */
  readonly left_out?: LeftOut;
}

/** A point up to which the directory is whole. */
export interface CommitLine extends CommitPoint {
  /** Rows per event type. */
  readonly rows: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, FileState>>;
  /** File → the batches appended since the line before. */
  readonly batches?: Readonly<Record<string, readonly CommittedBatch[]>>;
  /** The last line of a sealed segment. */
  readonly sealed?: true;
}

/** The first line. `begin`: where the segment before it ended; null where the recording begins. */
export interface FirstLine {
  readonly segment: SegmentHeader;
  readonly begin: CommitPoint | null;
}

/**
 * A line with its number, its checksum and its line end. `of`: the checksum of the first line, which every
 * other one names, so that a line of another segment is known as such.
 */
export function commitText(n: number, line: FirstLine | CommitLine, of?: string): string {
  const body = JSON.stringify({ n, ...(of !== undefined && { of }), ...line }).slice(0, -1);
  return `${body},"crc":"${crcText(crc32c(Buffer.from(body)))}"}\n`;
}

/** The checksum that stands in a line. */
export function checksumOf(line: string): string {
  return line.trimEnd().slice(-10, -2);
}

/** Length of `,"crc":"` with eight digits and `"}`, and what is before the digits. */
const CRC_BYTES = 18;
const CRC_HEAD = ',"crc":"';

/** The line without its checksum; null where it is cut or its checksum is wrong. */
function verifiedBody(line: Buffer): Buffer | null {
  const at = line.length - CRC_BYTES;
  if (at <= 0) return null;
  const end = line.toString('latin1', at);
  if (!end.startsWith(CRC_HEAD) || !end.endsWith('"}')) return null;
  const body = line.subarray(0, at);
  return end.slice(CRC_HEAD.length, -2) === crcText(crc32c(body)) ? body : null;
}

/** What a line says that verified. */
function contentOf(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(`${body.toString('utf8')}}`) as Record<string, unknown>;
  } catch (error) {
    throw damagedError(COMMITS_FILE, 'a line was written by no recorder', error);
  }
}

/** The part of a line that is the recorder's; a clock reading goes with its line. */
export function pointOf(line: CommitLine): CommitPoint {
  const { rows: _rows, files: _files, batches: _batches, sealed: _sealed, ...point } = line;
  const { clocks: _clocks, ...kept } = point;
  return kept;
}

/** Where a recording stands that has given out nothing yet. */
export function noPoint(): CommitPoint {
  return {
    through_seq: 0,
    at: 0,
    rings: '',
    positions: [],
    ahead: [],
    newest: '0',
    emitted: [],
    consumed: [],
    filtered: [],
    own: [],
    lost: [],
    refused: {},
    malformed: {},
    late: 0,
  };
}

/** Counts of all CPUs by op id. */
export function sumByOp(counts: CpuCounts): Map<number, number> {
  const sums = new Map<number, number>();
  for (const cpu of counts) {
    for (const [op, count] of Object.entries(cpu)) {
      sums.set(Number(op), (sums.get(Number(op)) ?? 0) + count);
    }
  }
  return sums;
}

/** True for points that say what no later one does: that rings ended, or what the clocks were. */
export function isLasting({ ended, clocks }: CommitPoint): boolean {
  return ended === true || clocks !== undefined;
}

/**
 * The points between which counters can be compared: where a segment begins, where rings in it ended (those
 * after them count from zero), and its last.
 */
export function turningPoints({ begin, lines }: Pick<Commits, 'begin' | 'lines'>): CommitPoint[] {
  const last = lines.at(-1);
  const ended = lines.filter((line) => line.ended === true && line !== last);
  return [begin ?? noPoint(), ...ended, ...(last === undefined ? [] : [last])];
}

/** How many rows of each op id came between points, whatever became of them. */
export function rowsBetween(points: readonly CommitPoint[]): Map<number, number> {
  const rows = new Map<number, number>();
  points.slice(1).forEach((after, i) => {
    const before = points[i]?.rings === after.rings ? (points[i] as CommitPoint) : noPoint();
    const consumed = sumByOp(before.consumed);
    for (const [op, count] of sumByOp(after.consumed)) {
      const bad = (after.malformed[op] ?? 0) - (before.malformed[op] ?? 0);
      const added = count - (consumed.get(op) ?? 0) - bad;
      if (added !== 0) rows.set(op, (rows.get(op) ?? 0) + added);
    }
  });
  return rows;
}

/**
 * Between which ktimes the rows of a segment lie; null where its lines cannot tell. They are in order of ktime
 * but for late ones, so that without these none is older than the newest of the segment before.
 */
export function ktimeSpan({
  begin,
  last,
}: Pick<Commits, 'begin' | 'last'>): { readonly first: bigint; readonly last: bigint } | null {
  if (last === null || begin === null || begin.rings !== last.rings) return null;
  const [from, to] = [BigInt(begin.newest), BigInt(last.newest)];
  if (from === 0n || to < from || begin.late !== last.late) return null;
  return { first: from, last: to };
}

/** True of the lines of a segment that an export made, where it left something out. */
export function isExcerpt(commits: Pick<Commits, 'last'> | null): boolean {
  return commits?.last?.left_out !== undefined;
}

/** Pieces as a line has them. */
export function fileState(from: number, pieces: readonly Piece[]): FileState {
  return [from, ...pieces.flatMap(({ to, crc }) => [to, crcText(crc)])];
}

/** Length of a file at a line; 0 where the line does not name it. */
export function lengthIn(state: FileState | undefined): number {
  return Number((state?.length === 1 ? state[0] : state?.at(-2)) ?? 0);
}

/** Lines of an open segment that cannot be used, because one before them is damaged or gone. */
export interface LostLines {
  /** Rows that they committed; null where nobody knows. */
  readonly rows: number | null;
  /** The last of them that verifies. */
  readonly last: CommitLine | null;
}

export interface Commits {
  readonly header: SegmentHeader | null;
  readonly begin: CommitPoint | null;
  /** Checksum of the first line, which the others name; null where none of them does. */
  readonly id: string | null;
  /** Lines that verify, in order. Of an open segment those before the first that does not. */
  readonly lines: readonly CommitLine[];
  /** The last of them. */
  readonly last: CommitLine | null;
  /** Where each line of `lines` ends in the file, bytes. */
  readonly ends: readonly number[];
  /** True where lines are missing, or something had to be left out. */
  readonly torn: boolean;
  /** True where that is more than the torn end that a crash leaves. */
  readonly damaged: boolean;
  readonly lost: LostLines | null;
  /** True where the last line is that of a sealed segment. */
  readonly sealed: boolean;
  /** Length of the file. */
  readonly bytes: number;
}

/** A line that verifies. */
interface Parsed {
  readonly n: number;
  /** The segment that it is of: the checksum of its first line, or null of an old recorder's. */
  readonly id: string | null;
  readonly isFirst: boolean;
  readonly isSealed: () => boolean;
  /** What it says beside its number and whose it is. */
  readonly content: () => Record<string, unknown>;
  readonly end: number;
}

/** How a line begins. */
const HEAD = /^\{"n":(\d+),(?:"of":"([0-9a-f]{8})",)?("segment":)?/;
const HEAD_BYTES = 64;
const SEALED = Buffer.from('"sealed":true');

/**
 * A line by its text, or null where it does not verify. What it says is parsed when somebody asks: readers of a
 * sealed segment want its last line, and the others hold most of the file.
 */
function parsedLine(line: Buffer, position: number, end: number): Parsed | null {
  const body = verifiedBody(line);
  if (body === null) return null;
  const read = (): Record<string, unknown> => {
    const { n: _n, of: _of, ...content } = contentOf(body);
    return content;
  };
  let made: Record<string, unknown> | null = null;
  const content = (): Record<string, unknown> => {
    made ??= read();
    return made;
  };
  const head = HEAD.exec(body.toString('latin1', 0, HEAD_BYTES));
  // The first recorders did not number their lines.
  const isFirst = head === null ? 'segment' in content() : head[3] !== undefined;
  return {
    n: head === null ? position : Number(head[1]),
    id: isFirst ? checksumOf(line.toString('latin1', body.length)) : (head?.[2] ?? null),
    isFirst,
    isSealed: () => body.includes(SEALED) && content().sealed === true,
    content,
    end,
  };
}

/**
 * Lines that have their end, null where they do not verify; `tail`: behind them stands one that a power cut
 * tore. It ends anywhere, or has zeros in place of what did not get to the disk.
 */
function parseLines(bytes: Buffer): { all: (Parsed | null)[]; tail: boolean } {
  const all: (Parsed | null)[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) return { all, tail: at < bytes.length };
    const line = bytes.subarray(at, end);
    const parsed = parsedLine(line, all.length, end + 1);
    if (parsed === null && end === bytes.length - 1 && line.includes(0)) {
      return { all, tail: true };
    }
    all.push(parsed);
    at = end + 1;
  }
}

/** An array of what lines say, each made when it is first asked for. */
function contents(lines: readonly Parsed[]): readonly CommitLine[] {
  const out: CommitLine[] = [];
  lines.forEach(({ content }, i) => {
    const get = (): unknown => content();
    Object.defineProperty(out, i, { get, enumerable: true, configurable: true });
  });
  return out;
}

/** The segment that most lines are of, the first one too. */
function mostNamed(all: readonly (Parsed | null)[]): string | null {
  const votes = new Map<string, number>();
  for (const line of all) if (line?.id) votes.set(line.id, (votes.get(line.id) ?? 0) + 1);
  const most = Math.max(0, ...votes.values());
  return [...votes].find(([, count]) => count === most)?.[0] ?? null;
}

/** The lines whose numbers follow one another from 0, as far as they do; repetitions are passed over. */
function prefixOf(own: readonly (Parsed | null)[]): Parsed[] {
  const prefix: Parsed[] = [];
  for (const line of own) {
    if (line === null || line.n > prefix.length) break;
    if (line.n === prefix.length) prefix.push(line);
  }
  return prefix;
}

/** Each line once, by its number. */
function inOrder(parsed: readonly Parsed[]): Parsed[] {
  const byNumber = new Map(parsed.map((line) => [line.n, line]));
  return [...byNumber.values()].sort((a, b) => a.n - b.n);
}

const rowsIn = (line: Parsed | undefined): number =>
  Object.values((line?.content().rows as CommitLine['rows'] | undefined) ?? {}).reduce(
    (sum, rows) => sum + rows,
    0,
  );

/** What follows on the lines that can be used. */
function lostLines(own: readonly (Parsed | null)[], used: readonly Parsed[]): LostLines | null {
  const whole = own.filter((line) => line !== null);
  const isAll = whole.length === own.length && whole.every(({ n }) => n < used.length);
  // One that stands again at the end may stand in the place of another.
  if (isAll && (whole.at(-1)?.n ?? -1) === used.length - 1) return null;
  const last = inOrder(whole).at(-1);
  if (last === undefined || last.n < used.length) return { rows: null, last: null };
  // Damaged lines in its stead may be those before it, but one behind it has a number of its own.
  const isLast = own.at(-1) !== null && own.length <= last.n + 1;
  const rows = isLast ? rowsIn(last) - rowsIn(used.at(-1)) : null;
  return { rows, last: last.content() as unknown as CommitLine };
}

/**
 * The commit lines of a segment; null without the file. An open segment is whole up to the first line
 * that does not verify. A sealed one has all that its last line says, whatever became of those before.
 */
export function readCommits(directory: string): Commits | null {
  const path = join(directory, COMMITS_FILE);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return sealedCommits(fd, path) ?? commitsIn(readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

function commitsIn(bytes: Buffer): Commits {
  const { all, tail } = parseLines(bytes);
  const id = mostNamed(all);
  const own = all.map((line) => (line?.id && line.id !== id ? null : line));
  const whole = own.filter((line) => line !== null);
  const sealed = whole.some(({ isSealed }) => isSealed());
  const used = sealed ? inOrder(whole) : prefixOf(own);
  const first = used.find(({ isFirst }) => isFirst);
  const rest = used.filter((line) => line !== first);
  const inPlace = own.every((line, i) => line?.n === i);
  const lines = contents(rest);
  return {
    ...beginningOf(first),
    id,
    lines,
    last: lines.at(-1) ?? null,
    ends: rest.map(({ end }) => end),
    torn: tail || !inPlace,
    damaged: !inPlace || (sealed && tail),
    lost: sealed ? null : lostLines(own, used),
    sealed,
    bytes: bytes.length,
  };
}

function beginningOf(first: Parsed | undefined): Pick<Commits, 'header' | 'begin'> {
  const content = first?.content() as Partial<FirstLine> | undefined;
  return { header: content?.segment ?? null, begin: content?.begin ?? null };
}

/** Ends of files are read into these: a store has many segments. Longer lines are rare, and read with their file. */
const [head, tail] = [Buffer.allocUnsafeSlow(1 << 15), Buffer.allocUnsafeSlow(1 << 15)];

/**
 * The lines of a segment whose last one says that it is sealed and names the first: all that a reader wants. The
 * others are read when somebody asks. Null of any other segment.
 */
function sealedCommits(fd: number, path: string): Commits | null {
  const { size } = fstatSync(fd);
  const begin = head.subarray(0, readSync(fd, head, 0, head.length, 0));
  const end = tail.subarray(0, readSync(fd, tail, 0, tail.length, Math.max(0, size - tail.length)));
  const firstEnd = begin.indexOf(0x0a);
  const lineEnd = end.length - 1;
  const from = end.lastIndexOf(0x0a, lineEnd - 1) + 1;
  if (firstEnd < 0 || lineEnd < 1 || end[lineEnd] !== 0x0a || from === 0) return null;
  const first = parsedLine(begin.subarray(0, firstEnd), 0, firstEnd + 1);
  const last = parsedLine(end.subarray(from, lineEnd), 0, size);
  if (!first?.isFirst || first.id === null || last?.id !== first.id || !last.isSealed())
    return null;
  let all: Commits | null = null;
  const whole = (): Commits => {
    all ??= commitsIn(readFileSync(path));
    return all;
  };
  return {
    ...beginningOf(first),
    id: first.id,
    get lines() {
      return whole().lines;
    },
    last: last.content() as unknown as CommitLine,
    get ends() {
      return whole().ends;
    },
    get torn() {
      return whole().torn;
    },
    get damaged() {
      return whole().damaged;
    },
    lost: null,
    sealed: true,
    bytes: size,
  };
}
