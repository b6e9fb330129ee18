// Writes one segment. While it is open, batches are appended and each commit makes a prefix of all
// files durable: data first, then one line in commits.ndjson that names every file's length. Sealing
// ends the Arrow files, writes the index, and renames the directory. FORMAT.md has the bytes.

import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  arrowSchema,
  type EventType,
  INDEX,
  LOSSES,
  PROCESSES,
  SOCKETS,
  type TableSpec,
} from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import type { BatchItem, ColumnRegion, NewValues } from '../event/batch.ts';
import { ArrowFileWriter, type ColumnBuffers } from './arrow-file.ts';
import { type BatchInfo, committedBatch } from './batch-info.ts';
import { type SmallRow, slotColumns, smallColumns } from './columns.ts';
import {
  type ClockTexts,
  type CommitLine,
  type CommitPoint,
  type CommittedBatch,
  checksumOf,
  commitText,
  fileState,
  isLasting,
  metadataOf,
  type SegmentHeader,
} from './commits.ts';
import { dictionaryLine } from './dictionary-log.ts';
import { EventFiles, type IndexRow, indexRow, type Shape } from './event-files.ts';
import {
  COMMITS_FILE,
  DICTIONARY_LOG,
  LOGS,
  LOSSES_FILE,
  OPEN_PREFIX,
  PROCESS_LOG,
  SEAL_PREFIX,
  SOCKET_LOG,
} from './file-names.ts';
import { type AppendFile, OpenedFiles, type StoreFiles } from './files.ts';
import { mergeSmallBatches } from './merge.ts';
import { type OpenTable, openProcesses, openSockets, type TableParts } from './open-table.ts';
import type { ProcessRow, SocketRow } from './small-tables.ts';
import { zonesOfBuffers } from './zones.ts';

/** Below this average, sealing merges a segment's batches. */
export const MERGE_BELOW_ROWS = 16_384;

/** What a sealed segment holds, for the catalogue and for the summary. */
export interface SealedSegment {
  readonly name: string;
  readonly directory: string;
  readonly recording: string;
  /** Of all its files. */
  readonly bytes: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly index: readonly IndexRow[];
  readonly losses: readonly SmallRow[];
}

/** What an open segment consists of: made new, or found by the recovery. */
export interface SegmentParts {
  readonly events: EventFiles;
  readonly commits: AppendFile;
  /** Checksum of its first line. */
  readonly id: string;
  /** Lines that `commits` has. */
  readonly lines: number;
  readonly dictionaryLog: AppendFile;
  readonly losses: ArrowFileWriter | null;
  readonly lossRows: readonly SmallRow[];
  readonly processes: TableParts<ProcessRow>;
  /** Without a log it keeps none. */
  readonly sockets: TableParts<SocketRow>;
  readonly lastPoint: CommitPoint | null;
  /** Points that a merge has to keep: see isLasting(). */
  readonly lasting: readonly CommitPoint[];
}

/** One segment that is being written. */
export class SegmentWriter {
  readonly name: string;
  readonly #files: StoreFiles;
  readonly #opened: OpenedFiles;
  readonly #segments: string;
  readonly #header: SegmentHeader;
  readonly #begin: CommitPoint | null;
  readonly #directory: string;
  readonly #events: EventFiles;
  readonly #commits: AppendFile;
  #id: string;
  readonly #dictionaryLog: AppendFile;
  readonly #processes: OpenTable<ProcessRow>;
  #sockets: OpenTable<SocketRow> | null;
  #losses: ArrowFileWriter | null;
  readonly #lossRows: SmallRow[];
  #lastPoint: CommitPoint | null;
  readonly #lasting: CommitPoint[];
  #lines: number;
  #changed = false;
  #knownFiles: number;
  #committedBatches: number;

  /** Goes on with a segment whose parts are there; its directory is `segments/.open-NAME`. */
  constructor(
    files: StoreFiles,
    opened: OpenedFiles,
    segments: string,
    name: string,
    header: SegmentHeader,
    begin: CommitPoint | null,
    parts: SegmentParts,
  ) {
    this.name = name;
    this.#files = files;
    this.#opened = opened;
    this.#segments = segments;
    this.#header = header;
    this.#begin = begin;
    this.#directory = openDirectory(segments, name);
    this.#events = parts.events;
    this.#commits = parts.commits;
    this.#id = parts.id;
    this.#lines = parts.lines;
    this.#dictionaryLog = parts.dictionaryLog;
    this.#losses = parts.losses;
    this.#lossRows = [...parts.lossRows];
    this.#processes = openProcesses(parts.processes);
    this.#sockets = parts.sockets.log === null ? null : openSockets(parts.sockets, this.#beginSeq);
    this.#lastPoint = parts.lastPoint;
    this.#lasting = [...parts.lasting];
    this.#committedBatches = parts.events.index.length;
    this.#knownFiles = parts.lastPoint === null ? 0 : this.#appendFiles().length;
  }

