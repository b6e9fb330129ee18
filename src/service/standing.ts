// For how long an identity holds: a stream may outlive the token that it was begun with.

import { TapioError } from '../errors.ts';
import type { Identity } from './identity.ts';

/** Calls back with why, once an identity no longer holds; gives what stops that. */
export type Watch = (ended: (why: TapioError) => void) => () => void;

/** Whom a token was made sure to be of. */
export interface Proof {
  readonly identity: Identity;
  readonly watch: Watch;
}

/** Somebody could not be made sure of; `claimed`: whom they said to be, as far as that can be told. */
export class Unproven extends TapioError {
  readonly claimed: Identity | null;

  constructor(message: string, claimed: Identity | null = null) {
    super('unauthenticated', message);
    this.claimed = claimed;
  }
}

/** Those who want to hear that something has ended. */
export class Watchers {
  readonly #all = new Set<(why: TapioError) => void>();
  #why: TapioError | null = null;

  readonly watch: Watch = (ended) => {
    // It may have been while somebody was about to ask.
    if (this.#why !== null) ended(this.#why);
    // The same function may come again, for another stream.
    const own = (why: TapioError): void => ended(why);
    if (this.#why === null) this.#all.add(own);
    return () => this.#all.delete(own);
  };

  /** Tells each of them, once. */
  end(why: TapioError): void {
    this.#why = why;
    const all = [...this.#all];
    this.#all.clear();
    for (const ended of all) ended(why);
  }
}
