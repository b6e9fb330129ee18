// Rows of a stream as lines.

import type { EventType } from '../schemas/arrow.ts';
import { JsonEncoders } from '../src/event/json.ts';
import type { EventRun } from '../src/event/stream.ts';
import { allColumns, type Output } from './output.ts';
import { compactLine } from './rows.ts';

/** What is done with rows: the columns that it needs, and how a row is written; null: it is not. */
export interface LineForm {
  columns(type: EventType): readonly string[];
  line: ((run: EventRun, row: number) => string) | null;
}

/** `name`: compact, json or none; `fields`: of JSON, null for all. */
export function lineForm(name: string, fields: readonly string[] | null = null): LineForm {
  if (name === 'none') return { columns: () => [], line: null };
  if (name === 'compact') {
    return {
      columns: allColumns,
      line: ({ block }, row) => compactLine(block.type, block.columns, row),
    };
  }
  const encoders = new JsonEncoders(fields);
  return {
    columns: (type) => encoders.of(type).columns,
    line: ({ block }, row) => encoders.of(block.type).encode(block.columns, row, block.tsOffset),
  };
}

/** Adds the lines of runs. */
export function addLines(
  runs: readonly EventRun[],
  line: NonNullable<LineForm['line']>,
  out: Output,
): void {
  for (const run of runs) {
    for (let i = run.from; i < run.to; i++) out.add(line(run, i));
  }
}
