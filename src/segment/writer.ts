// Writes one segment. While it is open, batches are appended and each commit makes a prefix of all
// files durable: data first, then one line in commits.ndjson that names every file's length. Sealing
// ends the Arrow files, writes the index, and renames the directory. FORMAT.md has the bytes.

import { basename, join } from 'node:path';
import {
  arrowSchema,
  type EventType,
  INDEX,
  LOSSES,
  PROCESSES,
  type TableSpec,
} from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';
import { ArrowFileWriter } from './arrow-file.ts';
import { committedBatch } from './batch-info.ts';
import { type SmallRow, slotColumns, smallColumns } from './columns.ts';
import {
  type CommitLine,
  type CommittedBatch,
  commitText,
  type FileState,
  type SegmentHeader,
} from './commits.ts';
import { crcText } from './crc32c.ts';
import { dictionaryLine } from './dictionary-log.ts';
import { EventFiles, type IndexRow, indexRow, metadataOf } from './event-files.ts';
import {
  COMMITS_FILE,
  DICTIONARY_LOG,
  LOSSES_FILE,
  OPEN_PREFIX,
  PROCESS_LOG,
  SEAL_PREFIX,
} from './file-names.ts';
import type { AppendFile, StoreFiles } from './files.ts';
import { mergeSmallBatches } from './merge.ts';
import { zonesOf } from './zones.ts';

/** Below this average, sealing merges a segment's batches. */
export const MERGE_BELOW_ROWS = 16_384;

/** The part of a commit line that the recorder knows. */
export type CommitPoint = Omit<CommitLine, 'rows' | 'files' | 'batches' | 'sealed'>;

/** A process of the segment; upserts of the same (pid, pstart) replace one another. */
export type ProcessRow = SmallRow & { readonly pid: number; readonly pstart: bigint };

/** What a sealed segment holds, for the catalogue and for the summary. */
export interface SealedSegment {
  readonly name: string;
  readonly directory: string;
  /** Of all its files. */
  readonly bytes: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly index: readonly IndexRow[];
  readonly losses: readonly SmallRow[];
}

/** One segment that is being written. */
export class SegmentWriter {
  readonly name: string;
  readonly #files: StoreFiles;
  readonly #segments: string;
  readonly #header: SegmentHeader;
  readonly #directory: string;
  readonly #events: EventFiles;
  readonly #commits: AppendFile;
  readonly #dictionaryLog: AppendFile;
  readonly #processes = new Map<string, ProcessRow>();
  readonly #newProcesses: SmallRow[] = [];
  #processLog: ArrowFileWriter | null = null;
  #losses: ArrowFileWriter | null = null;
  readonly #lossRows: SmallRow[] = [];
  #lastPoint: CommitPoint | null = null;
  #changed = false;
  #knownFiles = 0;
  #committedBatches = 0;

