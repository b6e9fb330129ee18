// Loss rows from the source's cumulative counters: what was added since the last cut.

import { OP_NAMES } from '../../schemas/events.ts';
import type { CutItem } from '../event/batch.ts';
import type { SmallRow } from '../segment/columns.ts';
import type { CommitPoint } from '../segment/commits.ts';
import { lossRow } from '../segment/small-tables.ts';
import { type LossCounters, lossCounters, REFUSAL_CAUSES } from './point.ts';

interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Turns each cut's counters into rows of losses.arrow. */
export class LossAccount {
  readonly #opsMax: number;
  #before: LossCounters;
  #lastTs: bigint;

  /** Counts from `point` on, or from zero. `startTs`: until when nothing was lost, ns since 1970. */
  constructor(opsMax: number, point: CommitPoint | null, startTs: bigint) {
    this.#opsMax = opsMax;
    this.#before = lossCounters(point, opsMax);
    this.#lastTs = startTs;
  }

  /**
   * Rows for what was lost since the last cut; `now` and `offset` in ns. `cause` tells why records were
   * overwritten before they were read.
   */
  rows(cut: CutItem, now: bigint, offset: bigint, cause: string): SmallRow[] {
    // New rings count from zero.
    const same = cut.rings === this.#before.rings;
    const before = same ? this.#before : lossCounters(null, this.#opsMax);
    const rows: SmallRow[] = [];
    const since = { first: this.#lastTs, last: now };
    const cpus = cut.positions.length;
    for (let cpu = 0; cpu < cpus; cpu++) {
      const first = cut.lossFirst[cpu] ?? 0n;
      const last = cut.lossLast[cpu] ?? 0n;
      const range = {
        first: first > 0n ? first + offset : since.first,
        last: last > 0n ? last + offset : now,
      };
      rows.push(...this.#rowsOf(['ring', cause], cpu, cut.lost, before.lost, cpu, range));
      REFUSAL_CAUSES.forEach((refusal, i) => {
        const at = i * cpus + cpu;
        rows.push(
          ...this.#rowsOf(['kernel', refusal], cpu, cut.refused, before.refused, at, since),
        );
      });
    }
    const bad = this.#rowsOf(
      ['decode', 'malformed'],
      null,
      cut.malformed,
      before.malformed,
      0,
      since,
    );
    this.#before = cut;
    this.#lastTs = now;
    return [...rows, ...bad];
  }

  /** Rows of one stage and cause: the counters lie at `block * opsMax`. */
  #rowsOf(
    [stage, cause]: readonly [stage: string, cause: string],
    cpu: number | null,
    now: BigUint64Array,
    before: BigUint64Array,
    block: number,
    range: Range,
  ): SmallRow[] {
    const rows: SmallRow[] = [];
    for (let op = 0; op < this.#opsMax; op++) {
      const at = block * this.#opsMax + op;
      const count = (now[at] ?? 0n) - (before[at] ?? 0n);
      if (count <= 0n) continue;
      const name = OP_NAMES.get(op);
      rows.push({
        ...lossRow(stage, cause, count, range.first, range.last),
        type: name?.type ?? null,
        op: name?.op ?? null,
        cpu,
      });
    }
    return rows;
  }
}