  /**
   * Makes `segments/.open-NAME`; `begin` is the last point of the segment before it. Throws what the file
   * system throws.
   */
  static create(
    files: StoreFiles,
    segments: string,
    name: string,
    header: SegmentHeader,
    begin: CommitPoint | null,
  ): SegmentWriter {
    const directory = openDirectory(segments, name);
    files.makeDirectory(directory);
    const opened = new OpenedFiles(files);
    try {
      const parts = newParts(opened, directory, header, begin);
      // The names of its files, and its own, are made durable by its first commit.
      return new SegmentWriter(files, opened, segments, name, header, begin, parts);
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#appendFiles().reduce((sum, file) => sum + file.length, this.#commits.length);
  }

  /** Commits that are durable. */
  get commits(): number {
    return this.#lines - 1;
  }

  get rows(): number {
    return Object.values(this.#events.rows()).reduce((sum, rows) => sum + rows, 0);
  }

  /** False where its directory was removed under it. */
  isThere(): boolean {
    return existsSync(this.#directory);
  }

  /** Appends a batch from the source's memory, which may be reused when this returns. */
  append(
    type: EventType,
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
  ): void {
    this.appendColumns(type, slotColumns(batch, regions, memory), batch.newValues, batch);
  }

  /** Appends columns of today's table; `news` are the strings that no batch before had. */
  appendColumns(
    type: EventType,
    columns: readonly ColumnBuffers[],
    news: readonly NewValues[],
    range: Pick<IndexRow, 'rows' | 'firstSeq' | 'lastSeq' | 'firstTs' | 'lastTs'>,
  ): void {
    const { table } = this.#events.file(type);
    const zones = zonesOfBuffers(table.columns, columns, range.rows, this.#learn(type, news));
    this.#events.append(type, range.rows, columns, { ...range, zones });
    this.#changed = true;
  }

  /**
   * Appends a batch as it was read from another segment, whose strings (by column position) become those
   * of this one: all batches of a type come from the same.
   */
  appendRead(
    type: EventType,
    shape: Shape,
    strings: ReadonlyMap<number, readonly string[]>,
    info: BatchInfo,
    columns: readonly ColumnBuffers[],
  ): void {
    const { dictionaries } = this.#events.file(type, shape);
    const news = [...strings].filter(([column]) => !dictionaries.has(column));
    this.#learn(
      type,
      news.map(([column, values]) => ({ column, values })),
    );
    this.#events.append(type, info.rows, columns, info);
    this.#changed = true;
  }

  /** Adds processes, or says more of those already there. */
  addProcesses(rows: readonly ProcessRow[]): void {
    this.#processes.add(rows);
  }

  /** The same of sockets. A segment to which none were added, not even no rows, keeps none. */
  addSockets(rows: readonly SocketRow[]): void {
    this.#sockets ??= openSockets({ log: null, rows: [] }, this.#beginSeq);
    this.#sockets.add(rows);
  }

  get #beginSeq(): bigint {
    return BigInt(this.#begin?.through_seq ?? 0);
  }

  addLosses(rows: readonly SmallRow[]): void {
    if (rows.length === 0) return;
    this.#losses ??= this.#small(LOSSES, LOSSES_FILE);
    this.#losses.writeBatch(rows.length, smallColumns(LOSSES, rows));
    this.#lossRows.push(...rows);
    this.#changed = true;
  }

  /**
   * Makes everything up to `point` durable; true when a line says so. Nothing is written when nothing
   * came, but with `always`.
   */
  commit(point: CommitPoint, always = false): boolean {
    if (!this.#changed && !always) return false;
    this.#lastPoint = point;
    this.#processes.write(PROCESSES, () => this.#small(PROCESSES, PROCESS_LOG), false);
    this.#sockets?.write(SOCKETS, () => this.#small(SOCKETS, SOCKET_LOG), true);
    this.#commitLine(point, this.#appendFiles());
    if (isLasting(point)) this.#lasting.push(point);
    this.#changed = false;
    return true;
  }

  /** Ends the segment: it gets its final name and opens in every Arrow tool. */
  seal(clocks?: ClockTexts): SealedSegment {
    if (this.#lastPoint === null || this.#changed) {
      throw new Error('a segment is committed before it is sealed');
    }
    const last = clocks === undefined ? this.#lastPoint : { ...this.#lastPoint, clocks };
    const batches = this.#events.index.length;
    const small = batches > this.#events.types().length && this.rows / batches < MERGE_BELOW_ROWS;
    const merged = small ? this.#merge() : null;
    return merged === null ? this.#sealInPlace(last) : this.#sealMerged(merged, last);
  }

  /** Lets go of the files as they are: what was not committed is for the recovery to cut off. */
  abandon(): void {
    this.#opened.close();
  }

  /** Strings are in the log before the batch that uses them; gives all that a type has. */
  #learn(type: EventType, newValues: readonly NewValues[]): ReadonlyMap<number, readonly string[]> {
    const { dictionaries, table } = this.#events.file(type);
    const lines = newValues.map(({ column, values }) => {
      const known = dictionaries.get(column) ?? [];
      const from = known.length;
      for (const value of values) known.push(value);
      dictionaries.set(column, known);
      return dictionaryLine({
        file: type,
        column: table.columns[column]?.name ?? '',
        from,
        values,
      });
    });
    if (lines.length > 0) this.#dictionaryLog.append([Buffer.from(lines.join(''))]);
    return dictionaries;
  }

  #sealInPlace(point: CommitPoint): SealedSegment {
    this.#events.finish();
    this.#losses?.finish();
    const extra = this.#writeTail(this.#directory, this.#events.index);
    const kept = this.#events.appendFiles();
    if (this.#losses !== null) kept.push(this.#losses.file);
    this.#commitLine(point, [...kept, ...extra], true);
    this.#opened.close();
    for (const gone of LOGS) this.#files.remove(join(this.#directory, gone));
    return this.#rename(this.#directory, this.#events, [...kept, ...extra, this.#commits]);
  }

  // Many small batches cost space and time to read: the sealed segment gets them merged, in a directory
  // of its own. Null where one of them is not as it was written: then they stay as they are, to be told.
  #merge(): EventFiles | null {
    const directory = this.#sealDirectory();
    this.#files.remove(directory);
    this.#files.makeDirectory(directory);
    const merged = new EventFiles(this.#opened, directory, this.#header);
    try {
      mergeSmallBatches(this.#directory, this.#events, merged);
      return merged;
    } catch (error) {
      this.#files.remove(directory);
      if (error instanceof TapioError && error.code === 'segment_damaged') return null;
      throw error;
    }
  }

  // The open segment is removed only when the merged one has its final name.
  #sealMerged(merged: EventFiles, point: CommitPoint): SealedSegment {
    const directory = this.#sealDirectory();
    const losses = this.#copyLosses(directory);
    const first = commitText(0, { segment: this.#header, begin: this.#begin });
    this.#id = checksumOf(first);
    // Behind the lasting lines one for the batches, and one for dictionaries and the rest: each piece has a
    // checksum of its own.
    const lasting = this.#lasting
      .filter((one) => one !== this.#lastPoint)
      .map((one, i) => commitText(i + 1, { ...one, rows: {}, files: {} }, this.#id));
    const before = [...merged.appendFiles(), ...losses];
    const rows = this.#lineText(lasting.length + 1, point, merged, before, {});
    merged.finish();
    const kept = [...before, ...this.#writeTail(directory, merged.index)];
    for (const file of kept) file.sync();
    const commits = this.#opened.create(join(directory, COMMITS_FILE));
    commits.append([
      Buffer.from(first),
      Buffer.from(lasting.join('')),
      Buffer.from(rows),
      Buffer.from(this.#lineText(lasting.length + 2, point, merged, kept, { sealed: true })),
    ]);
    commits.sync();
    this.#opened.close();
    const sealed = this.#rename(directory, merged, [...kept, commits]);
    this.#files.remove(this.#directory);
    return sealed;
  }

  #sealDirectory(): string {
    return join(this.#segments, `${SEAL_PREFIX}${this.name}`);
  }

  #copyLosses(directory: string): AppendFile[] {
    if (this.#lossRows.length === 0) return [];
    const file = this.#opened.create(join(directory, LOSSES_FILE));
    const writer = new ArrowFileWriter(file, arrowSchema(LOSSES, metadataOf(this.#header)));
    writer.writeBatch(this.#lossRows.length, smallColumns(LOSSES, this.#lossRows));
    writer.finish();
    return [file];
  }

  // processes.arrow and sockets.arrow with one row each, and index.arrow.
  #writeTail(directory: string, index: readonly IndexRow[]): AppendFile[] {
    const out: AppendFile[] = [];
    const write = (table: TableSpec, rows: readonly SmallRow[]): void => {
      const file = this.#opened.create(join(directory, `${table.name}.arrow`));
      const writer = new ArrowFileWriter(file, arrowSchema(table, metadataOf(this.#header)));
      if (rows.length > 0) writer.writeBatch(rows.length, smallColumns(table, rows));
      writer.finish();
      out.push(file);
    };
    write(PROCESSES, this.#processes.rows);
    if (this.#sockets !== null) write(SOCKETS, this.#sockets.rows);
    write(INDEX, index.map(indexRow));
    return out;
  }

  #rename(directory: string, events: EventFiles, files: readonly AppendFile[]): SealedSegment {
    const final = join(this.#segments, this.name);
    this.#files.syncDirectory(directory);
    this.#files.rename(directory, final);
    this.#files.syncDirectory(this.#segments);
    return {
      name: this.name,
      directory: final,
      recording: this.#header.recording,
      bytes: files.reduce((sum, file) => sum + file.length, 0),
      rows: events.rows(),
      index: events.index,
      losses: this.#lossRows,
    };
  }

  #small(table: TableSpec, name: string): ArrowFileWriter {
    const file = this.#opened.create(join(this.#directory, name));
    return new ArrowFileWriter(file, arrowSchema(table, metadataOf(this.#header)));
  }

  #appendFiles(): AppendFile[] {
    const files = [...this.#events.appendFiles(), this.#dictionaryLog];
    for (const log of [this.#processes.log, this.#sockets?.log, this.#losses]) {
      if (log) files.push(log.file);
    }
    return files;
  }

  #lineText(
    n: number,
    point: CommitPoint,
    events: EventFiles,
    files: readonly AppendFile[],
    more: Pick<CommitLine, 'batches' | 'sealed'>,
  ): string {
    const states = files.map((file) => {
      const { from, pieces } = file.takePieces();
      return [basename(file.path), fileState(from, pieces)] as const;
    });
    const line: CommitLine = {
      ...point,
      rows: events.rows(),
      files: Object.fromEntries(states),
      ...more,
    };
    return commitText(n, line, this.#id);
  }

  #newBatches(): Record<string, CommittedBatch[]> {
    const { index } = this.#events;
    const out: Record<string, CommittedBatch[]> = {};
    for (const row of index.slice(this.#committedBatches)) {
      out[row.file] ??= [];
      out[row.file]?.push(committedBatch(row));
    }
    this.#committedBatches = index.length;
    return out;
  }

  #commitLine(point: CommitPoint, files: readonly AppendFile[], sealed = false): void {
    for (const file of files) file.sync();
    // Names must be durable before a line speaks of them: the segment's own, and those of its files.
    if (this.#knownFiles === 0) this.#files.syncDirectory(this.#segments);
    if (this.#knownFiles !== files.length || sealed) {
      this.#files.syncDirectory(this.#directory);
      this.#knownFiles = files.length;
    }
    // A sealed segment has its index.
    const more = sealed ? { sealed: true as const } : { batches: this.#newBatches() };
    const text = this.#lineText(this.#lines, point, this.#events, files, more);
    this.#commits.append([Buffer.from(text)]);
    this.#commits.sync();
    this.#lines++;
  }
}

/** The parts of a segment whose directory was just made. */
function newParts(
  opened: OpenedFiles,
  directory: string,
  header: SegmentHeader,
  begin: CommitPoint | null,
): SegmentParts {
  const commits = opened.create(join(directory, COMMITS_FILE));
  const first = commitText(0, { segment: header, begin });
  commits.append([Buffer.from(first)]);
  return {
    events: new EventFiles(opened, directory, header),
    commits,
    id: checksumOf(first),
    lines: 1,
    dictionaryLog: opened.create(join(directory, DICTIONARY_LOG)),
    losses: null,
    lossRows: [],
    processes: { log: null, rows: [] },
    sockets: { log: null, rows: [] },
    lastPoint: null,
    lasting: [],
  };
}

function openDirectory(segments: string, name: string): string {
  return join(segments, `${OPEN_PREFIX}${name}`);
}
