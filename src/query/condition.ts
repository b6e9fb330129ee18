// Conditions that the kernel can check, and the chains of tests that they become (bpf/filter.h).

import type { PushedFilter, PushedTest } from '../source/binding.ts';

const TESTS_MAX = 248;
const PASS = 254;
const REJECT = 255;
/** Tests of one op: the first of these limits with which all ops fit together. */
const LIMITS = [64, 32, 16, 8, 4, 2, 1];

/** A test of one word, or of two with a mask. */
export type Test = Omit<PushedTest, 'pass' | 'fail'>;
/** What events must be like. */
export type Condition =
  | { readonly kind: 'always' | 'never' }
  | { readonly kind: 'test'; readonly test: Test }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] };

export const ALWAYS: Condition = { kind: 'always' };
export const NEVER: Condition = { kind: 'never' };

export function combined(kind: 'all' | 'any', conditions: readonly Condition[]): Condition {
  const [decides, idle] = kind === 'all' ? [NEVER, ALWAYS] : [ALWAYS, NEVER];
  const flat = conditions.flatMap((one) => (one.kind === kind ? one.of : [one]));
  if (flat.some((one) => one.kind === decides.kind)) return decides;
  const of = flat.filter((one) => one.kind !== idle.kind);
  return of.length > 1 ? { kind, of } : (of[0] ?? idle);
}
export const all = (conditions: readonly Condition[]): Condition => combined('all', conditions);
export const any = (conditions: readonly Condition[]): Condition => combined('any', conditions);

/** Holds where the other does not. */
export function opposite(condition: Condition): Condition {
  switch (condition.kind) {
    case 'always':
      return NEVER;
    case 'never':
      return ALWAYS;
    case 'test':
      return { ...condition, test: { ...condition.test, inverted: !condition.test.inverted } };
    default:
      return combined(condition.kind === 'all' ? 'any' : 'all', condition.of.map(opposite));
  }
}

/** Number of tests. */
const sizeOf = (condition: Condition): number =>
  'of' in condition
    ? condition.of.reduce((sum, one) => sum + sizeOf(one), 0)
    : Number(condition.kind === 'test');

/** A condition of no more than so many tests, which is weaker where it had more. */
function limited(condition: Condition, limit: number): Condition {
  if (sizeOf(condition) <= limit) return condition;
  if (condition.kind === 'any') {
    const share = Math.floor(limit / condition.of.length);
    return any(condition.of.map((one) => limited(one, share)));
  }
  if (condition.kind !== 'all') return ALWAYS;
  let rest = limit;
  const kept: Condition[] = [];
  for (const one of condition.of.toSorted((a, b) => sizeOf(a) - sizeOf(b))) {
    kept.push(limited(one, rest));
    rest -= sizeOf(kept.at(-1) ?? ALWAYS);
  }
  return all(kept);
}

/** Chains of tests, the last ones first: what a test goes on to is there before it. */
class Chains {
  readonly tests: PushedTest[] = [];
  readonly #known = new Map<string, number>();

  /** The first test of a condition after which `pass` or `fail` follows, or the one that follows at once. */
  add(condition: Condition, pass: number, fail: number): number {
    switch (condition.kind) {
      case 'always':
        return pass;
      case 'never':
        return fail;
      case 'test':
        return this.#test({ ...condition.test, pass, fail });
      case 'all':
        return condition.of.reduceRight((next, one) => this.add(one, next, fail), pass);
      case 'any':
        return condition.of.reduceRight((next, one) => this.add(one, pass, next), fail);
    }
  }

  #test(test: PushedTest): number {
    const key = JSON.stringify(test, (_, one) => (typeof one === 'bigint' ? `${one}` : one));
    const known = this.#known.get(key) ?? this.tests.push(test) - 1;
    this.#known.set(key, known);
    return known;
  }
}

function assembled(conditions: ReadonlyMap<number, Condition>): PushedFilter | null {
  const chains = new Chains();
  const ops = [...conditions].map(([op, one]) => ({ op, entry: chains.add(one, PASS, REJECT) }));
  const count = chains.tests.length;
  if (count > TESTS_MAX) return null;
  // Jumps lead forward: what was made first comes last.
  const place = (target: number): number => (target >= PASS ? target : count - 1 - target);
  const tests = chains.tests
    .map((test) => ({ ...test, pass: place(test.pass), fail: place(test.fail) }))
    .reverse();
  return { tests, ops: ops.map(({ op, entry }) => ({ op, entry: place(entry) })) };
}

/** The chains of all ops by their conditions; null where everything passes. */
export function assemble(conditions: ReadonlyMap<number, Condition>): PushedFilter | null {
  for (const limit of LIMITS) {
    const weaker = new Map([...conditions].map(([op, one]) => [op, limited(one, limit)]));
    if ([...weaker.values()].every(({ kind }) => kind === 'always')) return null;
    const made = assembled(weaker);
    if (made !== null) return made;
  }
  return null;
}
