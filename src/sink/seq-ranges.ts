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

  /** What of it is not above a seq. */
  upTo(last: number): SeqRanges {
    const beyond = this.#beyond
      .filter(([from]) => from <= last)
      .map(([from, to]): SeqRange => [from, Math.min(to, last)]);
    return new SeqRanges(Math.min(this.#through, last), beyond);
  }

  /** How many of the seqs from `first` to `last` are in it. */
  count(first: number, last: number): number {
    const parts: readonly SeqRange[] = [[1, this.#through], ...this.#beyond];
    return parts.reduce(
      (sum, [from, to]) => sum + Math.max(0, Math.min(to, last) - Math.max(from, first) + 1),
      0,
    );
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
