// Every write to a store goes through here, so that one place knows what is durable, and a test can put
// a file system of its own in the way. Directories are 0700 and files 0600 whatever the umask.

import {
  chmodSync,
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writevSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type AppendFile, GrowingFile, type RawFile } from './growing-file.ts';

export type { AppendFile, Piece } from './growing-file.ts';

/** What the store needs of a file system. */
export interface StoreFiles {
  makeDirectory(path: string): void;
  /** A new file; fails where there is one of that name. */
  create(path: string): AppendFile;
  /** A file that is there, cut to `length` bytes, to be appended to. */
  reopen(path: string, length: number): AppendFile;
  rename(from: string, to: string): void;
  /** Removes a file or a directory with all that is in it; nothing where there is none. */
  remove(path: string): void;
  /** Makes names in a directory durable. */
  syncDirectory(path: string): void;
}

/** What opens files. */
export type FileOpener = Pick<StoreFiles, 'create' | 'reopen'>;

/** Files that somebody has opened: whatever became of them, all can be closed at once. */
export class OpenedFiles implements FileOpener {
  readonly #files: FileOpener;
  readonly #opened: AppendFile[] = [];

  constructor(files: FileOpener) {
    this.#files = files;
  }

  create(path: string): AppendFile {
    return this.#keep(this.#files.create(path));
  }

  reopen(path: string, length: number): AppendFile {
    return this.#keep(this.#files.reopen(path, length));
  }

  close(): void {
    for (const file of this.#opened.splice(0)) {
      try {
        file.close();
      } catch {
        // A descriptor whose last write failed may say so again; it is gone all the same.
      }
    }
  }

  #keep(file: AppendFile): AppendFile {
    this.#opened.push(file);
    return file;
  }
}

/** Writes a whole small file in place of the one before: at any moment one of the two is there. */
export function replaceFile(files: StoreFiles, path: string, text: string): void {
  const temporary = `${path}.new`;
  files.remove(temporary);
  const file = files.create(temporary);
  try {
    file.append([Buffer.from(text)]);
    file.sync();
  } finally {
    file.close();
  }
  files.rename(temporary, path);
  files.syncDirectory(dirname(path));
}

// writev takes at most IOV_MAX buffers at once.
const IOVECS_MAX = 1024;

function diskFile(path: string, kept: number | null): AppendFile {
  const fd = openSync(path, kept === null ? 'wx' : constants.O_WRONLY | constants.O_APPEND, 0o600);
  chmodSync(path, 0o600);
  if (kept !== null) ftruncateSync(fd, kept);
  const raw: RawFile = {
    write(chunks) {
      for (let at = 0; at < chunks.length; at += IOVECS_MAX) {
        writeAll(fd, chunks.slice(at, at + IOVECS_MAX));
      }
    },
    sync: () => fdatasyncSync(fd),
    close: () => closeSync(fd),
  };
  return new GrowingFile(path, raw, kept);
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
  create: (path) => diskFile(path, null),
  reopen: (path, length) => diskFile(path, length),
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
};
