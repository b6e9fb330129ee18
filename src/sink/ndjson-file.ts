// A file of lines that is appended to, durably, and rotated: PATH is written to, PATH.1 is the one before, and so on. A line
// is there whole or not at all, for whoever goes on.

import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../errors.ts';
import type { LineTarget } from './ndjson.ts';

const MODE = 0o600;
const NEWLINE = '\n'.charCodeAt(0);
/** Read at once while the end of the last whole line is looked for. */
const LOOK_BYTES = 64 * 1024;

export interface LineFileOptions {
  readonly path: string;
  /** A file that would grow beyond is put aside. */
  readonly rotateBytes: number;
  /** Files that were put aside and are kept. */
  readonly keep: number;
  readonly groupBytes: number;
}

interface Opened {
  readonly handle: FileHandle;
  readonly inode: bigint;
  /** Bytes that are durable; it ends with a whole line. */
  length: number;
}

export class LineFile implements LineTarget {
  readonly groupBytes: number;
  readonly #options: LineFileOptions;
  #opened: Opened | null = null;
  #busy: Promise<void> = Promise.resolve();

  constructor(options: LineFileOptions) {
    this.#options = options;
    this.groupBytes = options.groupBytes;
  }

  append(lines: Buffer): Promise<void> {
    const done = this.#append(lines);
    this.#busy = done.catch(() => {});
    return done;
  }

  async close(): Promise<void> {
    await this.#busy;
    await this.#letGo();
  }

  async #append(lines: Buffer): Promise<void> {
    try {
      let file = await this.#ready();
      if (file.length > 0 && file.length + lines.length > this.#options.rotateBytes) {
        await this.#rotate();
        file = await this.#ready();
      }
      for (let at = 0; at < lines.length; ) {
        at += (await file.handle.write(lines, at)).bytesWritten;
      }
      await file.handle.datasync();
      file.length += lines.length;
    } catch (error) {
      await this.#undo();
      const code = systemCode(error);
      const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : `${code}`;
      throw new Error(`${this.#options.path} cannot be written (${reason})`, { cause: error });
    }
  }

  /** The file that is at the path now: somebody else may have moved ours away. */
  async #ready(): Promise<Opened> {
    const { path } = this.#options;
    const inode = await stat(path, { bigint: true }).then(
      ({ ino }) => ino,
      () => null,
    );
    if (this.#opened !== null && this.#opened.inode === inode) return this.#opened;
    await this.#letGo();
    const handle = await open(
      path,
      constants.O_RDWR | constants.O_APPEND | constants.O_CREAT,
      MODE,
    );
    try {
      const status = await handle.stat({ bigint: true });
      const length = status.isFile() ? await wholeLines(handle, Number(status.size)) : 0;
      if (status.isFile() && length < Number(status.size)) await handle.truncate(length);
      if (inode === null) await syncDirectory(dirname(path));
      this.#opened = { handle, inode: status.ino, length };
      return this.#opened;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Puts the file aside, and the oldest away. */
  async #rotate(): Promise<void> {
    const { path, keep } = this.#options;
    await this.#letGo();
    await rm(`${path}.${keep}`, { force: true });
    for (let number = keep - 1; number >= 0; number--) {
      const from = number === 0 ? path : `${path}.${number}`;
      await rename(from, `${path}.${number + 1}`).catch((error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error;
      });
    }
    await syncDirectory(dirname(path));
  }

  /** Takes away what was written of lines that failed. What cannot be done now is done when it is opened again. */
  async #undo(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    // Not where the file is none, as /dev/full.
    await opened.handle.truncate(opened.length).catch(() => {});
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    // A descriptor whose last write failed may say so again.
    await opened?.handle.close().catch(() => {});
  }
}

/** How many bytes of a file are whole lines. */
async function wholeLines(handle: FileHandle, size: number): Promise<number> {
  const buffer = Buffer.alloc(LOOK_BYTES);
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - LOOK_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, end - from, from);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (at >= 0) return from + at + 1;
    end = from;
  }
  return 0;
}

/** Makes names in a directory durable. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
