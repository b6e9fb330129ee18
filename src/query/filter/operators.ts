// The operators of the filter language over checked values.

import { type Bool, INT_MAX, INT_MIN, type Int } from '../predicate.ts';
import { DURATION_MAX, TIMESTAMP_MAX, TIMESTAMP_MIN } from './constants.ts';
import {
  and,
  arith,
  choose,
  compare,
  compareText,
  definedInt,
  definedText,
  not,
  oneOf,
  or,
  over,
  rangesOf,
  TRUE,
  within,
} from './fold.ts';
import type { ASTNode } from './parse.ts';
import type { Source } from './source.ts';
import { type Leaf, nodesIn, TYPE_NAMES } from './values.ts';

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=';
export type Arithmetic = '+' | '-' | '*' | '/' | '%';

const SWAPPED = { '==': '==', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const;

/** An operation with its operands, for messages. */
export interface Site {
  readonly source: Source;
  readonly left: ASTNode;
  readonly right: ASTNode;
}

const excerptOf = ({ source }: Site, node: ASTNode): string => source.excerpt(node.start, node.end);

function describe(site: Site, node: ASTNode, leaf: Leaf): string {
  const text = excerptOf(site, node);
  return leaf.type === 'null' ? text : `${text} is ${TYPE_NAMES[leaf.type]}`;
}

/** What to write where a constant of the wrong type stands, or nothing. */
function remedy(site: Site, field: Leaf, node: ASTNode, constant: Leaf): string {
  if (constant.type === 'null') return '';
  const text = constant.type === 'string' && constant.of.kind === 'text' ? constant.of.value : null;
  if (field.type === 'timestamp') {
    return text === null ? '' : `; write timestamp(${excerptOf(site, node)})`;
  }
  if (text !== null && field.type === 'int' && /^\d+$/.test(text)) return `; write ${text}`;
  const isDuration = field.type === 'duration' || (field.type === 'int' && field.unit !== null);
  return text !== null && isDuration ? `; write duration(${excerptOf(site, node)})` : '';
}

function refuseComparison(site: Site, left: Leaf, right: Leaf): never {
  const { source } = site;
  if (left.type === 'null' || right.type === 'null') {
    const other = excerptOf(site, left.type === 'null' ? site.right : site.left);
    const at = left.type === 'null' ? site.left : site.right;
    return source.refuse(at.start, `nothing equals null: write has(${other}) or !has(${other})`);
  }
  const list = [left, right].some(
    ({ type }) => type === 'list' || type === 'texts' || type === 'u64s',
  );
  const hint = list
    ? '; use in, exists or [0]'
    : remedy(site, left, site.right, right) || remedy(site, right, site.left, left);
  return source.refuse(
    site.right.start,
    `${describe(site, site.left, left)}, ${describe(site, site.right, right)}: they do not compare${hint}`,
  );
}

function compareInts(op: Comparison, left: Int, right: Int): Bool {
  switch (op) {
    case '!=':
      return not(compare('==', left, right));
    case '>':
      return compare('<', right, left);
    case '>=':
      return compare('<=', right, left);
    default:
      return compare(op, left, right);
  }
}

/** Comparison with a constant that need not be whole. */
function compareBound(op: Comparison, of: Int, floor: bigint, ceiling: bigint): Bool {
  return op === '!='
    ? not(within(of, rangesOf('==', floor, ceiling)))
    : within(of, rangesOf(op, floor, ceiling));
}

function compareNumbers(op: Comparison, left: number, right: number): Bool {
  const order = left < right ? -1n : left > right ? 1n : 0n;
  return compareBound(op, { kind: 'int', value: order }, 0n, 0n);
}

/** A field in its unit with a duration, which is in ns. */
function compareUnit(op: Comparison, field: Int, unit: 'ns' | 'us', duration: Int): Bool {
  if (unit === 'ns') return compareInts(op, field, duration);
  if (duration.kind !== 'int') {
    // Micros are u32: a thousand of them are far from overflowing.
    const ns = arith('*', field, { kind: 'int', value: 1000n });
    return compareInts(op, ns ?? field, duration);
  }
  const { value } = duration;
  const ceiling = value > 0n ? (value + 999n) / 1000n : value / 1000n;
  const floor = value < 0n ? (value - 999n) / 1000n : value / 1000n;
  return compareBound(op, field, floor, ceiling);
}

function compareConditions(op: '==' | '!=', left: Bool, right: Bool): Bool {
  // The one that is chosen stands twice in the tree: the smaller.
  const [test, chosen] = nodesIn(left) >= nodesIn(right) ? [left, right] : [right, left];
  return op === '==' ? choose(test, chosen, not(chosen)) : choose(test, not(chosen), chosen);
}

/** left op right, or a refusal where CEL has no such overload. */
export function compareLeaves(site: Site, op: Comparison, left: Leaf, right: Leaf): Bool {
  const types = `${left.type} ${right.type}`;
  if (left.type === 'int') {
    if (right.type === 'int') return compareInts(op, left.of, right.of);
    if (right.type === 'double') {
      const { value } = right;
      return compareBound(op, left.of, BigInt(Math.floor(value)), BigInt(Math.ceil(value)));
    }
    if (right.type === 'duration' && left.unit !== null) {
      return compareUnit(op, left.of, left.unit, right.of);
    }
  }
  if (
    right.type === 'int' &&
    (left.type === 'double' || (left.type === 'duration' && right.unit))
  ) {
    return compareLeaves(site, SWAPPED[op], right, left);
  }
  if (left.type === 'double' && right.type === 'double') {
    return compareNumbers(op, left.value, right.value);
  }
  if (left.type === 'string' && right.type === 'string') {
    if (op === '!=') return not(compareText('==', left.of, right.of));
    if (op === '>') return compareText('<', right.of, left.of);
    return op === '>=' ? compareText('<=', right.of, left.of) : compareText(op, left.of, right.of);
  }
  if (
    (left.type === 'timestamp' && right.type === 'timestamp') ||
    (left.type === 'duration' && right.type === 'duration')
  ) {
    return compareInts(op, left.of, right.of);
  }
  if (left.type === 'bool' && right.type === 'bool' && (op === '==' || op === '!=')) {
    return compareConditions(op, left.of, right.of);
  }
  if (types === 'bool bool') {
    return site.source.refuse(site.right.start, `conditions have no order: ${op} is for numbers`);
  }
  return refuseComparison(site, left, right);
}

/** True where a leaf has a value, else an error. */
function defined(leaf: Leaf): Bool {
  if (leaf.type === 'string') return definedText(leaf.of);
  return leaf.type === 'int' || leaf.type === 'timestamp' || leaf.type === 'duration'
    ? definedInt(leaf.of)
    : TRUE;
}

/** left in a list, whose elements CEL evaluates all before it looks. */
function memberOfList(site: Site, left: Leaf, list: Extract<Leaf, { type: 'list' }>): Bool {
  const { source } = site;
  if (left.type === 'bool' || left.type === 'double') {
    source.refuse(
      site.left.start,
      `${describe(site, site.left, left)}: in is for numbers and strings`,
    );
  }
  const tests = list.elements.map((element, i) => {
    const right = list.nodes[i] ?? site.right;
    if (element.type === 'double') {
      source.refuse(right.start, 'a list has no numbers with a fraction: compare them with ==');
    }
    return compareLeaves({ ...site, right }, '==', left, element);
  });
  const [only] = tests;
  if (only === undefined) {
    if (left.type === 'string') return oneOf(left.of, []);
    if (left.type === 'int' || left.type === 'timestamp' || left.type === 'duration') {
      return within(left.of, []);
    }
    return refuseComparison(site, left, list);
  }
  if (tests.length === 1) return only;
  const found = or(tests);
  return choose(and(list.elements.map(defined)), found, not(TRUE));
}

/** left in right. */
export function memberOf(site: Site, left: Leaf, right: Leaf, inMacro: boolean): Bool {
  const { source } = site;
  if (right.type === 'list') return memberOfList(site, left, right);
  if (right.type !== 'texts' && right.type !== 'u64s') {
    return source.refuse(
      site.right.start,
      `${describe(site, site.right, right)}: in looks into a list, as in pid in [1, 2]`,
    );
  }
  if (inMacro)
    source.refuse(site.right.start, 'a list cannot be searched within exists, all or exists_one');
  const item: Leaf =
    right.type === 'texts'
      ? { type: 'string', of: { kind: 'item' } }
      : { type: 'int', of: { kind: 'item' }, unit: null };
  if (left.type !== item.type) {
    return source.refuse(
      site.left.start,
      `${describe(site, site.left, left)}, ${describe(site, site.right, right)}: it is never in there`,
    );
  }
  const any = over('any', right.field, compareLeaves(site, '==', item, left));
  return choose(defined(left), any, not(TRUE));
}

interface Limits {
  readonly min: bigint;
  readonly max: bigint;
  readonly message: string;
}

const LIMITS: Readonly<Record<'int' | 'timestamp' | 'duration', Limits>> = {
  int: { min: INT_MIN, max: INT_MAX, message: 'the result is beyond 64 bits' },
  timestamp: {
    min: TIMESTAMP_MIN,
    max: TIMESTAMP_MAX,
    message: 'the result is no time of the years 1 to 9999',
  },
  duration: { min: -DURATION_MAX, max: DURATION_MAX, message: 'the result is beyond 292 years' },
};

const COMPUTE = {
  '+': (a: bigint, b: bigint) => a + b,
  '-': (a: bigint, b: bigint) => a - b,
  '*': (a: bigint, b: bigint) => a * b,
  '/': (a: bigint, b: bigint) => a / b,
  '%': (a: bigint, b: bigint) => a % b,
} as const;

function calculated(
  site: Site,
  op: Arithmetic,
  type: 'int' | 'timestamp' | 'duration',
  left: Int,
  right: Int,
): Leaf {
  const { source } = site;
  const leaf = (of: Int): Leaf => (type === 'int' ? { type, of, unit: null } : { type, of });
  if ((op === '/' || op === '%') && right.kind === 'int' && right.value === 0n) {
    source.refuse(site.right.start, 'this divides by zero');
  }
  if (left.kind === 'int' && right.kind === 'int') {
    const { min, max, message } = LIMITS[type];
    const value = COMPUTE[op](left.value, right.value);
    if (value < min || value > max) source.refuse(site.left.start, message);
    return leaf({ kind: 'int', value });
  }
  for (const [operand, node] of [
    [left, site.left],
    [right, site.right],
  ] as const) {
    if (operand.kind === 'int' && (operand.value < INT_MIN || operand.value > INT_MAX)) {
      source.refuse(node.start, 'this is too far from now to reckon with: compare it instead');
    }
  }
  return leaf(arith(op, left, right) ?? left);
}

/** left op right. */
export function calculateLeaves(site: Site, op: Arithmetic, left: Leaf, right: Leaf): Leaf {
  if (left.type === 'int' && right.type === 'int') {
    return calculated(site, op, 'int', left.of, right.of);
  }
  if (op === '+' && left.type === 'string' && right.type === 'string') {
    if (left.of.kind === 'text' && right.of.kind === 'text') {
      return { type: 'string', of: { kind: 'text', value: left.of.value + right.of.value } };
    }
    return site.source.refuse(site.right.start, 'only constant strings can be joined');
  }
  if (op === '+' || op === '-') {
    if (left.type === 'timestamp' && right.type === 'timestamp' && op === '-') {
      return calculated(site, op, 'duration', left.of, right.of);
    }
    if ((left.type === 'timestamp' || left.type === 'duration') && right.type === 'duration') {
      return calculated(site, op, left.type, left.of, right.of);
    }
    if (left.type === 'duration' && right.type === 'timestamp' && op === '+') {
      return calculated(site, op, 'timestamp', left.of, right.of);
    }
  }
  if (left.type === 'double' || right.type === 'double') {
    const at = left.type === 'double' ? site.left : site.right;
    return site.source.refuse(
      at.start,
      'a number with a fraction can only be compared, as in pid > 1.5',
    );
  }
  return site.source.refuse(
    site.right.start,
    `${describe(site, site.left, left)}, ${describe(site, site.right, right)}: there is no ${op} of them`,
  );
}
