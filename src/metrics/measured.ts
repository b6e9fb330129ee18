// What a recorder tells of itself at a moment, before it has a form. Nobody is asked for it: it is what is known.

import type { RetentionLimits } from '../recorder/retention.ts';
import type { Totals } from '../recorder/totals.ts';
import type { ServerStatus } from '../server/protocol.ts';
import type { SinkStatus } from '../sink/protocol.ts';

export interface Measured {
  readonly totals: Totals;
  /** Ops that are recorded, by id. */
  readonly ops: readonly number[];
  /** Largest part of a ring that waited to be read in the last minute, 0 to 1. */
  readonly fullestRing: number;
  readonly limits: RetentionLimits;
  /** How long the recording thread has given no sign of life, ms; how often one began anew. */
  readonly silentMs: number;
  readonly restarts: number;
  /** True from when it is told to end. */
  readonly isEnding: boolean;
  readonly sinks: readonly SinkStatus[];
  readonly server: ServerStatus | null;
  /** How long the main thread has been busy, ms, and when it began, ms since 1970. */
  readonly mainBusyMs: number;
  readonly beganAt: number;
  /** Times that threads failed that are not the recording: `server`, `sink NAME`. */
  readonly failures: Readonly<Record<string, number>>;
}
