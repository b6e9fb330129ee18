// What was served, counted where it happens.

import { TapioError } from '../errors.ts';

/** Counts since the thread that serves began. */
export class ServiceCounters {
  /** Streams that are open, and all that were begun. */
  open = 0;
  streams = 0;
  /** Rows that were given out, in streams and pages. */
  rows = 0;
  /** Rows that clients were told they missed. */
  missed = 0;
  readonly #refused = new Map<string, number>();

  /** Calls that ended with an error, by its code; `internal` where it is none of ours. */
  get refused(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refused);
  }

  /** A call ended with an error. */
  refuse(error: unknown): void {
    const code = error instanceof TapioError ? error.code : 'internal';
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }
}
