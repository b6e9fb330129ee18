// Brings a store into order after its recorder died: open segments are cut to the last point up to which
// they are whole and sealed, half-done seals and removals are finished or undone.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  EVENT_TYPES,
  type EventType,
  LOSSES,
  PROCESSES,
  SOCKETS,
  type TableSpec,
} from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import { ArrowFileWriter } from './arrow-file.ts';
import { ArrowFileReader, type Committed } from './arrow-reader.ts';
import { batchesOfCommits, batchesOfRows } from './batch-info.ts';
import type { SmallRow } from './columns.ts';
import {
  type CommitLine,
  type Commits,
  isLasting,
  lengthIn,
  pointOf,
  readCommits,
  rowsBetween,
  type SegmentHeader,
  turningPoints,
} from './commits.ts';
import { committedFiles, committedPieces, committedRanges, damageOfFile } from './damage.ts';
import { readDictionaryLog } from './dictionary-log.ts';
import { EventFiles, type IndexRow, shapeOf } from './event-files.ts';
import {
  COMMITS_FILE,
  DICTIONARY_LOG,
  GONE_PREFIX,
  LOGS,
  LOSSES_FILE,
  OPEN_PREFIX,
  PROCESS_LOG,
  SEAL_PREFIX,
  SOCKET_LOG,
} from './file-names.ts';
import { OpenedFiles, type StoreFiles } from './files.ts';
import type { TableParts } from './open-table.ts';
import { type ProcessRow, type SocketRow, tableRows } from './small-tables.ts';
import { inSegmentOrder } from './store.ts';
import { type SegmentParts, SegmentWriter } from './writer.ts';

/** What became of an open segment. */
export interface Recovered {
  readonly name: string;
  /** Its size in bytes and the time of its last commit; null where nothing of it was whole. */
  readonly sealed: { readonly bytes: number; readonly lastMs: number } | null;
  /** Bytes behind the last whole commit, which were removed. */
  readonly cutBytes: number;
  /** Rows that had been committed and are not whole any more, by op id. */
  readonly cutRows: ReadonlyMap<number, number>;
  /** Times of the last commit that was kept and of the last that was not, ms since 1970. */
  readonly cutFrom: number;
  readonly cutTo: number;
}

/** An open segment that its writer gave up: only so many of its commits were acknowledged. */
export interface GivenUp {
  readonly name: string;
  readonly commits: number;
}

/**
 * Finishes or undoes what the last recorder of a store left half done. Nobody may be recording into it.
 * Throws what the file system throws; then it can be called again.
 */
export function recoverSegments(
  files: StoreFiles,
  segments: string,
  givenUp: GivenUp | null = null,
): Recovered[] {
  const names = inSegmentOrder(readdirSync(segments));
  for (const name of names) {
    if (name.startsWith(SEAL_PREFIX) || name.startsWith(GONE_PREFIX)) {
      files.remove(join(segments, name));
    }
  }
  return names
    .filter((name) => name.startsWith(OPEN_PREFIX))
    .map((open) => {
      const name = open.slice(OPEN_PREFIX.length);
      const commits = name === givenUp?.name ? givenUp.commits : null;
      return recoverSegment(files, segments, name, commits);
    });
}

// A line whose sync failed can be read back, and may not be on the disk: what it tells of comes again.
function acknowledgedOf(commits: Commits | null, count: number | null): Commits | null {
  if (commits === null || count === null) return commits;
  const lines = commits.lines.slice(0, count);
  const last = lines.at(-1) ?? null;
  return { ...commits, lines, last, sealed: last?.sealed === true };
}

