// What a store holds of a selection, behind a point or before it.

import type { EventType } from '../../schemas/arrow.ts';
import type { EventRun } from '../event/stream.ts';
import { and } from '../query/filter/fold.ts';
import { inOrder, type Run, seqsOf } from '../query/order.ts';
import { plan, planOf } from '../query/plan.ts';
import type { Bool } from '../query/predicate.ts';
import { Reading } from '../query/reading.ts';
import { Scanner } from '../query/scanner.ts';
import type { Selection } from '../query/select.ts';
import type { Segment } from '../segment/reader.ts';
import type { ResumePoint } from './token.ts';

type Columns = (type: EventType) => readonly string[];

/** Recordings of segments, oldest first. */
const recordingsOf = (segments: readonly Segment[]): string[] => [
  ...new Set(segments.map(({ header }) => header.recording)),
];

/** Segments that have rows behind a point: recordings before its own were had. */
export function segmentsBehind(
  segments: readonly Segment[],
  from: ResumePoint | null,
): readonly Segment[] {
  if (from === null) return segments;
  const ids = recordingsOf(segments);
  const later = new Set(ids.slice(Math.max(0, ids.indexOf(from.recording))));
  return segments.filter(({ header }) => later.has(header.recording));
}

/** The rows of a run behind a point. */
function behind(run: Run, from: ResumePoint | null): EventRun | null {
  if (from === null || run.block.segment.header.recording !== from.recording) return run;
  const seqs = seqsOf(run.block);
  let first = run.from;
  while (first < run.to && (seqs[first] as bigint) <= from.seq) first++;
  return first === run.to ? null : { ...run, from: first };
}

/** Rows behind a point, in order; with `first` no more than so many are wanted: others may be missing. */
export async function* rowsBehind(
  segments: readonly Segment[],
  selection: Selection,
  columns: Columns,
  from: ResumePoint | null,
  first: number | null,
): AsyncGenerator<EventRun> {
  const whole = plan(segmentsBehind(segments, from), selection);
  const decision = planOf(
    whole,
    ({ segment, info }) =>
      from === null || segment.header.recording !== from.recording || info.lastSeq > from.seq,
  );
  // Rows that were had are among the first of a batch.
  const wanted = from === null ? first : null;
  for await (const run of inOrder(new Scanner(decision), decision, columns, wanted)) {
    const part = behind(run, from);
    if (part !== null) yield part;
  }
}

/** A selection of which only rows before a seq are wanted. */
function before(selection: Selection, seq: bigint): Selection {
  const { permitted } = selection;
  const earlier: Bool = {
    kind: 'within',
    of: { kind: 'field', field: 'seq' },
    ranges: [[0n, seq - 1n]],
  };
  const both = (type: EventType): Bool =>
    permitted === undefined ? earlier : and([permitted.for(type), earlier]);
  return { ...selection, permitted: { for: both } };
}

/**
 * The last rows before a point (its own is not among them), so many at most, in order; all of one recording. Where another
 * answer goes on: null where nothing is left.
 */
export async function rowsBefore(
  segments: readonly Segment[],
  selection: Selection,
  columns: Columns,
  point: ResumePoint | null,
  size: number,
): Promise<{ readonly runs: readonly EventRun[]; readonly next: ResumePoint | null }> {
  const ids = recordingsOf(segments);
  const end = point === null ? ids.length : ids.indexOf(point.recording) + 1;
  for (const id of ids.slice(0, end).reverse()) {
    const own = segments.filter(({ header }) => header.recording === id);
    const isStarted = id === point?.recording;
    if (isStarted && point.seq <= 1n) continue;
    const asked = isStarted ? before(selection, point.seq) : selection;
    const runs: EventRun[] = [];
    const reading = new Reading({ segments: own }, plan(own, asked));
    for await (const run of reading.rows({ first: null, last: size }, columns)) runs.push(run);
    const [first] = runs;
    if (first === undefined) continue;
    return { runs, next: { recording: id, seq: seqsOf(first.block)[first.from] as bigint } };
  }
  return { runs: [], next: null };
}

/** The place of the last row of runs; null where there are none. */
export function lastOf(runs: readonly EventRun[]): ResumePoint | null {
  const last = runs.at(-1);
  if (last === undefined) return null;
  const seq = seqsOf(last.block)[last.to - 1] as bigint;
  return { recording: last.block.origin.recording, seq };
}
