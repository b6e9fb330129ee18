// What a filter comes to: a tree of tests over the columns of one event type. It is a plain value with one
// meaning and several executors: the one below, which is plain and defines it, zone pruning, and the native
// ones over columns and raw records.
//
// Three values: a test is true, false or an error. An operand that is absent (null) or an error makes every
// node an error, `has` aside; `and` and `or` absorb errors as CEL's && and || do. Only a row for which the
// tree is true matches.

import { isIPv4, isIPv6 } from 'node:net';
import type { RowValue } from '../event/json.ts';
import { regexOf } from './filter/pattern.ts';

/** Smallest and largest integer; a result beyond them is an error. */
export const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 64n - 1n;

/** Integers, exact whatever their width. `ts` is one, in ns. */
export type Int =
  | { readonly kind: 'int'; readonly value: bigint }
  /** A column of integers, or ts. */
  | { readonly kind: 'field'; readonly field: string }
  /** Division by zero is an error; / and % truncate towards zero. */
  | {
      readonly kind: 'arith';
      readonly op: '+' | '-' | '*' | '/' | '%';
      readonly left: Int;
      readonly right: Int;
    }
  | { readonly kind: 'negate'; readonly of: Int }
  /** Code points. */
  | { readonly kind: 'size'; readonly of: Text }
  /** Elements of a list column. */
  | { readonly kind: 'length'; readonly field: string }
  /** Element of a u64s column; out of range it is an error. */
  | { readonly kind: 'element'; readonly field: string; readonly index: number }
  /** The element at which the enclosing any, every or one over a u64s column is. */
  | { readonly kind: 'item' };

/** Strings in the form in which they are stored: what is not UTF-8 is \xHH, a backslash is doubled. */
export type Text =
  | { readonly kind: 'text'; readonly value: string }
  /** A name or text column. */
  | { readonly kind: 'field'; readonly field: string }
  /** Element of a texts column; out of range it is an error. */
  | { readonly kind: 'element'; readonly field: string; readonly index: number }
  | { readonly kind: 'item' };

/** Smallest and largest of a run of integers, both included. */
export type Range = readonly [bigint, bigint];

export type Bool =
  | { readonly kind: 'true' }
  | { readonly kind: 'false' }
  | { readonly kind: 'error' }
  /** Decided by one false (true) argument; else an error if one is an error. */
  | { readonly kind: 'and' | 'or'; readonly args: readonly Bool[] }
  | { readonly kind: 'not'; readonly of: Bool }
  /** True where the other is false or an error; never an error itself. */
  | { readonly kind: 'untrue'; readonly of: Bool }
  /** An error where the test is one. */
  | { readonly kind: 'choose'; readonly test: Bool; readonly then: Bool; readonly else: Bool }
  /** Comparisons with constants. Ranges are ascending, disjoint and do not touch; none: never true. */
  | { readonly kind: 'within'; readonly of: Int; readonly ranges: readonly Range[] }
  | {
      readonly kind: 'compare';
      readonly op: '==' | '<' | '<=';
      readonly left: Int;
      readonly right: Int;
    }
  /** By code points, which is the order of UTF-8 bytes. */
  | {
      readonly kind: 'compareText';
      readonly op: '==' | '<' | '<=';
      readonly left: Text;
      readonly right: Text;
    }
  /** Values are sorted by code points, and unique. */
  | { readonly kind: 'oneOf'; readonly of: Text; readonly values: readonly string[] }
  | {
      readonly kind: 'startsWith' | 'endsWith' | 'contains';
      readonly of: Text;
      readonly text: Text;
    }
  /** RE2, unanchored. */
  | { readonly kind: 'matches'; readonly of: Text; readonly pattern: string }
  /** An address in one of the CIDRs; a text that is no address is an error. */
  | { readonly kind: 'inNetworks'; readonly of: Text; readonly networks: readonly string[] }
  /** Not null. */
  | { readonly kind: 'has'; readonly field: string }
  /** Over the elements of a texts or u64s column: CEL's exists, all and exists_one. */
  | { readonly kind: 'any' | 'every' | 'one'; readonly field: string; readonly test: Bool };

