// The tables that a recorder keeps of what is there, beside the rows: processes, and sockets where it can.

import type { EventType } from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';
import { countText } from '../event/count-text.ts';
import type { CommitPoint } from '../segment/commits.ts';
import { Segment } from '../segment/reader.ts';
import type { SocketRow } from '../segment/small-tables.ts';
import { segmentDirectories } from '../segment/store.ts';
import type { SegmentWriter } from '../segment/writer.ts';
import type { StartResult } from '../source/binding.ts';
import type { CgroupNames } from './cgroups.ts';
import type { Mask } from './mask.ts';
import { ProcessTable } from './processes.ts';
import { SOCKETS_MAX, SocketTable, tellsSockets } from './sockets.ts';

/** The sockets of the segment of a store that ends with this commit; null where it keeps none. */
export function socketsBefore(store: string, point: CommitPoint): SocketRow[] | null {
  const last = segmentDirectories(store).at(-1);
  if (last === undefined) return null;
  const segment = new Segment(last);
  try {
    const ends = segment.commits?.last?.through_seq === point.through_seq;
    return ends ? (segment.sockets() as unknown as SocketRow[] | null) : null;
  } finally {
    segment.close();
  }
}

export class Tables {
  readonly #processes: ProcessTable;
  /** Null where nobody knows what is open. */
  #sockets: SocketTable | null = null;

  constructor(mask: Mask, names: CgroupNames) {
    this.#processes = new ProcessTable(mask, names);
  }

  /** Processes of this segment so far. */
  get processes(): number {
    return this.#processes.inSegment;
  }

  /**
   * Begins with what is there as a source starts that records these ops; `ts` is now. Where the rows go on
   * without a gap, the sockets are those that were open before.
   */
  start(
    { alive, sockets }: StartResult,
    ops: readonly number[],
    ts: bigint,
    before: readonly SocketRow[] | null,
  ): void {
    this.#processes.start(alive);
    if (!tellsSockets(ops)) return;
    this.#sockets = new SocketTable();
    if (before === null) this.#sockets.start(sockets, ts);
    else this.#sockets.resume(before);
  }

  apply(
    type: EventType,
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
  ): void {
    if (type === 'process') this.#processes.apply(batch, regions, memory);
    else if (type === 'network') this.#sockets?.apply(batch, regions, memory);
  }

  /** Hands over what is new since the last call. */
  writeTo(writer: SegmentWriter): void {
    writer.addProcesses(this.#processes.takeChanges());
    if (this.#sockets !== null) writer.addSockets(this.#sockets.takeChanges());
  }

  /** A new segment begins, under another mask or the same. */
  rotate(isMaskNew = false): void {
    if (isMaskNew) this.#processes.hideAgain();
    this.#processes.rotate();
    this.#sockets?.rotate();
  }

  /** Rows beyond a seq come again, in a new segment. */
  rewind(throughSeq: bigint, isMaskNew: boolean): void {
    this.#sockets?.rewind(throughSeq);
    this.rotate(isMaskNew);
  }

  /**
   * Gives the sockets up where they cannot be known any more, and says why; null where they can, or were not.
   * The segment should end then: a table is whole, or there is none.
   */
  giveUpSockets(ops: readonly number[] | null): string | null {
    if (this.#sockets === null) return null;
    const tooMany = this.#sockets.size > SOCKETS_MAX;
    if (!tooMany && (ops === null || tellsSockets(ops))) return null;
    this.#sockets = null;
    const why = tooMany
      ? `more than ${countText(SOCKETS_MAX)} TCP sockets are open`
      : 'what opens and closes TCP sockets is not recorded any more';
    return `${why}: conns knows none from now on, until the recorder starts again`;
  }
}
