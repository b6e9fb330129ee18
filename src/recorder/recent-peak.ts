// The largest of what was seen of late. Whoever asks takes nothing away from others who ask.

/** How far it looks back, ms: more than the time between two looks of whoever watches. */
const WINDOW_MS = 60_000;
/** What comes within this is one, ms. */
const STEP_MS = 1000;

export class RecentPeak {
  /** Oldest first. */
  #seen: { readonly at: number; value: number }[] = [];

  /** Notes a value at a time in ms. */
  note(at: number, value: number): void {
    const newest = this.#seen.at(-1);
    if (newest !== undefined && at - newest.at < STEP_MS) {
      newest.value = Math.max(newest.value, value);
    } else {
      this.#forget(at);
      this.#seen.push({ at, value });
    }
  }

  /** The largest of the last minute, at a time in ms; 0 where there was none. */
  at(now: number): number {
    this.#forget(now);
    return Math.max(0, ...this.#seen.map(({ value }) => value));
  }

  #forget(now: number): void {
    this.#seen = this.#seen.filter(({ at }) => now - at < WINDOW_MS);
  }
}
