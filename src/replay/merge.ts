// Blocks that overlap, as runs in order of seq.

import type { EventBlock, EventRun } from '../event/stream.ts';

interface Cursor {
  readonly block: EventBlock;
  readonly seqs: BigUint64Array;
  at: number;
  seq: bigint;
}

const NO_SEQ = 2n ** 64n;

/** Takes blocks of one recording and gives their rows in order. */
export class Merge {
  readonly #open: Cursor[] = [];

  /** Adds a block; `seqs` are those of its rows. */
  add(block: EventBlock, seqs: BigUint64Array): void {
    const [seq] = seqs;
    if (seq !== undefined) this.#open.push({ block, seqs, at: 0, seq });
  }

  /** The next rows below seq `before` (null: all that are there), about `limit` at most. */
  take(before: bigint | null, limit: number): EventRun[] {
    const runs: EventRun[] = [];
    for (let left = limit; left > 0; ) {
      const [first, bound] = this.#lowest(before ?? NO_SEQ);
      if (first === null) break;
      const { block, seqs, at: from } = first;
      const end = Math.min(seqs.length, from + left);
      let to = from + 1;
      while (to < end && (seqs[to] as bigint) < bound) to++;
      runs.push({ block, from, to });
      left -= to - from;
      if (to === seqs.length) this.#open.splice(this.#open.indexOf(first), 1);
      else {
        first.at = to;
        first.seq = seqs[to] as bigint;
      }
    }
    return runs;
  }

  /** Whose row is next, null where it is not below `before`; and how far its rows may go. */
  #lowest(before: bigint): [Cursor | null, bigint] {
    let first: Cursor | null = null;
    let bound = before;
    for (const cursor of this.#open) {
      if (first === null ? cursor.seq < bound : cursor.seq < first.seq) {
        if (first !== null) bound = first.seq;
        first = cursor;
      } else if (cursor.seq < bound) bound = cursor.seq;
    }
    return [first, bound];
  }
}
