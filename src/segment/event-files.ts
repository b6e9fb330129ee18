// The event files of a segment directory: one Arrow file per type, made when its first rows come, and the
// index of their batches. Knows nothing of commits.

import { join } from 'node:path';
import type { Schema } from 'apache-arrow/schema';
import {
  arrowSchema,
  columnTypeOf,
  EVENT_TABLES,
  type EventType,
  isDictionary,
  type TableSpec,
} from '../../schemas/arrow.ts';
import { ArrowFileWriter, type ColumnBuffers, type WrittenBatch } from './arrow-file.ts';
import { checksumsText } from './batch-info.ts';
import type { SmallRow } from './columns.ts';
import { metadataOf, type SegmentHeader } from './commits.ts';
import type { AppendFile, FileOpener } from './files.ts';
import type { Zones } from './zones.ts';

/** Row of index.arrow, as it is gathered. */
export interface IndexRow extends WrittenBatch {
  readonly file: string;
  readonly batch: number;
  readonly rows: number;
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  readonly firstTs: bigint;
  readonly lastTs: bigint;
  readonly zones: Zones;
}

/** Columns of a file that is written, and its schema. */
export interface Shape {
  readonly table: TableSpec;
  readonly schema: Schema;
}

/** A file's own columns: it may be of a smaller or larger event table than ours. */
export function shapeOf(type: EventType, schema: Schema): Shape {
  const columns = schema.fields.map(({ name, type: arrow, nullable }) => {
    const known = columnTypeOf(arrow);
    if (known === null) throw new Error(`${type}.${name} is of no type that a table has`);
    return { name, type: known, nullable };
  });
  return { table: { name: type, columns }, schema };
}

interface EventFile extends Shape {
  readonly writer: ArrowFileWriter;
  /** Values per dictionary column, in index order. */
  readonly dictionaries: Map<number, string[]>;
  rows: number;
}

/** Writes the event files of a directory. */
export class EventFiles {
  readonly #files: FileOpener;
  readonly #directory: string;
  readonly #metadata: ReadonlyMap<string, string>;
  readonly #open = new Map<EventType, EventFile>();
  readonly index: IndexRow[] = [];

  constructor(files: FileOpener, directory: string, header: SegmentHeader) {
    this.#files = files;
    this.#directory = directory;
    this.#metadata = metadataOf(header);
  }

  /** The file of a type, made when its first rows come; of today's table, or as `shape` has it. */
  file(type: EventType, shape?: Shape): EventFile {
    const known = this.#open.get(type);
    if (known !== undefined) return known;
    const table = shape?.table ?? EVENT_TABLES[type];
    const schema = shape?.schema ?? arrowSchema(table, this.#metadata);
    const file = this.#files.create(join(this.#directory, `${type}.arrow`));
    return this.#add(type, { table, schema }, new ArrowFileWriter(file, schema));
  }

  /** Goes on with a file that has these batches and ends behind them. */
  reopen(type: EventType, shape: Shape, rows: readonly IndexRow[], length: number): EventFile {
    const append = this.#files.reopen(join(this.#directory, `${type}.arrow`), length);
    const file = this.#add(type, shape, new ArrowFileWriter(append, shape.schema, rows));
    for (const row of rows) file.rows += row.rows;
    this.index.push(...rows);
    return file;
  }

  #add(type: EventType, shape: Shape, writer: ArrowFileWriter): EventFile {
    const file = { ...shape, writer, dictionaries: new Map(), rows: 0 };
    this.#open.set(type, file);
    return file;
  }

  /** Appends rows; `range` says which, for the index. */
  append(
    type: EventType,
    rows: number,
    columns: readonly ColumnBuffers[],
    range: Pick<IndexRow, 'firstSeq' | 'lastSeq' | 'firstTs' | 'lastTs' | 'zones'>,
  ): void {
    const file = this.file(type);
    const batch = file.writer.batchCount;
    const { firstSeq, lastSeq, firstTs, lastTs, zones } = range;
    const written = file.writer.writeBatch(rows, columns);
    file.rows += rows;
    this.index.push({
      file: `${type}.arrow`,
      batch,
      rows,
      ...written,
      firstSeq,
      lastSeq,
      firstTs,
      lastTs,
      zones,
    });
  }

  types(): EventType[] {
    return [...this.#open.keys()];
  }

  rows(): Record<string, number> {
    return Object.fromEntries([...this.#open].map(([type, file]) => [type, file.rows]));
  }

  appendFiles(): AppendFile[] {
    return [...this.#open.values()].map((file) => file.writer.file);
  }

  /** Dictionaries and footers: after this every file opens in any Arrow tool. */
  finish(): void {
    for (const file of this.#open.values()) {
      file.table.columns.forEach((column, id) => {
        if (isDictionary(column.type)) {
          file.writer.writeDictionary(id, file.dictionaries.get(id) ?? []);
        }
      });
      file.writer.finish();
    }
  }
}

/** An index row as index.arrow has it. */
export function indexRow(row: IndexRow): SmallRow {
  return {
    file: row.file,
    batch: row.batch,
    offset: BigInt(row.offset),
    metadata_length: row.metadataLength,
    body_length: BigInt(row.bodyLength),
    rows: row.rows,
    first_seq: row.firstSeq,
    last_seq: row.lastSeq,
    first_ts: row.firstTs,
    last_ts: row.lastTs,
    zones: JSON.stringify(row.zones),
    checksums: checksumsText(row.checksums),
  };
}
