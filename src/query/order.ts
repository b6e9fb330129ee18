// Rows in order: batches of several types become one stream by seq.

import type { EventType } from '../../schemas/arrow.ts';
import { NumberVector } from '../segment/vectors.ts';
import type { Plan, PlannedBatch } from './plan.ts';
import type { Block, Scanner } from './scanner.ts';

/** Rows `from` to `to` (exclusive) of a block, which follow one another. */
export interface Run {
  readonly block: Block;
  readonly from: number;
  readonly to: number;
}

interface Cursor {
  readonly block: Block;
  readonly seqs: BigUint64Array;
  at: number;
}

type Columns = (type: EventType) => readonly string[];

const withSeq =
  (columns: Columns): Columns =>
  (type) => [...new Set(['seq', ...columns(type)])];

function seqsOf({ columns }: Block): BigUint64Array {
  const seq = columns.get('seq');
  return seq instanceof NumberVector ? (seq.values as BigUint64Array) : new BigUint64Array();
}

/** How many of a cursor's rows come before `limit`. */
function countBefore({ seqs, at }: Cursor, limit: bigint): number {
  let [low, high] = [at, seqs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((seqs[middle] as bigint) < limit) low = middle + 1;
    else high = middle;
  }
  return low - at;
}

const END = 2n ** 64n;

/**
 * The rows of a plan in order of seq, segments in their order. Batches of several types interleave: what
 * comes from one of them without a break is one run.
 */
export async function* inOrder(
  scanner: Scanner,
  plan: Plan,
  columns: Columns,
): AsyncGenerator<Run> {
  const { batches } = plan;
  const open: Cursor[] = [];
  let position = 0;
  for await (const block of scanner.blocks(batches, { columns: withSeq(columns) })) {
    while (batches[position]?.info !== block.info) position++;
    position++;
    if (block.rows > 0) open.push({ block, seqs: seqsOf(block), at: 0 });
    yield* flush(open, boundOf(block, batches[position]));
  }
  yield* flush(open, END);
}

// The next batch of the same segment begins at its first seq; one of another segment comes after all.
function boundOf({ segment }: Block, next: PlannedBatch | undefined): bigint {
  return next === undefined || next.segment !== segment ? END : next.info.firstSeq;
}

/** Gives what stands before `limit`, and forgets blocks that are through. */
function* flush(open: Cursor[], limit: bigint): Generator<Run> {
  for (;;) {
    let first: Cursor | null = null;
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

/** The last `count` rows of a plan, in order: reads backwards, and no further than it must. */
export async function lastInOrder(
  scanner: Scanner,
  plan: Plan,
  count: number,
  columns: Columns,
): Promise<Run[]> {
  const segments = [...new Set(plan.batches.map(({ segment }) => segment))].reverse();
  let found: Run[] = [];
  let wanted = count;
  for (const segment of segments) {
    if (wanted === 0) break;
    const own = plan.batches.filter((planned) => planned.segment === segment);
    const tail = await lastOfSegment(scanner, own, wanted, columns);
    found = [...tail, ...found];
    wanted -= tail.reduce((sum, { from, to }) => sum + to - from, 0);
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
  const open: Cursor[] = [];
  /** Seqs of the last `wanted` rows so far, unordered until there are too many. */
  let seqs: bigint[] = [];
  let position = 0;
  for await (const block of scanner.blocks(latest, { columns: withSeq(columns) })) {
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
