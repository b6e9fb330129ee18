// What the thread of a sink is given, and what it tells.

import type { SinkSettings } from '../config/sinks.ts';

export interface SinkThreadData {
  readonly store: string;
  readonly settings: SinkSettings;
}

/** How a sink is. Times in seconds; counts since its recorder started. */
export interface SinkStatus {
  readonly name: string;
  /** Where it leads, without secrets. */
  readonly place: string;
  readonly filter: string;
  /** What is wrong, in a sentence; null while events are taken. */
  readonly trouble: string | null;
  readonly taken: number;
  /** Events that the receiver will never take: they are in the poison file. */
  readonly refused: number;
  /** Times that an event was not taken and sent again. */
  readonly returned: number;
  /** Rows of ops that this version cannot map. */
  readonly unmapped: number;
  /** Rows that were gone before they could be sent, since the sink was named. */
  readonly lost: number;
  readonly under_way: number;
  /** Rows that are recorded and not through, whether they are wanted or not. */
  readonly lag_events: number;
  /** Age of the oldest event that is not through. */
  readonly lag_s: number;
  /** Events that were taken each second, over the last seconds. */
  readonly rate: number;
}

/** How a sink is whose thread took the place of another: what that one had counted counts on. What is lost is in its checkpoint. */
export function afterSink(before: SinkStatus, own: SinkStatus): SinkStatus {
  return {
    ...own,
    taken: before.taken + own.taken,
    refused: before.refused + own.refused,
    returned: before.returned + own.returned,
    unmapped: before.unmapped + own.unmapped,
  };
}