function recoverSegment(
  files: StoreFiles,
  segments: string,
  name: string,
  acknowledged: number | null,
): Recovered {
  const directory = join(segments, `${OPEN_PREFIX}${name}`);
  const nothing: Recovered = {
    name,
    sealed: null,
    cutBytes: 0,
    cutRows: new Map(),
    cutFrom: 0,
    cutTo: 0,
  };
  // The merged one has the name already, if not yet for sure: this one was to be removed.
  if (existsSync(join(segments, name))) {
    files.syncDirectory(segments);
    files.remove(directory);
    return nothing;
  }
  const commits = acknowledgedOf(readCommits(directory), acknowledged);
  const format = commits?.header?.format ?? 0;
  if (format > FORMAT_VERSION) {
    throw new TapioError(
      'store_newer',
      `segment ${name} was written by tapio-record ${commits?.header?.recorder} (format ${format}), and this one writes ${FORMAT_VERSION}: use that version, or another --store`,
    );
  }
  if (commits?.sealed === true) {
    finishSeal(files, segments, name, commits);
    return { ...nothing, sealed: heldOf(commits) };
  }
  const kept = commits === null ? -1 : lastWholeLine(directory, commits);
  const line = commits?.lines[kept];
  const told = { ...nothing, ...cutOf(directory, commits, kept) };
  if (commits === null || commits.header === null || line === undefined) {
    files.remove(directory);
    return told;
  }
  const writer = cut(files, segments, name, commits, kept);
  try {
    const { bytes } = writer.seal();
    return { ...told, sealed: { bytes, lastMs: line.at } };
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

// Everything is in its files; only the name was missing, and perhaps the sync of the line that says so. Should
// the name be lost with the power, the next start finds it as this one did.
function finishSeal(files: StoreFiles, segments: string, name: string, { bytes }: Commits): void {
  const directory = join(segments, `${OPEN_PREFIX}${name}`);
  const line = files.reopen(join(directory, COMMITS_FILE), bytes);
  try {
    line.sync();
  } finally {
    line.close();
  }
  for (const gone of LOGS) files.remove(join(directory, gone));
  files.syncDirectory(directory);
  files.rename(directory, join(segments, name));
}

/** Size and last commit of a sealed segment, as its lines say. */
export function heldOf(commits: Commits): { bytes: number; lastMs: number } {
  const { last } = commits;
  const files = Object.values(last?.files ?? {});
  const bytes = files.reduce((sum, state) => sum + lengthIn(state), commits.bytes);
  return { bytes, lastMs: last?.at ?? 0 };
}

/** Position of the last line up to which all files are as they were committed; −1 without one. */
function lastWholeLine(directory: string, commits: Commits): number {
  let last = commits.lines.length - 1;
  for (const file of committedFiles(commits)) {
    const ranges = committedRanges(commits, file);
    const [damage] = damageOfFile(directory, file, ranges);
    if (damage === undefined) continue;
    const whole = ranges.filter(({ to }) => to <= damage.from).at(-1)?.to ?? 0;
    while (last >= 0 && lengthIn(commits.lines[last]?.files[file]) > whole) last--;
  }
  return last;
}

function cutOf(
  directory: string,
  commits: Commits | null,
  kept: number,
): Pick<Recovered, 'cutBytes' | 'cutRows' | 'cutFrom' | 'cutTo'> {
  const line = commits?.lines[kept];
  // Lines behind a damaged one cannot be kept, but the last of them tells what was there.
  const beyond = commits?.header ? commits.lost?.last : null;
  const lines = [...(commits?.lines ?? []), ...(beyond ? [beyond] : [])];
  let cutBytes = 0;
  for (const file of readdirSync(directory)) {
    const keep = file === COMMITS_FILE ? (commits?.ends[kept] ?? 0) : lengthIn(line?.files[file]);
    cutBytes += Math.max(0, statSync(join(directory, file)).size - keep);
  }
  const lost = turningPoints({
    begin: line ?? commits?.begin ?? null,
    lines: lines.slice(kept + 1),
  });
  const cutRows = rowsBetween(lost);
  const [cutFrom, cutTo] = [line?.at ?? commits?.begin?.at ?? 0, lines.at(-1)?.at ?? 0];
  return { cutBytes, cutRows, cutFrom, cutTo };
}

/** Cuts all files to a line and gives the writer that goes on behind it. */
function cut(
  files: StoreFiles,
  segments: string,
  name: string,
  all: Commits,
  kept: number,
): SegmentWriter {
  const directory = join(segments, `${OPEN_PREFIX}${name}`);
  const line = all.lines[kept] as CommitLine;
  const commits: Commits = { ...all, lines: all.lines.slice(0, kept + 1), last: line };
  const { header, begin } = commits;
  if (header === null) throw new Error('a segment without a header has no lines');
  for (const file of readdirSync(directory)) {
    if (file !== COMMITS_FILE && line.files[file] === undefined) {
      files.remove(join(directory, file));
    }
  }
  const opened = new OpenedFiles(files);
  try {
    const parts = partsAt(opened, directory, commits, header);
    return new SegmentWriter(files, opened, segments, name, header, begin, parts);
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** The parts of a segment at the last of `commits`; what lies behind it is cut off. */
function partsAt(
  files: OpenedFiles,
  directory: string,
  commits: Commits,
  header: SegmentHeader,
): SegmentParts {
  const line = commits.lines.at(-1) as CommitLine;
  const committed = (file: string): Committed => ({
    length: lengthIn(line.files[file]),
    pieces: committedPieces(commits, file),
  });
  const events = new EventFiles(files, directory, header);
  for (const type of EVENT_TYPES) {
    const file = `${type}.arrow`;
    if (line.files[file] !== undefined) reopen(directory, events, commits, type, committed(file));
  }
  const { values } = readDictionaryLog(directory, committedRanges(commits, DICTIONARY_LOG));
  for (const type of events.types()) {
    const { table, dictionaries } = events.file(type);
    table.columns.forEach(({ name: column }, i) => {
      const texts = values.get(type)?.get(column);
      if (texts !== undefined) dictionaries.set(i, texts);
    });
  }
  const small = <Row extends SmallRow>(table: TableSpec, file: string): TableParts<Row> => {
    if (line.files[file] === undefined) return { rows: [], log: null };
    const path = join(directory, file);
    const reader = new ArrowFileReader(path, committed(file));
    try {
      const rows = tableRows(reader, table) as unknown as Row[];
      const append = files.reopen(path, committed(file).length);
      return { rows, log: new ArrowFileWriter(append, reader.schema, reader.places()) };
    } finally {
      reader.close();
    }
  };
  const losses = small(LOSSES, LOSSES_FILE);
  const end = commits.ends[commits.lines.length - 1] ?? 0;
  const dictionaryLength = committed(DICTIONARY_LOG).length;
  const commitsFile = files.reopen(join(directory, COMMITS_FILE), end);
  // What is appended must not come to stand before what is cut off.
  commitsFile.sync();
  return {
    events,
    commits: commitsFile,
    id: commits.id ?? '',
    lines: commits.lines.length + 1,
    dictionaryLog: files.reopen(join(directory, DICTIONARY_LOG), dictionaryLength),
    losses: losses.log,
    lossRows: losses.rows,
    processes: small<ProcessRow>(PROCESSES, PROCESS_LOG),
    sockets: small<SocketRow>(SOCKETS, SOCKET_LOG),
    lastPoint: pointOf(line),
    lasting: commits.lines
      .filter(isLasting)
      .map((one) => ({ ...pointOf(one), ...(one.clocks ? { clocks: one.clocks } : {}) })),
  };
}

function reopen(
  directory: string,
  events: EventFiles,
  commits: Commits,
  type: EventType,
  committed: Committed,
): void {
  const reader = new ArrowFileReader(join(directory, `${type}.arrow`), committed);
  try {
    const { schema } = reader;
    const found = batchesOfCommits(commits.lines, type) ?? batchesOfRows(type, reader, rethrow);
    const rows = found.map((info): IndexRow => ({ ...info, file: `${type}.arrow` }));
    events.reopen(type, shapeOf(type, schema), rows, committed.length);
  } finally {
    reader.close();
  }
}

function rethrow(error: unknown): never {
  throw error;
}
