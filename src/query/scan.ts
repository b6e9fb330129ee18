// Runs a plan: reads the columns that decide, keeps the rows that match, and gives them in order of seq.
// Rows are references into a batch; what a row holds is read only when it is wanted.

import type { EventType } from '../../schemas/arrow.ts';
import type { BatchInfo, Segment } from '../segment/reader.ts';
import { DictionaryVector, type Vector } from '../segment/vectors.ts';
import type { Plan, PlannedBatch } from './plan.ts';
import { bootKey } from './process-rows.ts';
import type { Selection } from './select.ts';

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

function deciding(selection: Selection, type: EventType): string[] {
  const columns: string[] = [...ORDER_COLUMNS];
  if (selection.ops?.get(type) !== undefined) columns.push('op');
  if (selection.pids !== null || selection.processes !== undefined) columns.push('pid');
  if (selection.processes !== undefined) columns.push('pstart');
  if (selection.comms !== null) columns.push('comm');
  return columns;
}

type Predicate = (row: number) => boolean;

function inDictionary(vector: Vector | undefined, wanted: ReadonlySet<string>): Predicate {
  if (!(vector instanceof DictionaryVector)) return () => false;
  // Strings are compared once per dictionary entry, not once per row.
  const hits = new Set<number>();
  vector.dictionary.forEach((text, i) => {
    if (wanted.has(text)) hits.add(i);
  });
  return (row) => hits.has(Number(vector.indices[row]));
}

function predicates(
  columns: ReadonlyMap<string, Vector>,
  selection: Selection,
  { segment, info: { type } }: PlannedBatch,
): Predicate[] {
  const out: Predicate[] = [];
  const { since, until, pids, comms, processes } = selection;
  const ts = columns.get('ts');
  if (since !== null) out.push((row) => (ts?.get(row) as bigint) >= since);
  if (until !== null) out.push((row) => (ts?.get(row) as bigint) < until);
  const ops = selection.ops?.get(type);
  if (ops !== undefined) out.push(inDictionary(columns.get('op'), ops));
  if (pids !== null) {
    const pid = columns.get('pid');
    out.push((row) => pids.has(pid?.get(row) as number));
  }
  if (processes !== undefined) {
    const [pid, pstart] = [columns.get('pid'), columns.get('pstart')];
    const set = processes.get(bootKey(segment));
    out.push((row) => set?.has(pid?.get(row) as number, pstart?.get(row) as bigint) ?? false);
  }
  if (comms !== null) out.push(inDictionary(columns.get('comm'), comms));
  return out;
}

/** Reads what decides; a batch that is damaged is left out, and its segment says so. */
function scanBatch(planned: PlannedBatch, selection: Selection): MatchedBatch {
  const { segment, info } = planned;
  try {
    return matchBatch(planned, selection);
  } catch (error) {
    segment.leaveOut(info, error);
    return { segment, info, rows: new Uint32Array(), seqs: new BigUint64Array() };
  }
}

function matchBatch(planned: PlannedBatch, selection: Selection): MatchedBatch {
  const { segment, info } = planned;
  const columns = segment.read(info, deciding(selection, info.type));
  const tests = predicates(columns, selection, planned);
  const rows = new Uint32Array(info.rows);
  const seqs = new BigUint64Array(info.rows);
  const seq = columns.get('seq');
  let count = 0;
  for (let row = 0; row < info.rows; row++) {
    if (!tests.every((test) => test(row))) continue;
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
function* mergeSegment(batches: readonly PlannedBatch[], selection: Selection): Generator<RowRef> {
  const waiting = [...batches].sort((a, b) => (a.info.firstSeq < b.info.firstSeq ? -1 : 1));
  const open: Cursor[] = [];
  for (;;) {
    const next = lowest(open);
    const coming = waiting[0];
    const seq = next === null ? null : (next.matched?.seqs[next.at] ?? 0n);
    if (coming !== undefined && (seq === null || coming.info.firstSeq <= seq)) {
      waiting.shift();
      const matched = scanBatch(coming, selection);
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
  for (const group of bySegment(plan.batches)) yield* mergeSegment(group, plan.selection);
}

/** The last `count` matching rows, in order: reads backwards, and no further than it must. */
export function scanLast(plan: Plan, count: number): RowRef[] {
  let found: RowRef[] = [];
  for (const group of bySegment(plan.batches).reverse()) {
    const latest = [...group].sort((a, b) => (a.info.lastSeq > b.info.lastSeq ? -1 : 1));
    let tail: RowRef[] = [];
    for (const planned of latest) {
      const wanted = count - found.length;
      const worst = tail.length >= wanted ? (tail[tail.length - wanted]?.seq ?? 0n) : 0n;
      // Later batches hold only older rows than those already found.
      if (tail.length >= wanted && planned.info.lastSeq < worst) break;
      const matched = scanBatch(planned, plan.selection);
      const refs = [...matched.rows.subarray(-wanted)].map((row, i) => ({
        source: matched,
        row,
        seq: matched.seqs[matched.seqs.length - Math.min(wanted, matched.rows.length) + i] ?? 0n,
      }));
      tail = [...tail, ...refs].sort((a, b) => (a.seq < b.seq ? -1 : 1)).slice(-wanted);
    }
    found = [...tail, ...found];
    if (found.length >= count) break;
  }
  return found.slice(-count);
}
