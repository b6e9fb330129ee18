// Builds the tree of a filter. Each function gives the simplest tree with the same three values: constants
// fold, chains are flat, comparisons of one operand are joined.

import { COMMON } from '../../../schemas/events.ts';
import {
  type Bool,
  calculate,
  comparePoints,
  countPoints,
  INT_MAX,
  INT_MIN,
  type Int,
  isInNetworks,
  isOrder,
  isWithin,
  type Range,
  relates,
  type Text,
} from '../predicate.ts';

export const TRUE: Bool = { kind: 'true' };
export const FALSE: Bool = { kind: 'false' };
export const ERROR: Bool = { kind: 'error' };

/** The row's type: no column, but constant in the rows of a type. */
export const TYPE_FIELD = 'type';
/** Fields of every row: they are never null. */
export const ALWAYS: ReadonlySet<string> = new Set([...Object.keys(COMMON), 'ktime', TYPE_FIELD]);

const truth = (is: boolean): Bool => (is ? TRUE : FALSE);

/** True where an operand is neither absent nor an error in any row. */
function isCertain(node: Int | Text): boolean {
  if (node.kind === 'field') return ALWAYS.has(node.field);
  if (node.kind === 'size') return isCertain(node.of);
  return node.kind === 'int' || node.kind === 'text' || node.kind === 'item';
}

/** Two operands with the same key have the same value. */
function keyOf(node: Int | Text): string {
  return JSON.stringify(node, (_, value) => (typeof value === 'bigint' ? String(value) : value));
}

/** Ranges in order, clipped to what integers can be, without overlaps. */
function tidy(ranges: readonly Range[]): Range[] {
  const sorted = ranges
    .map(([low, high]): Range => [low < INT_MIN ? INT_MIN : low, high > INT_MAX ? INT_MAX : high])
    .filter(([low, high]) => low <= high)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const out: Range[] = [];
  for (const [low, high] of sorted) {
    const last = out.at(-1);
    if (last === undefined || low > last[1] + 1n) out.push([low, high]);
    else if (high > last[1]) out[out.length - 1] = [last[0], high];
  }
  return out;
}

function complement(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  let from = INT_MIN;
  for (const [low, high] of ranges) {
    out.push([from, low - 1n]);
    from = high + 1n;
  }
  return tidy([...out, [from, INT_MAX]]);
}

/** Integers that compare so with a constant between `floor` and `ceiling`, which are equal where it is whole. */
export function rangesOf(
  op: '==' | '<' | '<=' | '>' | '>=',
  floor: bigint,
  ceiling: bigint,
): Range[] {
  switch (op) {
    case '==':
      return floor === ceiling ? tidy([[floor, floor]]) : [];
    case '<':
      return tidy([[INT_MIN, ceiling - 1n]]);
    case '<=':
      return tidy([[INT_MIN, floor]]);
    case '>':
      return tidy([[floor + 1n, INT_MAX]]);
    case '>=':
      return tidy([[ceiling, INT_MAX]]);
  }
}

/** Null stands for an error. */
export function arith(op: '+' | '-' | '*' | '/' | '%', left: Int, right: Int): Int | null {
  if (left.kind !== 'int' || right.kind !== 'int') return { kind: 'arith', op, left, right };
  const value = calculate(op, left.value, right.value);
  return value === null ? null : { kind: 'int', value };
}

export function negate(of: Int): Int | null {
  if (of.kind !== 'int') return { kind: 'negate', of };
  const value = calculate('-', 0n, of.value);
  return value === null ? null : { kind: 'int', value };
}

export function size(of: Text): Int {
  return of.kind === 'text'
    ? { kind: 'int', value: BigInt(countPoints(of.value)) }
    : { kind: 'size', of };
}

export function within(of: Int, ranges: readonly Range[]): Bool {
  const tidied = tidy(ranges);
  if (of.kind === 'int') return truth(isWithin(tidied, of.value));
  if (isCertain(of)) {
    if (tidied.length === 0) return FALSE;
    if (complement(tidied).length === 0) return TRUE;
  }
  return { kind: 'within', of, ranges: tidied };
}

export function compare(op: '==' | '<' | '<=', left: Int, right: Int): Bool {
  if (right.kind === 'int') return within(left, rangesOf(op, right.value, right.value));
  if (left.kind === 'int') {
    const swapped = op === '==' ? op : op === '<' ? '>' : '>=';
    return within(right, rangesOf(swapped, left.value, left.value));
  }
  return { kind: 'compare', op, left, right };
}

export function compareText(op: '==' | '<' | '<=', left: Text, right: Text): Bool {
  if (left.kind === 'text' && right.kind === 'text') {
    return truth(isOrder(op, comparePoints(left.value, right.value)));
  }
  if (left === right && isCertain(left)) return truth(op !== '<');
  if (op === '==' && right.kind === 'text') return oneOf(left, [right.value]);
  if (op === '==' && left.kind === 'text') return oneOf(right, [left.value]);
  return { kind: 'compareText', op, left, right };
}

