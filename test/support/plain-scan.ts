// Runs a plan the plain way, row by row, to hold the native scanner against: matching rows in order of seq, as
// references into their batches.

import type { Decision, Plan, PlannedBatch } from '../../src/query/plan.ts';
import { fieldsIn, matches } from '../../src/query/predicate.ts';
import type { BatchInfo, Segment } from '../../src/segment/reader.ts';
import type { Value } from '../../src/segment/vectors.ts';

/** Rows of one batch that match, in file order. */
export interface MatchedBatch {
  readonly segment: Segment;
  readonly info: BatchInfo;
  readonly seqs: BigUint64Array;
  readonly rows: Uint32Array;
}

/** One matching row. */
export interface RowRef {
  readonly source: MatchedBatch;
  readonly row: number;
  readonly seq: bigint;
}

const ORDER_COLUMNS = ['seq', 'ts'] as const;

/** Reads what decides; a batch that is damaged is left out, and its segment says so. */
function scanBatch(planned: PlannedBatch, decision: Decision): MatchedBatch {
  const { segment, info } = planned;
  try {
    return matchBatch(planned, decision);
  } catch (error) {
    segment.leaveOut(info, error);
    return { segment, info, rows: new Uint32Array(), seqs: new BigUint64Array() };
  }
}

function matchBatch({ segment, info }: PlannedBatch, decision: Decision): MatchedBatch {
  const { since, until } = decision.selection;
  const predicate = decision.predicate(info.type, segment);
  const columns = segment.read(info, [...ORDER_COLUMNS, ...fieldsIn(predicate)]);
  const rows = new Uint32Array(info.rows);
  const seqs = new BigUint64Array(info.rows);
  const [seq, ts] = [columns.get('seq'), columns.get('ts')];
  let count = 0;
  for (let row = 0; row < info.rows; row++) {
    const at = ts?.get(row) as bigint;
    if ((since !== null && at < since) || (until !== null && at >= until)) continue;
    const get = (field: string): Value =>
      field === 'ktime' ? at - segment.tsOffset : (columns.get(field)?.get(row) ?? null);
    if (matches(predicate, get) !== true) continue;
    rows[count] = row;
    seqs[count] = seq?.get(row) as bigint;
    count++;
  }
  return { segment, info, rows: rows.subarray(0, count), seqs: seqs.subarray(0, count) };
}

/** Batches grouped so that each group's rows come before the next one's: by segment. */
function bySegment(batches: readonly PlannedBatch[]): PlannedBatch[][] {
  const groups = new Map<Segment, PlannedBatch[]>();
  for (const one of batches) {
    const group = groups.get(one.segment) ?? [];
    group.push(one);
    groups.set(one.segment, group);
  }
  return [...groups.values()];
}

/** A batch that is read when the merge comes to it, and forgotten when it is through. */
interface Cursor {
  readonly planned: PlannedBatch;
  matched: MatchedBatch | null;
  at: number;
}

/** Rows of one segment in order of seq: batches are opened as their first seq comes up. */
function* mergeSegment(batches: readonly PlannedBatch[], decision: Decision): Generator<RowRef> {
  const waiting = [...batches].sort((a, b) => (a.info.firstSeq < b.info.firstSeq ? -1 : 1));
  const open: Cursor[] = [];
  for (;;) {
    const next = lowest(open);
    const coming = waiting[0];
    const seq = next === null ? null : (next.matched?.seqs[next.at] ?? 0n);
    if (coming !== undefined && (seq === null || coming.info.firstSeq <= seq)) {
      waiting.shift();
      const matched = scanBatch(coming, decision);
      if (matched.rows.length > 0) open.push({ planned: coming, matched, at: 0 });
      continue;
    }
    if (next === null || next.matched === null || seq === null) return;
    yield { source: next.matched, row: next.matched.rows[next.at] ?? 0, seq };
    next.at++;
    if (next.at === next.matched.rows.length) open.splice(open.indexOf(next), 1);
  }
}

function lowest(open: readonly Cursor[]): Cursor | null {
  let best: Cursor | null = null;
  for (const cursor of open) {
    const seq = cursor.matched?.seqs[cursor.at] ?? 0n;
    if (best === null || seq < (best.matched?.seqs[best.at] ?? 0n)) best = cursor;
  }
  return best;
}

/** Matching rows in order of seq (segments in time order). */
export function* scan(plan: Plan): Generator<RowRef> {
  for (const group of bySegment(plan.batches)) yield* mergeSegment(group, plan);
}
