// What a store holds of a selection, behind a point or before it.

import type { EventType } from '../../schemas/arrow.ts';
import type { EventRun } from '../event/stream.ts';
import { and } from '../query/filter/fold.ts';
import { piecesInOrder, seqsOf } from '../query/order.ts';
import { plan, planOf } from '../query/plan.ts';
import type { Bool } from '../query/predicate.ts';
import { Reading } from '../query/reading.ts';
import { Scanner } from '../query/scanner.ts';
import type { Selection } from '../query/select.ts';
import type { Segment } from '../segment/reader.ts';
import type { ResumePoint } from './token.ts';

const SEQ_MAX = 2n ** 64n - 1n;

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

/** A selection of which only rows of some seqs are wanted, both inclusive. */
function within(selection: Selection, first: bigint, last: bigint): Selection {
  const { permitted } = selection;
  const field = { kind: 'field', field: 'seq' } as const;
  const some: Bool = { kind: 'within', of: field, ranges: [[first, last]] };
  const both = (type: EventType): Bool =>
    permitted === undefined ? some : and([permitted.for(type), some]);
  return { ...selection, permitted: { for: both } };
}

/** Rows behind a point, in order; with `first` no more than so many are wanted: others may be missing. */
export async function* rowsBehind(
  segments: readonly Segment[],
  selection: Selection,
  columns: Columns,
  from: ResumePoint | null,
  first: number | null,
): AsyncGenerator<readonly EventRun[]> {
  const all = segmentsBehind(segments, from);
  const isBegun = (segment: Segment): boolean => segment.header.recording === from?.recording;
  const begun = all.filter(isBegun);
  if (from !== null && begun.length > 0) {
    const made = plan(begun, within(selection, from.seq + 1n, SEQ_MAX));
    const decision = planOf(made, ({ info }) => info.lastSeq > from.seq);
    yield* piecesInOrder(new Scanner(decision), decision, columns, first);
  }
  const others = all.filter((segment) => !isBegun(segment));
  const decision = plan(others, selection);
  yield* piecesInOrder(new Scanner(decision), decision, columns, first);
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
    const asked = isStarted ? within(selection, 0n, point.seq - 1n) : selection;
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
