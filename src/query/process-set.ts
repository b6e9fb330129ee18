// Sets of processes, as values: what a plan and every executor can take as a predicate.

/** Processes of one boot by (pid, pstart), each with how many forks it is away from where the set began. */
export class ProcessSet {
  readonly #byPid = new Map<number, Map<bigint, number>>();
  #size = 0;
  #sorted: Uint32Array | null = null;

  get size(): number {
    return this.#size;
  }

  /** False where it is in the set already. */
  add(pid: number, pstart: bigint, depth: number): boolean {
    let starts = this.#byPid.get(pid);
    if (starts === undefined) {
      starts = new Map();
      this.#byPid.set(pid, starts);
      this.#sorted = null;
    }
    if (starts.has(pstart)) return false;
    starts.set(pstart, depth);
    this.#size++;
    return true;
  }

  has(pid: number, pstart: bigint): boolean {
    return this.#byPid.get(pid)?.has(pstart) ?? false;
  }

  /** Forks between it and where the set began; null where it is not in the set. */
  depthOf(pid: number, pstart: bigint): number | null {
    return this.#byPid.get(pid)?.get(pstart) ?? null;
  }

  /** True where one of its pids lies in a range, ends included. */
  hasPidIn(min: number, max: number): boolean {
    this.#sorted ??= Uint32Array.from(this.#byPid.keys()).sort();
    const pids = this.#sorted;
    let [low, high] = [0, pids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((pids[middle] ?? 0) < min) low = middle + 1;
      else high = middle;
    }
    return low < pids.length && (pids[low] ?? 0) <= max;
  }

  *[Symbol.iterator](): Generator<readonly [pid: number, pstart: bigint]> {
    for (const [pid, starts] of this.#byPid)
      for (const pstart of starts.keys()) yield [pid, pstart];
  }
}

/** Sets by the boot that they are of: see bootKey(). */
export type ProcessSets = ReadonlyMap<string, ProcessSet>;
