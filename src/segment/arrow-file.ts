// Writes one Arrow IPC file: schema, record batches as they come, dictionaries and footer at the end.
//
// Only the metadata is made with apache-arrow; bodies go from the buffers of a batch through zstd into
// the file. Its own writer makes vectors of every column first, and in 21.2.0 stores the compressed
// length where the format wants the uncompressed one and leaves the schema message out of files.

import { MetadataVersion } from 'apache-arrow/enum';
import { FileBlock, Footer } from 'apache-arrow/ipc/metadata/file';
import {
  BodyCompression,
  BufferRegion,
  DictionaryBatch,
  FieldNode,
  Message,
  RecordBatch,
} from 'apache-arrow/ipc/metadata/message';
import type { Schema } from 'apache-arrow/schema';
import { crc32c } from './crc32c.ts';
import type { AppendFile } from './files.ts';
import { compress, compressZeros } from './zstd.ts';

const MAGIC = new TextEncoder().encode('ARROW1');
const ZSTD = 1;
export const PADDING = new Uint8Array(8);
const RAW = -1n;

/** A buffer of a column; `zero` says that it is known to be all zero. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly zero?: boolean;
}

/** One column's part of a batch, in Arrow's order: its nodes (length, nulls) and its buffers. */
export interface ColumnBuffers {
  readonly nodes: readonly { readonly length: number; readonly nulls: number }[];
  readonly buffers: readonly Body[];
}

/** Where a batch lies in its file, in bytes. */
export interface BatchPlace {
  readonly offset: number;
  readonly metadataLength: number;
  readonly bodyLength: number;
}

/** A batch that was written, with what its bytes are checked by; null of the first recorders'. */
export interface WrittenBatch extends BatchPlace {
  readonly checksums: Checksums | null;
}

/**
 * CRC-32C of a batch: of its metadata, then of each buffer, so that a reader of few columns can check
 * just what it reads. Small batches have one checksum, of all their bytes.
 */
export type Checksums = Uint32Array;

/** From this many rows on a batch has a checksum per buffer. */
export const SPLIT_CHECKSUMS_ROWS = 4096;

/** Bytes that mean "nothing": validity of a column without nulls. */
export const EMPTY: Body = { bytes: new Uint8Array(0) };

function int32(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

/** A length as Arrow aligns it, to 8 bytes. */
export function padded(length: number): number {
  return (length + 7) & ~7;
}

/** Appends to `chunks` a buffer as Arrow's compression wants it; returns its region and its checksum. */
function appendBody(
  chunks: Uint8Array[],
  body: Body,
  offset: number,
): { region: BufferRegion; crc: () => number } {
  const length = body.bytes.byteLength;
  if (length === 0) return { region: new BufferRegion(offset, 0), crc: () => 0 };
  const frame = body.zero ? compressZeros(length) : compress(body.bytes);
  const prefix = new Uint8Array(8);
  const smaller = frame.byteLength < length;
  new DataView(prefix.buffer).setBigInt64(0, smaller ? BigInt(length) : RAW, true);
  const data = smaller ? frame : body.bytes;
  const size = 8 + data.byteLength;
  chunks.push(prefix, data);
  if (padded(size) > size) chunks.push(PADDING.subarray(0, padded(size) - size));
  return { region: new BufferRegion(offset, size), crc: () => crc32c(data, crc32c(prefix)) };
}

/** Encapsulated message: continuation, length, flatbuffer, padding. */
export function messageBytes(message: Message): Uint8Array[] {
  const flatbuffer = Message.encode(message);
  const aligned = padded(flatbuffer.byteLength + 8);
  return [
    int32(-1, aligned - 8),
    flatbuffer,
    PADDING.subarray(0, aligned - 8 - flatbuffer.byteLength),
  ];
}

function crcOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((crc, chunk) => crc32c(chunk, crc), 0);
}

