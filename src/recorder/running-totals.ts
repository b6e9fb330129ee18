// What a recording has come to over all the threads that recorded it: one that was stuck is ended, and the next counts from zero.

import type { Totals } from './totals.ts';

type Counts = number | { readonly [name: string]: Counts };

/** Sums of nested counts, by name. */
function added<T extends Counts>(a: T, b: T): T {
  if (typeof a === 'number' || typeof b === 'number') return (Number(a) + Number(b)) as T;
  const out: Record<string, Counts> = { ...a };
  for (const [name, counts] of Object.entries(b)) {
    const before = out[name];
    out[name] = before === undefined ? counts : added(before, counts);
  }
  return out as T;
}

/** Totals that do not begin anew with a thread. */
export class RunningTotals {
  /** What the threads before this one came to. */
  #before: Totals | null = null;
  #last: Totals | null = null;

  /** What was last heard; null before anything was. */
  get last(): Totals | null {
    return this.#last;
  }

  /** What a thread says; gives it with what those before it said. */
  hear(own: Totals): Totals {
    const [before, last] = [this.#before, this.#last];
    const sums = before === null ? own : withBefore(before, own);
    this.#last = {
      ...sums,
      // These are counted in the rings, which may go on under another thread, and are not known before its first cut.
      filtered: Math.max(own.filtered, last?.filtered ?? 0),
      sampled: Math.max(own.sampled, last?.sampled ?? 0),
      late: Math.max(own.late, last?.late ?? 0),
    };
    return this.#last;
  }

  /** Another thread counts from here on. */
  restart(): void {
    this.#before = this.#last;
  }
}

function withBefore(before: Totals, own: Totals): Totals {
  return {
    ...own,
    events: added(before.events, own.events),
    lost: added(before.lost, own.lost),
    masked: added(before.masked, own.masked),
    segments: before.segments + own.segments,
    bytes: before.bytes + own.bytes,
    retired: before.retired + own.retired,
    drainCpuNs: before.drainCpuNs + own.drainCpuNs,
    firstTs: before.firstTs ?? own.firstTs,
    lastTs: own.lastTs ?? before.lastTs,
  };
}
