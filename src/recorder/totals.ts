// What a recording has come to so far.

import type { MaskedCounts } from '../source/secrets.ts';
import type { Outage } from './outage.ts';
import type { Disk } from './retention.ts';

/** Events by type and op, losses by stage, cause and type. */
export interface Totals {
  readonly events: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly lost: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>
  >;
  /** Events per second of the last ten seconds, by type. */
  readonly rates: Readonly<Record<string, number>>;
  /** Left out, in the kernel or as it was read. */
  readonly filtered: number;
  /** Left out by --sample and --limit. */
  readonly sampled: number;
  readonly late: number;
  /** Secrets masked in command lines, by pattern. */
  readonly masked: MaskedCounts;
  readonly segments: number;
  /** Of this recording so far. */
  readonly bytes: number;
  /** Of the whole store. */
  readonly storeBytes: number;
  /** Of the store, as it was last looked at. */
  readonly disk: Disk | null;
  /** Segments that had to go to keep the store within its limits. */
  readonly retired: number;
  /** Of the first and last row, ns since 1970 as text; null without rows. */
  readonly firstTs: string | null;
  readonly lastTs: string | null;
  readonly drainCpuNs: number;
  readonly backlog: number;
  readonly unattached: Readonly<Record<string, string>>;
  /** While the store cannot be written: why, and since when. */
  readonly outage: Outage | null;
}
