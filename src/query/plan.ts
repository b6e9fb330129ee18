// What a query will read, as a value: batches in order, and why the others are left out.

import type { BatchInfo, Segment } from '../segment/reader.ts';
import { bootKey } from './process-rows.ts';
import type { Selection } from './select.ts';

export interface PlannedBatch {
  readonly segment: Segment;
  readonly info: BatchInfo;
}

export type SkipReason = 'window' | 'type' | 'zone';

export interface Plan {
  readonly selection: Selection;
  /** In order of segments, then types, then batches. */
  readonly batches: readonly PlannedBatch[];
  readonly skipped: Readonly<Record<SkipReason, number>>;
}

function skipReason(segment: Segment, info: BatchInfo, selection: Selection): SkipReason | null {
  const { since, until, types, ops, pids, comms, processes } = selection;
  if (!types.includes(info.type)) return 'type';
  if (since !== null && info.lastTs < since) return 'window';
  if (until !== null && info.firstTs >= until) return 'window';
  const { pid, op, comm } = info.zones;
  if (pids !== null && pid !== undefined && 'min' in pid) {
    if (![...pids].some((one) => one >= pid.min && one <= pid.max)) return 'zone';
  }
  if (processes !== undefined && pid !== undefined && 'min' in pid) {
    if (processes.get(bootKey(segment))?.hasPidIn(pid.min, pid.max) !== true) return 'zone';
  }
  const wanted = ops?.get(info.type);
  if (wanted !== undefined && op !== undefined && 'in' in op) {
    if (!op.in.some((one) => wanted.has(one))) return 'zone';
  }
  if (comms !== null && comm !== undefined && 'in' in comm) {
    if (!comm.in.some((one) => comms.has(one))) return 'zone';
  }
  return null;
}

/** Plans a selection over segments, which are in time order. */
export function plan(segments: readonly Segment[], selection: Selection): Plan {
  const batches: PlannedBatch[] = [];
  const skipped = { window: 0, type: 0, zone: 0 };
  for (const segment of segments) {
    for (const type of segment.types()) {
      for (const info of segment.batches(type)) {
        const reason = skipReason(segment, info, selection);
        if (reason === null) batches.push({ segment, info });
        else skipped[reason]++;
      }
    }
  }
  return { selection, batches, skipped };
}
