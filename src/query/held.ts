// Of which time a store holds what.

import type { EventType } from '../../schemas/arrow.ts';
import { formatTs } from '../event/clock.ts';
import type { BatchInfo, Segment } from '../segment/reader.ts';
import { recordingKey } from './merge.ts';

const END = 2n ** 63n;

/** A segment and the time from its first row to its last, ns. */
export interface Stretch {
  readonly segment: Segment;
  /** The segment before it in its recording. */
  readonly previous: Segment | null;
  readonly from: bigint;
  readonly to: bigint;
}

/** The stretches of each recording, in order. */
export function stretchesOf(segments: readonly Segment[]): Stretch[][] {
  const recordings = new Map<string, Stretch[]>();
  const previous = new Map<string, Segment>();
  for (const segment of segments) {
    const key = recordingKey(segment.header);
    const batches = segment.types().flatMap((type) => segment.batches(type));
    const [first] = batches;
    if (first !== undefined) {
      const own = recordings.get(key) ?? [];
      const from = batches.reduce(
        (ts, one) => (one.firstTs < ts ? one.firstTs : ts),
        first.firstTs,
      );
      const to = batches.reduce((ts, one) => (one.lastTs > ts ? one.lastTs : ts), first.lastTs);
      own.push({ segment, previous: previous.get(key) ?? null, from, to });
      recordings.set(key, own);
    }
    previous.set(key, segment);
  }
  return [...recordings.values()];
}

/** The stretch of a recording in which a time lies, with those before it; none where it is not held. */
export function covering(recording: readonly Stretch[], at: bigint): Stretch[] {
  const holds = ({ from, to }: Stretch, i: number): boolean => {
    const next = recording[i + 1];
    return from <= at && (at <= to || (next !== undefined && at < next.from));
  };
  let last = recording.findLastIndex(holds);
  // A late row may lie in the time of the segment before its own; that one knows the time better.
  for (; last > 0; last--) {
    const [before, here] = [recording[last - 1], recording[last]];
    if (before === undefined || !holds(before, last - 1)) break;
    if (before.segment.tsOffset !== here?.segment.tsOffset) break;
  }
  return recording.slice(0, last + 1);
}

/** Between which times rows lie, ns since 1970, both inclusive. */
export interface HeldSpan {
  readonly first: bigint;
  readonly last: bigint;
}

/** Between which times the rows of some types lie; null where there are none. */
export function heldSpan(
  segments: readonly Segment[],
  types: readonly EventType[],
): HeldSpan | null {
  const infosOf = (segment: Segment): BatchInfo[] =>
    segment
      .types()
      .filter((type) => types.includes(type))
      .flatMap((type) => segment.batches(type));
  let first: bigint | null = null;
  for (const segment of segments) {
    // The index of a segment is read only where it can tell of an earlier row.
    if (first !== null && (segment.span?.first ?? -END) >= first) continue;
    for (const { firstTs } of infosOf(segment))
      if (first === null || firstTs < first) first = firstTs;
  }
  let last: bigint | null = null;
  for (const segment of segments.toReversed()) {
    if (last !== null && (segment.span?.last ?? END) <= last) continue;
    for (const { lastTs } of infosOf(segment)) if (last === null || lastTs > last) last = lastTs;
  }
  return first === null || last === null ? null : { first, last };
}

/** Where what is held begins and ends, in words. */
export function heldText(recordings: readonly (readonly Stretch[])[]): string {
  const held = recordings.flatMap((own) => {
    const [first] = own;
    const to = own.reduce((ts, one) => (one.to > ts ? one.to : ts), first?.to ?? 0n);
    return first === undefined ? [] : [{ from: first.from, to }];
  });
  held.sort((a, b) => (a.from < b.from ? -1 : 1));
  const texts = held.map(({ from, to }) => `${formatTs(from)} to ${formatTs(to)}`);
  return texts.length > 4
    ? `${texts.slice(0, 2).join(', ')}, …, ${texts.slice(-2).join(', ')}`
    : texts.join(', ');
}
