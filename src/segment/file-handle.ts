// Descriptors of files that are read. A large store has far more files than a process may have open, so
// those that can be opened again are closed when others are wanted.

import { closeSync, openSync } from 'node:fs';

/** Files that may be opened again, at most this many at once. */
const OPEN_MAX = 256;

/** Least recently used first. */
const open = new Set<FileHandle>();

/** A file that is opened when it is first read. */
export class FileHandle {
  readonly path: string;
  readonly #keep: boolean;
  #fd: number | null = null;
  #closed = false;

  /** `keep`: its descriptor stays open, because its name may go; it is opened at once. */
  constructor(path: string, keep: boolean) {
    this.path = path;
    this.#keep = keep;
    if (keep) this.#fd = openSync(path, 'r');
  }

  /** Its descriptor, valid until another file is asked for. Throws what the file system throws. */
  get fd(): number {
    if (this.#closed) throw new Error(`${this.path} was closed`);
    if (this.#keep) return this.#fd as number;
    open.delete(this);
    this.#fd ??= openSync(this.path, 'r');
    open.add(this);
    if (open.size > OPEN_MAX) {
      const [oldest] = open;
      if (oldest !== undefined) oldest.#release();
    }
    return this.#fd;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
  }

  #release(): void {
    open.delete(this);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
