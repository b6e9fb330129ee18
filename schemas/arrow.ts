// Tables as columns: the event table's, and the small ones that go with every segment.

import { Field, Schema } from 'apache-arrow/schema';
import {
  Binary,
  DataType,
  Dictionary,
  Int32,
  Int64,
  List,
  Struct,
  TimestampNanosecond,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow/type';
import { COMMON, EVENTS, type FieldType, type TypeSpec } from './events.ts';

/** How a column is stored; `utf8` is a plain string, for tables that are small. */
export type ColumnType = FieldType | 'utf8';

export interface ColumnSpec {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

/** A table of a segment: one Arrow file. */
export interface TableSpec {
  readonly name: string;
  readonly columns: readonly ColumnSpec[];
}

/** Event types by name, in id order. */
export type EventType = keyof typeof EVENTS;
export const EVENT_TYPES = Object.keys(EVENTS) as readonly EventType[];

function eventTable(name: EventType): TableSpec {
  const spec: TypeSpec = EVENTS[name];
  return {
    name,
    columns: [
      ...Object.entries(COMMON).map(([n, f]) => ({ name: n, type: f.type, nullable: false })),
      ...Object.entries(spec.fields).map(([n, f]) => ({ name: n, type: f.type, nullable: true })),
    ],
  };
}

/** The table of each event type. */
export const EVENT_TABLES = Object.fromEntries(
  EVENT_TYPES.map((name) => [name, eventTable(name)]),
) as Readonly<Record<EventType, TableSpec>>;

const column = (name: string, type: ColumnType, nullable = false): ColumnSpec => ({
  name,
  type,
  nullable,
});

/** Gaps and clock steps. A count of null is unknown. */
export const LOSSES: TableSpec = {
  name: 'losses',
  columns: [
    column('stage', 'utf8'),
    column('cause', 'utf8'),
    column('type', 'utf8', true),
    column('op', 'utf8', true),
    column('cpu', 'u16', true),
    column('count', 'u64', true),
    column('first_ts', 'timestamp'),
    column('last_ts', 'timestamp'),
  ],
};

/** Every process alive during the segment. */
export const PROCESSES: TableSpec = {
  name: 'processes',
  columns: [
    column('pid', 'u32'),
    column('pstart', 'u64'),
    column('ppid', 'u32'),
    column('uid', 'u32'),
    column('comm', 'utf8'),
    column('exe', 'utf8', true),
    column('args', 'texts', true),
    column('cwd', 'utf8', true),
    column('cgroup_id', 'u64'),
    column('cgroup', 'utf8', true),
    column('container_id', 'utf8', true),
    column('pod', 'utf8', true),
    column('pod_namespace', 'utf8', true),
    column('first_seq', 'u64', true),
    column('last_seq', 'u64', true),
  ],
};

/** TCP sockets that were there as the segment began or as it ended. */
export const SOCKETS: TableSpec = {
  name: 'sockets',
  columns: [
    column('inode', 'u64', true),
    column('family', 'utf8'),
    column('protocol', 'utf8'),
    column('state', 'utf8'),
    column('saddr', 'utf8'),
    column('sport', 'u16'),
    column('daddr', 'utf8', true),
    column('dport', 'u16', true),
    column('pid', 'u32'),
    column('pstart', 'u64'),
    column('comm', 'utf8'),
    column('uid', 'u32'),
    column('since', 'timestamp', true),
    column('first_seq', 'u64', true),
    column('last_seq', 'u64', true),
  ],
};

/** Stacks that rows name by id; the file is there only where there are any. */
export const STACKS: TableSpec = {
  name: 'stacks',
  columns: [
    column('stack_id', 'u64'),
    column('kind', 'utf8'),
    column('frames', 'texts'),
    column('symbols', 'texts', true),
  ],
};

/**
 * One row per record batch of the event files; zones is JSON (see FORMAT.md), checksums
 * base64 of CRC-32C words: one of the whole batch, or of its metadata and of each buffer.
 */
export const INDEX: TableSpec = {
  name: 'index',
  columns: [
    column('file', 'utf8'),
    column('batch', 'u32'),
    column('offset', 'u64'),
    column('metadata_length', 'u32'),
    column('body_length', 'u64'),
    column('rows', 'u32'),
    column('first_seq', 'u64'),
    column('last_seq', 'u64'),
    column('first_ts', 'timestamp'),
    column('last_ts', 'timestamp'),
    column('zones', 'utf8'),
    column('checksums', 'utf8', true),
  ],
};

function arrowType(type: ColumnType, dictionaryId: number): DataType {
  switch (type) {
    case 'u16':
      return new Uint16();
    case 'u32':
      return new Uint32();
    case 'u64':
      return new Uint64();
    case 'i32':
      return new Int32();
    case 'i64':
      return new Int64();
    case 'timestamp':
      return new TimestampNanosecond('UTC');
    case 'name':
      return new Dictionary(new Utf8(), new Uint16(), dictionaryId);
    case 'text':
      return new Dictionary(new Utf8(), new Int32(), dictionaryId);
    case 'texts':
      return new List(new Field('item', new Utf8(), true));
    case 'u64s':
      return new List(new Field('item', new Uint64(), true));
    case 'bytes':
      return new Binary();
    case 'utf8':
      return new Utf8();
  }
}

/** How a column of a file is stored; null for Arrow types that no table of ours has. */
export function columnTypeOf(type: DataType): ColumnType | null {
  if (DataType.isDictionary(type)) return type.indices.bitWidth === 16 ? 'name' : 'text';
  if (DataType.isTimestamp(type)) return 'timestamp';
  if (DataType.isUtf8(type)) return 'utf8';
  if (DataType.isBinary(type)) return 'bytes';
  if (DataType.isList(type)) return DataType.isUtf8(type.valueType) ? 'texts' : 'u64s';
  if (!DataType.isInt(type)) return null;
  const sized = `${type.isSigned ? 'i' : 'u'}${type.bitWidth}`;
  return INTEGERS.find((known) => known === sized) ?? null;
}

const INTEGERS = ['u16', 'u32', 'u64', 'i32', 'i64'] as const;

/** True for columns whose values are in a dictionary. */
export function isDictionary(type: ColumnType): boolean {
  return type === 'name' || type === 'text';
}

/** Columns of an answer in a struct. */
export interface StructColumn {
  readonly name: string;
  readonly nullable: boolean;
  readonly children: readonly ColumnSpec[];
}

/** A column of an answer, whose strings are plain. */
export type AnswerColumn = ColumnSpec | StructColumn;

/** A column as answers have it: what is a dictionary in a store is utf8. */
export function answerColumn({ name, type, nullable }: ColumnSpec): ColumnSpec {
  return { name, type: isDictionary(type) ? 'utf8' : type, nullable };
}

/** The Arrow schema of an answer. */
export function answerSchema(
  columns: readonly AnswerColumn[],
  metadata: ReadonlyMap<string, string>,
): Schema {
  const plain = ({ name, type, nullable }: ColumnSpec): Field =>
    new Field(name, arrowType(type, 0), nullable);
  const field = (column: AnswerColumn): Field =>
    'children' in column
      ? new Field(column.name, new Struct(column.children.map(plain)), column.nullable)
      : plain(column);
  return new Schema(columns.map(field), new Map(metadata));
}

/** The Arrow schema of a table; a dictionary's id is its column's position. */
export function arrowSchema(table: TableSpec, metadata: ReadonlyMap<string, string>): Schema {
  return new Schema(
    table.columns.map((c, i) => new Field(c.name, arrowType(c.type, i), c.nullable)),
    new Map(metadata),
  );
}
