// What the commands that write rows share.

import { writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { EVENT_TABLES, type EventType } from '../schemas/arrow.ts';

const CHUNK_CHARS = 1 << 16;
/** How long a full pipe is given before it is tried again. */
const FULL_MS = 1;

/** Collects lines and writes them in large pieces; a reader that went away is a normal end. */
export class Output {
  #text = '';
  #closed = false;

  get closed(): boolean {
    return this.#closed;
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

  /** Writes what was added, until `signal` ends it; while the reader is slow, others on this thread go on. */
  async drain(signal?: AbortSignal): Promise<void> {
    let bytes = this.#taken();
    while (bytes.length > 0 && signal?.aborted !== true) {
      bytes = this.#write(bytes);
      if (bytes.length > 0) await setTimeout(FULL_MS);
    }
  }

  #taken(): Buffer {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    return bytes;
  }

  /** Writes until the pipe is full; what is left. */
  #write(bytes: Buffer): Buffer {
    let left = bytes;
    while (left.length > 0 && !this.#closed) {
      try {
        left = left.subarray(writeSync(1, left));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') return left;
        if (code !== 'EPIPE') throw error;
        this.#closed = true;
      }
    }
    return left.subarray(left.length);
  }
}

/** Names of all columns of a type. */
export const allColumns = (type: EventType): string[] =>
  EVENT_TABLES[type].columns.map((c) => c.name);
