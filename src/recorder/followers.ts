// Who follows a recording, as the main thread knows them: they are not recorded, and they hear it when one
// of those who read along makes much of what they read.

import { readFileSync } from 'node:fs';
import type { LossRow } from '../segment/small-tables.ts';

/** A process that follows. */
export interface Follower {
  readonly pid: number;
  /** Says something to its user. */
  tell(text: string): void;
  /** Every row up to this one is durable; these losses are new. */
  committed(seq: bigint, losses: readonly LossRow[]): void;
  hangUp(): void;
}

/** A process as far as it is told apart here. */
interface Reader {
  readonly comm: string;
  readonly group: number;
}

/** Name and process group; null where there is no such process. */
function readerOf(pid: number): Reader | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = stat.lastIndexOf(')');
    const group = Number(stat.slice(end + 2).split(' ')[2]);
    return { comm: stat.slice(stat.indexOf('(') + 1, end), group };
  } catch {
    return null;
  }
}

export class Followers {
  readonly #all = new Map<Follower, { warned: boolean }>();
  readonly #onNote: (text: string) => void;
  readonly #lookUp: (pid: number) => Reader | null;

  /** `onNote`: the daemon's log. */
  constructor(onNote: (text: string) => void, lookUp = readerOf) {
    this.#onNote = onNote;
    this.#lookUp = lookUp;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  get pids(): number[] {
    return [...this.#all.keys()].map(({ pid }) => pid);
  }

  add(follower: Follower): void {
    this.#all.set(follower, { warned: false });
  }

  remove(follower: Follower): void {
    this.#all.delete(follower);
  }

  hearCommitted(seq: bigint, losses: readonly LossRow[]): void {
    for (const follower of this.#all.keys()) follower.committed(seq, losses);
  }

  hangUp(): void {
    for (const follower of [...this.#all.keys()]) follower.hangUp();
  }

  /**
   * A process makes so much of the rows. Followers themselves are not recorded, but what they write to is
   * (`tail | jq >file`): one of a follower's process group is told of, once for each follower.
   */
  hearLoud(pid: number, share: number): void {
    for (const [follower, state] of this.#all) {
      if (state.warned) continue;
      const loud = this.#lookUp(pid);
      const own = this.#lookUp(follower.pid);
      if (loud === null || (pid !== follower.pid && loud.group !== own?.group)) continue;
      state.warned = true;
      const percent = (share * 100).toFixed(0);
      const text = `process ${pid} (${loud.comm}), which reads along with follower ${follower.pid}, makes ${percent} % of the rows itself: record without it by --exclude pid=${pid}`;
      this.#onNote(text);
      follower.tell(text);
    }
  }
}
