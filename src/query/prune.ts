// Which batches a predicate can be true in, by their zones. Each node gives the outcomes that some row may
// have, never too few: true, false, or neither where all that can come of it is an error. So !(pid == 5) rules
// out a batch whose pid is always 5. Nothing becomes true by an error, which is why none is noted.

import { COMMON } from '../../schemas/events.ts';
import { hashNumber, hashText, mayHave } from '../segment/bloom.ts';
import {
  type Bool,
  comparePoints,
  countPoints,
  fieldsIn,
  INT_MAX,
  INT_MIN,
  type Int,
  isInNetworks,
  isOrder,
  type Range,
  relates,
  type Text,
} from './predicate.ts';

/**
 * What is known of a batch's columns: smallest and largest number, or all strings, of the rows where they are
 * not null. Zones of segments are of this form. Columns without a zone may hold anything.
 */
export type KnownZones = Readonly<
  Record<
    string,
    | {
        readonly min: number | bigint;
        readonly max: number | bigint;
        /** What it does not have, no row has: see src/segment/bloom.ts. */
        readonly bloom?: string;
      }
    | { readonly in: readonly string[] }
    | { readonly bloom: string }
  >
>;

/** Outcomes; a set of them is their sum. */
const TRUE = 1;
const FALSE = 2;
const EITHER = TRUE | FALSE;

/** Integers that an operand may be; none where low > high. */
interface Ints {
  readonly low: bigint;
  readonly high: bigint;
}

const NONE: Ints = { low: 1n, high: 0n };
const LENGTH_MAX = 2n ** 32n;
/** Numbers that are worth looking for one by one. */
const SINGLES_MAX = 64;
/** Pairs of strings that are worth looking at. */
const PAIRS_MAX = 4096;

/** A bound out of JSON is exact only among the safe integers. */
function bound(value: number | bigint, otherwise: bigint): bigint {
  if (typeof value === 'bigint') return value;
  return Number.isSafeInteger(value) ? BigInt(value) : otherwise;
}

const min = (values: readonly bigint[]): bigint => values.reduce((a, b) => (b < a ? b : a));
const max = (values: readonly bigint[]): bigint => values.reduce((a, b) => (b > a ? b : a));

/** What lies beyond integers is an error. */
function between(low: bigint, high: bigint): Ints {
  return { low: low < INT_MIN ? INT_MIN : low, high: high > INT_MAX ? INT_MAX : high };
}

function quotient(a: Ints, b: Ints): Ints {
  // The divisors nearest to zero make the largest quotients: one on each side.
  const divisors = [b.low, b.high, -1n, 1n].filter((d) => d !== 0n && d >= b.low && d <= b.high);
  if (divisors.length === 0) return NONE;
  const corners = [a.low, a.high].flatMap((n) => divisors.map((d) => n / d));
  return between(min(corners), max(corners));
}

function remainder(a: Ints, b: Ints): Ints {
  const largest = max([b.high, -b.low]) - 1n;
  if (largest < 0n) return NONE;
  // It has the sign of the dividend, and is no larger than that.
  const low = a.low >= 0n ? 0n : max([a.low, -largest]);
  const high = a.high <= 0n ? 0n : min([a.high, largest]);
  return between(low, high);
}

function arith(op: '+' | '-' | '*' | '/' | '%', a: Ints, b: Ints): Ints {
  if (a.low > a.high || b.low > b.high) return NONE;
  switch (op) {
    case '+':
      return between(a.low + b.low, a.high + b.high);
    case '-':
      return between(a.low - b.high, a.high - b.low);
    case '*': {
      const corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
      return between(min(corners), max(corners));
    }
    case '/':
      return quotient(a, b);
    case '%':
      return remainder(a, b);
  }
}

function within({ low, high }: Ints, ranges: readonly Range[]): number {
  if (low > high) return 0;
  const some = ranges.some(([from, to]) => from <= high && to >= low);
  // Ranges do not touch, so that only a single one can hold all.
  const all = ranges.some(([from, to]) => from <= low && to >= high);
  return (some ? TRUE : 0) | (all ? 0 : FALSE);
}

function compare(op: '==' | '<' | '<=', a: Ints, b: Ints): number {
  if (a.low > a.high || b.low > b.high) return 0;
  if (op === '==') {
    const some = a.low <= b.high && b.low <= a.high;
    const all = a.low === a.high && b.low === b.high && a.low === b.low;
    return (some ? TRUE : 0) | (all ? 0 : FALSE);
  }
  const holds = (x: bigint, y: bigint): boolean => (op === '<' ? x < y : x <= y);
  return (holds(a.low, b.high) ? TRUE : 0) | (holds(a.high, b.low) ? 0 : FALSE);
}

const inverse = (outcomes: number): number =>
  (outcomes & TRUE ? FALSE : 0) | (outcomes & FALSE ? TRUE : 0);

/** As if rows combined the outcomes of tests freely. */
function all(args: readonly number[]): number {
  return (
    (args.every((arg) => arg & TRUE) ? TRUE : 0) | (args.some((arg) => arg & FALSE) ? FALSE : 0)
  );
}

class Outcomes {
  readonly #zones: KnownZones;

  constructor(zones: KnownZones) {
    this.#zones = zones;
  }

  #zone(field: string): KnownZones[string] | undefined {
    return Object.hasOwn(this.#zones, field) ? this.#zones[field] : undefined;
  }

