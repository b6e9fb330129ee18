// Between a cut of the source, whose counters are dense arrays, and a commit point, which is JSON.

import type { CutItem } from '../event/batch.ts';
import type { Clocks } from '../event/clock.ts';
import type { ClockTexts, CommitPoint, CpuCounts } from '../segment/commits.ts';
import type { ResumePoint } from '../source/binding.ts';

/** Why the kernel side could not write a record; the order is that of enum tapio_refusal. */
export const REFUSAL_CAUSES = ['no_ring', 'contention', 'table_full', 'overrun'] as const;

/** Sparse counts per CPU of an array indexed [cpu * opsMax + op]. */
function sparse(counts: BigUint64Array, cpus: number): CpuCounts {
  const opsMax = cpus === 0 ? 0 : counts.length / cpus;
  return Array.from({ length: cpus }, (_, cpu) => sparseOps(counts.subarray(cpu * opsMax), opsMax));
}

function sparseOps(counts: BigUint64Array, opsMax: number): Record<string, number> {
  const out: Record<string, number> = {};
  for (let op = 0; op < opsMax; op++) {
    const count = counts[op] ?? 0n;
    if (count > 0n) out[op] = Number(count);
  }
  return out;
}

function dense(counts: CpuCounts, opsMax: number): BigUint64Array {
  const out = new BigUint64Array(counts.length * opsMax);
  counts.forEach((ops, cpu) => {
    for (const [op, count] of Object.entries(ops)) out[cpu * opsMax + Number(op)] = BigInt(count);
  });
  return out;
}

/** Clock readings as commit lines have them. */
export function clockTexts({ realtime, monotonic, boottime }: Clocks): ClockTexts {
  return { realtime: `${realtime}`, monotonic: `${monotonic}`, boottime: `${boottime}` };
}

/** The commit point of a cut; `at` in ms since 1970; `masked`: see CommitPoint. */
export function pointOfCut(
  cut: CutItem,
  at: number,
  masked: NonNullable<CommitPoint['masked']> = {},
): CommitPoint {
  const cpus = cut.positions.length;
  const size = cut.consumed.length;
  const sampled = sparse(cut.sampled, cpus);
  return {
    through_seq: Number(cut.throughSeq),
    at,
    rings: cut.rings,
    positions: [...cut.positions].map(String),
    ahead: cut.ahead.map((positions) => positions.map(String)),
    newest: cut.newest.toString(),
    emitted: sparse(cut.emitted, cpus),
    consumed: sparse(cut.consumed, cpus),
    filtered: sparse(cut.filtered, cpus),
    ...(sampled.some((ops) => Object.keys(ops).length > 0) && { sampled }),
    own: sparse(cut.own, cpus),
    lost: sparse(cut.lost, cpus),
    refused: Object.fromEntries(
      REFUSAL_CAUSES.map((cause, i) => [
        cause,
        sparse(cut.refused.subarray(i * size, (i + 1) * size), cpus),
      ]),
    ),
    malformed: sparseOps(cut.malformed, cut.malformed.length),
    late: Number(cut.late),
    ...(Object.keys(masked).length > 0 && { masked }),
    ...(cut.ended ? { ended: true as const } : {}),
  };
}

/** What a source needs to go on from a commit point. */
export function resumePoint(point: CommitPoint, opsMax: number): ResumePoint {
  return {
    rings: point.rings,
    positions: BigUint64Array.from(point.positions.map(BigInt)),
    ahead: point.ahead.map((positions) => positions.map(BigInt)),
    consumed: dense(point.consumed, opsMax),
    lost: dense(point.lost, opsMax),
    own: dense(point.own, opsMax),
    malformed: dense([point.malformed], opsMax),
    late: BigInt(point.late),
    newest: BigInt(point.newest),
  };
}

/** The counters of what was lost, as a cut has them. */
export interface LossCounters {
  readonly rings: string;
  readonly lost: BigUint64Array;
  /** [(cause * cpus + cpu) * opsMax + op] */
  readonly refused: BigUint64Array;
  /** [op] */
  readonly malformed: BigUint64Array;
}

/** The counters of a commit point; none without one. */
export function lossCounters(point: CommitPoint | null, opsMax: number): LossCounters {
  const none = new BigUint64Array();
  if (point === null) return { rings: '', lost: none, refused: none, malformed: none };
  const size = point.positions.length * opsMax;
  const refused = new BigUint64Array(REFUSAL_CAUSES.length * size);
  REFUSAL_CAUSES.forEach((cause, i) => {
    refused.set(dense(point.refused[cause] ?? [], opsMax), i * size);
  });
  return {
    rings: point.rings,
    lost: dense(point.lost, opsMax),
    refused,
    malformed: dense([point.malformed], opsMax),
  };
}
