// Which seqs of a recording are through: all up to one, and ranges beyond it.

/** Seqs from the first to the last, both inclusive. */
export type SeqRange = readonly [first: number, last: number];

/** A growing set of seqs, which begin at 1. */
export class SeqRanges {
  /** In order, apart from one another, and none touches what is below `through`. */
  #beyond: [number, number][];
  #through: number;

  /** Begins with all up to `through`, and what is in `beyond`. */
  constructor(through = 0, beyond: readonly SeqRange[] = []) {
    this.#through = through;
    this.#beyond = [];
    for (const [first, last] of beyond) this.add(first, last);
  }

  /** All seqs up to this one are in it. */
  get through(): number {
    return this.#through;
  }

  /** What is in it beyond, in order. */
  get beyond(): readonly SeqRange[] {
    return this.#beyond;
  }

  has(seq: number): boolean {
    if (seq <= this.#through) return true;
    const at = this.#place(seq);
    const range = this.#beyond[at];
    return range !== undefined && range[0] <= seq;
  }

  /** Adds the seqs from `first` to `last`. */
  add(first: number, last: number = first): void {
    if (last <= this.#through || last < first) return;
    if (first <= this.#through + 1) {
      this.#through = last;
      this.#absorb();
      return;
    }
    // The first range that ends behind, or just before, what is added; those that it touches become one with it.
    const at = this.#place(first - 1);
    let [from, to, end] = [first, last, at];
    for (; end < this.#beyond.length; end++) {
      const [low, high] = this.#beyond[end] as [number, number];
      if (low > last + 1) break;
      from = Math.min(from, low);
      to = Math.max(to, high);
    }
    this.#beyond.splice(at, end - at, [from, to]);
  }

  /** Index of the first range whose last seq is not below `seq`. */
  #place(seq: number): number {
    let [low, high] = [0, this.#beyond.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#beyond[middle] as [number, number])[1] < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #absorb(): void {
    let taken = 0;
    for (const [first, last] of this.#beyond) {
      if (first > this.#through + 1) break;
      this.#through = Math.max(this.#through, last);
      taken++;
    }
    if (taken > 0) this.#beyond.splice(0, taken);
  }
}
