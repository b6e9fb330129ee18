// One page of what a store holds.

import type { EventType } from '../../schemas/arrow.ts';
import { type EventRun, rowsIn } from '../event/stream.ts';
import { missingFrom } from '../query/completeness.ts';
import { inOrder, type Run, seqsOf } from '../query/order.ts';
import { plan, planOf } from '../query/plan.ts';
import { Scanner } from '../query/scanner.ts';
import type { Selection } from '../query/select.ts';
import type { Segment } from '../segment/reader.ts';
import { openStore } from '../segment/store.ts';
import type { ResumePoint } from './token.ts';

export interface Page {
  readonly runs: readonly EventRun[];
  /** Where the next page begins; null: this was the last. */
  readonly next: ResumePoint | null;
  /** One sentence for each thing that the answer lacks, as far as it was read. */
  readonly incomplete: readonly string[];
}

/** The rows of a run behind a point. */
function behind(run: Run, from: ResumePoint | null): EventRun | null {
  if (from === null || run.block.segment.header.recording !== from.recording) return run;
  const seqs = seqsOf(run.block);
  let first = run.from;
  while (first < run.to && (seqs[first] as bigint) <= from.seq) first++;
  return first === run.to ? null : { ...run, from: first };
}

/** Segments that have rows behind a point: recordings before its own were had. */
function segmentsBehind(
  segments: readonly Segment[],
  from: ResumePoint | null,
): readonly Segment[] {
  if (from === null) return segments;
  const ids = [...new Set(segments.map(({ header }) => header.recording))];
  const later = new Set(ids.slice(Math.max(0, ids.indexOf(from.recording))));
  return segments.filter(({ header }) => later.has(header.recording));
}

/** Reads the rows of a selection behind a point, so many at most, in order. */
export async function readPage(
  store: string,
  selection: Selection,
  from: ResumePoint | null,
  size: number,
  columns: (type: EventType) => readonly string[],
): Promise<Page> {
  const opened = openStore(store);
  try {
    const whole = plan(segmentsBehind(opened.segments, from), selection);
    const decision = planOf(
      whole,
      ({ segment, info }) =>
        from === null || segment.header.recording !== from.recording || info.lastSeq > from.seq,
    );
    const runs: EventRun[] = [];
    let next: ResumePoint | null = null;
    let left = size;
    // One row more tells whether there is another page. Rows that were had are among the first of a batch.
    const first = from === null ? size + 1 : null;
    for await (const run of inOrder(new Scanner(decision), decision, columns, first)) {
      const part = behind(run, from);
      if (part === null) continue;
      if (left === 0) {
        next = lastOf(runs);
        break;
      }
      const taken = { ...part, to: Math.min(part.to, part.from + left) };
      runs.push(taken);
      left -= rowsIn([taken]);
      if (taken.to < part.to) {
        next = lastOf(runs);
        break;
      }
    }
    return { runs, next, incomplete: missingFrom(opened, selection) };
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

function lastOf(runs: readonly EventRun[]): ResumePoint | null {
  const last = runs.at(-1);
  if (last === undefined) return null;
  const seq = last.block.columns.get('seq')?.get(last.to - 1) as bigint;
  return { recording: last.block.origin.recording, seq };
}
