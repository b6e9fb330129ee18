// Reads an Arrow file of ours: checks and decompresses only the buffers of the columns that are asked for.
// Which columns there are is what the file's own schema says, so files of a smaller or larger event table
// read too.

import { fstatSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { Footer as FooterTable } from 'apache-arrow/fb/footer';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { type DictionaryBatch, Message, type RecordBatch } from 'apache-arrow/ipc/metadata/message';
import type { Schema } from 'apache-arrow/schema';
import { ByteBuffer } from 'flatbuffers';
import {
  type ColumnSpec,
  columnTypeOf,
  isDictionary,
  type TableSpec,
} from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import type { BatchPlace, Checksums } from './arrow-file.ts';
import { crc32c } from './crc32c.ts';
import {
  type CommittedPieces,
  type CommittedRange,
  type Damage,
  damagedError,
  damageOfBytes,
  damageOfRange,
  damageText,
} from './damage.ts';
import { FileHandle } from './file-handle.ts';
import './flatbuffer-bounds.ts';
import { checkedOffsets, type StringBuffers } from './strings.ts';
import { partsOf } from './vectors.ts';
import { decompress } from './zstd.ts';

const MAGIC = 'ARROW1';
const HEAD_BYTES = 8;
const RAW = -1n;
const NO_BYTES = new Uint8Array(0);

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

/** The columns of a schema. */
function specsOf(path: string, schema: Schema): ColumnSpec[] {
  return schema.fields.map(({ name, type, nullable }) => {
    const known = columnTypeOf(type);
    if (known === null) throw damagedError(path, `column ${name} is ${type}, which no table has`);
    return { name, type: known, nullable };
  });
}

/** Columns in order; the id of a dictionary is its column's position. */
function columnsOf(specs: readonly ColumnSpec[]): Map<string, FileColumn> {
  const columns = new Map<string, FileColumn>();
  let node = 0;
  let buffer = 0;
  specs.forEach((spec, position) => {
    const shape = partsOf(spec.type);
    columns.set(spec.name, {
      ...spec,
      dictionary: isDictionary(spec.type) ? position : null,
      nodes: { first: node, count: shape.nodes },
      buffers: { first: buffer, count: shape.buffers },
    });
    node += shape.nodes;
    buffer += shape.buffers;
  });
  return columns;
}

/** A batch to be read. */
export interface ReadableBatch extends BatchPlace {
  readonly rows: number;
  /** What its bytes are held against; null where only the file's pieces have checksums. */
  readonly checksums: Checksums | null;
}

/** What is known of a file from the commit lines. */
export interface Committed {
  readonly length: number;
  readonly pieces: CommittedPieces;
}

export interface ReaderOptions {
  /** Its descriptor is held, so that it reads on when it is renamed or removed. */
  readonly keep?: boolean;
  /** Its table, where that is known: its schema then needs no reading. */
  readonly table?: TableSpec | null;
}

/**
 * An Arrow file that is read piece by piece. With `committed`, nothing of it is used before it was held
 * against its checksum; without, it is read as far as Arrow's own checks go.
 */
export class ArrowFileReader {
  readonly path: string;
  /** What it is known to be; null where its schema says. */
  readonly table: TableSpec | null;
  /** By name, in the order of the file. */
  readonly columns: ReadonlyMap<string, FileColumn>;
  readonly #handle: FileHandle;
  readonly #committed: Committed | null;
  /** Pieces that were checked: null where they are as committed. */
  readonly #checked = new Map<CommittedRange, Damage | null>();
  readonly #headers = new Map<number, RecordBatch>();
  readonly #size: number;
  /** All of it, once it was loaded. */
  #loaded: Buffer | null = null;
  #schema: Schema | null = null;
  #bytesRead = 0;
  #buffersPerBatch = 0;
  #nodesPerBatch = 0;

  /**
   * Opens a file. Throws what the file system throws, and TapioError `segment_damaged` where it does not go as
   * far as was committed or has no schema of ours.
   */
  constructor(path: string, committed: Committed | null, options: ReaderOptions = {}) {
    const { keep = false, table = null } = options;
    this.path = path;
    this.table = table;
    this.#committed = committed;
    this.#handle = new FileHandle(path, keep);
    try {
      const size = fstatSync(this.#handle.fd).size;
      if (committed !== null && size < committed.length) {
        throw damagedError(
          path,
          `ends at byte ${size}, before the ${committed.length} that were committed`,
        );
      }
      this.#size = committed?.length ?? size;
      this.columns = columnsOf(table?.columns ?? specsOf(path, this.schema));
      for (const { nodes, buffers } of this.columns.values()) {
        this.#nodesPerBatch += nodes.count;
        this.#buffersPerBatch += buffers.count;
      }
    } catch (error) {
      this.#handle.close();
      throw error;
    }
  }

  /** Its schema. Throws TapioError where that is damaged. */
  get schema(): Schema {
    this.#schema ??= this.#guard(
      'its schema',
      () => this.#readSchema() ?? this.#footerOf(Footer.decode).schema,
    );
    return this.#schema;
  }

  /** Bytes that were read of it here; a scan has its own count. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes of the file as it was opened. */
  get bytes(): number {
    return this.#size;
  }

  /** The buffers of the named columns of a batch; columns that the file lacks are left out. */
  read(batch: ReadableBatch, columns: Iterable<string>): Map<string, RawColumn> {
    return this.#guard(`the batch at byte ${batch.offset}`, () => {
      const whole = batch.checksums?.length === 1 ? this.#readWhole(batch) : null;
      if (batch.checksums === null) this.#check(batch.offset, endOf(batch));
      const header = this.#header(batch, whole);
      const out = new Map<string, RawColumn>();
      for (const name of columns) {
        const column = this.columns.get(name);
        if (column === undefined) continue;
        const { nodes, buffers } = column;
        out.set(name, {
          nodes: header.nodes.slice(nodes.first, nodes.first + nodes.count),
          buffers: header.buffers
            .slice(buffers.first, buffers.first + buffers.count)
            .map((region, i) => this.#readBuffer(batch, region, buffers.first + i, whole)),
        });
      }
      return out;
    });
  }

  /** Rows of a batch, as its own metadata has it. */
  rowsOf(place: BatchPlace): number {
    return this.#guard(`the batch at byte ${place.offset}`, () => {
      this.#check(place.offset, place.offset + place.metadataLength);
      return (this.#message(place).header() as RecordBatch).length;
    });
  }

  /** Where its record batches lie, by its footer or, where there is none, by walking its messages. */
  places(): BatchPlace[] {
    return this.#guard('its footer', () => this.#fromFooter() ?? this.#walk(8).batches);
  }

  /** True where it ends in a footer, and so holds its dictionaries. */
  get complete(): boolean {
    try {
      return this.#fromFooter() !== null;
    } catch {
      return false;
    }
  }

  /**
   * The dictionaries of the named columns, which stand behind the record batches. Throws TapioError where
   * one is missing or damaged: an index without its string would be another answer.
   */
  dictionaries(
    batches: readonly BatchPlace[],
    columns: Iterable<string>,
  ): Map<string, StringBuffers> {
    const wanted = new Map<number, string>();
    for (const name of columns) {
      const id = this.columns.get(name)?.dictionary ?? null;
      if (id !== null) wanted.set(id, name);
    }
    const out = new Map<string, StringBuffers>();
    this.#guard('a dictionary', () => {
      const from = batches.reduce((end, batch) => Math.max(end, endOf(batch)), 8);
      for (const { id, bytes } of wanted.size === 0 ? [] : this.#dictionaries(from, wanted)) {
        const name = wanted.get(id);
        if (name !== undefined) out.set(name, this.#stringsIn(bytes));
      }
    });
    for (const name of wanted.values()) {
      if (!out.has(name)) throw damagedError(this.path, `the strings of ${name} are lost`);
    }
    return out;
  }

  /** Dictionary batches behind `from`, those of these ids at least. */
  *#dictionaries(from: number, ids: ReadonlyMap<number, string>): Generator<Dictionary> {
    const all = [...this.columns.values()].flatMap(({ dictionary }) => dictionary ?? []);
    const pieces = (this.#committed?.pieces(from) ?? []).filter((piece) => piece.from >= from);
    // The seal writes each of them as a piece, in the order of their columns, and the footer.
    const isSealed = pieces.length === all.length + 1;
    const places = isSealed
      ? pieces.slice(0, -1).filter((_, i) => ids.has(all[i] as number))
      : this.#walk(from).dictionaries.map((place) => ({ from: place.offset, to: endOf(place) }));
    for (const place of places) {
      const bytes = this.#pread(place.from, place.to - place.from);
      this.#checkRead(place.from, bytes);
      const message = messageIn(bytes);
      if (message.isDictionaryBatch()) yield { id: message.header().id, bytes };
    }
  }

  /** The strings of a dictionary batch. */
  #stringsIn(bytes: Buffer): StringBuffers {
    const { data: header } = messageIn(bytes).header() as DictionaryBatch;
    const metadataLength = HEAD_BYTES + bytes.readInt32LE(4);
    const place = { offset: 0, metadataLength, bodyLength: bytes.length - metadataLength };
    const [, offsets = NO_BYTES, data = NO_BYTES] = header.buffers.map((region) =>
      this.#readBuffer({ ...place, rows: 0, checksums: null }, region, 0, bytes),
    );
    return { offsets: checkedOffsets(offsets, header.length, data.byteLength), data };
  }

  /** Nodes and buffers of each of its record batches. */
  get shape(): { readonly nodes: number; readonly buffers: number } {
    return { nodes: this.#nodesPerBatch, buffers: this.#buffersPerBatch };
  }

  /** Its descriptor, valid until another file is read. Throws what the file system throws. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** Reads all of a small file at once. Throws TapioError where any committed byte is not as it was. */
  load(): void {
    this.#loaded ??= this.#pread(0, this.#size);
    this.#check(0, this.#size);
  }

  /** Throws TapioError where a piece that a batch touches is not as it was committed. */
  checkPlace(place: BatchPlace): void {
    this.#check(place.offset, endOf(place));
  }

  close(): void {
    this.#handle.close();
  }

  /** Holds the committed pieces that touch [from, to) against their checksums, each once. */
  #check(from: number, to: number): void {
    for (const range of this.#committed?.pieces(from) ?? []) {
      if (range.to <= from || range.from >= to) continue;
      let damage = this.#checked.get(range);
      if (damage === undefined) {
        damage = this.#damageOf(range);
        this.#checked.set(range, damage);
      }
      if (damage !== null) throw damagedError(this.path, damageText(damage));
    }
  }

  #damageOf(range: CommittedRange): Damage | null {
    const file = basename(this.path);
    if (this.#loaded === null) {
      this.#bytesRead += range.to - range.from;
      return damageOfRange(this.#handle.fd, file, range);
    }
    return damageOfBytes(this.#loaded.subarray(range.from, range.to), file, range);
  }

  /** Holds bytes that were read from a place against the piece that they are; others against what they touch. */
  #checkRead(from: number, bytes: Buffer): void {
    const to = from + bytes.length;
    const piece = this.#committed?.pieces(from).find((range) => range.from === from);
    if (piece === undefined || piece.to !== to) {
      this.#check(from, to);
      return;
    }
    const damage = damageOfBytes(bytes, basename(this.path), piece);
    if (damage !== null) throw damagedError(this.path, damageText(damage));
  }

  #isWhole(from: number, to: number): boolean {
    try {
      this.#check(from, to);
      return true;
    } catch (error) {
      if (error instanceof TapioError) return false;
      throw error;
    }
  }

  /** Decoding what is damaged fails in many ways: all of them become one that names file and cause. */
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

  #pread(offset: number, length: number): Buffer {
    if (length < 0 || offset < 0 || offset + length > this.#size) {
      throw new RangeError('it points outside the file');
    }
    if (this.#loaded !== null) return this.#loaded.subarray(offset, offset + length);
    this.#bytesRead += length;
    // Not from the pool: bodies begin 8 bytes in, and typed arrays over them want that alignment.
    const bytes = Buffer.allocUnsafeSlow(length);
    let at = 0;
    while (at < length) {
      const got = readSync(this.#handle.fd, bytes, at, length - at, offset + at);
      if (got === 0) throw damagedError(this.path, `ends before byte ${offset + length}`);
      at += got;
    }
    return bytes;
  }

  #readWhole(batch: ReadableBatch): Buffer {
    const bytes = this.#pread(batch.offset, batch.metadataLength + batch.bodyLength);
    if (crc32c(bytes) !== batch.checksums?.[0]) throw this.#changed(batch, bytes.length);
    return bytes;
  }

  #changed(batch: BatchPlace, length: number, at = batch.offset): TapioError {
    const file = basename(this.path);
    const damage = { file, from: at, to: at + length, reason: 'checksum' as const };
    return damagedError(this.path, damageText(damage));
  }

  #readBuffer(
    batch: ReadableBatch,
    region: { readonly offset: number; readonly length: number },
    index: number,
    whole: Buffer | null,
  ): Uint8Array {
    if (region.length === 0) return new Uint8Array(0);
    if (
      region.length < 8 ||
      region.offset < 0 ||
      region.offset + region.length > batch.bodyLength
    ) {
      throw new RangeError('a buffer lies outside its batch');
    }
    const inBatch = batch.metadataLength + region.offset;
    const bytes =
      whole?.subarray(inBatch, inBatch + region.length) ??
      this.#pread(batch.offset + inBatch, region.length);
    const { checksums } = batch;
    if (whole === null && checksums !== null && crc32c(bytes) !== checksums[1 + index]) {
      throw this.#changed(batch, region.length, batch.offset + inBatch);
    }
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

  #message(place: BatchPlace, whole: Buffer | null = null): Message {
    const bytes =
      whole?.subarray(0, place.metadataLength) ?? this.#pread(place.offset, place.metadataLength);
    return messageIn(bytes);
  }

  #header(batch: ReadableBatch, whole: Buffer | null): RecordBatch {
    const known = this.#headers.get(batch.offset);
    if (known !== undefined) return known;
    const { checksums } = batch;
    if (whole === null && checksums !== null) {
      const bytes = this.#pread(batch.offset, batch.metadataLength);
      if (crc32c(bytes) !== checksums[0]) throw this.#changed(batch, bytes.length);
    }
    const message = this.#message(batch, whole);
    if (!message.isRecordBatch()) throw new RangeError('it is no record batch');
    const header = message.header() as RecordBatch;
    const columns = [...this.columns.values()];
    const isWhole = columns.every(({ nodes }) => header.nodes[nodes.first]?.length === batch.rows);
    if (
      !isWhole ||
      header.length !== batch.rows ||
      header.buffers.length !== this.#buffersPerBatch
    ) {
      throw new RangeError('it is another batch');
    }
    this.#headers.set(batch.offset, header);
    return header;
  }

  /** The schema at the head; null where the head is damaged. */
  #readSchema(): Schema | null {
    const head = this.#pread(8, HEAD_BYTES);
    const length = head.readInt32LE(4);
    if (head.readInt32LE(0) !== -1 || length <= 0) return null;
    if (!this.#isWhole(0, 8 + HEAD_BYTES + length)) return null;
    const message = Message.decode(this.#pread(8 + HEAD_BYTES, length));
    if (!message.isSchema()) throw new RangeError('there is another message');
    return message.header();
  }

  #fromFooter(): BatchPlace[] | null {
    const bytes = this.#footer();
    if (bytes === null) return null;
    // The schema, which is most of it, is not wanted.
    const footer = FooterTable.getRootAsFooter(new ByteBuffer(bytes));
    return Array.from({ length: footer.recordBatchesLength() }, (_, i) => {
      const block = footer.recordBatches(i);
      if (block === null) throw new RangeError('a block is lost');
      return {
        offset: Number(block.offset()),
        metadataLength: block.metaDataLength(),
        bodyLength: Number(block.bodyLength()),
      };
    });
  }

  #footerOf<T>(decode: (bytes: Buffer) => T): T {
    const footer = this.#footer();
    if (footer === null) throw damagedError(this.path, 'is no Arrow file: its schema is damaged');
    return decode(footer);
  }

  #footer(): Buffer | null {
    const size = this.#size;
    if (size < MAGIC.length + 4 + 16) return null;
    const tail = this.#pread(size - 10, 10);
    if (tail.toString('latin1', 4) !== MAGIC) return null;
    const length = tail.readInt32LE(0);
    if (length <= 0 || length > size - 18) return null;
    this.#check(size - 10 - length, size);
    return this.#pread(size - 10 - length, length);
  }

  // Encapsulated messages, one after another, from a place where one begins.
  #walk(from: number): { batches: BatchPlace[]; dictionaries: BatchPlace[] } {
    const batches: BatchPlace[] = [];
    const dictionaries: BatchPlace[] = [];
    const end = this.#size;
    for (let offset = from; offset + HEAD_BYTES <= end; ) {
      const head = this.#pread(offset, HEAD_BYTES);
      const length = head.readInt32LE(4);
      if (head.readInt32LE(0) !== -1 || length <= 0 || offset + HEAD_BYTES + length > end) break;
      if (!this.#isWhole(offset, offset + HEAD_BYTES + length)) break;
      const message = Message.decode(this.#pread(offset + HEAD_BYTES, length));
      const place = {
        offset,
        metadataLength: HEAD_BYTES + length,
        bodyLength: Number(message.bodyLength),
      };
      if (place.bodyLength < 0 || endOf(place) > end) break;
      if (message.isRecordBatch()) batches.push(place);
      else if (message.isDictionaryBatch()) dictionaries.push(place);
      offset = endOf(place);
    }
    return { batches, dictionaries };
  }
}

/** The byte behind a batch. */
export function endOf({ offset, metadataLength, bodyLength }: BatchPlace): number {
  return offset + metadataLength + bodyLength;
}

/** A dictionary batch, whole. */
interface Dictionary {
  readonly id: number;
  readonly bytes: Buffer;
}

/** The message that bytes begin with. */
function messageIn(bytes: Buffer): Message {
  const length = bytes.length < HEAD_BYTES ? -1 : bytes.readInt32LE(4);
  if (length <= 0 || HEAD_BYTES + length > bytes.length) throw new RangeError('a message is cut');
  return Message.decode(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length));
}
