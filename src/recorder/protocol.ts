// Messages between the main thread, which steers, and the worker, which records.

import type { LossRow } from '../segment/small-tables.ts';
import type { SourceConfig, SourceOptions } from '../source/binding.ts';
import type { RetentionLimits } from './retention.ts';
import type { RotationLimits } from './rotation.ts';
import type { Totals } from './totals.ts';

export interface WorkerOptions {
  readonly store: string;
  /** Directory in bpffs under which the rings of each store are kept. */
  readonly pins: string;
  readonly source: Omit<SourceOptions, 'tsOffset' | 'nextSeq' | 'resume' | 'pins'>;
  readonly rotation: RotationLimits;
  readonly retention: RetentionLimits;
  /** Counts the worker's signs of life. */
  readonly beats: Int32Array;
}

export type ToWorker =
  | { readonly kind: 'totals'; readonly id: number }
  | { readonly kind: 'flush'; readonly id: number }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'configure'; readonly config: SourceConfig }
  | { readonly kind: 'follow'; readonly id: number }
  | { readonly kind: 'unfollow' }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'started' }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'totals'; readonly id: number; readonly totals: Totals }
  | { readonly kind: 'flushed'; readonly id: number }
  | {
      readonly kind: 'following';
      readonly id: number;
      /** Descriptor of the live ring. */
      readonly fd: number;
      readonly recording: string;
      readonly host: string;
      readonly boot_id: string;
      readonly firstSeq: bigint;
    }
  /** Every row up to this one is durable; what is written down as lost since the last commit. */
  | { readonly kind: 'committed'; readonly seq: bigint; readonly losses: readonly LossRow[] }
  /** Rows since the last commit are given anew: what followers have read may come again. */
  | { readonly kind: 'rewound' }
  | { readonly kind: 'refused'; readonly id: number; readonly message: string }
  /** While anybody follows: a process that makes much of the rows. */
  | { readonly kind: 'loud'; readonly pid: number; readonly share: number }
  | { readonly kind: 'finished'; readonly totals: Totals }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly stack: string;
    };
