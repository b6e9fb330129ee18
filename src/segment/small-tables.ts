// The small tables of a segment (processes, losses, index), read whole as rows.

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

/** All rows of a file; a column that it lacks is null. */
export function tableRows(reader: ArrowFileReader, table: TableSpec): TableRow[] {
  const rows: TableRow[] = [];
  const names = table.columns.map((column) => column.name);
  for (const place of reader.places()) {
    const count = reader.rowsOf(place);
    const raw = reader.read({ ...place, rows: count, checksums: null }, names);
    const vectors = names.map((name) => {
      const [spec, column] = [reader.columns.get(name), raw.get(name)];
      if (spec === undefined || column === undefined) return nullVector(count);
      return vectorOf(spec, column, undefined);
    });
    for (let i = 0; i < count; i++) {
      rows.push(Object.fromEntries(names.map((name, c) => [name, vectors[c]?.get(i) ?? null])));
    }
  }
  return rows;
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
