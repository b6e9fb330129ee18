// Reads an Arrow file of ours: finds its batches by footer or, while it is being written, by walking its
// messages; reads and decompresses only the buffers of the columns that are asked for.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Schema } from 'apache-arrow';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { type DictionaryBatch, Message, type RecordBatch } from 'apache-arrow/ipc/metadata/message';
import type { ColumnSpec, TableSpec } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import type { BatchPlace } from './arrow-file.ts';
import { decompress } from './zstd.ts';

const MAGIC = 'ARROW1';
const HEAD_BYTES = 8;

/** Nodes and decompressed buffers of one column of one batch. */
export interface RawColumn {
  readonly nodes: readonly { readonly length: number; readonly nullCount: number }[];
  readonly buffers: readonly Uint8Array[];
}

/** How many nodes and buffers a column has in a record batch. */
function shapeOf(spec: ColumnSpec): { nodes: number; buffers: number } {
  switch (spec.type) {
    case 'utf8':
    case 'bytes':
      return { nodes: 1, buffers: 3 };
    case 'texts':
      return { nodes: 2, buffers: 5 };
    case 'u64s':
      return { nodes: 2, buffers: 4 };
    default:
      return { nodes: 1, buffers: 2 };
  }
}

interface Place extends BatchPlace {
  /** Dictionary id, or -1 for a record batch. */
  readonly dictionary: number;
}

export class ArrowFileReader {
  readonly path: string;
  readonly #fd: number;
  readonly #table: TableSpec;
  readonly #batches: Place[] = [];
  readonly #dictionaries: Place[] = [];
  readonly #headers = new Map<number, RecordBatch>();
  readonly schema: Schema;
  /** Bytes of the file that were read. */
  bytesRead = 0;

