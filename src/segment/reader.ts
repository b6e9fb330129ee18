// Reads one segment, whether it is sealed, still being written, or a copy of its directory alone.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  EVENT_TABLES,
  EVENT_TYPES,
  type EventType,
  INDEX,
  LOSSES,
  PROCESSES,
  type TableSpec,
} from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import { ArrowFileReader } from './arrow-reader.ts';
import {
  type BatchInfo,
  type BatchInfos,
  batchesOfCommits,
  batchesOfIndex,
  batchesOfRows,
} from './batch-info.ts';
import { type CommitLine, type Commits, readCommits, type SegmentHeader } from './commits.ts';
import {
  committedRanges,
  type Damage,
  damagedError,
  damageText,
  verifyDirectory,
} from './damage.ts';
import { type Dictionaries, readDictionaryLog } from './dictionary-log.ts';
import {
  DICTIONARY_LOG,
  INDEX_FILE,
  LOSSES_FILE,
  OPEN_PREFIX,
  PROCESS_LOG,
  PROCESSES_FILE,
} from './file-names.ts';
import { type LossRow, lossOf, type TableRow, tableRows } from './small-tables.ts';
import { nullVector, type Vector, vectorOf } from './vectors.ts';

export type { BatchInfo } from './batch-info.ts';
export type { LossRow } from './small-tables.ts';

const SMALL_FILES = [LOSSES_FILE, PROCESSES_FILE, PROCESS_LOG, INDEX_FILE];

/**
 * An open segment directory. What it holds is fixed as it is opened: rows that are committed later are
 * not seen, and a segment that is sealed or removed meanwhile reads on.
 */
export class Segment {
  readonly directory: string;
  readonly name: string;
  readonly commits: Commits | null;
  /** True once it has its final content. */
  readonly sealed: boolean;
  readonly header: SegmentHeader;
  /** What a reader should be told, in sentences. */
  readonly notes: string[] = [];
  readonly #readers = new Map<EventType, ArrowFileReader>();
  readonly #small = new Map<string, ArrowFileReader>();
  readonly #dictionaries: Dictionaries;
  #batches: BatchInfos | null = null;