function byteLength(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

/** One Arrow file that is being written. */
export class ArrowFileWriter {
  readonly file: AppendFile;
  readonly #schema: Schema;
  readonly #batches: FileBlock[] = [];
  readonly #dictionaries: FileBlock[] = [];

  /**
   * Begins a file: magic and schema are appended at once. With `written`, goes on with one that has
   * these batches and no dictionaries yet.
   */
  constructor(file: AppendFile, schema: Schema, written: readonly BatchPlace[] | null = null) {
    this.file = file;
    this.#schema = schema;
    if (written === null) {
      file.append([MAGIC, PADDING.subarray(0, 2), ...messageBytes(Message.from(schema))]);
      file.mark();
    }
    for (const { offset, metadataLength, bodyLength } of written ?? []) {
      this.#batches.push(new FileBlock(metadataLength, bodyLength, offset));
    }
  }

  get schema(): Schema {
    return this.#schema;
  }

  get batchCount(): number {
    return this.#batches.length;
  }

  /** Appends a record batch; its buffers may be changed again afterwards. */
  writeBatch(rows: number, columns: readonly ColumnBuffers[]): WrittenBatch {
    const { header, body, bodyLength, crcs } = encodeBody(rows, columns);
    const head = messageBytes(Message.from(header, bodyLength));
    const place = this.#append(head, body, bodyLength, this.#batches);
    const checksums =
      rows < SPLIT_CHECKSUMS_ROWS
        ? Uint32Array.of(crcOf([...head, ...body]))
        : Uint32Array.from([crcOf(head), ...crcs.map((crc) => crc())]);
    return { ...place, checksums };
  }

  /** Appends the one dictionary of a column (its id is the column's position). */
  writeDictionary(id: number, values: readonly string[]): void {
    const { header, body, bodyLength } = encodeBody(values.length, [utf8Buffers(values)]);
    const head = messageBytes(Message.from(new DictionaryBatch(header, id), bodyLength));
    this.#append(head, body, bodyLength, this.#dictionaries);
  }

  /** Ends the file: end of stream, footer, magic. Nothing may follow. */
  finish(): void {
    const footer = Footer.encode(
      new Footer(this.#schema, MetadataVersion.V5, this.#batches, this.#dictionaries),
    );
    this.file.append([int32(-1, 0), footer, int32(footer.byteLength), MAGIC]);
  }

  #append(
    head: Uint8Array[],
    body: Uint8Array[],
    bodyLength: number,
    blocks: FileBlock[],
  ): BatchPlace {
    const offset = this.file.length;
    const metadataLength = byteLength(head);
    this.file.append([...head, ...body]);
    this.file.mark();
    blocks.push(new FileBlock(metadataLength, bodyLength, offset));
    return { offset, metadataLength, bodyLength };
  }
}

function encodeBody(
  rows: number,
  columns: readonly ColumnBuffers[],
): { header: RecordBatch; body: Uint8Array[]; bodyLength: number; crcs: (() => number)[] } {
  const nodes: FieldNode[] = [];
  const regions: BufferRegion[] = [];
  const body: Uint8Array[] = [];
  const crcs: (() => number)[] = [];
  let offset = 0;
  for (const column of columns) {
    for (const node of column.nodes) nodes.push(new FieldNode(node.length, node.nulls));
    for (const buffer of column.buffers) {
      const { region, crc } = appendBody(body, buffer, offset);
      regions.push(region);
      crcs.push(crc);
      offset += padded(region.length);
    }
  }
  return {
    header: new RecordBatch(rows, nodes, regions, new BodyCompression(ZSTD)),
    body,
    bodyLength: offset,
    crcs,
  };
}

/** Buffers of a plain utf8 column without nulls. */
export function utf8Buffers(values: readonly string[]): ColumnBuffers {
  const encoded = values.map((value) => Buffer.from(value, 'utf8'));
  const offsets = new Int32Array(values.length + 1);
  let total = 0;
  encoded.forEach((bytes, i) => {
    total += bytes.byteLength;
    offsets[i + 1] = total;
  });
  return {
    nodes: [{ length: values.length, nulls: 0 }],
    buffers: [
      EMPTY,
      { bytes: new Uint8Array(offsets.buffer) },
      { bytes: new Uint8Array(Buffer.concat(encoded)) },
    ],
  };
}
