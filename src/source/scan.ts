// What the addon scans and gives: batches of event files, read and tested on threads of its own.

/** A tree of src/query/predicate.ts, as the addon reads it. */
export type NativePredicate = object;

/** A column of a scan's table. */
export interface ScanColumn {
  readonly name: string;
  /** A FieldType of the event table. */
  readonly type: string;
  readonly nullable: boolean;
}

/** Groups by keys; columns are numbers of the table's, −1 where it has none. */
export interface ScanGroups {
  /** `width` 0n: the value itself (a string's index); else buckets so wide, counted from `origin`. */
  readonly keys: readonly {
    readonly column: number;
    readonly origin: bigint;
    readonly width: bigint;
  }[];
  readonly sums: readonly number[];
  /** Column whose distribution is kept. */
  readonly distribution: number;
  readonly weight: number;
}

/** What is asked of the rows of one event type. */
export interface ScanTable {
  readonly columns: readonly ScanColumn[];
  readonly predicate: NativePredicate;
  /** For batches that reach beyond the window: the predicate and the window. */
  readonly windowed: NativePredicate;
  /** Columns that are gathered; none: rows are counted. */
  readonly output: readonly number[];
  readonly groups: ScanGroups | null;
}

export interface ScanFileOptions {
  readonly fd: number;
  readonly size: number;
  readonly table: number;
  readonly nodes: number;
  readonly buffers: number;
  /** Per column of the table: first node and first buffer in a record batch, −1 −1 where it is absent. */
  readonly places: Int32Array;
  /** Per column of the table; those that are not needed may be null. */
  readonly dictionaries: readonly ({
    readonly offsets: Int32Array;
    readonly data: Uint8Array;
  } | null)[];
}

export interface ScanBatch {
  readonly file: number;
  readonly offset: number;
  readonly metadataLength: number;
  readonly bodyLength: number;
  readonly rows: number;
  /** CRC-32C of metadata and of each buffer, or one of the whole; null: not checked here. */
  readonly checksums: Uint32Array | null;
  readonly windowed: boolean;
}

export interface ScanOptions {
  readonly threads: number;
  /** Batches that may be read ahead of take(). */
  readonly window: number;
  readonly grouped: boolean;
  /** Of each batch only the first (the last) so many matching rows are gathered; 0: all. */
  readonly first: number;
  readonly last: number;
  readonly tables: readonly ScanTable[];
  readonly files: readonly ScanFileOptions[];
  readonly batches: readonly ScanBatch[];
}

/** What came of a batch. */
export interface ScanResult {
  readonly batch: number;
  /** Rows that match. */
  readonly rows: number;
  /** Why it was left out; `text` null: the bytes between are not what was committed. */
  readonly damage: {
    readonly text: string | null;
    readonly from: number;
    readonly to: number;
  } | null;
  /** Buffers of the output columns in Arrow's order: offset and length of each in `memory`. */
  readonly regions: Uint32Array;
  readonly memory: ArrayBuffer;
}

/** Groups of one file; per group, `keys.length / rows.length` keys and as many sums as were asked for. */
export interface ScanGroupsResult {
  readonly file: number;
  readonly keys: BigInt64Array;
  /** Bit k: key k is null. */
  readonly nulls: Uint32Array;
  readonly rows: BigUint64Array;
  readonly weights: BigUint64Array;
  readonly sums: readonly bigint[];
  readonly largest: readonly (bigint | null)[];
  /** Smallest value of a bucket and how many are in it, in turn; a bucket is at most 1/128 wide. */
  readonly buckets: readonly (readonly (bigint | number)[])[];
}

/** A scan on threads of its own. Results come in the order of the batches. */
export interface NativeScan {
  /** The next result; undefined where there is none yet (`ready` is called when there is), null at the end. */
  take(): ScanResult | null | undefined;
  /** Begins nothing more: the end comes soon, and groups are of what was read by then. */
  cancel(): void;
  /** After the end. */
  groups(): ScanGroupsResult[];
  /** What was really read: bytes of files, and what they became. */
  counts(): { batches: number; buffers: number; bytes: number; unpacked: number };
  /** Ends it; must be called. */
  close(): void;
}

/** The addon's part for readers. */
export interface ScanNative {
  /** Begins a scan; `ready` is called when take() has something that it had not. */
  Scan: new (
    options: ScanOptions,
    ready: () => void,
  ) => NativeScan;
  /** Why RE2 does not take a pattern; null where it does. */
  patternError(pattern: string): string | null;
}
