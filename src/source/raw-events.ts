// What the addon makes messages of: columns of blocks as numbers that say where they lie. Whatever is said here is held
// against the buffers themselves.

/** How a column lies in memory, and how it is written: native/raw_event.h has the same numbers. */
export const RAW_KINDS = {
  u16: 0,
  u32: 1,
  u64: 2,
  i32: 3,
  i64: 4,
  fixed64: 5,
  /** Fixed as well: the column's value less the block's offset. */
  ktime: 6,
  dict16: 7,
  dict32: 8,
  texts: 9,
  u64s: 10,
  bytes: 11,
} as const;

/** Rows of one type in memory. */
export interface RawBlock {
  /**
   * Whole numbers from 0. First the event's field in the oneof, and the two halves of ts − ktime, the lower first. Then 17
   * for each column: its field, its kind, 1 where it is written as long as it is not null (0: as long as it is not 0 or
   * empty either), the block's row whose value comes first, how many values there are; then buffer, offset and bytes of its
   * validity, its data (values, indices or offsets), its inner part (offsets of a list's or dictionary's strings, values of
   * a list) and its heap. A part of 0 bytes is none.
   */
  readonly layout: Float64Array;
  readonly buffers: readonly ArrayBuffer[];
}

/** Messages one behind another. */
export interface RawMessages {
  /** Each is a 0, its length in 4 bytes, the highest first, and the message: as gRPC sends it. */
  readonly bytes: Buffer;
  /** Where in `bytes` each ends. */
  readonly ends: Uint32Array;
}

/** The addon's part for those who send rows as messages. */
export interface RawEventNative {
  /**
   * Messages of rows; a run is three numbers: its block, its first row, and the row behind its last. Throws RangeError
   * where anything lies outside its buffer, or the messages take more than a GiB.
   */
  encodeRawEvents(blocks: readonly RawBlock[], runs: Uint32Array): RawMessages;
}
