// How much an identity may be sent, and in how many streams at once.

import { TapioError } from '../errors.ts';
import { type Identity, namesOf, shownName } from './identity.ts';

/** Monotonic time, ms. */
export type Now = () => number;

/** What may be had of something in a second, with a burst of one second's worth. */
export class TokenBucket {
  readonly #now: Now;
  #perSecond: number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, now: Now) {
    this.#now = now;
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#at = now();
  }

  /**
   * Takes so many, and gives how many ms to wait until they may be used: 0 while there are enough. Those who
   * wait have theirs reserved, so that many who share a bucket get what it gives and no more.
   */
  take(count: number): number {
    this.#fill();
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000;
  }

  /** From now on so many; what was reserved stays so. */
  change(perSecond: number): void {
    this.#fill();
    this.#perSecond = perSecond;
    this.#tokens = Math.min(this.#tokens, perSecond);
  }

  /** Nothing that was taken is still missing. */
  get isFull(): boolean {
    this.#fill();
    return this.#tokens >= this.#perSecond;
  }

  #fill(): void {
    const now = this.#now();
    // A clock that goes back gives nothing.
    const passed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + (passed / 1000) * this.#perSecond);
  }
}

/** How much an identity may have; null: as much as there is. */
export interface Rates {
  readonly eventsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
  /** Streams at once. */
  readonly streams: number | null;
}

/** One stream's part. */
export interface Lease {
  /** Takes what is to be sent, and gives how many ms to wait before it is. */
  take(events: number, bytes: number): number;
  /** The stream is over; more than once does no harm. */
  close(): void;
}

class Account {
  streams = 0;
  events: TokenBucket | null = null;
  bytes: TokenBucket | null = null;

  get isIdle(): boolean {
    return this.streams === 0 && [this.events, this.bytes].every((one) => one?.isFull ?? true);
  }
}

/** What each identity is using: its streams share its rates. */
export class Usage {
  readonly #now: Now;
  readonly #accounts = new Map<string, Account>();

  constructor(now: Now) {
    this.#now = now;
  }

  /**
   * Begins a stream of an identity; the rates are those of all its streams from now on. Throws
   * TapioError('exhausted') where it has as many as it may.
   */
  open(identity: Identity, rates: Rates): Lease {
    this.#forgetIdle();
    const [name] = namesOf(identity);
    const account = this.#accounts.get(name) ?? new Account();
    if (rates.streams !== null && account.streams >= rates.streams) {
      throw new TapioError(
        'exhausted',
        `${shownName(identity)} has ${account.streams} streams, as many as the policy allows: end one first`,
      );
    }
    this.#accounts.set(name, account);
    account.streams++;
    account.events = this.#bucket(account.events, rates.eventsPerSecond);
    account.bytes = this.#bucket(account.bytes, rates.bytesPerSecond);
    let isOpen = true;
    return {
      take: (events, bytes) =>
        Math.max(account.events?.take(events) ?? 0, account.bytes?.take(bytes) ?? 0),
      close: () => {
        if (isOpen) account.streams--;
        isOpen = false;
      },
    };
  }

  /** Identities that are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  #bucket(bucket: TokenBucket | null, perSecond: number | null): TokenBucket | null {
    if (perSecond === null) return null;
    if (bucket === null) return new TokenBucket(perSecond, this.#now);
    bucket.change(perSecond);
    return bucket;
  }

  /** Who comes back is not given another burst before its time: only what is full again is forgotten. */
  #forgetIdle(): void {
    for (const [name, account] of this.#accounts) {
      if (account.isIdle) this.#accounts.delete(name);
    }
  }
}
