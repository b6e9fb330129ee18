// What a part of an expression is, once it is checked: a typed value over the tree's nodes.

import type { Bool, Int, Text } from '../predicate.ts';
import { choose } from './fold.ts';
import type { ASTNode } from './parse.ts';
import type { Source } from './source.ts';

/** Units of integers that compare with durations. */
export type DurationUnit = 'ns' | 'us';

export type Leaf =
  | { readonly type: 'bool'; readonly of: Bool }
  | { readonly type: 'int'; readonly of: Int; readonly unit: DurationUnit | null }
  | { readonly type: 'double'; readonly value: number }
  | { readonly type: 'string'; readonly of: Text }
  /** In ns. */
  | { readonly type: 'timestamp' | 'duration'; readonly of: Int }
  | { readonly type: 'texts' | 'u64s' | 'bytes'; readonly field: string }
  | {
      readonly type: 'list';
      readonly elements: readonly Leaf[];
      readonly nodes: readonly ASTNode[];
    }
  | { readonly type: 'network'; readonly network: string }
  | { readonly type: 'null' };

/** A value; where ?: chooses between values that are no conditions, it is known only case by case. */
export type Value =
  | Leaf
  | { readonly type: 'choice'; readonly test: Bool; readonly yes: Value; readonly no: Value };

/** What messages call the types. */
export const TYPE_NAMES: Readonly<Record<Leaf['type'], string>> = {
  bool: 'a condition',
  int: 'a number',
  double: 'a number with a fraction',
  string: 'a string',
  timestamp: 'a time',
  duration: 'a duration',
  texts: 'a list of strings',
  u64s: 'a list of numbers',
  bytes: 'bytes',
  list: 'a list',
  network: 'a network',
  null: 'null',
};

/** Cases that ?: may make of one value. */
const CASES_MAX = 256;
/** Nodes that a tree may have; only ?: and == of conditions make it larger than the text. */
export const NODES_MAX = 20_000;

function casesOf(value: Value): number {
  return value.type === 'choice' ? casesOf(value.yes) + casesOf(value.no) : 1;
}

/** A leaf of the value: all of them have the same type. */
export function sampleOf(value: Value): Leaf {
  return value.type === 'choice' ? sampleOf(value.yes) : value;
}

const counts = new WeakMap<object, number>();

/** Nodes of a tree, parts that are shared counted each time. */
export function nodesIn(node: object): number {
  let count = counts.get(node);
  if (count === undefined) {
    count = 'kind' in node ? 1 : 0;
    for (const value of Object.values(node)) {
      if (typeof value === 'object' && value !== null) count += nodesIn(value);
    }
    counts.set(node, count);
  }
  return count;
}

/** Refuses a tree that has become too large. */
export function checkNodes(source: Source, node: ASTNode, of: Bool): Bool {
  if (nodesIn(of) > NODES_MAX) {
    source.refuse(node.start, 'this grows too large when its ?: and == are spelled out');
  }
  return of;
}

/** One of two values; conditions are chosen in the tree itself. */
export function chooseValue(source: Source, node: ASTNode, test: Bool, a: Value, b: Value): Value {
  if (test.kind === 'true') return a;
  if (test.kind === 'false') return b;
  if (a.type === 'bool' && b.type === 'bool') {
    return { type: 'bool', of: checkNodes(source, node, choose(test, a.of, b.of)) };
  }
  const value: Value = { type: 'choice', test, yes: a, no: b };
  if (casesOf(value) > CASES_MAX) source.refuse(node.start, 'this has too many cases of ?:');
  return value;
}

/** Applies `f` to the values case by case: (c ? a : b) > 5 is c ? a > 5 : b > 5. */
export function lift(
  source: Source,
  node: ASTNode,
  values: readonly Value[],
  f: (leaves: readonly Leaf[]) => Value,
): Value {
  let cases = 1;
  for (const value of values) cases *= casesOf(value);
  if (cases > CASES_MAX) source.refuse(node.start, 'this has too many cases of ?:');
  const apply = (leaves: readonly Leaf[], rest: readonly Value[]): Value => {
    const at = rest.findIndex((value) => value.type === 'choice');
    const choice = rest[at];
    if (choice?.type !== 'choice') return f([...leaves, ...(rest as readonly Leaf[])]);
    const before = [...leaves, ...(rest.slice(0, at) as readonly Leaf[])];
    const after = rest.slice(at + 1);
    return chooseValue(
      source,
      node,
      choice.test,
      apply(before, [choice.yes, ...after]),
      apply(before, [choice.no, ...after]),
    );
  };
  return apply([], values);
}