  /** Opens a file; `limit` is its committed length while it is being written, else null. */
  constructor(path: string, table: TableSpec, limit: number | null) {
    this.path = path;
    this.#table = table;
    this.#fd = openSync(path, 'r');
    try {
      const size = fstatSync(this.#fd).size;
      const end = limit === null ? size : Math.min(limit, size);
      const footer = limit === null ? this.#readFooter(size) : null;
      if (footer !== null) {
        this.schema = footer.schema;
        for (const block of footer.recordBatches()) this.#batches.push(placeOf(block, -1));
        for (const block of footer.dictionaryBatches()) {
          this.#dictionaries.push(placeOf(block, this.#dictionaryId(block)));
        }
      } else {
        this.schema = this.#walk(end);
      }
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get batchCount(): number {
    return this.#batches.length;
  }

  /** Rows of a batch. */
  rows(batch: number): number {
    return this.#header(batch).length;
  }

  place(batch: number): BatchPlace {
    return this.#placeAt(batch);
  }

  /** The buffers of the named columns of a batch. */
  read(batch: number, columns: readonly string[]): Map<string, RawColumn> {
    const place = this.#placeAt(batch);
    const header = this.#header(batch);
    const out = new Map<string, RawColumn>();
    const wanted = new Set(columns);
    const body = place.offset + place.metadataLength;
    let node = 0;
    let buffer = 0;
    for (const spec of this.#table.columns) {
      const shape = shapeOf(spec);
      if (wanted.has(spec.name)) {
        out.set(spec.name, {
          nodes: header.nodes.slice(node, node + shape.nodes),
          buffers: header.buffers
            .slice(buffer, buffer + shape.buffers)
            .map((region) => this.#readBuffer(body + region.offset, region.length)),
        });
      }
      node += shape.nodes;
      buffer += shape.buffers;
    }
    return out;
  }

  /** Values of each dictionary that the file holds, by id. */
  dictionaries(): Map<number, string[]> {
    const out = new Map<number, string[]>();
    for (const place of this.#dictionaries) {
      const message = this.#message(place);
      const header = (message.header() as DictionaryBatch).data;
      const body = place.offset + place.metadataLength;
      const [, offsets, data] = header.buffers.map((region) =>
        this.#readBuffer(body + region.offset, region.length),
      );
      if (offsets === undefined || data === undefined) continue;
      out.set(place.dictionary, stringsOf(header.length, offsets, data));
    }
    return out;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #placeAt(batch: number): Place {
    const place = this.#batches[batch];
    if (place === undefined) throw new RangeError(`${this.path} has no batch ${batch}`);
    return place;
  }

  #pread(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    while (at < length) {
      const got = readSync(this.#fd, bytes, at, length - at, offset + at);
      if (got === 0) throw new TapioError('segment_damaged', `${this.path} ends too early`);
      at += got;
    }
    this.bytesRead += length;
    return bytes;
  }

  #readBuffer(offset: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    const bytes = this.#pread(offset, length);
    const plain = bytes.readBigInt64LE(0);
    const data = bytes.subarray(8);
    // Typed arrays need their own alignment: a copy at offset 0 serves every width.
    return Uint8Array.from(plain === -1n ? data : decompress(data));
  }

  #message(place: BatchPlace): Message {
    return Message.decode(this.#pread(place.offset, place.metadataLength).subarray(HEAD_BYTES));
  }

  #header(batch: number): RecordBatch {
    let header = this.#headers.get(batch);
    if (header === undefined) {
      header = this.#message(this.#placeAt(batch)).header() as RecordBatch;
      this.#headers.set(batch, header);
    }
    return header;
  }

  #dictionaryId(block: { offset: number; metaDataLength: number; bodyLength: number }): number {
    const header = this.#message({
      offset: block.offset,
      metadataLength: block.metaDataLength,
      bodyLength: block.bodyLength,
    }).header();
    return (header as DictionaryBatch).id;
  }

  #readFooter(size: number): Footer | null {
    if (size < MAGIC.length + 4 + 16) return null;
    const tail = this.#pread(size - 10, 10);
    if (tail.toString('latin1', 4) !== MAGIC) return null;
    const length = tail.readInt32LE(0);
    if (length <= 0 || length > size - 18) return null;
    return Footer.decode(this.#pread(size - 10 - length, length));
  }

  // Magic, then encapsulated messages, the first of which is the schema.
  #walk(end: number): Schema {
    let offset = 8;
    let schema: Schema | null = null;
    while (offset + HEAD_BYTES <= end) {
      const head = this.#pread(offset, HEAD_BYTES);
      const length = head.readInt32LE(4);
      if (head.readInt32LE(0) !== -1 || length <= 0 || offset + HEAD_BYTES + length > end) break;
      const message = Message.decode(this.#pread(offset + HEAD_BYTES, length));
      const place = {
        offset,
        metadataLength: HEAD_BYTES + length,
        bodyLength: Number(message.bodyLength),
      };
      const next = offset + place.metadataLength + place.bodyLength;
      if (next > end) break;
      if (message.isSchema()) schema = message.header();
      else if (message.isRecordBatch()) this.#batches.push({ ...place, dictionary: -1 });
      else if (message.isDictionaryBatch()) {
        this.#dictionaries.push({ ...place, dictionary: message.header().id });
      }
      offset = next;
    }
    if (schema === null) {
      throw new TapioError(
        'segment_damaged',
        `${this.path} is no Arrow file: its schema is missing`,
      );
    }
    return schema;
  }
}

function placeOf(
  block: { offset: number; metaDataLength: number; bodyLength: number },
  dictionary: number,
): Place {
  return {
    offset: block.offset,
    metadataLength: block.metaDataLength,
    bodyLength: block.bodyLength,
    dictionary,
  };
}

/** Strings of a utf8 buffer pair. */
export function stringsOf(length: number, offsets: Uint8Array, data: Uint8Array): string[] {
  const at = new Int32Array(offsets.buffer, offsets.byteOffset, length + 1);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length }, (_, i) => bytes.toString('utf8', at[i], at[i + 1]));
}
