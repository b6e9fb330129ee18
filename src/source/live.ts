// What the addon gives followers: rows of a live ring, which the recorder of this host fills.

import type { RawMessages } from './raw-events.ts';
import type { ScanTable } from './scan.ts';

/** The rows of one type that match. */
export interface LiveBlock {
  /** Type id of the event table. */
  readonly type: number;
  readonly rows: number;
  /** Buffers of the output columns in Arrow's order: offset and length of each in `memory`. */
  readonly regions: Uint32Array;
  /** Per output column: offset and length of the offsets, then of the bytes, of its strings. */
  readonly strings: Uint32Array;
  readonly memory: ArrayBuffer;
}

/** Rows that follow one another. */
export interface LiveChunk {
  /** Seq of the last row that was read, whether it matched or not. */
  readonly through: bigint;
  /** 0n, or the seq of the next row that the ring has: those between were overwritten. */
  readonly gapUntil: bigint;
  /** ts − ktime of its rows, ns. */
  readonly tsOffset: bigint;
  /** Largest ktime of what was read, 0n where nothing was. */
  readonly newest: bigint;
  readonly blocks: readonly LiveBlock[];
  /** In the place of blocks, where rows are wanted as messages. */
  readonly messages?: RawMessages;
}

/** Reads a live ring from where it is as this is made. */
export interface NativeLiveReader {
  /** True once the recorder writes here: every row that gets its seq from then on will come. */
  attached(): boolean;
  /** Rows after a seq, up to the first gap, which is told when nothing is left before it. */
  read(after: bigint): LiveChunk;
  close(): void;
}

/** The addon's part for followers. */
export interface LiveNative {
  /**
   * Maps a ring; `tables` by type id, null for types that are not wanted. Their columns are those of the
   * type and `ktime`. With `layouts`, by type id as well, rows are made messages straight from their records: the event's
   * field in the oneof, then four numbers for each field: its own, its kind, the number of its column, and 1 where it is
   * written as long as it is not null. Rows up to a seq and a ktime that were seen before are passed over. Throws where it is
   * no ring of this version.
   */
  LiveReader: new (
    fd: number,
    tables: readonly (ScanTable | null)[],
    seenSeq: bigint,
    seenKtime: bigint,
    layouts?: readonly (Uint32Array | null)[],
  ) => NativeLiveReader;
}