export function oneOf(of: Text, values: readonly string[]): Bool {
  if (of.kind === 'text') return truth(values.includes(of.value));
  if (values.length === 0 && isCertain(of)) return FALSE;
  return { kind: 'oneOf', of, values: [...new Set(values)].sort(comparePoints) };
}

export function relation(kind: 'startsWith' | 'endsWith' | 'contains', of: Text, text: Text): Bool {
  if (of.kind === 'text' && text.kind === 'text') {
    return truth(relates(kind, of.value, text.value));
  }
  return { kind, of, text };
}

/** Constants are not tried either: a pattern may take JavaScript's engine for ever, and RE2 runs later. */
export function matchesPattern(of: Text, pattern: string): Bool {
  return { kind: 'matches', of, pattern };
}

export function inNetworks(of: Text, networks: readonly string[]): Bool {
  if (of.kind !== 'text') return { kind: 'inNetworks', of, networks };
  const is = isInNetworks(networks, of.value);
  return is === null ? ERROR : truth(is);
}

export function not(of: Bool): Bool {
  switch (of.kind) {
    case 'true':
      return FALSE;
    case 'false':
      return TRUE;
    case 'error':
      return ERROR;
    case 'not':
      return of.of;
    case 'within':
      return within(of.of, complement(of.ranges));
    default:
      return { kind: 'not', of };
  }
}

export function choose(test: Bool, then: Bool, otherwise: Bool): Bool {
  if (test.kind === 'true') return then;
  if (test.kind === 'false') return otherwise;
  if (test.kind === 'error') return ERROR;
  if (then.kind === 'true' && otherwise.kind === 'false') return test;
  if (then.kind === 'false' && otherwise.kind === 'true') return not(test);
  return { kind: 'choose', test, then, else: otherwise };
}

type Comparison = Extract<Bool, { kind: 'within' | 'oneOf' }>;

/** Comparisons of one operand as one. */
function joined(
  kind: 'and' | 'or',
  [first, ...others]: readonly [Comparison, ...Comparison[]],
): Bool {
  if (others.length === 0) return first;
  if (first.kind === 'within') {
    const ranges = [first, ...others].map((one) => (one.kind === 'within' ? one.ranges : []));
    if (kind === 'or') return within(first.of, ranges.flat());
    return within(first.of, complement(tidy(ranges.flatMap(complement))));
  }
  const sets = others.map((one) => new Set(one.kind === 'oneOf' ? one.values : []));
  return kind === 'or'
    ? oneOf(first.of, [...first.values, ...sets.flatMap((set) => [...set])])
    : oneOf(
        first.of,
        first.values.filter((value) => sets.every((set) => set.has(value))),
      );
}

function chain(kind: 'and' | 'or', args: readonly Bool[]): Bool {
  const decides = kind === 'and' ? 'false' : 'true';
  const idle = kind === 'and' ? 'true' : 'false';
  const parts: (Bool | [Comparison, ...Comparison[]])[] = [];
  const groups = new Map<string, [Comparison, ...Comparison[]]>();
  for (const arg of args.flatMap((one) => (one.kind === kind ? one.args : [one]))) {
    if (arg.kind !== 'within' && arg.kind !== 'oneOf') {
      parts.push(arg);
      continue;
    }
    const key = `${arg.kind} ${keyOf(arg.of)}`;
    const group = groups.get(key);
    if (group !== undefined) {
      group.push(arg);
      continue;
    }
    const begun: [Comparison] = [arg];
    groups.set(key, begun);
    parts.push(begun);
  }
  const joins = parts.map((part) => ('kind' in part ? part : joined(kind, part)));
  if (joins.some((one) => one.kind === decides)) return kind === 'and' ? FALSE : TRUE;
  const out = joins.filter((one) => one.kind !== idle && one.kind !== 'error');
  if (out.length < joins.length && joins.some((one) => one.kind === 'error')) out.push(ERROR);
  const [first] = out;
  if (first === undefined) return kind === 'and' ? TRUE : FALSE;
  return out.length === 1 ? first : { kind, args: out };
}

export const and = (args: readonly Bool[]): Bool => chain('and', args);
export const or = (args: readonly Bool[]): Bool => chain('or', args);

/** Over the elements of a list column. */
export function over(kind: 'any' | 'every' | 'one', field: string, test: Bool): Bool {
  return { kind, field, test };
}

/** True where an integer has a value, else an error. */
export const definedInt = (of: Int): Bool => within(of, [[INT_MIN, INT_MAX]]);

/** True where a text has a value, else an error. */
export const definedText = (of: Text): Bool => compareText('<=', of, of);
