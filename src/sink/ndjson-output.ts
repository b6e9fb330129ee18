// Lines to a descriptor such as the standard output. Not through process.stdout, which stops the whole program while
// nobody reads from a pipe.

import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemCode } from '../errors.ts';
import type { LineTarget } from './ndjson.ts';

/** A pipe holds 64 KiB: what is read of it in this time goes on without a pause. */
const AGAIN_MS = 1;
const CLOSED = 'the standard output was closed';

const writeSome = promisify(write);

export class LineOutput implements LineTarget {
  readonly groupBytes: number;
  readonly #descriptor: number;
  /** Opened here. */
  readonly #isOwn: boolean;
  /** Why nothing can be written any more; a reader that went does not come back. */
  #gone: string | null = null;
  #busy: Promise<void> = Promise.resolve();

  constructor(descriptor: number, groupBytes: number) {
    const own = withoutWaiting(descriptor);
    this.#descriptor = own ?? descriptor;
    this.#isOwn = own !== null;
    this.groupBytes = groupBytes;
  }

  append(lines: Buffer): Promise<void> {
    const done = this.#append(lines);
    this.#busy = done.catch(() => {});
    return done;
  }

  async close(): Promise<void> {
    this.#gone ??= CLOSED;
    await this.#busy;
    if (this.#isOwn) closeSync(this.#descriptor);
  }

  async #append(lines: Buffer): Promise<void> {
    for (let at = 0; at < lines.length; ) {
      if (this.#gone !== null) throw new Error(this.#gone);
      try {
        at += (await writeSome(this.#descriptor, lines, at)).bytesWritten;
      } catch (error) {
        const code = systemCode(error);
        if (code === 'EAGAIN') {
          await sleep(AGAIN_MS);
          continue;
        }
        const reason = `the standard output cannot be written (${code})`;
        if (code === 'EPIPE' || code === 'EBADF') this.#gone = reason;
        throw new Error(reason, { cause: error });
      }
    }
  }
}

/**
 * The same pipe by a descriptor that never waits, or null. A thread that waits in a write would keep the program from
 * ending; the descriptor that was given is shared with other programs, so its way stays as it is.
 */
function withoutWaiting(descriptor: number): number | null {
  try {
    if (!fstatSync(descriptor).isFIFO()) return null;
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}
