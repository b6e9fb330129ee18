// Rows in order: batches of several types become one stream by seq, and recordings one by time.

import type { EventType } from '../../schemas/arrow.ts';
import type { RowColumns } from '../event/json.ts';
import { NumberVector } from '../segment/vectors.ts';
import { mergeRecordings, type Ordered, recordingKey } from './merge.ts';
import type { Plan, PlannedBatch, PlanPart } from './plan.ts';
import type { Block, Scanner } from './scanner.ts';

/** Rows `from` to `to` (exclusive) of a block, which follow one another. */
interface RunOf<B> {
  readonly block: B;
  readonly from: number;
  readonly to: number;
}

export type Run = RunOf<Block>;

interface Cursor<B> {
  readonly block: B;
  readonly seqs: BigUint64Array;
  at: number;
}

type Columns = (type: EventType) => readonly string[];

const withOrder =
  (columns: Columns): Columns =>
  (type) => [...new Set(['seq', 'ts', ...columns(type)])];

/** Seqs of the rows of a block. */
export function seqsOf({ columns }: { readonly columns: RowColumns }): BigUint64Array {
  const seq = columns.get('seq');
  return seq instanceof NumberVector ? (seq.values as BigUint64Array) : new BigUint64Array();
}

/** How many of a cursor's rows come before `limit`. */
function countBefore({ seqs, at }: Cursor<unknown>, limit: bigint): number {
  let [low, high] = [at, seqs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((seqs[middle] as bigint) < limit) low = middle + 1;
    else high = middle;
  }
  return low - at;
}

const END = 2n ** 64n;

interface Recording {
  readonly key: string;
  readonly parts: readonly PlanPart[];
}

/** Batches of a recording, which `taken` gets as well as they are asked for. */
function* batchesOf({ parts }: Recording, taken: PlannedBatch[]): Generator<PlannedBatch> {
  for (const { batches } of parts) {
    for (const batch of batches) {
      taken.push(batch);
      yield batch;
    }
  }
}

/** Rows of one recording in order of seq: what comes from a batch without a break is one run. */
async function* recordingInOrder(
  scanner: Scanner,
  recording: Recording,
  columns: Columns,
  first: number | null,
): AsyncGenerator<readonly Run[]> {
  const open: Cursor<Block>[] = [];
  // The scanner asks for one more batch than it has begun: what follows a block is among them.
  const taken: PlannedBatch[] = [];
  const batches = batchesOf(recording, taken);
  let position = 0;
  for await (const block of scanner.blocks(batches, { columns, ...(first && { first }) })) {
    while (taken[position]?.info !== block.info) position++;
    position++;
    if (block.rows > 0) open.push({ block, seqs: seqsOf(block), at: 0 });
    yield* inPieces(flush(open, boundOf(block, taken[position])));
  }
  yield* inPieces(flush(open, END));
}

function recordingsOf({ parts }: Plan): Recording[] {
  const byKey = Map.groupBy(parts, ({ segment }) => recordingKey(segment.header));
  return [...byKey].map(([key, own]) => ({ key, parts: own }));
}

/** Recordings one after another where they do not overlap in time; null where they do. */
function inSequence(recordings: readonly Recording[]): readonly Recording[] | null {
  if (recordings.length <= 1) return recordings;
  const spans = recordings.map((recording) => {
    const batches = recording.parts.flatMap((part) => part.batches);
    return {
      recording,
      first: batches.reduce((a, { info }) => (info.firstTs < a ? info.firstTs : a), END),
      last: batches.reduce((a, { info }) => (info.lastTs > a ? info.lastTs : a), -END),
    };
  });
  spans.sort((a, b) => (a.first < b.first ? -1 : 1));
  const overlap = spans.some(({ first }, i) => i > 0 && first <= (spans[i - 1]?.last ?? -END));
  return overlap ? null : spans.map(({ recording }) => recording);
}

interface MergedRow extends Ordered {
  readonly run: Run;
}

function* rowsOfRun({ block, from, to }: Run, key: string): Generator<MergedRow> {
  const [seqs, ts] = [seqsOf(block), block.columns.get('ts')];
  for (let row = from; row < to; row++) {
    const run = { block, from: row, to: row + 1 };
    yield { ts: ts?.get(row) as bigint, seq: seqs[row] as bigint, key, run };
  }
}

async function* singleRows(
  key: string,
  pieces: AsyncIterable<readonly Run[]>,
): AsyncGenerator<MergedRow> {
  for await (const runs of pieces) for (const run of runs) yield* rowsOfRun(run, key);
}

async function* merged(
  streams: readonly AsyncIterable<MergedRow>[],
): AsyncGenerator<readonly Run[]> {
  for await (const { run } of mergeRecordings(streams)) yield [run];
}

/**
 * The rows of a plan: each recording in order of seq, recordings by time (see mergeRecordings()). `seq` and
 * `ts` are always among the columns. With `first` no more than so many rows are wanted: others may be missing.
 */
export async function* inOrder(
  scanner: Scanner,
  plan: Plan,
  columns: Columns,
  first: number | null = null,
): AsyncGenerator<Run> {
  for await (const runs of piecesInOrder(scanner, plan, columns, first)) yield* runs;
}