  /**
   * Opens a segment directory. Throws TapioError where there is none, where a committed file is missing
   * or cut, or where it is of a newer format; ENOENT where the directory was renamed meanwhile.
   */
  constructor(directory: string) {
    this.directory = directory;
    this.name = basename(directory).replace(OPEN_PREFIX, '');
    this.commits = readCommits(directory);
    const last = this.commits?.lines.at(-1);
    this.sealed = this.commits === null || last?.sealed === true;
    this.#noteCommits(last);
    try {
      this.#checkVersion(this.commits?.header?.format, this.commits?.header?.recorder ?? '');
      for (const type of EVENT_TYPES) {
        const reader = this.#openFile(`${type}.arrow`);
        if (reader !== null) this.#readers.set(type, reader);
      }
      this.header = this.commits?.header ?? this.#headerFromMetadata();
      this.#checkVersion(this.header.format, this.header.recorder);
      this.#dictionaries = this.#openDictionaries();
      // Files that go or move with the seal are opened while they are there.
      if (basename(directory).startsWith(OPEN_PREFIX)) {
        for (const file of SMALL_FILES) this.#smallFile(file);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Types that have rows. */
  types(): EventType[] {
    return [...this.#readers.keys()];
  }

  /** ns to add to a ktime to get a ts. */
  get tsOffset(): bigint {
    return BigInt(this.header.ts_offset);
  }

  /** Batches of a type in file order. */
  batches(type: EventType): readonly BatchInfo[] {
    this.#batches ??= this.#findBatches();
    return this.#batches.get(type) ?? [];
  }

  /** The named columns of a batch; those that the file does not have are null in every row. */
  read(type: EventType, batch: number, columns: readonly string[]): Map<string, Vector> {
    const reader = this.#readers.get(type);
    if (reader === undefined) throw new RangeError(`${this.name} has no ${type} rows`);
    const raw = reader.read(batch, columns);
    const dictionaries = this.#dictionariesOf(type, reader);
    const out = new Map<string, Vector>();
    for (const { name } of EVENT_TABLES[type].columns) {
      if (!columns.includes(name)) continue;
      const [spec, column] = [reader.columns.get(name), raw.get(name)];
      const vector =
        spec === undefined || column === undefined
          ? nullVector(reader.rows(batch))
          : vectorOf(spec, column, dictionaries.get(name));
      out.set(name, vector);
    }
    return out;
  }

  /** Rows of a type, by count. */
  rows(type: EventType): number {
    const reader = this.#readers.get(type);
    if (reader === undefined) return 0;
    let rows = 0;
    for (let i = 0; i < reader.batchCount; i++) rows += reader.rows(i);
    return rows;
  }

  losses(): LossRow[] {
    return this.#smallRows(LOSSES, LOSSES_FILE).map(lossOf);
  }

  /** Every process alive during the segment, one row each. */
  processes(): TableRow[] {
    if (this.sealed) return this.#smallRows(PROCESSES, PROCESSES_FILE);
    const latest = new Map<string, TableRow>();
    for (const row of this.#smallRows(PROCESSES, PROCESS_LOG)) {
      latest.set(`${row.pid}:${row.pstart}`, row);
    }
    return [...latest.values()];
  }

  /** Bytes of its files, as committed; of the event files alone where nothing says what else is there. */
  bytes(): number {
    if (this.commits !== null) {
      const files = Object.values(this.commits.lines.at(-1)?.files ?? {});
      return files.reduce((sum, [length]) => sum + length, this.commits.bytes);
    }
    return [...this.#readers.values()].reduce((sum, reader) => sum + reader.bytes, 0);
  }

  /**
   * Holds every committed byte against its checksum, which takes as long as reading all of it. Gives
   * what is damaged, or null where there are no commit lines to hold it against.
   */
  verify(): readonly Damage[] | null {
    if (this.commits === null) return null;
    return verifyDirectory(this.directory, this.commits.lines);
  }

  close(): void {
    for (const readers of [this.#readers, this.#small]) {
      for (const reader of readers.values()) reader.close();
      readers.clear();
    }
  }

  #noteCommits(last: CommitLine | undefined): void {
    if (this.commits === null) {
      this.notes.push(`${this.name} has no commits.ndjson: it is read unverified`);
    } else if (this.commits.torn) {
      this.notes.push(
        `${this.name}: commit lines after ${last?.through_seq ?? 0} are damaged and left out`,
      );
    }
  }

  /** Opens a file that the last commit covers, or null where it covers none of that name. */
  #openFile(file: string): ArrowFileReader | null {
    const path = join(this.directory, file);
    if (this.commits === null) {
      return existsSync(path) ? new ArrowFileReader(path, { length: null, footer: null }) : null;
    }
    const state = this.commits.lines.at(-1)?.files[file];
    if (state === undefined) return null;
    try {
      return new ArrowFileReader(path, { length: state[0], footer: this.sealed });
    } catch (error) {
      // Without its directory the segment has moved, which the caller can follow; a file that alone is
      // gone is damage, and must not look like a segment without such rows.
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!gone || !existsSync(this.directory)) throw error;
      throw damagedError(path, damageText({ file, from: 0, to: state[0], reason: 'missing' }));
    }
  }

  #smallFile(file: string): ArrowFileReader | null {
    const known = this.#small.get(file);
    if (known !== undefined) return known;
    const reader = this.#openFile(file);
    if (reader === null) return null;
    this.#small.set(file, reader);
    // They are read whole, so that all of their bytes can be checked at little cost.
    reader.verify(committedRanges(this.commits?.lines ?? [], file));
    return reader;
  }

  #smallRows(table: TableSpec, file: string): TableRow[] {
    const reader = this.#smallFile(file);
    return reader === null ? [] : tableRows(reader, table);
  }

  #headerFromMetadata(): SegmentHeader {
    const metadata = [...this.#readers.values()][0]?.schema.metadata;
    if (metadata?.get('tapio.format') === undefined) {
      throw new TapioError('segment_missing', this.#whyNoSegment());
    }
    const text = (key: string): string => metadata.get(`tapio.${key}`) ?? '';
    return {
      format: Number(text('format')),
      fingerprint: text('fingerprint'),
      recorder: text('recorder'),
      host: text('host'),
      boot_id: text('boot_id'),
      kernel: text('kernel'),
      recording: text('recording'),
      ts_offset: text('ts_offset'),
      clocks: JSON.parse(text('clocks')) as SegmentHeader['clocks'],
    };
  }

  #whyNoSegment(): string {
    // Thrown on: a directory that was renamed is looked for under its new name.
    readdirSync(this.directory);
    return `${this.directory} is no segment: it has neither commits.ndjson nor event files of ours; name a store or one of its segments`;
  }

  #checkVersion(format: number | undefined, recorder: string): void {
    if (format === undefined || format <= FORMAT_VERSION) return;
    throw new TapioError(
      'store_newer',
      `${this.name} is of format ${format}, written by tapio-record ${recorder}: read it with that version or a later one`,
    );
  }

  #openDictionaries(): Dictionaries {
    if (this.commits === null) return this.#unverifiedDictionaries();
    const { lines } = this.commits;
    if (this.sealed || lines.at(-1)?.files[DICTIONARY_LOG] === undefined) return new Map();
    return readDictionaryLog(this.directory, committedRanges(lines, DICTIONARY_LOG));
  }

  /** Of a copy of an open segment without its commit lines: as far as the log goes. */
  #unverifiedDictionaries(): Dictionaries {
    const open = [...this.#readers.values()].some((reader) => !reader.complete);
    if (!open) return new Map();
    this.notes.push(`${this.name} was not sealed: its last rows and strings may be missing`);
    const logged = existsSync(join(this.directory, DICTIONARY_LOG));
    return logged ? readDictionaryLog(this.directory, null) : new Map();
  }

  #dictionariesOf(type: EventType, reader: ArrowFileReader): ReadonlyMap<string, string[]> {
    let dictionaries = this.#dictionaries.get(type);
    if (dictionaries === undefined) {
      dictionaries = reader.dictionaries();
      this.#dictionaries.set(type, dictionaries);
    }
    return dictionaries;
  }

  #findBatches(): BatchInfos {
    const known = this.sealed
      ? this.#batchesFromIndex()
      : batchesOfCommits(this.commits?.lines ?? [], this.#readers);
    const out = new Map(known);
    for (const [type, reader] of this.#readers) {
      if (out.get(type)?.length !== reader.batchCount) out.set(type, batchesOfRows(type, reader));
    }
    return out;
  }

  // The index only says again what the rows say: where it is damaged, the rows are asked.
  #batchesFromIndex(): BatchInfos {
    try {
      return batchesOfIndex(this.#smallRows(INDEX, INDEX_FILE), this.#readers);
    } catch (error) {
      if (!(error instanceof TapioError)) throw error;
      this.notes.push(`${error.message} (its rows are read instead)`);
      return new Map();
    }
  }
}
