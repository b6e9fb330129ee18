// The small tables of a segment (processes, losses, index), read whole as rows.

import type { TableSpec } from '../../schemas/arrow.ts';
import type { ArrowFileReader } from './arrow-reader.ts';
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
  for (let batch = 0; batch < reader.batchCount; batch++) {
    const raw = reader.read(batch, names);
    const count = reader.rows(batch);
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
