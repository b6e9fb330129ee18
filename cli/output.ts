// What the commands that write rows share.

import { writeSync } from 'node:fs';
import { stdout } from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { EVENT_TABLES, type EventType } from '../schemas/arrow.ts';
import { TapioError } from '../src/errors.ts';
import type { Progress } from './progress.ts';

const CHUNK_CHARS = 1 << 16;
/** How long a full pipe is given before it is tried again. */
const FULL_MS = 1;

/**
 * Collects lines and writes them in large pieces; a reader that went away is a normal end. Where standard output
 * takes no more, TapioError('io') is thrown.
 */
export class Output {
  #text = '';
  #closed = false;
  #progress: Progress | null = null;

  get closed(): boolean {
    return this.#closed;
  }

  /** Where rows go to a terminal, they take the place of a bar that is shown there. */
  replaces(progress: Progress): void {
    if (stdout.isTTY) this.#progress = progress;
  }

  line(text: string): void {
    this.add(text);
    if (this.#text.length >= CHUNK_CHARS) this.flush();
  }

  /** A line that waits for drain(). */
  add(text: string): void {
    this.#text += `${text}\n`;
  }

  flush(): void {
    let bytes = this.#taken();
    while (bytes.length > 0) {
      bytes = this.#write(bytes);
      if (bytes.length > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_MS);
    }
  }

  /** Writes what was added; while the reader is slow, others on this thread go on, and may end it. */
  async drain(signal?: AbortSignal): Promise<void> {
    await this.bytes(this.#taken(), () => signal?.aborted === true);
  }

  /** Writes bytes at once; while the reader is slow, others on this thread go on, and may end it. */
  async bytes(bytes: Uint8Array, isEnded: () => boolean = () => false): Promise<void> {
    let left = bytes;
    while (left.length > 0 && !isEnded()) {
      left = this.#write(left);
      if (left.length > 0) await setTimeout(FULL_MS);
    }
  }

  #taken(): Uint8Array {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    return bytes;
  }

  /** Writes until the pipe is full; what is left. */
  #write(bytes: Uint8Array): Uint8Array {
    let left = bytes;
    this.#progress?.clear();
    while (left.length > 0 && !this.#closed) {
      try {
        left = left.subarray(writeSync(1, left));
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') return left;
        if (code !== 'EPIPE') throw refused(code, message);
        this.#closed = true;
      }
    }
    return left.subarray(left.length);
  }
}

function refused(code: string | undefined, message: string): TapioError {
  const why = code === 'ENOSPC' ? 'the disk is full: make room, or' : `${message}:`;
  return new TapioError('io', `standard output takes no more, ${why} send the rows elsewhere`);
}

/** Names of all columns of a type. */
export const allColumns = (type: EventType): string[] =>
  EVENT_TABLES[type].columns.map((c) => c.name);
