// A query from its plan to its rows: which of them, from which end, and what was read for it.

import type { EventType } from '../../schemas/arrow.ts';
import type { Segment } from '../segment/reader.ts';
import type { OpenedStore } from '../segment/store.ts';
import { inOrder, lastInOrder, type Run } from './order.ts';
import { type Plan, plan, planOf } from './plan.ts';
import { Scanner } from './scanner.ts';
import type { Selection } from './select.ts';

/** Which of the rows that match: the first so many, the last so many, or all. */
export interface Limit {
  readonly first: number | null;
  readonly last: number | null;
}

/** A query over an opened store. */
export class Reading {
  readonly segments: readonly Segment[];
  readonly plan: Plan;
  readonly scanner: Scanner;

  constructor({ segments }: Pick<OpenedStore, 'segments'>, planned: Plan, scanner?: Scanner) {
    this.segments = segments;
    this.plan = planned;
    this.scanner = scanner ?? new Scanner(planned);
  }

  /** Plans what is selected. */
  static of(opened: OpenedStore, selection: Selection): Reading {
    return new Reading(opened, plan(opened.segments, selection));
  }

  /** Types that can match. */
  get types(): readonly EventType[] {
    return this.plan.selection.types;
  }

  /** Of this the rows of one type; what it reads is counted here as well. */
  ofType(type: EventType): Reading {
    const own = planOf(this.plan, ({ info }) => info.type === type);
    return new Reading(this, own, this.scanner);
  }

  /** Rows in order of seq, with the columns that are wanted of each type. */
  async *rows(limit: Limit, columns: (type: EventType) => readonly string[]): AsyncGenerator<Run> {
    if (limit.last !== null) {
      if (limit.last > 0) yield* await lastInOrder(this.scanner, this.plan, limit.last, columns);
      return;
    }
    let left = limit.first ?? Number.POSITIVE_INFINITY;
    if (left === 0) return;
    for await (const run of inOrder(this.scanner, this.plan, columns, limit.first)) {
      const count = Math.min(left, run.to - run.from);
      yield { ...run, to: run.from + count };
      left -= count;
      if (left === 0) return;
    }
  }

  /** How many rows match. `onBatch` is told of the batches that are through. */
  async count(onBatch: (done: number) => boolean = () => true): Promise<number> {
    const { rows: whole, batches } = this.plan.counted;
    let total = whole;
    for (const { certain, info } of batches) if (certain) total += info.rows;
    const uncertain = batches.filter(({ certain }) => !certain);
    for await (const { rows } of this.scanner.blocks(uncertain, { columns: () => [] })) {
      total += rows;
      if (!onBatch(this.scanner.done)) break;
    }
    return total;
  }
}