/** The rows that a filter wants. */
export type Predicate = Bool;

/** Columns that a predicate reads. */
export function fieldsIn(predicate: Predicate): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (node: object): void => {
    if ('field' in node && typeof node.field === 'string') found.add(node.field);
    for (const value of Object.values(node)) {
      if (typeof value === 'object' && value !== null) visit(value);
    }
  };
  visit(predicate);
  return found;
}

type Get = (field: string) => RowValue;
type Item = string | bigint | null;

/** Order of code points, for Array.sort. */
export function comparePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for points beyond all others that have one unit.
    if (x >= 0xd800 && x < 0xe000) x += 0x10000;
    if (y >= 0xd800 && y < 0xe000) y += 0x10000;
    return x - y;
  }
  return a.length - b.length;
}

/** Number of code points. */
export function countPoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Result of an operation, or null for CEL's error. */
export function calculate(
  op: '+' | '-' | '*' | '/' | '%',
  left: bigint,
  right: bigint,
): bigint | null {
  if ((op === '/' || op === '%') && right === 0n) return null;
  const result = {
    '+': () => left + right,
    '-': () => left - right,
    '*': () => left * right,
    '/': () => left / right,
    '%': () => left % right,
  }[op]();
  return result < INT_MIN || result > INT_MAX ? null : result;
}

/** True where one of the ranges holds the value. */
export function isWithin(ranges: readonly Range[], value: bigint): boolean {
  return ranges.some(([low, high]) => value >= low && value <= high);
}

/** An address as a number of 32 or 128 bits, or null for what is none. */
export function parseAddress(
  text: string,
): { readonly bits: number; readonly value: bigint } | null {
  if (isIPv4(text)) {
    return {
      bits: 32,
      value: text.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n),
    };
  }
  if (!isIPv6(text) || text.includes('%')) return null;
  const dotted = /[\d.]+$/.exec(text)?.[0] ?? '';
  const tail = dotted.includes('.') ? parseAddress(dotted) : null;
  const hex =
    tail === null
      ? text
      : text.slice(0, -dotted.length) +
        `${(tail.value >> 16n).toString(16)}:${(tail.value & 0xffffn).toString(16)}`;
  const [head = '', rest] = hex.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const first = groups(head);
  const last = rest === undefined ? [] : groups(rest);
  const zeros = Array<string>(8 - first.length - last.length).fill('0');
  const value = [...first, ...zeros, ...last].reduce(
    (sum, group) => sum * 65536n + BigInt(`0x${group}`),
    0n,
  );
  return { bits: 128, value };
}

/** Whether an address is in one of the networks; null where it is no address. */
export function isInNetworks(networks: readonly string[], text: string): boolean | null {
  const address = parseAddress(text);
  if (address === null) return null;
  return networks.some((network) => {
    const [base = '', length = ''] = network.split('/');
    const of = parseAddress(base);
    if (of === null || of.bits !== address.bits) return false;
    const rest = BigInt(of.bits - Number(length));
    return of.value >> rest === address.value >> rest;
  });
}

/** How two texts of a test with two of them relate. */
export function relates(
  kind: 'startsWith' | 'endsWith' | 'contains',
  of: string,
  text: string,
): boolean {
  if (kind === 'startsWith') return of.startsWith(text);
  return kind === 'endsWith' ? of.endsWith(text) : of.includes(text);
}

/** Whether an order, negative, zero or positive, is what a comparison wants. */
export function isOrder(op: '==' | '<' | '<=', order: number): boolean {
  return op === '==' ? order === 0 : op === '<' ? order < 0 : order <= 0;
}

function integer(value: RowValue | undefined): bigint | null {
  return typeof value === 'number' || typeof value === 'bigint' ? BigInt(value) : null;
}

function elementOf(get: Get, field: string, index: number): RowValue {
  return (get(field) as readonly (string | bigint)[] | null)?.[index] ?? null;
}

