// The small tables of a segment (processes, sockets, losses, index), read whole as rows.

import type { TableSpec } from '../../schemas/arrow.ts';
import type { ArrowFileReader } from './arrow-reader.ts';
import type { SmallRow } from './columns.ts';
import { nullVector, type Value, vectorOf } from './vectors.ts';

/** A row by column name. */
export type TableRow = Readonly<Record<string, Value>>;

/** Gaps and clock steps; a count of null is unknown, times are ns since 1970. */
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

/** A process of a segment; rows of the same (pid, pstart) replace one another. */
export type ProcessRow = SmallRow & { readonly pid: number; readonly pstart: bigint };

/** A TCP socket of a segment; rows of the same socket replace one another. */
export type SocketRow = SmallRow & {
  /** Of one that was there as the recorder started; null of any other. */
  readonly inode: bigint | null;
  readonly first_seq: bigint | null;
  readonly last_seq: bigint | null;
};

/** Names a process within a boot. */
export function processKey({ pid, pstart }: Pick<ProcessRow, 'pid' | 'pstart'>): string {
  return `${pid}:${pstart}`;
}

/** Names a socket within a segment. */
export function socketKey({ inode, first_seq }: Pick<SocketRow, 'inode' | 'first_seq'>): string {
  return inode === null ? `seq ${first_seq}` : `inode ${inode}`;
}

/** Rows of one record batch of a small table. */
export interface TablePart {
  readonly rows: number;
  /** A value of a column of the table. */
  get(column: string, row: number): Value;
}

/** A file's record batches; a column that it lacks is null. Throws RangeError where it is no such table. */
export function* tableParts(reader: ArrowFileReader, table: TableSpec): Generator<TablePart> {
  const names = table.columns.map((column) => column.name);
  for (const place of reader.places()) {
    const rows = reader.rowsOf(place);
    const raw = reader.read({ ...place, rows, checksums: null }, names);
    const vectors = new Map(
      table.columns.map(({ name, nullable }) => {
        const [spec, column] = [reader.columns.get(name), raw.get(name)];
        if (spec !== undefined && column !== undefined) {
          return [name, vectorOf(spec, column, undefined)] as const;
        }
        if (!nullable) throw new RangeError(`it has no column ${name}`);
        return [name, nullVector(rows)] as const;
      }),
    );
    yield { rows, get: (column, row) => vectors.get(column)?.get(row) ?? null };
  }
}

/** All rows of a file. See tableParts(). */
export function tableRows(reader: ArrowFileReader, table: TableSpec): TableRow[] {
  const names = table.columns.map((column) => column.name);
  const all: TableRow[] = [];
  for (const { rows, get } of tableParts(reader, table)) {
    for (let i = 0; i < rows; i++) {
      all.push(Object.fromEntries(names.map((name) => [name, get(name, i)])));
    }
  }
  return all;
}

/** A row of losses.arrow, typed. */
export function lossOf(row: TableRow): LossRow {
  const text = (cell: Value | undefined): string | null => (typeof cell === 'string' ? cell : null);
  return {
    stage: text(row.stage) ?? '',
    cause: text(row.cause) ?? '',
    type: text(row.type),
    op: text(row.op),
    cpu: row.cpu as number | null,
    count: row.count as bigint | null,
    firstTs: row.first_ts as bigint,
    lastTs: row.last_ts as bigint,
  };
}

/** A row of losses.arrow; a count of null is unknown. */
export function lossRow(
  stage: string,
  cause: string,
  count: bigint | null,
  firstTs: bigint,
  lastTs: bigint,
): SmallRow {
  return {
    stage,
    cause,
    type: null,
    op: null,
    cpu: null,
    count,
    first_ts: firstTs,
    last_ts: lastTs,
  };
}

/** A typed row as cells of losses.arrow. */
export function lossCells({ firstTs, lastTs, ...loss }: LossRow): SmallRow {
  return { ...loss, first_ts: firstTs, last_ts: lastTs };
}
