// Lines for stdout.

import { writeSync } from 'node:fs';

const CHUNK_CHARS = 1 << 16;

/** Collects lines and writes them in large pieces; a reader that went away is a normal end. */
export class Output {
  #text = '';
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  line(text: string): void {
    this.#text += `${text}\n`;
    if (this.#text.length >= CHUNK_CHARS) this.flush();
  }

  flush(): void {
    let bytes = Buffer.from(this.#text);
    this.#text = '';
    while (bytes.length > 0 && !this.#closed) {
      try {
        bytes = bytes.subarray(writeSync(1, bytes));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE') this.#closed = true;
        else if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        else throw error;
      }
    }
  }
}