function intOf(node: Int, get: Get, item: Item): bigint | null {
  switch (node.kind) {
    case 'int':
      return node.value;
    case 'field':
      return integer(get(node.field));
    case 'arith': {
      const left = intOf(node.left, get, item);
      const right = intOf(node.right, get, item);
      return left === null || right === null ? null : calculate(node.op, left, right);
    }
    case 'negate': {
      const of = intOf(node.of, get, item);
      return of === null ? null : calculate('-', 0n, of);
    }
    case 'size': {
      const of = textOf(node.of, get, item);
      return of === null ? null : BigInt(countPoints(of));
    }
    case 'length': {
      const list = get(node.field);
      return list === null ? null : BigInt((list as readonly unknown[]).length);
    }
    case 'element':
      return integer(elementOf(get, node.field, node.index));
    case 'item':
      return item as bigint;
  }
}

function textOf(node: Text, get: Get, item: Item): string | null {
  switch (node.kind) {
    case 'text':
      return node.value;
    case 'field':
      return get(node.field) as string | null;
    case 'element':
      return elementOf(get, node.field, node.index) as string | null;
    case 'item':
      return item as string;
  }
}

/** True if one is; else an error if one is an error. */
function disjunction(results: Iterable<boolean | null>): boolean | null {
  let result: boolean | null = false;
  for (const one of results) {
    if (one === true) return true;
    if (one === null) result = null;
  }
  return result;
}

const inverse = (result: boolean | null): boolean | null => (result === null ? null : !result);

function overList(node: Extract<Bool, { field: string; test: Bool }>, get: Get): boolean | null {
  const list = get(node.field) as readonly (string | bigint)[] | null;
  if (list === null) return null;
  const results = list.map((item) => test(node.test, get, item));
  if (node.kind === 'any') return disjunction(results);
  if (node.kind === 'every') return inverse(disjunction(results.map(inverse)));
  return results.includes(null) ? null : results.filter((one) => one).length === 1;
}

function test(node: Bool, get: Get, item: Item): boolean | null {
  switch (node.kind) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'error':
      return null;
    case 'and':
      return inverse(disjunction(node.args.map((arg) => inverse(test(arg, get, item)))));
    case 'or':
      return disjunction(node.args.map((arg) => test(arg, get, item)));
    case 'not':
      return inverse(test(node.of, get, item));
    case 'untrue':
      return test(node.of, get, item) !== true;
    case 'choose': {
      const chosen = test(node.test, get, item);
      return chosen === null ? null : test(chosen ? node.then : node.else, get, item);
    }
    case 'within': {
      const of = intOf(node.of, get, item);
      return of === null ? null : isWithin(node.ranges, of);
    }
    case 'compare': {
      const left = intOf(node.left, get, item);
      const right = intOf(node.right, get, item);
      if (left === null || right === null) return null;
      return isOrder(node.op, left < right ? -1 : left > right ? 1 : 0);
    }
    case 'compareText': {
      const left = textOf(node.left, get, item);
      const right = textOf(node.right, get, item);
      return left === null || right === null ? null : isOrder(node.op, comparePoints(left, right));
    }
    case 'startsWith':
    case 'endsWith':
    case 'contains': {
      const of = textOf(node.of, get, item);
      const text = textOf(node.text, get, item);
      return of === null || text === null ? null : relates(node.kind, of, text);
    }
    case 'oneOf':
    case 'matches':
    case 'inNetworks': {
      const of = textOf(node.of, get, item);
      if (of === null) return null;
      if (node.kind === 'oneOf') return node.values.includes(of);
      return node.kind === 'matches'
        ? regexOf(node.pattern).test(of)
        : isInNetworks(node.networks, of);
    }
    case 'has':
      return get(node.field) !== null;
    case 'any':
    case 'every':
    case 'one':
      return overList(node, get);
  }
}

/**
 * The predicate of one row: true, false, or null for an error. `get` gives a column's value, and null for
 * one that is absent. This is the plain executor: every other one must agree with it.
 */
export function matches(predicate: Predicate, get: (field: string) => RowValue): boolean | null {
  return test(predicate, get, null);
}
