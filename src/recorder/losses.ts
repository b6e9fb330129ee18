// Loss rows from the source's cumulative counters: what was added since the last cut.

import { EVENTS } from '../../schemas/events.ts';
import type { CutItem } from '../event/batch.ts';
import type { SmallRow } from '../segment/columns.ts';
import type { CpuCounts } from '../segment/commits.ts';

/** Why the kernel side could not write a record; the order is that of enum tapio_refusal. */
export const REFUSAL_CAUSES = ['no_ring', 'contention', 'table_full', 'overrun'] as const;

/** Op ids to names. */
export const OP_NAMES: ReadonlyMap<number, { readonly type: string; readonly op: string }> =
  new Map(
    Object.entries(EVENTS).flatMap(([type, spec]) =>
      Object.entries(spec.ops).map(([op, { id }]) => [id, { type, op }] as const),
    ),
  );

/** Sparse counts per CPU of an array indexed [cpu * opsMax + op]. */
export function sparseCounts(counts: BigUint64Array, cpus: number, opsMax: number): CpuCounts {
  return Array.from({ length: cpus }, (_, cpu) => {
    const out: Record<string, number> = {};
    for (let op = 0; op < opsMax; op++) {
      const count = counts[cpu * opsMax + op] ?? 0n;
      if (count > 0n) out[op] = Number(count);
    }
    return out;
  });
}

/** The refused counters by cause. */
export function refusedCounts(
  cut: CutItem,
  cpus: number,
  opsMax: number,
): Record<string, CpuCounts> {
  const size = cpus * opsMax;
  return Object.fromEntries(
    REFUSAL_CAUSES.map((cause, i) => [
      cause,
      sparseCounts(cut.refused.subarray(i * size, (i + 1) * size), cpus, opsMax),
    ]),
  );
}

interface Reading {
  readonly lost: BigUint64Array;
  readonly refused: BigUint64Array;
  readonly malformed: BigUint64Array;
}

/** Turns each cut's counters into rows of losses.arrow. */
export class LossAccount {
  readonly #cpus: number;
  readonly #opsMax: number;
  #before: Reading;
  #lastTs: bigint;

  /** `startTs`: when the source began, ns since 1970. */
  constructor(cpus: number, opsMax: number, startTs: bigint) {
    this.#cpus = cpus;
    this.#opsMax = opsMax;
    this.#before = {
      lost: new BigUint64Array(cpus * opsMax),
      refused: new BigUint64Array(REFUSAL_CAUSES.length * cpus * opsMax),
      malformed: new BigUint64Array(opsMax),
    };
    this.#lastTs = startTs;
  }

  /** Rows for what was lost since the last cut; `now` and `offset` in ns. */
  rows(cut: CutItem, now: bigint, offset: bigint): SmallRow[] {
    const rows: SmallRow[] = [];
    const since = this.#lastTs;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      const first = cut.lossFirst[cpu] ?? 0n;
      const last = cut.lossLast[cpu] ?? 0n;
      const range = {
        first: first > 0n ? first + offset : since,
        last: last > 0n ? last + offset : now,
      };
      rows.push(...this.#rowsOf('ring', 'overwritten', cpu, cut.lost, this.#before.lost, 0, range));
      REFUSAL_CAUSES.forEach((cause, i) => {
        const base = i * this.#cpus * this.#opsMax;
        rows.push(
          ...this.#rowsOf('kernel', cause, cpu, cut.refused, this.#before.refused, base, {
            first: since,
            last: now,
          }),
        );
      });
    }
    for (let op = 0; op < this.#opsMax; op++) {
      const count = (cut.malformed[op] ?? 0n) - (this.#before.malformed[op] ?? 0n);
      if (count === 0n) continue;
      const name = OP_NAMES.get(op);
      rows.push({
        ...lossRow('decode', 'malformed', count, since, now),
        type: name?.type ?? null,
        op: name?.op ?? null,
      });
    }
    this.#before = { lost: cut.lost, refused: cut.refused, malformed: cut.malformed };
    this.#lastTs = now;
    return rows;
  }

  #rowsOf(
    stage: string,
    cause: string,
    cpu: number,
    now: BigUint64Array,
    before: BigUint64Array,
    base: number,
    range: { first: bigint; last: bigint },
  ): SmallRow[] {
    const rows: SmallRow[] = [];
    for (let op = 0; op < this.#opsMax; op++) {
      const at = base + cpu * this.#opsMax + op;
      const count = (now[at] ?? 0n) - (before[at] ?? 0n);
      if (count > 0n) {
        const name = OP_NAMES.get(op);
        rows.push({
          ...lossRow(stage, cause, count, range.first, range.last),
          type: name?.type ?? null,
          op: name?.op ?? null,
          cpu,
        });
      }
    }
    return rows;
  }
}

/** A row of losses.arrow; a count of null is unknown. */
export function lossRow(
  stage: string,
  cause: string,
  count: bigint | null,
  firstTs: bigint,
  lastTs: bigint,
): SmallRow {
  return {
    stage,
    cause,
    type: null,
    op: null,
    cpu: null,
    count,
    first_ts: firstTs,
    last_ts: lastTs,
  };
}
