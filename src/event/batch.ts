// What a source hands over: columns of rows in shared memory, and the cuts between them.
// Types only; source/ makes them, segment/ and recorder/ take them.

/** How one table of columns lies in a slot's ArrayBuffer. Offsets in bytes, all multiples of 64. */
export interface ColumnRegion {
  readonly name: string;
  readonly kind:
    | 'u16'
    | 'u32'
    | 'u64'
    | 'i32'
    | 'i64'
    | 'dict16'
    | 'dict32'
    | 'texts'
    | 'u64s'
    | 'bytes';
  readonly nullable: boolean;
  /** Validity bitmap (Arrow: bit set = present, LSB first), or -1 where the column is never null. */
  readonly validity: number;
  /** Values; for texts, u64s and bytes the i32 offsets of the list or string (rows + 1). */
  readonly data: number;
  /** texts: i32 offsets of the strings; else -1. */
  readonly inner: number;
  /** texts, u64s, bytes: the values themselves; else -1. */
  readonly heap: number;
}

/** Values that a dictionary column met for the first time, in index order. Valid UTF-8. */
export interface NewValues {
  readonly column: number;
  readonly values: readonly string[];
}

/** Rows of one type, ready to be written. */
export interface BatchItem {
  readonly kind: 'batch';
  readonly slot: number;
  /** Type id of the event table. */
  readonly type: number;
  readonly rows: number;
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  /** Smallest and largest ts of the rows, ns since 1970. */
  readonly firstTs: bigint;
  readonly lastTs: bigint;
  /** Nulls per column; equal to rows where its memory is all zero (of a never-null column: zeros). */
  readonly nulls: Uint32Array;
  /** texts: number of strings, bytes used by them; u64s: number of values; bytes: bytes used. */
  readonly inner: Uint32Array;
  readonly heap: Uint32Array;
  readonly newValues: readonly NewValues[];
}

/**
 * A point in the stream: every row up to throughSeq was handed over in batches before it. Counters are
 * cumulative since the rings that it names were made, indexed [cpu * opsMax + op]; with new rings they
 * begin at zero, and so do `late` and `malformed`. The number of CPUs is the length of `positions`.
 */
export interface CutItem {
  readonly kind: 'cut';
  /** Id of the rings that the positions and counters are of. */
  readonly rings: string;
  /** These rings were drained to their end: the next items come from others. See forget(). */
  readonly ended: boolean;
  readonly throughSeq: bigint;
  /** True when requested so: the dictionaries are empty from here on and ts uses the new offset. */
  readonly rotated: boolean;
  /** ts − ktime of the rows after this cut, ns. */
  readonly tsOffset: bigint;
  /** What decides which of them are rows, as it was written; null: all are. */
  readonly filter: string | null;
  /** Names of the patterns whose secrets those rows do not hold. */
  readonly mask: readonly string[];
  /** Secrets masked in the rows up to this cut since the last one that rotated, or a rewind: pattern → count. */
  readonly masked: Readonly<Record<string, number>>;
  /** The last item of a stopped source. */
  readonly final: boolean;
  /** Ring position per CPU up to which everything was consumed or counted lost. */
  readonly positions: BigUint64Array;
  /** Per CPU: positions of records beyond that one which were handed over already. */
  readonly ahead: readonly (readonly bigint[])[];
  /** What the kernel wrote, as its counters stood: what of it was not read is still in the rings. */
  readonly emitted: BigUint64Array;
  readonly consumed: BigUint64Array;
  /** Read and left out: made by this process itself, or not wanted by the filter. They are no rows. */
  readonly own: BigUint64Array;
  /** Overwritten before they were read, known exactly from the op sequence numbers. */
  readonly lost: BigUint64Array;
  readonly filtered: BigUint64Array;
  /** Left out by --sample and --limit before they were filled. */
  readonly sampled: BigUint64Array;
  /** Per cause: [(cause * cpus + cpu) * opsMax + op]. */
  readonly refused: BigUint64Array;
  /** ktime range [ns] in which the losses since the previous cut lie, per CPU; 0, 0 without loss. */
  readonly lossFirst: BigUint64Array;
  readonly lossLast: BigUint64Array;
  /** Rows flagged late. */
  readonly late: bigint;
  /** Largest ktime that was handed over, whatever rings it came from. */
  readonly newest: bigint;
  /** Records that could not be decoded, per op; at 0 those whose op is unknown. They are consumed. */
  readonly malformed: BigUint64Array;
  /** ktime range in which the programs had fallen silent because nobody read; 0, 0 without. Told once. */
  readonly mutedFirst: bigint;
  readonly mutedLast: bigint;
  /** ktime range in which new programs took over from old ones; 0, 0 without. Told once. */
  readonly handoverFirst: bigint;
  readonly handoverLast: bigint;
}

export type SourceItem = BatchItem | CutItem;

/** A process that was alive when the source started. */
export interface ProcessSnapshot {
  readonly pid: number;
  readonly pstart: bigint;
  readonly ppid: number;
  readonly uid: number;
  readonly cgroupId: bigint;
  readonly comm: string;
}
