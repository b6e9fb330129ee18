// A stream of rows that is being served, wherever they come from.

import type { EventRun } from '../event/stream.ts';
import type { MissedRows } from '../replay/follow.ts';
import type { LossRow } from '../segment/reader.ts';
import type { ResumePoint } from './token.ts';

/** Events that a stream lacks: lost as they were recorded, or not held any more. */
export interface Lost {
  /** A cause of schemas/losses.ts, or why rows that had a seq are missing. */
  readonly cause: string;
  /** Null where nobody can know it. */
  readonly count: bigint | null;
  /** Between which rows, both inclusive; 0n where they never had a seq. */
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  /** Between which times, ns since 1970; 0n where that is not known. */
  readonly firstTs: bigint;
  readonly lastTs: bigint;
}

/** A part of a stream. */
export type StreamPart =
  | { readonly kind: 'rows'; readonly runs: readonly EventRun[] }
  /** As the recorder wrote them down: of which ops they are decides who hears of them. */
  | { readonly kind: 'losses'; readonly losses: readonly LossRow[] }
  | { readonly kind: 'missed'; readonly missed: MissedRows };

export interface RowStream {
  /** The parts, in order, until the stream ends. */
  parts(): AsyncGenerator<StreamPart>;
  /** Where another goes on: behind what was given. Null where none can. */
  readonly resumePoint: ResumePoint | null;
  /** One sentence for each thing that it lacks, as far as it went; none where it is complete. */
  incomplete(): readonly string[];
}

/** Losses as they are told: one for each cause. */
export function lostOf(losses: readonly LossRow[]): Lost[] {
  const byCause = new Map<string, Lost>();
  for (const { cause, count, firstTs, lastTs } of losses) {
    const before = byCause.get(cause) ?? { count: 0n, firstTs, lastTs };
    byCause.set(cause, {
      cause,
      count: before.count === null || count === null ? null : before.count + count,
      firstSeq: 0n,
      lastSeq: 0n,
      firstTs: firstTs < before.firstTs ? firstTs : before.firstTs,
      lastTs: lastTs > before.lastTs ? lastTs : before.lastTs,
    });
  }
  return [...byCause.values()];
}

/** Rows that had a seq and cannot be had. */
export function lostRows({ why, rows, first, last }: MissedRows): Lost {
  return { cause: why, count: rows, firstSeq: first, lastSeq: last, firstTs: 0n, lastTs: 0n };
}
