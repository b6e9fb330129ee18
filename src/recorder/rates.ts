// Events per second of late, from counts that only grow.

/** Time that a rate looks back, ms. */
const WINDOW_MS = 10_000;

type Counts = Readonly<Record<string, number>>;

/** Rates over the last ten seconds, or since the start where that is less. */
export class Rates {
  readonly #samples: { readonly at: number; readonly counts: Counts }[] = [];

  /** Notes the counts at a time in ms. */
  sample(at: number, counts: Counts): void {
    this.#samples.push({ at, counts });
    // One sample older than the window stays, to measure from.
    while (at - (this.#samples[1]?.at ?? at) >= WINDOW_MS) this.#samples.shift();
  }

  /** Per second, by the names of the counts. */
  perSecond(): Record<string, number> {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at === first.at) return {};
    const seconds = (last.at - first.at) / 1000;
    return Object.fromEntries(
      Object.entries(last.counts).map(([name, count]) => [
        name,
        (count - (first.counts[name] ?? 0)) / seconds,
      ]),
    );
  }
}
