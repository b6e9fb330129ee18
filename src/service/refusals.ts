// What is written of refusals. Whoever knocks as fast as they can must not fill the disk: what is refused again and again is
// counted, and told by one line.

import { TapioError } from '../errors.ts';
import type { AuditEntry } from './audit.ts';

/** Alike refusals of one peer within this are one line, ms. */
const SAME_MS = 1000;
/** Lines in such a time, whoever is refused and why. */
const LINES_MAX = 20;

/** A refusal as the audit is told of it; `count`: how many more were alike, or left out. */
export type Denied = AuditEntry & { readonly reason: string; readonly count?: number };

interface Kept {
  readonly entry: Denied;
  more: number;
}

export interface RefusalsOptions {
  /** Notes a refusal durably. */
  readonly denied: (entry: Denied) => Promise<void>;
  /** Told where a count could not be noted. */
  readonly say: (text: string) => void;
}

/** Where a peer is, without the port: each connection has another. */
export const hostOf = (address: string): string => address.replace(/:\d+$/, '');

const keyOf = ({ identity, method, peer, reason }: Denied): string =>
  JSON.stringify([identity, method, hostOf(peer), reason]);

/**
 * Notes refusals: the first of its kind at once, those alike that follow within a second as a count. More kinds in a second
 * than can be told are counted together.
 */
export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #kept = new Map<string, Kept>();
  #beyond = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** Resolves once the refusal is durable or counted. Rejects as AuditLog.denied(). */
  async denied(entry: Denied): Promise<void> {
    const key = keyOf(entry);
    const kept = this.#kept.get(key);
    this.#timer ??= setTimeout(() => void this.flush(), SAME_MS);
    if (kept !== undefined) {
      kept.more++;
      return;
    }
    if (this.#kept.size >= LINES_MAX) {
      this.#beyond++;
      return;
    }
    this.#kept.set(key, { entry, more: 0 });
    await this.#options.denied(entry);
  }

  /** Notes what was counted; what comes from now on is of another second. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const again = [...this.#kept.values()]
      .filter(({ more }) => more > 0)
      .map(({ entry, more }) => ({ ...entry, peer: hostOf(entry.peer), request: {}, count: more }));
    const reason = 'refusals of more kinds than are told one by one in a second';
    const others = { identity: null, method: '', request: {}, peer: '', reason };
    const lines: Denied[] =
      this.#beyond === 0 ? again : [...again, { ...others, count: this.#beyond }];
    this.#kept.clear();
    this.#beyond = 0;
    await Promise.all(lines.map((line) => this.#options.denied(line))).catch((error) => {
      if (!(error instanceof TapioError)) throw error;
      this.#options.say(error.message);
    });
  }
}