/** The same, many runs at once: where types alternate a run is one row, and giving it costs more than reading it. */
export async function* piecesInOrder(
  scanner: Scanner,
  plan: Plan,
  columns: Columns,
  first: number | null = null,
): AsyncGenerator<readonly Run[]> {
  const recordings = recordingsOf(plan);
  const sequence = inSequence(recordings);
  const wanted = withOrder(columns);
  const rowsOf = (recording: Recording): AsyncGenerator<readonly Run[]> =>
    recordingInOrder(scanner, recording, wanted, first);
  if (sequence === null) {
    yield* merged(recordings.map((one) => singleRows(one.key, rowsOf(one))));
  } else for (const recording of sequence) yield* rowsOf(recording);
}

// The next batch of the same segment begins at its first seq; one of another segment comes after all.
function boundOf({ segment }: Block, next: PlannedBatch | undefined): bigint {
  return next === undefined || next.segment !== segment ? END : next.info.firstSeq;
}

/** Runs that are given at once. */
const RUNS_AT_ONCE = 1024;

function* inPieces(runs: Iterable<Run>): Generator<Run[]> {
  let piece: Run[] = [];
  for (const run of runs) {
    piece.push(run);
    if (piece.length < RUNS_AT_ONCE) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}

/** Gives what stands before `limit`, and forgets blocks that are through. */
function* flush<B>(open: Cursor<B>[], limit: bigint): Generator<RunOf<B>> {
  for (;;) {
    let first: Cursor<B> | null = null;
    let second = limit;
    for (const cursor of open) {
      const seq = cursor.seqs[cursor.at] as bigint;
      const best = first === null ? END : (first.seqs[first.at] as bigint);
      if (seq < best) {
        if (first !== null && best < second) second = best;
        first = cursor;
      } else if (seq < second) second = seq;
    }
    if (first === null || (first.seqs[first.at] as bigint) >= limit) return;
    const { block, at } = first;
    first.at += countBefore(first, second);
    yield { block, from: at, to: first.at };
    if (first.at === first.seqs.length) open.splice(open.indexOf(first), 1);
  }
}

/** Rows of blocks that are all there, in order of seq; `seq` is among their columns. */
export function interleave<B extends { readonly columns: RowColumns }>(
  blocks: readonly B[],
): RunOf<B>[] {
  const open = blocks.map((block): Cursor<B> => ({ block, seqs: seqsOf(block), at: 0 }));
  return [
    ...flush(
      open.filter(({ seqs }) => seqs.length > 0),
      END,
    ),
  ];
}

/** The last `count` rows of a plan, in order: reads backwards, and no further than it must. */
export async function lastInOrder(
  scanner: Scanner,
  plan: Plan,
  count: number,
  columns: Columns,
): Promise<Run[]> {
  const recordings = recordingsOf(plan);
  const sequence = inSequence(recordings);
  const wanted = withOrder(columns);
  if (sequence === null) {
    const tails = await Promise.all(
      recordings.map(async ({ key, parts }) =>
        singleRows(key, asStream(await lastOfRecording(scanner, parts, count, wanted))),
      ),
    );
    return (await Array.fromAsync(merged(tails))).flat().slice(-count);
  }
  let found: Run[] = [];
  let left = count;
  for (const { parts } of sequence.toReversed()) {
    if (left <= 0) break;
    const tail = await lastOfRecording(scanner, parts, left, wanted);
    found = [...tail, ...found];
    left -= rowsIn(tail);
  }
  return found;
}

async function* asStream(runs: readonly Run[]): AsyncGenerator<readonly Run[]> {
  yield runs;
}

const rowsIn = (runs: readonly Run[]): number =>
  runs.reduce((sum, { from, to }) => sum + to - from, 0);

async function lastOfRecording(
  scanner: Scanner,
  parts: readonly PlanPart[],
  count: number,
  columns: Columns,
): Promise<Run[]> {
  let found: Run[] = [];
  let left = count;
  for (const { batches } of parts.toReversed()) {
    if (left <= 0) break;
    const tail = await lastOfSegment(scanner, batches, left, columns);
    found = [...tail, ...found];
    left -= rowsIn(tail);
  }
  return found;
}

async function lastOfSegment(
  scanner: Scanner,
  own: readonly PlannedBatch[],
  wanted: number,
  columns: Columns,
): Promise<Run[]> {
  const latest = [...own].sort((a, b) => (a.info.lastSeq > b.info.lastSeq ? -1 : 1));
  const open: Cursor<Block>[] = [];
  /** Seqs of the last `wanted` rows so far, unordered until there are too many. */
  let seqs: bigint[] = [];
  let position = 0;
  for await (const block of scanner.blocks(latest, { columns, last: wanted })) {
    while (latest[position]?.info !== block.info) position++;
    position++;
    if (block.rows > 0) {
      const all = seqsOf(block);
      const at = Math.max(0, all.length - wanted);
      open.push({ block, seqs: all, at });
      seqs = [...seqs, ...all.subarray(at)].sort((a, b) => (a < b ? -1 : 1)).slice(-wanted);
    }
    // Batches that follow hold only older rows than those already found.
    const next = latest[position]?.info.lastSeq ?? 0n;
    if (seqs.length >= wanted && next < (seqs[0] as bigint)) break;
  }
  const oldest = seqs[0] ?? 0n;
  for (const cursor of open) cursor.at += countBefore(cursor, oldest);
  return [
    ...flush(
      open.filter(({ at, seqs: all }) => at < all.length),
      END,
    ),
  ];
}
