// What events say of a row's process, made once for each process: most rows are of few.

import type { Wide } from './cells.ts';

/** Texts about a process. */
export interface ProcessText {
  readonly low: number;
  readonly high: number;
  readonly pid: string;
  readonly pstart: string;
  /** Names it within its boot. */
  readonly uid: string;
}

/** Processes that are kept. */
const KEPT = 1 << 16;

export class ProcessTexts {
  /** By pid: of processes that had the same one the last is kept. */
  readonly #kept = new Map<number, ProcessText>();

  /** The process of a row. */
  of(pid: number, pstart: Wide, row: number): ProcessText {
    const low = pstart.low(row);
    const high = pstart.high(row);
    const kept = this.#kept.get(pid);
    if (kept !== undefined && kept.low === low && kept.high === high) return kept;
    const made = this.#make(pid, low, high);
    if (this.#kept.size >= KEPT) this.#kept.clear();
    this.#kept.set(pid, made);
    return made;
  }

  #make(pid: number, low: number, high: number): ProcessText {
    const pstart = (BigInt(high) << 32n) | BigInt(low);
    return { low, high, pid: String(pid), pstart: String(pstart), uid: `${pid}:${pstart}` };
  }
}
