// Every write to a store goes through here, so that one place knows what is durable, and a test can put
// a file system of its own in the way. Directories are 0700 and files 0600 whatever the umask.

import {
  chmodSync,
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writevSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32c } from './crc32c.ts';

/** A file that only grows. `length` counts bytes; the checksum covers what came since takeRange(). */
export interface AppendFile {
  readonly path: string;
  readonly length: number;
  append(chunks: readonly Uint8Array[]): void;
  /** Makes what was appended durable. */
  sync(): void;
  /** CRC-32C of the bytes appended since the last call. */
  takeRange(): { readonly length: number; readonly crc: number };
  /** True when something was appended since the last sync. */
  readonly dirty: boolean;
  close(): void;
}

/** What the store needs of a file system. */
export interface StoreFiles {
  makeDirectory(path: string): void;
  create(path: string): AppendFile;
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes names in a directory durable. */
  syncDirectory(path: string): void;
  /** A whole small file: temporary name, sync, rename, directory sync. */
  replace(path: string, bytes: Uint8Array | string): void;
}

// writev takes at most IOV_MAX buffers at once.
const IOVECS_MAX = 1024;

class DiskFile implements AppendFile {
  readonly path: string;
  readonly #fd: number;
  #length = 0;
  #crc = 0;
  #dirty = false;
  #broken = false;

  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, 'wx', 0o600);
    chmodSync(path, 0o600);
  }

  get length(): number {
    return this.#length;
  }

  get dirty(): boolean {
    return this.#dirty;
  }

  append(chunks: readonly Uint8Array[]): void {
    this.#checkWhole();
    // Where a write fails, what lies behind #length is unknown: nothing may be appended after it.
    this.#broken = true;
    for (let at = 0; at < chunks.length; at += IOVECS_MAX) {
      writeAll(this.#fd, chunks.slice(at, at + IOVECS_MAX));
    }
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
    fdatasyncSync(this.#fd);
    this.#broken = false;
    this.#dirty = false;
  }

  #checkWhole(): void {
    if (this.#broken) throw new Error(`${this.path} was left half written by an earlier error`);
  }

  takeRange(): { length: number; crc: number } {
    const range = { length: this.#length, crc: this.#crc };
    this.#crc = 0;
    return range;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** write(2) may take less than it was given: goes on until all is written. */
function writeAll(fd: number, chunks: readonly Uint8Array[]): void {
  let rest = chunks.filter((chunk) => chunk.byteLength > 0);
  while (rest.length > 0) {
    let written = writevSync(fd, rest);
    let first = 0;
    while (first < rest.length && written >= (rest[first]?.byteLength ?? 0)) {
      written -= rest[first]?.byteLength ?? 0;
      first++;
    }
    rest = rest.slice(first);
    if (written > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(written);
  }
}

/** The real file system. */
export const diskFiles: StoreFiles = {
  makeDirectory(path) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  },
  create: (path) => new DiskFile(path),
  rename: renameSync,
  remove(path) {
    rmSync(path, { recursive: true, force: true });
  },
  syncDirectory(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  replace(path, bytes) {
    const temporary = `${path}.new`;
    try {
      unlinkSync(temporary);
    } catch {
      // None was left behind.
    }
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(fd, bytes);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    diskFiles.syncDirectory(dirname(path));
  },
};
