// Reads one segment, whether it is sealed, still being written, or a copy of its directory alone. What
// does not verify is left out, and said.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  EVENT_TABLES,
  EVENT_TYPES,
  type EventType,
  INDEX,
  LOSSES,
  PROCESSES,
  SOCKETS,
  type TableSpec,
} from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import { SCHEMA_FINGERPRINT } from '../../schemas/generated/fingerprint.ts';
import { TapioError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { ArrowFileReader, type Committed, type FileColumn } from './arrow-reader.ts';
import { type BatchInfo, batchesOfCommits, batchesOfIndex, batchesOfRows } from './batch-info.ts';
import {
  type Commits,
  headerOf,
  ktimeSpan,
  lengthIn,
  readCommits,
  type SegmentHeader,
} from './commits.ts';
import { committedPieces, committedRanges, damagedError, damageText } from './damage.ts';
import { type Dictionaries, readDictionaryLog } from './dictionary-log.ts';
import {
  COMMITS_FILE,
  DICTIONARY_LOG,
  INDEX_FILE,
  LOSSES_FILE,
  OPEN_PREFIX,
  PROCESS_LOG,
  PROCESSES_FILE,
  SOCKET_LOG,
  SOCKETS_FILE,
} from './file-names.ts';
import {
  type LossRow,
  lossOf,
  type ProcessRow,
  processKey,
  type SocketRow,
  socketKey,
  type TableRow,
  tableRows,
} from './small-tables.ts';
import { Strings } from './strings.ts';
import { nullVector, type Vector, vectorOf } from './vectors.ts';

export type { BatchInfo } from './batch-info.ts';
export type { LossRow } from './small-tables.ts';

const SMALL_FILES = [
  ...[LOSSES_FILE, PROCESSES_FILE, PROCESS_LOG, SOCKETS_FILE, SOCKET_LOG, INDEX_FILE],
];

const SMALL_TABLES: Readonly<Record<string, TableSpec>> = {
  [INDEX_FILE]: INDEX,
  [LOSSES_FILE]: LOSSES,
  [PROCESSES_FILE]: PROCESSES,
  [SOCKETS_FILE]: SOCKETS,
};

/** Something that an answer lacks, or cannot be sure of. */
export interface Problem {
  readonly segment: string;
  /** What is wrong, naming file and place. */
  readonly text: string;
  /** Rows that are left out; null where nobody knows. */
  readonly rows: number | null;
  /** Type of those rows; null where it may be any. */
  readonly type: EventType | null;
  /** Between which times they lie, ns; null where nobody knows. */
  readonly firstTs: bigint | null;
  readonly lastTs: bigint | null;
  /** Between which seqs they lie, both inclusive; absent where nobody knows. */
  readonly seqs?: { readonly first: bigint; readonly last: bigint };
}

/** An event file as a scan reads it. */
export interface ScanFile {
  /** Valid until another file is read. */
  readonly fd: number;
  readonly size: number;
  /** Of each record batch. */
  readonly nodes: number;
  readonly buffers: number;
  /** Where the file's columns lie in a record batch. */
  readonly places: ReadonlyMap<string, FileColumn>;
  readonly strings: ReadonlyMap<string, Strings>;
}

/**
 * An open segment directory. What it holds is fixed as it is opened: rows that are committed later are
 * not seen, and an open segment that is sealed meanwhile reads on.
 */
export class Segment {
  readonly directory: string;
  readonly name: string;
  /** Its commit lines; null where it has none that tell what it should hold. */
  readonly commits: Commits | null;
  /** True once it has its final content. */
  readonly sealed: boolean;
  readonly header: SegmentHeader;
  /** What a reader should be told although nothing is missing, in sentences. */
  readonly notes: string[] = [];
  /** Its name goes with the seal. */
  readonly #isOpenName: boolean;
  readonly #types: EventType[];
  readonly #readers = new Map<EventType, ArrowFileReader>();
  readonly #small = new Map<string, ArrowFileReader>();
  /** From the dictionary log. */
  readonly #logged: Dictionaries = new Map();
  readonly #strings = new Map<EventType, Map<string, Strings>>();
  readonly #batches = new Map<EventType, readonly BatchInfo[]>();
  readonly #problems = new Map<string, Problem>();
  #index: Map<EventType, BatchInfo[]> | null | undefined;
  #tsOffset: bigint | undefined;

  /**
   * Opens a segment directory. Throws TapioError where there is none or it is of a newer format; ENOENT
   * where the directory was renamed meanwhile. What is damaged in it is told by `problems`.
   */
  constructor(directory: string) {
    this.directory = directory;
    this.name = basename(directory).replace(OPEN_PREFIX, '');
    const commits = readCommits(directory);
    this.#isOpenName = basename(directory).startsWith(OPEN_PREFIX);
    // Sealing removes the log and writes a last line: without both, nothing says what should be there.
    const sealLost =
      commits !== null &&
      !commits.sealed &&
      !this.#isOpenName &&
      !existsSync(join(directory, DICTIONARY_LOG));
    this.commits = sealLost ? null : commits;
    this.sealed = this.commits?.sealed ?? true;
    try {
      this.#checkVersion(commits?.header ?? null);
      this.#types = EVENT_TYPES.filter((type) => this.#has(`${type}.arrow`));
      // Lines that do not tell what should be there may be those of another segment.
      const known = this.commits?.header ?? this.#headerFromMetadata() ?? commits?.header;
      if (known === undefined || known === null) {
        throw new TapioError('segment_missing', this.#whyNoSegment());
      }
      this.header = known;
      this.#checkVersion(this.header);
      this.#noteCommits(commits, sealLost);
      this.#openDictionaries();
      // Files that go or move with the seal are opened while they are there.
      if (this.#isOpenName) this.#openAll();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What an answer from this segment lacks, as far as it is known by now. */
  get problems(): readonly Problem[] {
    return [...this.#problems.values()];
  }

  /** Types that have rows. */
  types(): EventType[] {
    return this.#types;
  }

  /** ns to add to a ktime to get a ts. */
  get tsOffset(): bigint {
    this.#tsOffset ??= BigInt(this.header.ts_offset);
    return this.#tsOffset;
  }

  /** Between which times its rows lie, ns, both inclusive; null where its commit lines cannot tell. */
  get span(): { readonly first: bigint; readonly last: bigint } | null {
    const span = this.commits === null ? null : ktimeSpan(this.commits);
    const offset = this.tsOffset;
    return span === null ? null : { first: span.first + offset, last: span.last + offset };
  }

  /** Batches of a type in file order; those that cannot be found become problems. */
  batches(type: EventType): readonly BatchInfo[] {
    const known = this.#batches.get(type);
    if (known !== undefined) return known;
    const found = this.#findBatches(type);
    this.#batches.set(type, found);
    const missing = this.rows(type) - found.reduce((sum, info) => sum + info.rows, 0);
    if (missing > 0) {
      this.#addProblem(`${type}.arrow`, 'some of its batches cannot be found', missing, type);
    }
    return found;
  }

  /**
   * The named columns of a batch; those that the file does not have are null in every row. Throws
   * TapioError `segment_damaged` where it is not as it was committed; see leaveOut().
   */
  read(info: BatchInfo, columns: readonly string[]): Map<string, Vector> {
    const { type } = info;
    const reader = this.#reader(type);
    const raw = reader.read(info, columns);
    const strings = this.#stringsOf(type, reader, columns);
    const out = new Map<string, Vector>();
    for (const { name } of EVENT_TABLES[type].columns) {
      if (!columns.includes(name)) continue;
      const [spec, column] = [reader.columns.get(name), raw.get(name)];
      try {
        const vector =
          spec === undefined || column === undefined
            ? nullVector(info.rows)
            : vectorOf(spec, column, strings.get(name));
        out.set(name, vector);
      } catch (error) {
        throw damagedError(reader.path, `${name}: ${(error as Error).message}`, error);
      }
    }
    return out;
  }

  /** Notes that a batch is left out because of `error`; throws what is no damage. */
  leaveOut(info: BatchInfo, error: unknown): void {
    const { type, batch, rows, firstTs, lastTs, firstSeq: first, lastSeq: last } = info;
    const place = `${type}.arrow batch ${batch}`;
    const where = { firstTs, lastTs, seqs: { first, last } };
    this.#addProblem(place, this.#reason(error), rows, type, where);
  }

  /** Rows of a type, by count, as committed; 0 where nobody says. */
  rows(type: EventType): number {
    const committed = this.commits?.last?.rows[type];
    if (committed !== undefined || this.commits !== null) return committed ?? 0;
    return (this.#batches.get(type) ?? []).reduce((sum, info) => sum + info.rows, 0);
  }

  /** Gaps and clock steps; where they are damaged, that is a problem. */
  losses(): LossRow[] {
    return this.#smallRows(LOSSES, LOSSES_FILE).map(lossOf);
  }

  /** Every process alive during the segment, one row each; of `columns` pid and pstart must be two. */
  processes(columns: readonly string[] | null = null): TableRow[] {
    const table = {
      ...PROCESSES,
      columns: PROCESSES.columns.filter(({ name }) => columns?.includes(name) ?? true),
    };
    if (this.sealed) return this.#smallRows(table, PROCESSES_FILE);
    return latest(this.#smallRows(table, PROCESS_LOG), (row) => processKey(row as ProcessRow));
  }

  /**
   * The TCP sockets that were there as the segment began or as it ended, one row each; null where it keeps
   * none, or that is damaged. Those opened and closed within it are told by its rows.
   */
  sockets(): TableRow[] | null {
    const file = this.sealed ? SOCKETS_FILE : SOCKET_LOG;
    if (!this.#has(file)) return null;
    const rows = this.#tryRows(SOCKETS, file);
    return rows && latest(rows, (row) => socketKey(row as SocketRow));
  }

  /** Bytes of a type's file, as committed; 0 where nobody says. */
  fileBytes(type: EventType): number {
    return lengthIn(this.commits?.last?.files[`${type}.arrow`]);
  }

  /** Bytes of its files, as committed; of the event files alone where nothing says what else is there. */
  bytes(): number {
    if (this.commits !== null) {
      const files = Object.values(this.commits.last?.files ?? {});
      return files.reduce((sum, state) => sum + lengthIn(state), this.commits.bytes);
    }
    return this.#types.reduce((sum, type) => sum + (this.#tryReader(type)?.bytes ?? 0), 0);
  }

  /** Bytes that were read of it, but for what scans read: commit lines, index, strings and small tables. */
  get bytesRead(): number {
    const readers = [...this.#readers.values(), ...this.#small.values()];
    return readers.reduce((sum, { bytesRead }) => sum + bytesRead, this.commits?.bytes ?? 0);
  }

  /** The file of a type, for those who read all of it. Throws TapioError where it is damaged. */
  file(type: EventType): ArrowFileReader {
    return this.#reader(type);
  }

  /**
   * What a scan on other threads needs of a type's file, to read the named columns. Throws TapioError
   * where it, or a dictionary of these columns, is damaged.
   */
  scanFile(type: EventType, columns: readonly string[]): ScanFile {
    const reader = this.#reader(type);
    const strings = this.#stringsOf(type, reader, columns);
    const { nodes, buffers } = reader.shape;
    const { bytes, columns: places } = reader;
    return { fd: reader.fd, size: bytes, nodes, buffers, places, strings };
  }

  /** Throws TapioError where a batch whose buffers have no checksums of their own is damaged. */
  checkUnindexed(info: BatchInfo): void {
    if (info.checksums === null) this.#reader(info.type).checkPlace(info);
  }

  /** Strings of the named dictionary columns of a type. Throws TapioError where they are lost. */
  strings(type: EventType, columns: readonly string[]): ReadonlyMap<string, Strings> {
    return this.#stringsOf(type, this.#reader(type), columns);
  }

  close(): void {
    for (const readers of [this.#readers, this.#small]) {
      for (const reader of readers.values()) reader.close();
      readers.clear();
    }
  }

  #addProblem(
    place: string,
    text: string,
    rows: number | null,
    type: EventType | null,
    where: Pick<Problem, 'firstTs' | 'lastTs' | 'seqs'> = { firstTs: null, lastTs: null },
  ): void {
    if (this.#problems.has(place)) return;
    const said = place === '' ? text : `${place}: ${text}`;
    this.#problems.set(place, { segment: this.name, text: said, rows, type, ...where });
  }

  /** Why something cannot be read, without its path; throws on what is no damage. */
  #reason(error: unknown): string {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'is not there any more';
    if (!(error instanceof TapioError) || error.code !== 'segment_damaged') throw error;
    return message.startsWith(this.directory) ? message.replace(/^.*?: /, '') : message;
  }

  #noteCommits(commits: Commits | null, sealLost: boolean): void {
    if (commits === null) {
      this.#addProblem('', 'has no commits.ndjson: it is read unverified', null, null);
    } else if (sealLost) {
      this.#addProblem('', 'has lost its last commit line: it is read unverified', null, null);
    } else if (commits.lost !== null) {
      const text = 'commit lines are damaged: what they committed is left out';
      this.#addProblem(COMMITS_FILE, text, commits.lost.rows, null);
    } else if (commits.sealed) {
      // What its last line says is there, whatever became of the others: verify looks at all.
    } else if (commits.torn && !commits.damaged) {
      this.notes.push(`${this.name}: what lies behind its last whole commit line is left out`);
    } else if (commits.torn) {
      this.notes.push(`${this.name}: some of its commit lines are damaged, its rows are not`);
    }
  }

  #checkVersion(header: SegmentHeader | null): void {
    if (header === null || header.format <= FORMAT_VERSION) return;
    throw new TapioError(
      'store_newer',
      `segment ${this.name} was written by tapio-record ${header.recorder} (format ${header.format}), and this one reads up to ${FORMAT_VERSION}: use tapio-replay ${header.recorder} or later`,
    );
  }

  #has(file: string): boolean {
    if (this.commits !== null) return this.commits.last?.files[file] !== undefined;
    return existsSync(join(this.directory, file));
  }

  #committed(file: string): Committed | null {
    if (this.commits === null) return null;
    const state = this.commits.last?.files[file];
    return { length: lengthIn(state), pieces: committedPieces(this.commits, file) };
  }

  /** The table of a file, where the commit lines say that it is of today's: small ones are of their version. */
  #tableOf(file: string): TableSpec | null {
    const header = this.commits?.header;
    if (header?.fingerprint !== SCHEMA_FINGERPRINT) return null;
    const small = header.recorder === VERSION ? SMALL_TABLES[file] : undefined;
    return small ?? EVENT_TABLES[file.replace('.arrow', '') as EventType] ?? null;
  }

  /** Opens a file that should be there. */
  #open(file: string): ArrowFileReader {
    const path = join(this.directory, file);
    try {
      return new ArrowFileReader(path, this.#committed(file), {
        keep: this.#isOpenName,
        table: this.#tableOf(file),
      });
    } catch (error) {
      // Without its directory the segment has moved, which the caller can follow; a file that alone is
      // gone is damage, and must not look like a segment without such rows.
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!gone || !existsSync(this.directory)) throw error;
      throw damagedError(path, damageText({ file, from: 0, to: 0, reason: 'missing' }));
    }
  }

  #reader(type: EventType): ArrowFileReader {
    let reader = this.#readers.get(type);
    if (reader === undefined) {
      reader = this.#open(`${type}.arrow`);
      if (!reader.columns.has('seq') || !reader.columns.has('ts')) {
        reader.close();
        throw damagedError(reader.path, 'is no table of events');
      }
      this.#readers.set(type, reader);
    }
    return reader;
  }

  #tryReader(type: EventType): ArrowFileReader | null {
    try {
      return this.#reader(type);
    } catch (error) {
      this.#addProblem(`${type}.arrow`, this.#reason(error), this.rows(type), type);
      return null;
    }
  }

  // A damaged file of an open segment is told when it is read; one that moved, at once.
  #openAll(): void {
    for (const type of this.#types) this.#orDamaged(() => this.#reader(type));
    for (const file of SMALL_FILES) {
      if (this.#has(file)) this.#orDamaged(() => this.#smallFile(file));
    }
  }

  #orDamaged(open: () => unknown): void {
    try {
      open();
    } catch (error) {
      if (!(error instanceof TapioError)) throw error;
    }
  }

  #smallFile(file: string): ArrowFileReader {
    let reader = this.#small.get(file);
    if (reader === undefined) {
      reader = this.#open(file);
      this.#small.set(file, reader);
    }
    return reader;
  }

  /** Rows of a small table; one that is damaged has none, and is a problem. */
  #smallRows(table: TableSpec, file: string): TableRow[] {
    return (this.#has(file) ? this.#tryRows(table, file) : null) ?? [];
  }

  #tryRows(table: TableSpec, file: string): TableRow[] | null {
    try {
      return this.#readSmall(table, file, tableRows);
    } catch (error) {
      this.#addProblem(file, this.#reason(error), null, null);
      return null;
    }
  }

  #readSmall<T>(
    table: TableSpec,
    file: string,
    read: (reader: ArrowFileReader, table: TableSpec) => T,
  ): T {
    const reader = this.#smallFile(file);
    reader.load();
    try {
      return read(reader, table);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw damagedError(reader.path, error.message, error);
    }
  }

  #headerFromMetadata(): SegmentHeader | null {
    for (const type of this.#types) {
      const metadata = this.#tryReader(type)?.schema.metadata;
      const header = metadata === undefined ? null : headerOf(metadata);
      if (header !== null) return header;
    }
    return null;
  }

  #whyNoSegment(): string {
    const entries = readdirSync(this.directory);
    if (entries.includes('segments')) {
      return `${this.directory} is a store: name it with --store`;
    }
    return `${this.directory} is neither a store nor a segment that can be read: name one with --store`;
  }

  #openDictionaries(): void {
    const logged = (): boolean => existsSync(join(this.directory, DICTIONARY_LOG));
    if (this.commits === null) {
      const open = this.#types.some((type) => this.#tryReader(type)?.complete === false);
      if (open) {
        this.notes.push(`${this.name} was not sealed: its last rows and strings may be missing`);
      }
      if (open && logged()) this.#takeLog(readDictionaryLog(this.directory, null));
      return;
    }
    if (this.sealed || this.#committed(DICTIONARY_LOG)?.length === 0) return;
    if (!logged()) {
      if (!existsSync(this.directory)) throw enoent(this.directory);
      const text = damageText({ file: DICTIONARY_LOG, from: 0, to: 0, reason: 'missing' });
      this.#addProblem(DICTIONARY_LOG, text, null, null);
      return;
    }
    const ranges = committedRanges(this.commits, DICTIONARY_LOG);
    this.#takeLog(readDictionaryLog(this.directory, ranges));
  }

  #takeLog({ values, damage }: ReturnType<typeof readDictionaryLog>): void {
    for (const [type, columns] of values) this.#logged.set(type, columns);
    if (damage !== null) this.#addProblem(DICTIONARY_LOG, damage, null, null);
  }

  /** Strings of the named dictionary columns; of an open segment from its log. */
  #stringsOf(
    type: EventType,
    reader: ArrowFileReader,
    columns: readonly string[],
  ): ReadonlyMap<string, Strings> {
    const known = this.#strings.get(type) ?? new Map<string, Strings>();
    this.#strings.set(type, known);
    if (this.sealed && (this.commits !== null || reader.complete)) {
      const unknown = columns.filter((name) => !known.has(name));
      for (const [name, buffers] of reader.dictionaries(this.batches(type), unknown)) {
        known.set(name, new Strings(buffers));
      }
    } else {
      const logged = this.#logged.get(type);
      for (const name of columns) {
        const values = logged?.get(name);
        if (values !== undefined && !known.has(name)) known.set(name, Strings.of(values));
      }
    }
    return known;
  }

  #findBatches(type: EventType): readonly BatchInfo[] {
    if (!this.#types.includes(type)) return [];
    const committed = this.commits !== null && !this.sealed ? this.commits.lines : null;
    const indexed =
      committed === null ? this.#indexed()?.get(type) : batchesOfCommits(committed, type);
    if (indexed) return indexed;
    const reader = this.#tryReader(type);
    if (reader === null) return [];
    let batch = 0;
    try {
      return batchesOfRows(type, reader, (error) => {
        this.#addProblem(`${type}.arrow batch ${batch++}`, this.#reason(error), null, type);
      });
    } catch (error) {
      this.#addProblem(`${type}.arrow`, this.#reason(error), this.rows(type), type);
      return [];
    }
  }

  // The index only says again what the rows say: where it is damaged, the rows are asked.
  #indexed(): Map<EventType, BatchInfo[]> | null {
    if (this.#index === undefined) {
      this.#index = null;
      if (this.commits !== null) {
        try {
          this.#index = this.#readSmall(INDEX, INDEX_FILE, batchesOfIndex);
        } catch (error) {
          this.notes.push(
            `${this.name}: index.arrow ${this.#reason(error)}: its rows are read instead`,
          );
        }
      }
    }
    return this.#index;
  }
}

/** The last row of each key. */
function latest(rows: readonly TableRow[], keyOf: (row: TableRow) => string): TableRow[] {
  return [...new Map(rows.map((row) => [keyOf(row), row])).values()];
}

function enoent(path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT', syscall: 'open' });
}
