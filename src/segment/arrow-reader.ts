// Reads an Arrow file of ours: finds its batches by footer or, while it is being written, by walking its
// messages; reads and decompresses only the buffers of the columns that are asked for. Which columns
// there are is what the file's own schema says, so files of a smaller or larger event table read too.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { DataType, type Schema } from 'apache-arrow';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { type DictionaryBatch, Message, type RecordBatch } from 'apache-arrow/ipc/metadata/message';
import { type ColumnSpec, type ColumnType, columnTypeOf } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import type { BatchPlace } from './arrow-file.ts';
import { type CommittedRange, damagedError, damageOf, damageText } from './damage.ts';
import { decompress } from './zstd.ts';

const MAGIC = 'ARROW1';
const HEAD_BYTES = 8;
const RAW = -1n;

/** Nodes and decompressed buffers of one column of one batch. */
export interface RawColumn {
  readonly nodes: readonly { readonly length: number; readonly nullCount: number }[];
  readonly buffers: readonly Uint8Array[];
}

/** A column of a file, and where its parts lie in a record batch. */
export interface FileColumn extends ColumnSpec {
  /** Id of its dictionary, or null. */
  readonly dictionary: number | null;
  readonly nodes: { readonly first: number; readonly count: number };
  readonly buffers: { readonly first: number; readonly count: number };
}

