// Reads one segment, whether it is sealed, still being written, or a copy of its directory alone.

import { existsSync, readFileSync, statSync } from 'node:fs';
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
import { type Commits, type FileState, readCommits, type SegmentHeader } from './commits.ts';
import { type Value, type Vector, vectorOf } from './vectors.ts';
import { DICTIONARY_LOG, OPEN_PREFIX } from './writer.ts';
import type { Zones } from './zones.ts';

/** One record batch of an event file. */
export interface BatchInfo {
  readonly type: EventType;
  readonly batch: number;
  readonly rows: number;
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  /** ns since 1970. */
  readonly firstTs: bigint;
  readonly lastTs: bigint;
  readonly zones: Zones;
}

export interface LossRow {
  readonly stage: string;
  readonly cause: string;
  readonly type: string | null;
  readonly op: string | null;
  readonly cpu: number | null;
  readonly count: bigint | null;
  readonly firstTs: bigint;
  readonly lastTs: bigint;
}

type Row = Readonly<Record<string, Value>>;

export class Segment {
  readonly directory: string;
  readonly name: string;
  readonly commits: Commits | null;
  /** True once it has its final name and content. */
  readonly sealed: boolean;
  readonly header: SegmentHeader;
  /** What a reader should be told, in sentences. */
  readonly notes: string[] = [];
  readonly #readers = new Map<EventType, ArrowFileReader>();
  readonly #dictionaries = new Map<EventType, Map<number, string[]>>();
  #batches: Map<EventType, BatchInfo[]> | null = null;

  /** Opens a segment directory. Throws TapioError where there is none, or it is of a newer format. */
  constructor(directory: string) {
    this.directory = directory;
    this.name = basename(directory).replace(OPEN_PREFIX, '');
    this.commits = readCommits(directory);
    const last = this.commits?.lines.at(-1);
    this.sealed = this.commits === null || last?.sealed === true;
    if (this.commits === null) {
      this.notes.push(`${this.name} has no commits.ndjson: it is read unverified`);
    } else if (this.commits.torn) {
      this.notes.push(
        `${this.name}: commit lines after ${last?.through_seq ?? 0} are damaged and left out`,
      );
    }
    const files = this.sealed ? null : (last?.files ?? {});
    for (const type of EVENT_TYPES) {
      const path = join(directory, `${type}.arrow`);
      const state = files?.[`${type}.arrow`];
      if (files !== null && state === undefined) continue;
      if (!existsSync(path)) continue;
      this.#readers.set(type, new ArrowFileReader(path, EVENT_TABLES[type], state?.[0] ?? null));
    }
    this.header = this.commits?.header ?? this.#headerFromMetadata();
    this.#checkVersion();
    if (!this.sealed) this.#readDictionaryLog(files?.[DICTIONARY_LOG]);
  }

