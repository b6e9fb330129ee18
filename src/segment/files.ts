// Every write to a store goes through here, so that one place knows what is durable, and a test can put
// a file system of its own in the way. Directories are 0700 and files 0600 whatever the umask.

import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type AppendFile, GrowingFile, type RawFile } from './growing-file.ts';

export type { AppendFile, Piece } from './growing-file.ts';

/** What the store needs of a file system. */
export interface StoreFiles {
  /** A directory in one that is there; there may be one of that name. */
  makeDirectory(path: string): void;
  /** A new file; fails where there is one of that name. */
  create(path: string): AppendFile;
  /** A file that is there, cut to `length` bytes, to be appended to. */
  reopen(path: string, length: number): AppendFile;
  /** A new file with the content of another, durable; fails where there is one of that name. */
  copy(from: string, to: string): void;
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

// rmSync gives no code with most errors, and an outage is known by its code.
function removeTree(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'EISDIR') throw error;
    for (const name of readdirSync(path)) removeTree(join(path, name));
    rmdirSync(path);
  }
}

/** The real file system. */
export const diskFiles: StoreFiles = {
  // With `recursive`, every error of the disk would be told as ENOENT.
  makeDirectory(path) {
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
    chmodSync(path, 0o700);
  },
  create: (path) => diskFile(path, null),
  reopen: (path, length) => diskFile(path, length),
  // Blocks are shared where the file system can; elsewhere the kernel copies them.
  copy(from, to) {
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    chmodSync(to, 0o600);
    const fd = openSync(to, 'r');
    try {
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  rename: renameSync,
  remove: removeTree,
  syncDirectory(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
};