/** How many nodes and buffers a column has in a record batch. */
function shapeOf(type: ColumnType): { nodes: number; buffers: number } {
  switch (type) {
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

function columnsOf(path: string, schema: Schema): Map<string, FileColumn> {
  const columns = new Map<string, FileColumn>();
  let node = 0;
  let buffer = 0;
  for (const { name, type, nullable } of schema.fields) {
    const known = columnTypeOf(type);
    if (known === null) throw damagedError(path, `column ${name} is ${type}, which no table has`);
    const shape = shapeOf(known);
    columns.set(name, {
      name,
      type: known,
      nullable,
      dictionary: DataType.isDictionary(type) ? type.id : null,
      nodes: { first: node, count: shape.nodes },
      buffers: { first: buffer, count: shape.buffers },
    });
    node += shape.nodes;
    buffer += shape.buffers;
  }
  return columns;
}

/** How far a file goes: `length` as committed in bytes, null where nobody says. */
export interface FileExtent {
  readonly length: number | null;
  /** Whether it ends in a footer; null where nobody says: it is used where there is one. */
  readonly footer: boolean | null;
}

/** An open Arrow file. It keeps its descriptor: a segment that is renamed or removed reads on. */
export class ArrowFileReader {
  readonly path: string;
  readonly schema: Schema;
  /** By name, in the order of the file. */
  readonly columns: ReadonlyMap<string, FileColumn>;
  readonly #fd: number;
  #size = 0;
  #complete = false;
  readonly #batches: BatchPlace[] = [];
  readonly #dictionaries: BatchPlace[] = [];
  readonly #headers = new Map<number, RecordBatch>();
  /** Bytes of the file that were read. */
  bytesRead = 0;

  /**
   * Opens a file. Throws what the file system throws, and TapioError `segment_damaged` where it does not
   * go as far as it should or is no Arrow file of ours.
   */
  constructor(path: string, extent: FileExtent) {
    this.path = path;
    this.#fd = openSync(path, 'r');
    try {
      this.schema = this.#guard('its metadata', () => this.#open(extent));
      this.columns = columnsOf(path, this.schema);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get batchCount(): number {
    return this.#batches.length;
  }

  /** Bytes of the file as it was opened. */
  get bytes(): number {
    return this.#size;
  }

  /** True where it ends in a footer, and so holds its dictionaries. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Rows of a batch. */
  rows(batch: number): number {
    return this.#header(batch).length;
  }

  /** The buffers of the named columns of a batch; columns that the file lacks are left out. */
  read(batch: number, columns: Iterable<string>): Map<string, RawColumn> {
    const { offset, metadataLength, bodyLength } = this.#placeAt(batch);
    const header = this.#header(batch);
    const out = new Map<string, RawColumn>();
    this.#guard(`batch ${batch}`, () => {
      for (const name of columns) {
        const column = this.columns.get(name);
        if (column === undefined) continue;
        const { nodes, buffers } = column;
        out.set(name, {
          nodes: header.nodes.slice(nodes.first, nodes.first + nodes.count),
          buffers: header.buffers
            .slice(buffers.first, buffers.first + buffers.count)
            .map((region) => this.#readBuffer(offset + metadataLength, bodyLength, region)),
        });
      }
    });
    return out;
  }

  /** Values of the dictionaries that the file holds, by column. */
  dictionaries(): Map<string, string[]> {
    const byId = new Map<number, string[]>();
    this.#guard('a dictionary', () => {
      for (const place of this.#dictionaries) {
        const { id, data: header } = this.#message(place).header() as DictionaryBatch;
        const [, offsets, data] = header.buffers.map((region) =>
          this.#readBuffer(place.offset + place.metadataLength, place.bodyLength, region),
        );
        if (offsets === undefined || data === undefined) continue;
        byId.set(id, stringsOf(header.length, offsets, data));
      }
    });
    const out = new Map<string, string[]>();
    for (const { name, dictionary } of this.columns.values()) {
      const values = dictionary === null ? undefined : byId.get(dictionary);
      if (values !== undefined) out.set(name, values);
    }
    return out;
  }

  /** Throws TapioError where the bytes of a range are not those that were committed. */
  verify(ranges: readonly CommittedRange[]): void {
    const [damage] = damageOf(this.#fd, basename(this.path), ranges, true);
    if (damage !== undefined) throw damagedError(this.path, damageText(damage));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #open({ length, footer: expected }: FileExtent): Schema {
    const size = fstatSync(this.#fd).size;
    if (length !== null && size < length) {
      throw damagedError(
        this.path,
        `ends at byte ${size}, before the ${length} that were committed`,
      );
    }
    this.#size = length ?? size;
    const footer = expected === false ? null : this.#readFooter(this.#size);
    if (footer === null) {
      if (expected === true) throw damagedError(this.path, 'has lost its footer');
      return this.#walk(this.#size);
    }
    this.#complete = true;
    for (const block of footer.recordBatches()) this.#batches.push(placeOf(block));
    for (const block of footer.dictionaryBatches()) this.#dictionaries.push(placeOf(block));
    return footer.schema;
  }

  /** Decoding what is damaged fails in many ways: all of them become one that names file and remedy. */
  #guard<T>(what: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const ofTheSystem = (error as NodeJS.ErrnoException).syscall !== undefined;
      if (error instanceof TapioError || ofTheSystem) throw error;
      throw damagedError(
        this.path,
        `${what} cannot be decoded (${(error as Error).message})`,
        error,
      );
    }
  }

  #placeAt(batch: number): BatchPlace {
    const place = this.#batches[batch];
    if (place === undefined) throw new RangeError(`${this.path} has no batch ${batch}`);
    return place;
  }

  #pread(offset: number, length: number): Buffer {
    // Not from the pool: bodies begin 8 bytes in, and typed arrays over them want that alignment.
    const bytes = Buffer.allocUnsafeSlow(length);
    let at = 0;
    while (at < length) {
      const got = readSync(this.#fd, bytes, at, length - at, offset + at);
      if (got === 0) throw damagedError(this.path, `ends before byte ${offset + length}`);
      at += got;
    }
    this.bytesRead += length;
    return bytes;
  }

  #readBuffer(
    body: number,
    bodyLength: number,
    region: { readonly offset: number; readonly length: number },
  ): Uint8Array {
    if (region.length === 0) return new Uint8Array(0);
    if (region.length < 8 || region.offset < 0 || region.offset + region.length > bodyLength) {
      throw new RangeError('a buffer lies outside its batch');
    }
    const bytes = this.#pread(body + region.offset, region.length);
    const length = bytes.readBigInt64LE(0);
    const stored = bytes.subarray(8);
    const plain = length === RAW ? stored : decompress(stored);
    if (length !== RAW && BigInt(plain.byteLength) !== length) {
      throw new RangeError('a buffer has another length');
    }
    const aligned = plain.byteOffset % 8 === 0;
    return aligned
      ? new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength)
      : Uint8Array.from(plain);
  }

  #message(place: BatchPlace): Message {
    return Message.decode(this.#pread(place.offset, place.metadataLength).subarray(HEAD_BYTES));
  }

  #header(batch: number): RecordBatch {
    let header = this.#headers.get(batch);
    if (header === undefined) {
      const place = this.#placeAt(batch);
      header = this.#guard(`batch ${batch}`, () => this.#message(place).header() as RecordBatch);
      this.#headers.set(batch, header);
    }
    return header;
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
      const metadataLength = HEAD_BYTES + length;
      const place = { offset, metadataLength, bodyLength: Number(message.bodyLength) };
      const next = offset + metadataLength + place.bodyLength;
      if (next > end) break;
      if (message.isSchema()) schema = message.header();
      else if (message.isRecordBatch()) this.#batches.push(place);
      else if (message.isDictionaryBatch()) this.#dictionaries.push(place);
      offset = next;
    }
    if (schema === null) throw damagedError(this.path, 'is no Arrow file: its schema is missing');
    return schema;
  }
}

function placeOf(block: {
  offset: number;
  metaDataLength: number;
  bodyLength: number;
}): BatchPlace {
  return {
    offset: block.offset,
    metadataLength: block.metaDataLength,
    bodyLength: block.bodyLength,
  };
}

/** Strings of a utf8 buffer pair. */
export function stringsOf(length: number, offsets: Uint8Array, data: Uint8Array): string[] {
  if (length === 0) return [];
  const at = new Int32Array(offsets.buffer, offsets.byteOffset, length + 1);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length }, (_, i) => bytes.toString('utf8', at[i], at[i + 1]));
}