  types(): EventType[] {
    return [...this.#readers.keys()];
  }

  /** ns to add to a ktime to get a ts. */
  get tsOffset(): bigint {
    return BigInt(this.header.ts_offset);
  }

  /** Batches of a type in file order. */
  batches(type: EventType): readonly BatchInfo[] {
    this.#batches ??= this.sealed ? this.#batchesFromIndex() : this.#batchesFromRows();
    return this.#batches.get(type) ?? [];
  }

  /** The named columns of a batch. */
  read(type: EventType, batch: number, columns: readonly string[]): Map<string, Vector> {
    const reader = this.#readers.get(type);
    if (reader === undefined) throw new RangeError(`${this.name} has no ${type} rows`);
    const raw = reader.read(batch, columns);
    const dictionaries = this.#dictionariesOf(type, reader);
    const out = new Map<string, Vector>();
    EVENT_TABLES[type].columns.forEach((spec, id) => {
      const column = raw.get(spec.name);
      if (column !== undefined) out.set(spec.name, vectorOf(spec, column, dictionaries.get(id)));
    });
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
    return this.#smallRows(LOSSES, 'losses.arrow').map((row) => ({
      stage: String(row.stage),
      cause: String(row.cause),
      type: row.type === null ? null : String(row.type),
      op: row.op === null ? null : String(row.op),
      cpu: row.cpu as number | null,
      count: row.count as bigint | null,
      firstTs: row.first_ts as bigint,
      lastTs: row.last_ts as bigint,
    }));
  }

  /** Every process alive during the segment, one row each. */
  processes(): Row[] {
    if (this.sealed) return this.#smallRows(PROCESSES, 'processes.arrow');
    const latest = new Map<string, Row>();
    for (const row of this.#smallRows(PROCESSES, 'processes.open.arrow')) {
      latest.set(`${row.pid}:${row.pstart}`, row);
    }
    return [...latest.values()];
  }

  /** Bytes of its Arrow files, as committed. */
  bytes(): number {
    const files = this.commits?.lines.at(-1)?.files;
    if (files !== undefined) {
      return Object.values(files).reduce((sum, [length]) => sum + length, 0);
    }
    return this.types().reduce(
      (sum, t) => sum + statSync(join(this.directory, `${t}.arrow`)).size,
      0,
    );
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
  }

  #headerFromMetadata(): SegmentHeader {
    const metadata = [...this.#readers.values()][0]?.schema.metadata;
    if (metadata?.get('tapio.format') === undefined) {
      throw new TapioError(
        'segment_missing',
        `${this.directory} is no segment: it has neither commits.ndjson nor event files of ours`,
      );
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

  #checkVersion(): void {
    if (this.header.format <= FORMAT_VERSION) return;
    this.close();
    throw new TapioError(
      'store_newer',
      `${this.name} is of format ${this.header.format}, written by tapio-record ${this.header.recorder}: read it with that version or a later one`,
    );
  }

  #readDictionaryLog(state: FileState | undefined): void {
    if (state === undefined) return;
    const bytes = readFileSync(join(this.directory, DICTIONARY_LOG)).subarray(0, state[0]);
    for (const line of bytes.toString('utf8').split('\n')) {
      if (line === '') continue;
      const entry = JSON.parse(line) as {
        file: EventType;
        column: string;
        from: number;
        values: string[];
      };
      const id = EVENT_TABLES[entry.file].columns.findIndex((c) => c.name === entry.column);
      let columns = this.#dictionaries.get(entry.file);
      if (columns === undefined) {
        columns = new Map();
        this.#dictionaries.set(entry.file, columns);
      }
      const values = columns.get(id);
      if (values === undefined) columns.set(id, entry.values);
      else for (const value of entry.values) values.push(value);
    }
  }

  #dictionariesOf(type: EventType, reader: ArrowFileReader): Map<number, string[]> {
    let dictionaries = this.#dictionaries.get(type);
    if (dictionaries === undefined) {
      dictionaries = reader.dictionaries();
      this.#dictionaries.set(type, dictionaries);
    }
    return dictionaries;
  }

  #smallRows(table: TableSpec, file: string): Row[] {
    const path = join(this.directory, file);
    const state = this.sealed ? undefined : this.commits?.lines.at(-1)?.files[file];
    if ((!this.sealed && state === undefined) || !existsSync(path)) return [];
    const reader = new ArrowFileReader(path, table, state?.[0] ?? null);
    try {
      const rows: Row[] = [];
      const names = table.columns.map((c) => c.name);
      for (let batch = 0; batch < reader.batchCount; batch++) {
        const raw = reader.read(batch, names);
        const vectors = table.columns.map((spec) =>
          vectorOf(spec, raw.get(spec.name) ?? { nodes: [], buffers: [] }, undefined),
        );
        for (let i = 0; i < reader.rows(batch); i++) {
          rows.push(Object.fromEntries(names.map((name, c) => [name, vectors[c]?.get(i) ?? null])));
        }
      }
      return rows;
    } finally {
      reader.close();
    }
  }

  #batchesFromIndex(): Map<EventType, BatchInfo[]> {
    const rows = this.#smallRows(INDEX, 'index.arrow');
    if (rows.length === 0) return this.#batchesFromRows();
    const out = new Map<EventType, BatchInfo[]>();
    for (const row of rows) {
      const type = String(row.file).replace('.arrow', '') as EventType;
      if (!this.#readers.has(type)) continue;
      const list = out.get(type) ?? [];
      list.push({
        type,
        batch: Number(row.batch),
        rows: Number(row.rows),
        firstSeq: row.first_seq as bigint,
        lastSeq: row.last_seq as bigint,
        firstTs: row.first_ts as bigint,
        lastTs: row.last_ts as bigint,
        zones: JSON.parse(String(row.zones)) as Zones,
      });
      out.set(type, list);
    }
    return out;
  }

  // Without an index the ranges come from the rows themselves.
  #batchesFromRows(): Map<EventType, BatchInfo[]> {
    const out = new Map<EventType, BatchInfo[]>();
    for (const [type, reader] of this.#readers) {
      const list: BatchInfo[] = [];
      for (let batch = 0; batch < reader.batchCount; batch++) {
        const raw = reader.read(batch, ['seq', 'ts']);
        const seq = new BigUint64Array(bufferOf(raw.get('seq')?.buffers[1]));
        const ts = new BigInt64Array(bufferOf(raw.get('ts')?.buffers[1]));
        list.push({
          type,
          batch,
          rows: reader.rows(batch),
          firstSeq: seq[0] ?? 0n,
          lastSeq: seq.at(-1) ?? 0n,
          firstTs: ts.reduce((a, b) => (a < b ? a : b), ts[0] ?? 0n),
          lastTs: ts.reduce((a, b) => (a > b ? a : b), ts[0] ?? 0n),
          zones: {},
        });
      }
      out.set(type, list);
    }
    return out;
  }
}

function bufferOf(bytes: Uint8Array | undefined): ArrayBuffer {
  return (bytes ?? new Uint8Array(0)).buffer as ArrayBuffer;
}
