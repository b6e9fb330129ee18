// Events that were sent and wait for their acknowledgement, by the key that it names.

import type { OnwardEvent } from './sink.ts';

interface Waiting {
  readonly event: OnwardEvent;
  /** When the acknowledgement is given up, ms. */
  readonly due: number;
}

export class UnderWay<Key> {
  /** In the order in which they were sent. */
  readonly #waiting = new Map<Key, Waiting>();
  #emptied: (() => void) | null = null;

  has(key: Key): boolean {
    return this.#waiting.has(key);
  }

  /** `due`: when its acknowledgement is given up, by performance.now(). */
  add(key: Key, event: OnwardEvent, due: number): void {
    this.#waiting.set(key, { event, due });
  }

  /** The event of a key, which does not wait any longer; undefined where none waits by it. */
  take(key: Key): OnwardEvent | undefined {
    const event = this.#waiting.get(key)?.event;
    this.#waiting.delete(key);
    this.#tell();
    return event;
  }

  /** Takes those for which something holds. */
  takeWhere(holds: (event: OnwardEvent) => boolean): OnwardEvent[] {
    const taken: OnwardEvent[] = [];
    for (const [key, { event }] of this.#waiting) {
      if (!holds(event)) continue;
      this.#waiting.delete(key);
      taken.push(event);
    }
    this.#tell();
    return taken;
  }

  /** Takes those that wait for too long. */
  takeLate(): OnwardEvent[] {
    const now = performance.now();
    const taken: OnwardEvent[] = [];
    for (const [key, { event, due }] of this.#waiting) {
      if (due > now) break;
      this.#waiting.delete(key);
      taken.push(event);
    }
    this.#tell();
    return taken;
  }

  /** Waits until none is left, so many ms at most. */
  async settle(ms: number): Promise<void> {
    if (this.#waiting.size === 0) return;
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    const timer = setTimeout(() => this.#emptied?.(), ms);
    await emptied;
    clearTimeout(timer);
  }

  #tell(): void {
    if (this.#waiting.size === 0) this.#emptied?.();
  }
}
