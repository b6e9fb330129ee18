// One page of what a store holds.

import type { EventType } from '../../schemas/arrow.ts';
import { type EventRun, rowsIn } from '../event/stream.ts';
import { missingFrom } from '../query/completeness.ts';
import type { Selection } from '../query/select.ts';
import { openStore } from '../segment/store.ts';
import { lastOf, rowsBefore, rowsBehind } from './held-rows.ts';
import type { ResumePoint } from './token.ts';

export interface Page {
  readonly runs: readonly EventRun[];
  /** Where the next page begins; null: this was the last. */
  readonly next: ResumePoint | null;
  /** One sentence for each thing that the answer lacks, as far as it was read. */
  readonly incomplete: readonly string[];
}

export interface PageRequest {
  readonly selection: Selection;
  readonly columns: (type: EventType) => readonly string[];
  /** Where the page before ended. */
  readonly from: ResumePoint | null;
  /** Rows, at most. */
  readonly size: number;
  /** From the newest rows on, backwards. */
  readonly newest: boolean;
}

/** Reads a page of the rows of a selection; those of a page are in order. */
export async function readPage(store: string, request: PageRequest): Promise<Page> {
  const { selection, columns, from, size, newest } = request;
  const opened = openStore(store);
  try {
    const { segments } = opened;
    const page = newest
      ? await rowsBefore(segments, selection, columns, from, size)
      : await pageBehind(rowsBehind(segments, selection, columns, from, size + 1), size);
    return { ...page, incomplete: missingFrom(opened, selection) };
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

/** The first so many rows; one more tells whether there is another page. */
async function pageBehind(
  pieces: AsyncIterable<readonly EventRun[]>,
  size: number,
): Promise<Pick<Page, 'runs' | 'next'>> {
  const runs: EventRun[] = [];
  let left = size;
  for await (const piece of pieces) {
    for (const run of piece) {
      if (left === 0) return { runs, next: lastOf(runs) };
      const taken = { ...run, to: Math.min(run.to, run.from + left) };
      runs.push(taken);
      left -= rowsIn([taken]);
      if (taken.to < run.to) return { runs, next: lastOf(runs) };
    }
  }
  return { runs, next: null };
}