  /** Creates `segments/.open-NAME`. Throws what the file system throws. */
  constructor(files: StoreFiles, segments: string, name: string, header: SegmentHeader) {
    this.name = name;
    this.#files = files;
    this.#segments = segments;
    this.#header = header;
    this.#directory = join(segments, `${OPEN_PREFIX}${name}`);
    files.makeDirectory(this.#directory);
    this.#events = new EventFiles(files, this.#directory, header);
    this.#commits = files.create(join(this.#directory, COMMITS_FILE));
    this.#dictionaryLog = files.create(join(this.#directory, DICTIONARY_LOG));
    this.#commits.append([Buffer.from(commitText({ segment: header }))]);
    this.#commits.sync();
    files.syncDirectory(this.#directory);
    files.syncDirectory(segments);
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#appendFiles().reduce((sum, file) => sum + file.length, this.#commits.length);
  }

  get rows(): number {
    return Object.values(this.#events.rows()).reduce((sum, rows) => sum + rows, 0);
  }

  /** Appends a batch from the source's memory, which may be reused when this returns. */
  append(
    type: EventType,
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
  ): void {
    const file = this.#events.file(type);
    const news = batch.newValues.map(({ column, values }) => {
      const known = file.dictionaries.get(column);
      const from = known?.length ?? 0;
      if (known === undefined) file.dictionaries.set(column, [...values]);
      else for (const value of values) known.push(value);
      return { file: type, column: file.table.columns[column]?.name ?? '', from, values };
    });
    if (news.length > 0) {
      this.#dictionaryLog.append([Buffer.from(news.map(dictionaryLine).join(''))]);
    }
    this.#events.append(type, batch.rows, slotColumns(batch, regions, memory), {
      ...batch,
      zones: zonesOf(
        batch,
        regions,
        memory,
        (column, index) => file.dictionaries.get(column)?.[index] ?? '',
      ),
    });
    this.#changed = true;
  }

  /** Adds processes, or says more of those already there. */
  addProcesses(rows: readonly ProcessRow[]): void {
    for (const row of rows) {
      this.#processes.set(`${row.pid}:${row.pstart}`, row);
      this.#newProcesses.push(row);
    }
  }

  addLosses(rows: readonly SmallRow[]): void {
    if (rows.length === 0) return;
    this.#losses ??= this.#small(LOSSES, LOSSES_FILE);
    this.#losses.writeBatch(rows.length, smallColumns(LOSSES, rows));
    this.#lossRows.push(...rows);
    this.#changed = true;
  }

  /** Makes everything up to `point` durable. Nothing is written when nothing came. */
  commit(point: CommitPoint): void {
    this.#lastPoint = point;
    if (!this.#changed) return;
    if (this.#newProcesses.length > 0) {
      this.#processLog ??= this.#small(PROCESSES, PROCESS_LOG);
      this.#processLog.writeBatch(
        this.#newProcesses.length,
        smallColumns(PROCESSES, this.#newProcesses.splice(0)),
      );
    }
    this.#commitLine(point, this.#appendFiles());
    this.#changed = false;
  }

  /** Ends the segment: it gets its final name and opens in every Arrow tool. */
  seal(): SealedSegment {
    const batches = this.#events.index.length;
    const merge = batches > this.#events.types().length && this.rows / batches < MERGE_BELOW_ROWS;
    const last = this.#lastPoint;
    if (last === null) throw new Error('a segment is committed before it is sealed');
    if (this.#changed || this.#newProcesses.length > 0) {
      this.#changed = true;
      this.commit(last);
    }
    return merge ? this.#sealMerged(last) : this.#sealInPlace(last);
  }

  #sealInPlace(point: CommitPoint): SealedSegment {
    this.#events.finish();
    this.#losses?.finish();
    const extra = this.#writeTail(this.#directory, this.#events.index);
    const kept = this.#events.appendFiles();
    if (this.#losses !== null) kept.push(this.#losses.file);
    this.#commitLine(point, [...kept, ...extra], true);
    this.#close();
    for (const gone of [DICTIONARY_LOG, PROCESS_LOG]) {
      this.#files.remove(join(this.#directory, gone));
    }
    for (const file of extra) file.close();
    return this.#rename(this.#directory, this.#events, [...kept, ...extra, this.#commits]);
  }

  // Many small batches cost space and time to read: the sealed segment gets them merged, in a directory
  // of its own, and the open one is removed only when that has its final name.
  #sealMerged(point: CommitPoint): SealedSegment {
    const directory = join(this.#segments, `${SEAL_PREFIX}${this.name}`);
    this.#files.remove(directory);
    this.#files.makeDirectory(directory);
    const merged = new EventFiles(this.#files, directory, this.#header);
    this.#close();
    mergeSmallBatches(this.#directory, this.#events, merged);
    merged.finish();
    const extra = this.#writeTail(directory, merged.index);
    const losses = this.#copyLosses(directory);
    const kept = [...merged.appendFiles(), ...losses, ...extra];
    const commits = this.#files.create(join(directory, COMMITS_FILE));
    for (const file of kept) file.sync();
    commits.append([
      Buffer.from(commitText({ segment: this.#header })),
      Buffer.from(this.#lineText(point, kept, true)),
    ]);
    commits.sync();
    for (const file of [...kept, commits]) file.close();
    this.#files.syncDirectory(directory);
    const sealed = this.#rename(directory, merged, [...kept, commits]);
    this.#files.remove(this.#directory);
    this.#files.syncDirectory(this.#segments);
    return sealed;
  }

  #copyLosses(directory: string): AppendFile[] {
    if (this.#lossRows.length === 0) return [];
    const file = this.#files.create(join(directory, LOSSES_FILE));
    const writer = new ArrowFileWriter(file, arrowSchema(LOSSES, metadataOf(this.#header)));
    writer.writeBatch(this.#lossRows.length, smallColumns(LOSSES, this.#lossRows));
    writer.finish();
    return [file];
  }

  // processes.arrow with one row each, and index.arrow.
  #writeTail(directory: string, index: readonly IndexRow[]): AppendFile[] {
    const out: AppendFile[] = [];
    const write = (table: TableSpec, rows: readonly SmallRow[]): void => {
      const file = this.#files.create(join(directory, `${table.name}.arrow`));
      const writer = new ArrowFileWriter(file, arrowSchema(table, metadataOf(this.#header)));
      if (rows.length > 0) writer.writeBatch(rows.length, smallColumns(table, rows));
      writer.finish();
      out.push(file);
    };
    write(PROCESSES, [...this.#processes.values()]);
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
      bytes: files.reduce((sum, file) => sum + file.length, 0),
      rows: events.rows(),
      index: events.index,
      losses: this.#lossRows,
    };
  }

  #small(table: TableSpec, name: string): ArrowFileWriter {
    const file = this.#files.create(join(this.#directory, name));
    return new ArrowFileWriter(file, arrowSchema(table, metadataOf(this.#header)));
  }

  #appendFiles(): AppendFile[] {
    const files = [...this.#events.appendFiles(), this.#dictionaryLog];
    if (this.#processLog !== null) files.push(this.#processLog.file);
    if (this.#losses !== null) files.push(this.#losses.file);
    return files;
  }

  #lineText(point: CommitPoint, files: readonly AppendFile[], sealed: boolean): string {
    const states = files.map((file): [string, FileState] => {
      const range = file.takeRange();
      return [basename(file.path), [range.length, crcText(range.crc)]];
    });
    const line: CommitLine = {
      ...point,
      rows: this.#events.rows(),
      files: Object.fromEntries(states),
      // A sealed segment has its index.
      ...(sealed ? { sealed: true } : { batches: this.#newBatches() }),
    };
    return commitText(line);
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
    // A file's name must be durable before a line speaks of it.
    if (this.#knownFiles !== files.length || sealed) {
      this.#files.syncDirectory(this.#directory);
      this.#knownFiles = files.length;
    }
    this.#commits.append([Buffer.from(this.#lineText(point, files, sealed))]);
    this.#commits.sync();
  }

  #close(): void {
    for (const file of this.#appendFiles()) file.close();
    this.#commits.close();
  }
}
