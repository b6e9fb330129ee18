// Lines to a descriptor such as the standard output. Not through process.stdout, which stops the whole program while
// nobody reads from a pipe: a write waits on a thread of its own.

import { write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemCode } from '../errors.ts';
import type { LineTarget } from './ndjson.ts';

const AGAIN_MS = 10;

const writeSome = promisify(write);

export class LineOutput implements LineTarget {
  readonly groupBytes: number;
  readonly #descriptor: number;
  /** Why nothing can be written any more; a reader that went does not come back. */
  #gone: string | null = null;

  constructor(descriptor: number, groupBytes: number) {
    this.#descriptor = descriptor;
    this.groupBytes = groupBytes;
  }

  async append(lines: Buffer): Promise<void> {
    if (this.#gone !== null) throw new Error(this.#gone);
    for (let at = 0; at < lines.length; ) {
      try {
        at += (await writeSome(this.#descriptor, lines, at)) as unknown as number;
      } catch (error) {
        const code = systemCode(error);
        if (code === 'EAGAIN') {
          // A descriptor that does not wait is full.
          await sleep(AGAIN_MS);
          continue;
        }
        const reason = `the standard output cannot be written (${code})`;
        if (code === 'EPIPE' || code === 'EBADF') this.#gone = reason;
        throw new Error(reason, { cause: error });
      }
    }
  }

  async close(): Promise<void> {
    this.#gone ??= 'the standard output was closed';
  }
}
