// A small table that is kept while its segment is written: what is new is appended to a log with each commit,
// and written whole at the seal. Of several rows of one key the last counts.

import type { TableSpec } from '../../schemas/arrow.ts';
import type { ArrowFileWriter } from './arrow-file.ts';
import { type SmallRow, smallColumns } from './columns.ts';
import { type ProcessRow, processKey, type SocketRow, socketKey } from './small-tables.ts';

/** What a recovered segment has of such a table. */
export interface TableParts<Row> {
  readonly log: ArrowFileWriter | null;
  readonly rows: readonly Row[];
}

export class OpenTable<Row extends SmallRow> {
  readonly #keyOf: (row: Row) => string;
  readonly #isNeeded: (row: Row) => boolean;
  readonly #rows = new Map<string, Row>();
  readonly #unwritten: Row[] = [];
  #log: ArrowFileWriter | null;

  constructor(
    keyOf: (row: Row) => string,
    isNeeded: (row: Row) => boolean,
    { log, rows }: TableParts<Row>,
  ) {
    this.#keyOf = keyOf;
    this.#isNeeded = isNeeded;
    this.#log = log;
    for (const row of rows) this.#set(row);
  }

  get log(): ArrowFileWriter | null {
    return this.#log;
  }

  /** The last row of each key. */
  get rows(): Row[] {
    return [...this.#rows.values()];
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      this.#set(row);
      this.#unwritten.push(row);
    }
  }

  /** Appends to the log what was added since the last time; `make` begins it. */
  write(table: TableSpec, make: () => ArrowFileWriter, evenIfEmpty: boolean): void {
    const rows = this.#unwritten.splice(0);
    if (rows.length > 0 || evenIfEmpty) this.#log ??= make();
    if (rows.length > 0) this.#log?.writeBatch(rows.length, smallColumns(table, rows));
  }

  #set(row: Row): void {
    if (this.#isNeeded(row)) this.#rows.set(this.#keyOf(row), row);
    else this.#rows.delete(this.#keyOf(row));
  }
}

/** The processes of a segment. */
export function openProcesses(parts: TableParts<ProcessRow>): OpenTable<ProcessRow> {
  return new OpenTable(processKey, () => true, parts);
}

/**
 * The sockets of a segment that begins behind a seq: what was opened and closed since is told by its rows
 * alone, so that the table does not grow with what comes and goes.
 */
export function openSockets(parts: TableParts<SocketRow>, begin: bigint): OpenTable<SocketRow> {
  const isNeeded = ({ first_seq: first, last_seq: last }: SocketRow): boolean =>
    last === null || first === null || first <= begin;
  return new OpenTable(socketKey, isNeeded, parts);
}
