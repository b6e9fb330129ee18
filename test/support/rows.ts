// Rows of a query, for tests.

import type { EventType } from '../../schemas/arrow.ts';
import type { Run } from '../../src/query/order.ts';
import { type Limit, Reading } from '../../src/query/reading.ts';
import type { Selection } from '../../src/query/select.ts';
import type { OpenedStore } from '../../src/segment/store.ts';
import type { Value } from '../../src/segment/vectors.ts';

const ALL: Limit = { first: null, last: null };

/** A row by column name, and where it comes from. */
export interface FoundRow {
  readonly run: Run;
  readonly type: EventType;
  readonly get: (column: string) => Value;
}

/** All rows, or some, with the columns that are named. */
export async function rowsFound(
  opened: OpenedStore,
  selection: Selection,
  columns: (type: EventType) => readonly string[] = () => ['seq', 'ts'],
  limit: Limit = ALL,
): Promise<FoundRow[]> {
  const out: FoundRow[] = [];
  for await (const run of Reading.of(opened, selection).rows(limit, columns)) {
    for (let row = run.from; row < run.to; row++) {
      const get = (column: string): Value => run.block.columns.get(column)?.get(row) ?? null;
      out.push({ run, type: run.block.info.type, get });
    }
  }
  return out;
}

/** Their seqs. */
export async function rowSeqs(
  opened: OpenedStore,
  selection: Selection,
  limit: Limit = ALL,
): Promise<bigint[]> {
  const rows = await rowsFound(opened, selection, () => ['seq'], limit);
  return rows.map(({ get }) => get('seq') as bigint);
}