  #int(node: Int): Ints {
    switch (node.kind) {
      case 'int':
        return { low: node.value, high: node.value };
      case 'field': {
        const zone = this.#zone(node.field);
        if (zone === undefined || !('min' in zone)) return { low: INT_MIN, high: INT_MAX };
        return { low: bound(zone.min, INT_MIN), high: bound(zone.max, INT_MAX) };
      }
      case 'arith':
        return arith(node.op, this.#int(node.left), this.#int(node.right));
      case 'negate':
        return arith('-', { low: 0n, high: 0n }, this.#int(node.of));
      case 'size': {
        const values = this.#text(node.of);
        if (values === null) return { low: 0n, high: LENGTH_MAX };
        if (values.length === 0) return NONE;
        const sizes = values.map((value) => BigInt(countPoints(value)));
        return { low: min(sizes), high: max(sizes) };
      }
      case 'length':
        return { low: 0n, high: LENGTH_MAX };
      case 'element':
      case 'item':
        return { low: 0n, high: INT_MAX };
    }
  }

  /** Strings that an operand may be; null: any. */
  #text(node: Text): readonly string[] | null {
    if (node.kind === 'text') return [node.value];
    const zone = node.kind === 'field' ? this.#zone(node.field) : undefined;
    return zone !== undefined && 'in' in zone ? zone.in : null;
  }

  /** False where a filter says that no row has one of these strings. */
  #mayBe(of: Text, values: readonly string[]): boolean {
    const zone = of.kind === 'field' ? this.#zone(of.field) : undefined;
    const bloom = zone === undefined || 'in' in zone ? undefined : zone.bloom;
    if (bloom === undefined) return values.length > 0;
    return values.some((value) => mayHave(bloom, hashText(value)));
  }

  /** Without TRUE where a filter says that no row has one of these numbers. */
  #met(of: Int, ranges: readonly Range[]): number {
    const zone = of.kind === 'field' ? this.#zone(of.field) : undefined;
    const bloom = zone === undefined || !('bloom' in zone) ? undefined : zone.bloom;
    const single = ranges.length <= SINGLES_MAX && ranges.every(([from, to]) => from === to);
    if (bloom === undefined || !single) return EITHER;
    const met = ranges.some(([value]) => mayHave(bloom, hashNumber(Number(value))));
    return met ? EITHER : FALSE;
  }

  #each(of: Text, test: (value: string) => boolean | null): number {
    const values = this.#text(of);
    if (values === null) return EITHER;
    let out = 0;
    for (const value of values) {
      const result = test(value);
      if (result !== null) out |= result ? TRUE : FALSE;
    }
    return out;
  }

  #pairs(a: Text, b: Text, test: (a: string, b: string) => boolean): number {
    const left = this.#text(a);
    const right = this.#text(b);
    if (left === null || right === null || left.length * right.length > PAIRS_MAX) return EITHER;
    let out = 0;
    for (const x of left) for (const y of right) out |= test(x, y) ? TRUE : FALSE;
    return out;
  }

  of(node: Bool): number {
    switch (node.kind) {
      case 'true':
        return TRUE;
      case 'false':
        return FALSE;
      case 'error':
        return 0;
      case 'and':
        return all(node.args.map((arg) => this.of(arg)));
      case 'or':
        return inverse(all(node.args.map((arg) => inverse(this.of(arg)))));
      case 'not':
        return inverse(this.of(node.of));
      case 'untrue':
        // An error, which is not noted, makes it true.
        return TRUE | (this.of(node.of) & TRUE ? FALSE : 0);
      case 'choose': {
        const test = this.of(node.test);
        return (test & TRUE ? this.of(node.then) : 0) | (test & FALSE ? this.of(node.else) : 0);
      }
      case 'within':
        return within(this.#int(node.of), node.ranges) & this.#met(node.of, node.ranges);
      case 'compare':
        return compare(node.op, this.#int(node.left), this.#int(node.right));
      case 'compareText':
        return this.#pairs(node.left, node.right, (a, b) => isOrder(node.op, comparePoints(a, b)));
      case 'startsWith':
      case 'endsWith':
      case 'contains':
        return this.#pairs(node.of, node.text, (of, text) => relates(node.kind, of, text));
      case 'oneOf': {
        const outcomes = this.#each(node.of, (value) => node.values.includes(value));
        return this.#mayBe(node.of, node.values) ? outcomes : outcomes & FALSE;
      }
      case 'inNetworks':
        return this.#each(node.of, (value) => isInNetworks(node.networks, value));
      case 'matches':
        // RE2 alone may say what matches.
        return EITHER;
      case 'has':
        return EITHER;
      case 'any':
      case 'one':
        // A list may be empty.
        return FALSE | (this.of(node.test) & TRUE);
      case 'every':
        return TRUE | (this.of(node.test) & FALSE);
    }
  }
}

/** Nodes that are an error for some values of fields that are there. */
const MAY_FAIL = new Set([
  'error',
  'arith',
  'negate',
  'element',
  'inNetworks',
  'any',
  'every',
  'one',
]);

function mayFail(node: object): boolean {
  if ('kind' in node && MAY_FAIL.has(String(node.kind))) return true;
  return Object.values(node).some(
    (value) => typeof value === 'object' && value !== null && mayFail(value),
  );
}

/** True only where every row of a batch with these zones is true. */
export function isCertain(predicate: Bool, zones: KnownZones): boolean {
  if (new Outcomes(zones).of(predicate) !== TRUE || mayFail(predicate)) return false;
  // Common fields are never null, and so never an error.
  return [...fieldsIn(predicate)].every((field) => Object.hasOwn(COMMON, field));
}

/** False only where no row of a batch with these zones can be true. */
export function canMatch(predicate: Bool, zones: KnownZones): boolean {
  return (new Outcomes(zones).of(predicate) & TRUE) !== 0;
}
