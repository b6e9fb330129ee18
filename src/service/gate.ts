// Work that is dear and that anybody can ask for: so much at once, so much that waits, and so much of one peer.

import { TapioError } from '../errors.ts';

export interface GateLimits {
  /** Done at once. */
  readonly atOnce: number;
  /** Wait or are done. */
  readonly most: number;
  /** Of these, for one peer. */
  readonly perPeer: number;
}

/** Lets work through. */
export class Gate {
  readonly #limits: GateLimits;
  readonly #waiting: (() => void)[] = [];
  readonly #byPeer = new Map<string, number>();
  #all = 0;
  #running = 0;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** Does it when it is its turn. Throws TapioError('exhausted') at once where too much waits already. */
  async pass<T>(peer: string, work: () => Promise<T>): Promise<T> {
    const { atOnce, most, perPeer } = this.#limits;
    const own = this.#byPeer.get(peer) ?? 0;
    if (this.#all >= most || own >= perPeer) {
      throw new TapioError(
        'exhausted',
        'too many tokens wait to be looked at: try again in a second',
      );
    }
    this.#all++;
    this.#byPeer.set(peer, own + 1);
    try {
      if (this.#running < atOnce) this.#running++;
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      try {
        return await work();
      } finally {
        // Whoever waits takes the place over.
        const next = this.#waiting.shift();
        if (next === undefined) this.#running--;
        else next();
      }
    } finally {
      this.#all--;
      const left = (this.#byPeer.get(peer) ?? 1) - 1;
      if (left === 0) this.#byPeer.delete(peer);
      else this.#byPeer.set(peer, left);
    }
  }
}
