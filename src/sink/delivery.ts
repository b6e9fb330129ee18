// Gets events to a receiver, whatever happens to it: so many are under way, and those that were returned are sent again
// after a while, ever longer while nothing is taken.

import type { OnwardEvent, Outcomes, Sink } from './sink.ts';

/** How long what was returned waits at first, and at most, ms. */
export const BACKOFF_MS_MIN = 100;
export const BACKOFF_MS_MAX = 30_000;

export interface DeliveryOptions {
  readonly make: (outcomes: Outcomes) => Promise<Sink>;
  /** Told of each event once: it is there, or, with a reason, never will be. */
  readonly settled: (event: OnwardEvent, refused: string | null) => void;
  /** Told of trouble, once for each kind, and of its end; in sentences. */
  readonly say: (text: string) => void;
  /** Waits so long, or until the delivery ends. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** In [0, 1): many recorders must not come back at the same moment. */
  readonly random: () => number;
  /** ms, for what is said. */
  readonly now: () => number;
}

/** What became of events so far. */
export interface DeliveryCounts {
  /** Without the repeats. */
  readonly sent: number;
  readonly taken: number;
  readonly refused: number;
  /** Times that events were returned. */
  readonly returned: number;
}

/** A way to one receiver that does not give up. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #sink: Sink;
  readonly #ended = new AbortController();
  /** Sent, and neither taken nor refused: those that wait to be sent again as well. */
  readonly #underWay = new Set<OnwardEvent>();
  #again: OnwardEvent[] = [];
  #backoffMs = 0;
  #isWaiting = false;
  /** What is wrong, since when, and what else was said since. */
  #trouble: { readonly since: number; readonly said: Set<string> } | null = null;
  #wakes: (() => void)[] = [];
  readonly counts = { sent: 0, taken: 0, refused: 0, returned: 0 };

  private constructor(options: DeliveryOptions, sink: Sink) {
    this.#options = options;
    this.#sink = sink;
  }

  /** Opens the way; the receiver need not be there yet. Throws TapioError('usage') as the sink does. */
  static async open(options: DeliveryOptions): Promise<Delivery> {
    const early: { delivery: Delivery | null } = { delivery: null };
    const to = (): Delivery => {
      if (early.delivery === null) throw new Error('a sink gives no outcome before it is asked');
      return early.delivery;
    };
    const sink = await options.make({
      taken: (event) => to().#taken(event),
      refused: (event, reason) => to().#refused(event, reason),
      returned: (event, reason) => to().#returned(event, reason),
    });
    early.delivery = new Delivery(options, sink);
    return early.delivery;
  }

  /** Where it leads. */
  get place(): string {
    return this.#sink.place;
  }

  /** Events that are neither taken nor refused. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** What is wrong now, in a word for a status; null while events are taken. */
  get trouble(): string | null {
    return this.#trouble === null ? null : ([...this.#trouble.said].at(-1) ?? null);
  }

  /** Sends events in their order, as there is room for them; false where the delivery ended before. */
  async send(events: readonly OnwardEvent[]): Promise<boolean> {
    for (let at = 0; at < events.length; ) {
      const room = this.#isWaiting ? 0 : this.#sink.window - this.#underWay.size;
      if (this.#ended.signal.aborted) return false;
      if (room <= 0) {
        await this.#change();
        continue;
      }
      const some = events.slice(at, at + room);
      at += some.length;
      for (const event of some) this.#underWay.add(event);
      this.counts.sent += some.length;
      this.#sink.send(some);
    }
    return true;
  }

  /** Waits until all that was sent is taken or refused; false where the delivery ended before. */
  async settle(): Promise<boolean> {
    while (this.#underWay.size > 0 && !this.#ended.signal.aborted) await this.#change();
    return this.#underWay.size === 0;
  }

  /** Ends it; whoever waits goes on. Gives how many events are neither taken nor refused. */
  async close(): Promise<number> {
    this.#ended.abort();
    this.#wake();
    await this.#sink.close();
    return this.#underWay.size;
  }

  #taken(event: OnwardEvent): void {
    if (!this.#underWay.delete(event)) return;
    this.counts.taken++;
    this.#backoffMs = 0;
    if (this.#trouble !== null) {
      const seconds = ((this.#options.now() - this.#trouble.since) / 1000).toFixed(1);
      this.#options.say(`${this.place} takes events again, after ${seconds} s`);
      this.#trouble = null;
    }
    this.#options.settled(event, null);
    this.#wake();
  }

  #refused(event: OnwardEvent, reason: string): void {
    if (!this.#underWay.delete(event)) return;
    this.counts.refused++;
    this.#options.settled(event, reason);
    this.#wake();
  }

  #returned(event: OnwardEvent, reason: string): void {
    if (!this.#underWay.has(event)) return;
    this.counts.returned++;
    this.#again.push(event);
    this.#trouble ??= { since: this.#options.now(), said: new Set() };
    if (!this.#trouble.said.has(reason)) {
      this.#trouble.said.add(reason);
      this.#options.say(`${this.place} does not take events: ${reason}; they are sent again`);
    }
    if (!this.#isWaiting) void this.#sendAgain();
  }

  /** Sends again what was returned, after a while. */
  async #sendAgain(): Promise<void> {
    this.#isWaiting = true;
    const { signal } = this.#ended;
    this.#backoffMs = Math.min(BACKOFF_MS_MAX, Math.max(BACKOFF_MS_MIN, this.#backoffMs * 2));
    const half = this.#backoffMs / 2;
    await this.#options.sleep(half + half * this.#options.random(), signal);
    this.#isWaiting = false;
    if (signal.aborted) return;
    const events = this.#again.sort((a, b) => (a.seq < b.seq ? -1 : 1));
    this.#again = [];
    this.#sink.send(events);
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakes.push(resolve));
  }

  #wake(): void {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  }
}
