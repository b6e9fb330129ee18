// What a query will read, as a value: batches in order, and why the others are left out.

import type { EventType } from '../../schemas/arrow.ts';
import type { BatchInfo, Segment } from '../segment/reader.ts';
import type { Bool } from './predicate.ts';
import { bootKey } from './process-rows.ts';
import { canMatch, isCertain, type KnownZones } from './prune.ts';
import { predicateOf, type Selection } from './select.ts';

export interface PlannedBatch {
  readonly segment: Segment;
  readonly info: BatchInfo;
  /** All of its rows lie in the window. */
  readonly inWindow: boolean;
  /** All of its rows match, as far as its zones say: they need not be read to be counted. */
  readonly certain: boolean;
}

export type SkipReason = 'window' | 'type' | 'zone';

/** Batches that are not read, and how much these hold. */
export interface Skipped {
  batches: number;
  rows: number;
  bytes: number;
}

/** What decides about rows. */
export interface Decision {
  readonly selection: Selection;
  /** The predicate of a type's rows in a segment, the window aside. */
  readonly predicate: (type: EventType, segment: Segment) => Bool;
}

export interface Plan extends Decision {
  /** In order of segments, then of their first seq. */
  readonly batches: readonly PlannedBatch[];
  readonly skipped: Readonly<Record<SkipReason, Skipped>>;
}

/** Predicates of a selection, each made once: they differ by type, and by boot where processes are wanted. */
function predicatesOf(selection: Selection): Decision['predicate'] {
  const made = new Map<string, Bool>();
  return (type, segment) => {
    const boot = bootKey(segment);
    const key = `${type}\0${boot}`;
    const predicate = made.get(key) ?? predicateOf(selection, type, boot);
    made.set(key, predicate);
    return predicate;
  };
}

function zonesOf({ zones, firstTs, lastTs, firstSeq, lastSeq }: BatchInfo): KnownZones {
  return { ...zones, ts: { min: firstTs, max: lastTs }, seq: { min: firstSeq, max: lastSeq } };
}

function decide(
  segment: Segment,
  info: BatchInfo,
  { selection, predicate: predicateFor }: Decision,
): SkipReason | PlannedBatch {
  const { since, until, types } = selection;
  if (!types.includes(info.type)) return 'type';
  if (since !== null && info.lastTs < since) return 'window';
  if (until !== null && info.firstTs >= until) return 'window';
  const [predicate, zones] = [predicateFor(info.type, segment), zonesOf(info)];
  if (!canMatch(predicate, zones)) return 'zone';
  const inWindow =
    (since === null || info.firstTs >= since) && (until === null || info.lastTs < until);
  return { segment, info, inWindow, certain: inWindow && isCertain(predicate, zones) };
}

/** Plans a selection over segments, which are in time order. */
export function plan(segments: readonly Segment[], selection: Selection): Plan {
  const decision: Decision = { selection, predicate: predicatesOf(selection) };
  const batches: PlannedBatch[] = [];
  const none = (): Skipped => ({ batches: 0, rows: 0, bytes: 0 });
  const skipped = { window: none(), type: none(), zone: none() };
  for (const segment of segments) {
    const own: PlannedBatch[] = [];
    for (const type of segment.types()) {
      for (const info of segment.batches(type)) {
        const decided = decide(segment, info, decision);
        if (typeof decided !== 'string') own.push(decided);
        else {
          skipped[decided].batches++;
          skipped[decided].rows += info.rows;
          skipped[decided].bytes += info.metadataLength + info.bodyLength;
        }
      }
    }
    batches.push(...own.sort((a, b) => (a.info.firstSeq < b.info.firstSeq ? -1 : 1)));
  }
  return { ...decision, batches, skipped };
}
