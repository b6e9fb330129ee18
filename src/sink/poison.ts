// sinks/NAME.poison.ndjson: events that a receiver will never take, with the reason. It keeps the newest.

import { LineFile } from './ndjson-file.ts';
import type { OnwardEvent } from './sink.ts';

/** Of each of the two files that there are at most, bytes. */
const FILE_BYTES_MAX = 8 * 2 ** 20;
/** So many wait in memory before somebody has to wait for them. */
const WAITING_MAX = 1000;

interface Refused {
  readonly event: OnwardEvent;
  readonly reason: string;
}

/** Events that were refused. */
export class PoisonFile {
  readonly #file: LineFile;
  #waiting: Refused[] = [];

  constructor(path: string) {
    this.#file = new LineFile({
      path,
      rotateBytes: FILE_BYTES_MAX,
      keep: 1,
      groupBytes: FILE_BYTES_MAX,
    });
  }

  /** True where it is time to write. */
  get isFull(): boolean {
    return this.#waiting.length >= WAITING_MAX;
  }

  add(event: OnwardEvent, reason: string): void {
    this.#waiting.push({ event, reason });
  }

  /** Writes what was added, durably; gives those events. Throws where that cannot be, and then keeps them. */
  async write(): Promise<OnwardEvent[]> {
    const taken = this.#waiting;
    if (taken.length === 0) return [];
    const lines = taken.map(
      ({ event: { seq, json }, reason }) =>
        `{"refused":${JSON.stringify(reason)},"seq":${seq},"event":${json}}\n`,
    );
    await this.#file.append(Buffer.from(lines.join('')));
    this.#waiting = this.#waiting.slice(taken.length);
    return taken.map(({ event }) => event);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
