// What events say of a row's thread, kept from one event of it to the next: most rows are of few threads.

import type { CommonCells } from './compile.ts';
import { copied, type Piece, put, written } from './text.ts';

/** A thread as its last event found it. */
interface Thread {
  readonly pid: number | null;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly comm: Piece | null;
  readonly pstartLow: number;
  readonly pstartHigh: number;
  /** What was written of it; nothing yet where only one event was seen: many threads have no other. */
  text: Piece | null;
  /** Of its end, how much is of the kernel context. */
  readonly kernel: number;
}

/** Threads that are kept. */
const KEPT = 1 << 14;

export class ThreadTexts {
  /** By tid: of threads that had the same one the last is kept. */
  readonly #kept = new Map<number, Thread>();

  /**
   * Writes what `write` does, which is the same as long as nothing of the row's thread changes. That gives how many bytes
   * at its end are of the kernel context; this gives where they begin.
   */
  put(cells: CommonCells, row: number, write: (cells: CommonCells, row: number) => number): number {
    // Each CPU's idle thread has 0.
    const key = cells.tid.at(row) || -1 - (cells.cpu.at(row) ?? 0);
    const kept = this.#kept.get(key);
    if (kept !== undefined && isSame(kept, cells, row)) {
      if (kept.text !== null) {
        put(kept.text);
        return written() - kept.kernel;
      }
      const from = written();
      write(cells, row);
      kept.text = copied(from);
      return written() - kept.kernel;
    }
    const kernel = write(cells, row);
    if (this.#kept.size >= KEPT) this.#kept.clear();
    this.#kept.set(key, threadOf(cells, row, kernel));
    return written() - kernel;
  }
}

function threadOf(cells: CommonCells, row: number, kernel: number): Thread {
  return {
    pid: cells.pid.at(row),
    uid: cells.uid.at(row),
    gid: cells.gid.at(row),
    comm: cells.comm.at(row),
    pstartLow: cells.pstart.low(row),
    pstartHigh: cells.pstart.high(row),
    text: null,
    kernel,
  };
}

function isSame(kept: Thread, cells: CommonCells, row: number): boolean {
  const comm = cells.comm.at(row);
  return (
    kept.pid === cells.pid.at(row) &&
    kept.pstartLow === cells.pstart.low(row) &&
    kept.pstartHigh === cells.pstart.high(row) &&
    kept.uid === cells.uid.at(row) &&
    kept.gid === cells.gid.at(row) &&
    // Another dictionary has another piece of the same text.
    (kept.comm === comm || kept.comm?.text === comm?.text)
  );
}
