// Puts the segments of a store in order, by what they say of themselves: a directory may have been renamed,
// copied or removed.

import type { EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import { isExcerpt } from './commits.ts';
import type { Problem, Segment } from './reader.ts';

/** Segments that were opened, and what an answer from them lacks. */
export interface OpenedStore {
  readonly segments: readonly Segment[];
  /** Segments that cannot be read at all, and gaps between those that can. */
  readonly problems: readonly Problem[];
}

/** The seqs of a segment: those behind `from`, up to `through`. */
interface SeqRange {
  readonly from: number;
  readonly through: number;
}

/** What a segment's lines say, or, without the first of them, its rows; null where nothing can be sure. */
function seqRangeOf(segment: Segment): SeqRange | null {
  const { commits } = segment;
  const last = commits?.last ?? null;
  if (!commits || last === null) return null;
  const through = last.through_seq;
  if (commits.header !== null) return { from: commits.begin?.through_seq ?? 0, through };
  return { from: firstSeq(segment, through + 1) - 1, through };
}

function firstSeq(segment: Segment, otherwise: number): number {
  const firsts = segment.types().flatMap((type) => segment.batches(type).map((b) => b.firstSeq));
  return Number(firsts.reduce((a, b) => (b < a ? b : a), BigInt(otherwise)));
}

function lastSeq(segment: Segment): number {
  const lasts = segment.types().flatMap((type) => segment.batches(type).map((b) => b.lastSeq));
  return Number(lasts.reduce((a, b) => (b > a ? b : a), 0n));
}

interface Placed {
  readonly segment: Segment;
  readonly range: SeqRange | null;
}

/** By recording and then seq, whatever the names say: a directory may have been given another. */
function inSeqOrder(segments: readonly Segment[]): Placed[] {
  const recordings = new Map<string, (Placed & { from: number })[]>();
  for (const segment of segments) {
    const own = recordings.get(segment.header.recording) ?? [];
    const range = seqRangeOf(segment);
    const begins = isExcerpt(segment.commits)
      ? firstSeq(segment, (range?.through ?? 0) + 1) - 1
      : range?.from;
    own.push({ segment, range, from: begins ?? own.at(-1)?.from ?? 0 });
    recordings.set(segment.header.recording, own);
  }
  return [...recordings.values()].flatMap((own) => own.sort((a, b) => a.from - b.from));
}

/** Segments of a store in order, each row once. */
export function arrange(segments: readonly Segment[]): OpenedStore {
  const kept: Placed[] = [];
  const problems: Problem[] = [];
  for (const placed of withoutCovered(inSeqOrder(segments))) {
    const at = kept.findLastIndex(({ range }) => range !== null);
    const before = kept[at];
    if (before === undefined || !overlap(before, placed)) kept.push(placed);
    else kept[at] = better(before, placed, problems);
  }
  return {
    segments: kept.map(({ segment }) => segment),
    problems: [...problems, ...gapsBetween(kept)],
  };
}

/** Without excerpts whose rows all are in segments that are whole. */
function withoutCovered(placed: readonly Placed[]): Placed[] {
  const whole = placed.filter(({ segment }) => !isExcerpt(segment.commits));
  return placed.filter(({ segment }) => {
    if (!isExcerpt(segment.commits)) return true;
    const last = lastSeq(segment);
    let through = firstSeq(segment, last + 1) - 1;
    let one: Placed | undefined;
    for (const next of whole) {
      if (next.segment.header.recording !== segment.header.recording || next.range === null)
        continue;
      if (next.range.from > through || next.range.through <= through) continue;
      through = next.range.through;
      one = next;
    }
    if (one === undefined || through < last) return true;
    one.segment.notes.push(`${segment.name} is an excerpt of what is read: it is left out`);
    segment.close();
    return false;
  });
}

function overlap(a: Placed, b: Placed): boolean {
  if (a.range === null || b.range === null) return false;
  if (a.segment.header.recording !== b.segment.header.recording) return false;
  if (b.range.from >= a.range.through) return false;
  // Its rows decide, as they are what would come twice.
  const end = isExcerpt(a.segment.commits) ? lastSeq(a.segment) : a.range.through;
  return firstSeq(b.segment, end + 1) <= end;
}

/** Of two segments that say they have the same rows, the one that has them; the other is closed. */
function better(before: Placed, placed: Placed, problems: Problem[]): Placed {
  const isBetter =
    isReadable(placed.segment) && (!isReadable(before.segment) || hasMore(placed, before));
  const [stays, left] = isBetter ? [placed, before] : [before, placed];
  const { name } = left.segment;
  if (isReadable(left.segment) && [left, stays].some((one) => isExcerpt(one.segment.commits))) {
    problems.push(otherRows(left.segment, stays.segment.name));
  } else if (isReadable(left.segment)) {
    stays.segment.notes.push(`${name} has rows of ${stays.segment.name} again: it is left out`);
  } else {
    problems.push(unreadable(name, `its commit lines are those of ${stays.segment.name}`));
  }
  left.segment.close();
  return stays;
}

/** An excerpt has fewer rows than what it was made from, whatever its lines say. */
function hasMore(a: Placed, b: Placed): boolean {
  const [excerpt, other] = [isExcerpt(a.segment.commits), isExcerpt(b.segment.commits)];
  if (excerpt !== other) return other;
  return (a.range?.through ?? 0) > (b.range?.through ?? 0);
}

function otherRows(segment: Segment, than: string): Problem {
  const text = `may have other rows of the time of ${than}, which is read: export what is wanted at once`;
  const rows = segment.types().reduce((sum, type) => sum + segment.rows(type), 0);
  return { segment: segment.name, text, rows, type: null, firstTs: null, lastTs: null };
}

/** True where its files are those that the commit lines speak of, as far as their heads tell. */
function isReadable(segment: Segment): boolean {
  const types = segment.types();
  return types.length === 0 || types.some((type) => canOpen(segment, type));
}

function canOpen(segment: Segment, type: EventType): boolean {
  try {
    return segment.file(type).schema !== null;
  } catch (error) {
    // Retired meanwhile, or damaged.
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (gone || error instanceof TapioError) return false;
    throw error;
  }
}

/** Rows that two segments of a recording leave out between them: a directory is gone. */
function gapsBetween(placed: readonly Placed[]): Problem[] {
  return placed.flatMap(({ segment, range }, i) => {
    const before = placed[i - 1];
    if (before?.segment.header.recording !== segment.header.recording) return [];
    if (!before.range || !range || range.from <= before.range.through) return [];
    const last = before.segment.commits?.last;
    const begin = segment.commits?.begin;
    const offsets = [before.segment.tsOffset, segment.tsOffset];
    const [low = 0n, high = 0n] = offsets.sort((a, b) => (a < b ? -1 : 1));
    return [
      {
        segment: segment.name,
        text: `the segments between ${before.segment.name} and this one are gone`,
        rows: range.from - before.range.through,
        type: null,
        firstTs: last ? BigInt(last.newest) + low : null,
        lastTs: begin ? BigInt(begin.newest) + high : null,
      },
    ];
  });
}

/** The problem of a segment of which nothing can be read. */
export function unreadable(segment: string, text: string): Problem {
  const said = `cannot be read: ${text}`;
  return { segment, text: said, rows: null, type: null, firstTs: null, lastTs: null };
}
