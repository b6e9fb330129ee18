// What is masked in command lines: which patterns hold, for rows (where the source masks) and for what /proc tells, and
// how many secrets they found.

import type {
  MaskedCounts,
  NativeSecretMask,
  SecretNative,
  SecretPattern,
} from '../source/secrets.ts';

function added(a: MaskedCounts, b: MaskedCounts, sign: 1 | -1): Record<string, number> {
  const out: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) out[name] = (out[name] ?? 0) + sign * count;
  return Object.fromEntries(Object.entries(out).filter(([, count]) => count > 0));
}

/** The mask of a recording, which changes with a segment. */
export class Mask {
  readonly #native: SecretNative;
  /** Every pattern that was ever wanted: the source says by names which of them hold. */
  readonly #patterns = new Map<string, SecretPattern>();
  #wanted: readonly string[] = [];
  #names: readonly string[] = [];
  #secrets: NativeSecretMask | null = null;
  /** Found in what /proc told: before the open segment, and as of its last commit. */
  #toldBefore: MaskedCounts = {};
  #told: MaskedCounts = {};
  /** Of the segments before, and of the open one. */
  #before: MaskedCounts = {};
  #here: MaskedCounts = {};

  constructor(native: SecretNative, patterns: readonly SecretPattern[]) {
    this.#native = native;
    this.want(patterns);
    this.begin();
  }

  /** Names of the patterns of the open segment. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Another segment is to be masked by these. True where they are others. */
  want(patterns: readonly SecretPattern[]): boolean {
    for (const one of patterns) this.#patterns.set(one.name, one);
    const names = patterns.map(({ name }) => name);
    const changes = names.join('\0') !== this.#wanted.join('\0');
    this.#wanted = names;
    return changes;
  }

  /** A segment begins, masked by these, or those that are wanted. True where they are others than before. */
  begin(names: readonly string[] = this.#wanted): boolean {
    this.#before = this.total();
    this.#here = {};
    this.#toldBefore = this.#told;
    if (names.join('\0') === this.#names.join('\0')) return false;
    this.#names = names;
    const patterns = names.flatMap((name) => this.#patterns.get(name) ?? []);
    this.#secrets = patterns.length === 0 ? null : new this.#native.SecretMask(patterns);
    this.#toldBefore = this.#told = {};
    return true;
  }

  /** Arguments that /proc told, without their secrets. `cut`: the last of them went on. */
  hide(args: readonly string[], cut: boolean): readonly string[] {
    return this.#secrets?.hide(args, cut) ?? args;
  }

  /** What the open segment is without as of a commit; `rows`: of that what its rows are. */
  commit(rows: MaskedCounts): MaskedCounts {
    this.#told = this.#secrets?.masked() ?? {};
    this.#here = added(rows, added(this.#told, this.#toldBefore, -1), 1);
    return this.#here;
  }

  /** Of the whole recording so far. */
  total(): MaskedCounts {
    return added(this.#before, this.#here, 1);
  }
}
