// A file that only grows: what was appended, what of it has a checksum, and what a failed write makes of it.

import { crc32c } from './crc32c.ts';

/** A piece of a file: it ends at byte `to`, and `crc` is the CRC-32C of its bytes. */
export interface Piece {
  readonly to: number;
  readonly crc: number;
}

/** A file that only grows. `length` counts bytes. */
export interface AppendFile {
  readonly path: string;
  readonly length: number;
  append(chunks: readonly Uint8Array[]): void;
  /** Makes what was appended durable. */
  sync(): void;
  /** Ends a piece: what is appended from here on has a checksum of its own. */
  mark(): void;
  /** The pieces appended since the last call, in order, and where the first begins. */
  takePieces(): { readonly from: number; readonly pieces: readonly Piece[] };
  /** Closed twice is closed once. */
  close(): void;
}

/** What a growing file is made of. */
export interface RawFile {
  /** Writes all of the chunks behind one another; `at` is the length so far. */
  write(chunks: readonly Uint8Array[], at: number): void;
  sync(): void;
  close(): void;
}

/** The rules of files that only grow, over any raw file. */
export class GrowingFile implements AppendFile {
  readonly path: string;
  readonly #raw: RawFile;
  #length: number;
  #crc = 0;
  #pieces: Piece[] = [];
  /** Length at the last takePieces(). */
  #taken: number;
  #dirty: boolean;
  #broken = false;
  #closed = false;

  /** `kept`: bytes that it has already, or null of a new one; its first sync covers what was cut off. */
  constructor(path: string, raw: RawFile, kept: number | null) {
    this.path = path;
    this.#raw = raw;
    this.#length = kept ?? 0;
    this.#taken = kept ?? 0;
    this.#dirty = kept !== null;
  }

  get length(): number {
    return this.#length;
  }

  append(chunks: readonly Uint8Array[]): void {
    this.#checkWhole();
    // Where a write fails, what lies behind #length is unknown: nothing may be appended after it.
    this.#broken = true;
    this.#raw.write(chunks, this.#length);
    for (const chunk of chunks) {
      this.#crc = crc32c(chunk, this.#crc);
      this.#length += chunk.byteLength;
    }
    this.#dirty = true;
    this.#broken = false;
  }

  sync(): void {
    this.#checkWhole();
    if (!this.#dirty) return;
    // After a failed sync the kernel may have dropped the pages and say so only once: no second try.
    this.#broken = true;
    this.#raw.sync();
    this.#broken = false;
    this.#dirty = false;
  }

  mark(): void {
    const from = this.#pieces.at(-1)?.to ?? this.#taken;
    if (this.#length > from) this.#pieces.push({ to: this.#length, crc: this.#crc });
    this.#crc = 0;
  }

  takePieces(): { from: number; pieces: Piece[] } {
    this.mark();
    const taken = { from: this.#taken, pieces: this.#pieces };
    this.#pieces = [];
    this.#taken = this.#length;
    return taken;
  }

  close(): void {
    // Once more, and it would be a descriptor that is somebody else's by now.
    if (this.#closed) return;
    this.#closed = true;
    this.#raw.close();
  }

  #checkWhole(): void {
    if (this.#broken) throw new Error(`${this.path} was left half written by an earlier error`);
  }
}
