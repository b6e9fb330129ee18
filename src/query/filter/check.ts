// Syntax tree to predicate: finds what names mean, holds the types together, and refuses what CEL has no
// overload for. Fields keep their full names here (network.dport), for the tree serves all types at once.

import type { Bool } from '../predicate.ts';
import { checkNetwork, parseDuration, parseTimestamp } from './constants.ts';
import {
  and,
  inNetworks,
  matchesPattern,
  negate,
  not,
  or,
  over,
  relation,
  size,
  TRUE,
} from './fold.ts';
import {
  bareType,
  type FunctionName,
  isFunction,
  isMethod,
  isType,
  type MethodName,
  ownField,
  unknownField,
  unknownFunction,
  unknownMethod,
  unknownVariable,
  variable,
} from './names.ts';
import {
  type Arithmetic,
  type Comparison,
  calculateLeaves,
  compareLeaves,
  memberOf,
} from './operators.ts';
import { type ASTNode, DEPTH_MAX, refuseDepth } from './parse.ts';
import { checkPattern } from './pattern.ts';
import type { Source } from './source.ts';
import {
  checkNodes,
  chooseValue,
  type Leaf,
  lift,
  sampleOf,
  TYPE_NAMES,
  type Value,
} from './values.ts';

/** How a value of a type becomes a condition. */
const AS_CONDITION: Readonly<Partial<Record<Leaf['type'], (text: string) => string>>> = {
  int: (text) => `compare it, as in ${text} == 1`,
  double: () => 'compare a field with it, as in pid > 1.5',
  string: (text) => `compare it, as in ${text} == "nginx"`,
  timestamp: (text) => `compare it, as in ${text} > timestamp("2026-11-22T18:00:00Z")`,
  duration: (text) => `compare it, as in ${text} > duration("5ms")`,
  texts: (text) => `ask for an element, as in "-c" in ${text}`,
  u64s: (text) => `ask for an element, as in 0 in ${text}`,
  list: (text) => `ask whether a field is in it, as in pid in ${text}`,
  network: (text) => `ask for an address, as in ${text}.containsIP(network.daddr)`,
  bytes: (text) => `ask whether it is there: has(${text})`,
};

/** The variable of exists, all or exists_one, and the list's element that it stands for. */
interface Scope {
  readonly name: string;
  readonly item: Leaf;
}

const MACROS = { exists: 'any', all: 'every', exists_one: 'one' } as const;

class Checker {
  readonly #source: Source;
  #scope: Scope | null = null;

  constructor(source: Source) {
    this.#source = source;
  }

  condition(node: ASTNode, depth: number): Bool {
    const value = this.#value(node, depth);
    if (value.type === 'bool') return value.of;
    const { type } = sampleOf(value);
    const text = this.#excerpt(node);
    const operand = node.op === '?:' ? `(${text})` : text;
    const remedy = AS_CONDITION[type]?.(operand) ?? 'compare something';
    const what =
      type === 'null'
        ? `${text} is no condition`
        : `${text} is ${TYPE_NAMES[type]}, not a condition`;
    return this.#refuse(node, `${what}: ${remedy}`);
  }

  #refuse(node: ASTNode, message: string): never {
    return this.#source.refuse(node.start, message);
  }

  #excerpt(node: ASTNode): string {
    return this.#source.excerpt(node.start, node.end);
  }

  #value(node: ASTNode, depth: number): Value {
    if (depth > DEPTH_MAX) refuseDepth(this.#source, node.start);
    const next = depth + 1;
    switch (node.op) {
      case 'value':
        return this.#literal(node);
      case 'id':
        return this.#variable(node, node.args);
      case '.':
        return this.#field(node, node.args[0], node.args[1], next);
      case '[]':
        return this.#element(node, node.args[0], node.args[1], next);
      case '&&':
      case '||':
        return this.#chain(node, node.op, next);
      case '!_':
        return { type: 'bool', of: not(this.condition(node.args, next)) };
      case '-_':
        return this.#negated(node, node.args, next);
      case '?:': {
        const [test, then, otherwise] = node.args;
        return this.#choice(node, test, then, otherwise, next);
      }
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case 'in':
        return this.#binary(node, node.op, node.args[0], node.args[1], next);
      case 'call':
        return this.#call(node, node.args[0], node.args[1], next);
      case 'rcall':
        return this.#method(node, node.args[0], node.args[1], node.args[2], next);
      case 'list': {
        const nodes = node.args;
        const values = nodes.map((one) => this.#value(one, next));
        return lift(this.#source, node, values, (elements) => ({ type: 'list', elements, nodes }));
      }
      default:
        return this.#refuse(node, 'the filter language has no maps');
    }
  }

  #literal(node: Extract<ASTNode, { op: 'value' }>): Value {
    const value = node.args;
    if (value === null) return { type: 'null' };
    switch (typeof value) {
      case 'boolean':
        return { type: 'bool', of: value ? TRUE : not(TRUE) };
      case 'number':
        return { type: 'double', value };
      case 'string':
        return { type: 'string', of: { kind: 'text', value } };
      case 'bigint':
        return this.#integer(node, value);
      default:
        if (value instanceof Uint8Array) this.#refuse(node, 'the filter language has no bytes');
        return this.#integer(node, value.value);
    }
  }

  #integer(node: ASTNode, value: bigint): Value {
    if (value >= 2n ** 64n) this.#refuse(node, `${this.#excerpt(node)} is beyond 64 bits`);
    return { type: 'int', of: { kind: 'int', value }, unit: null };
  }

  #variable(node: ASTNode, name: string): Value {
    if (name === this.#scope?.name) return this.#scope.item;
    const leaf = variable(name);
    if (leaf !== null) return leaf;
    return this.#refuse(node, isType(name) ? bareType(name) : unknownVariable(name));
  }

  #field(node: ASTNode, of: ASTNode, name: string, depth: number): Value {
    const type = of.op === 'id' && of.args !== this.#scope?.name ? of.args : '';
    if (!isType(type)) {
      const leaf = sampleOf(this.#value(of, depth));
      const call = isMethod(name) ? `: write ${this.#excerpt(of)}.${name}(…)` : '';
      const what = `${this.#excerpt(of)} is ${TYPE_NAMES[leaf.type]}`;
      return this.#source.refuse(node.pos, `${what}: it has no field ${name}${call}`);
    }
    return ownField(type, name) ?? this.#source.refuse(node.pos, unknownField(type, name));
  }

  #element(node: ASTNode, of: ASTNode, index: ASTNode, depth: number): Value {
    if (of.op === 'id' && isType(of.args) && index.op === 'value') {
      const name = typeof index.args === 'string' ? index.args : 'field';
      this.#refuse(index, `${of.args} is a type: write ${of.args}.${name}`);
    }
    const list = this.#value(of, depth);
    const at = this.#value(index, depth);
    if (at.type !== 'int' || at.of.kind !== 'int') {
      return this.#refuse(index, 'an index is a constant number, as in process.args[0]');
    }
    const { value } = at.of;
    if (value < 0n || value >= 2n ** 32n) this.#refuse(index, `no list has an element ${value}`);
    return lift(this.#source, node, [list], ([leaf]) => {
      const element = { kind: 'element', index: Number(value) } as const;
      if (leaf?.type === 'texts') {
        return { type: 'string', of: { ...element, field: leaf.field } };
      }
      if (leaf?.type === 'u64s') {
        return { type: 'int', of: { ...element, field: leaf.field }, unit: null };
      }
      const what = leaf === undefined ? '' : TYPE_NAMES[leaf.type];
      return this.#refuse(
        of,
        `${this.#excerpt(of)} is ${what}: only fields that are lists have elements`,
      );
    });
  }

  /** Chains are as deep to the parser as they are long: here they are one level. */
  #chain(node: ASTNode, op: '&&' | '||', depth: number): Value {
    const nodes: ASTNode[] = [];
    let at = node;
    while (at.op === op) {
      nodes.push(at.args[1]);
      at = at.args[0];
    }
    nodes.push(at);
    const args = nodes.reverse().map((one) => this.condition(one, depth));
    return { type: 'bool', of: op === '&&' ? and(args) : or(args) };
  }

  #negated(node: ASTNode, of: ASTNode, depth: number): Value {
    return lift(this.#source, node, [this.#value(of, depth)], ([leaf]) => {
      if (leaf?.type === 'double') return { type: 'double', value: -leaf.value };
      if (leaf?.type !== 'int') {
        const what = leaf === undefined ? '' : TYPE_NAMES[leaf.type];
        return this.#refuse(of, `${this.#excerpt(of)} is ${what}: - is for numbers`);
      }
      const negated = negate(leaf.of);
      if (negated === null) return this.#refuse(node, `${this.#excerpt(node)} is beyond 64 bits`);
      return { type: 'int', of: negated, unit: null };
    });
  }

  #choice(node: ASTNode, test: ASTNode, a: ASTNode, b: ASTNode, depth: number): Value {
    const condition = this.condition(test, depth);
    const then = this.#value(a, depth);
    const otherwise = this.#value(b, depth);
    const { type } = sampleOf(then);
    const other = sampleOf(otherwise).type;
    if (type !== other) {
      const what = `${this.#excerpt(a)} is ${TYPE_NAMES[type]}`;
      this.#refuse(
        b,
        `${what}, ${this.#excerpt(b)} is ${TYPE_NAMES[other]}: both must be the same`,
      );
    }
    return chooseValue(this.#source, node, condition, then, otherwise);
  }

  #binary(
    node: ASTNode,
    op: Comparison | Arithmetic | 'in',
    left: ASTNode,
    right: ASTNode,
    depth: number,
  ): Value {
    const source = this.#source;
    const site = { source, left, right };
    const values = [this.#value(left, depth), this.#value(right, depth)];
    return lift(source, node, values, ([a, b]) => {
      if (a === undefined || b === undefined) return this.#refuse(node, 'an operand is missing');
      switch (op) {
        case '+':
        case '-':
        case '*':
        case '/':
        case '%':
          return calculateLeaves(site, op, a, b);
        case 'in':
          return { type: 'bool', of: memberOf(site, a, b, this.#scope !== null) };
        default:
          return { type: 'bool', of: checkNodes(source, node, compareLeaves(site, op, a, b)) };
      }
    });
  }

  #count(at: number, name: string, args: readonly ASTNode[], wanted: number): void {
    if (args.length === wanted) return;
    const many = wanted === 1 ? '1 argument' : wanted === 0 ? 'no argument' : `${wanted} arguments`;
    this.#source.refuse(at, `${name} takes ${many}, not ${args.length}`);
  }

  #constant(name: string, node: ASTNode, depth: number): string {
    const value = this.#value(node, depth);
    if (value.type === 'string' && value.of.kind === 'text') return value.of.value;
    return this.#refuse(node, `${name} takes a constant string`);
  }

  #call(node: ASTNode, name: string, args: readonly ASTNode[], depth: number): Value {
    if (!isFunction(name)) return this.#refuse(node, unknownFunction(name));
    this.#count(node.start, name, args, 1);
    const [arg] = args;
    return arg === undefined ? this.#refuse(node, name) : this.#function(node, name, arg, depth);
  }

  #function(node: ASTNode, name: FunctionName, arg: ASTNode, depth: number): Value {
    switch (name) {
      case 'has':
        return this.#has(arg, depth);
      case 'size':
        return this.#size(node, arg, depth);
      case 'timestamp': {
        const value = parseTimestamp(this.#constant(name, arg, depth));
        if (value !== null) return { type: name, of: { kind: 'int', value } };
        return this.#refuse(arg, `${this.#excerpt(arg)} is no time: write "2026-11-22T18:00:00Z"`);
      }
      case 'duration': {
        const value = parseDuration(this.#constant(name, arg, depth));
        if (value !== null) return { type: name, of: { kind: 'int', value } };
        return this.#refuse(
          arg,
          `${this.#excerpt(arg)} is no duration: write "1h30m", "1.5s" or "100ms"`,
        );
      }
      case 'cidr': {
        const network = this.#constant(name, arg, depth);
        const wrong = checkNetwork(network);
        if (wrong === null) return { type: 'network', network };
        return this.#refuse(arg, `${this.#excerpt(arg)} is no network: ${wrong}`);
      }
    }
  }

  #has(arg: ASTNode, depth: number): Value {
    const isField = arg.op === '.' || (arg.op === 'id' && arg.args !== this.#scope?.name);
    if (!isField) return this.#refuse(arg, 'has asks for a field, as in has(network.daddr)');
    if (arg.op === 'id') {
      this.#variable(arg, arg.args);
      return { type: 'bool', of: TRUE };
    }
    const [of, name] = arg.args;
    this.#field(arg, of, name, depth);
    return { type: 'bool', of: { kind: 'has', field: `${of.op === 'id' ? of.args : ''}.${name}` } };
  }

  #size(node: ASTNode, of: ASTNode, depth: number): Value {
    return lift(this.#source, node, [this.#value(of, depth)], ([leaf]) => {
      if (leaf?.type === 'string') return { type: 'int', of: size(leaf.of), unit: null };
      if (leaf?.type === 'texts' || leaf?.type === 'u64s') {
        return { type: 'int', of: { kind: 'length', field: leaf.field }, unit: null };
      }
      const what = leaf === undefined ? '' : TYPE_NAMES[leaf.type];
      return this.#refuse(
        of,
        `${this.#excerpt(of)} is ${what}: size is of strings and of fields that are lists`,
      );
    });
  }

  #method(
    node: ASTNode,
    name: string,
    of: ASTNode,
    args: readonly ASTNode[],
    depth: number,
  ): Value {
    // Between the receiver and the name are only brackets and the dot.
    const at = Math.max(node.start, this.#source.text.indexOf(name, of.end));
    if (!isMethod(name)) return this.#source.refuse(at, unknownMethod(name));
    if (name === 'size') {
      this.#count(at, name, args, 0);
      return this.#size(node, of, depth);
    }
    if (name === 'exists' || name === 'all' || name === 'exists_one') {
      this.#count(at, name, args, 2);
      return this.#macro(node, at, name, of, args, depth);
    }
    this.#count(at, name, args, 1);
    const [arg] = args;
    return arg === undefined
      ? this.#source.refuse(at, name)
      : this.#textMethod(node, at, name, of, arg, depth);
  }

  #textMethod(
    node: ASTNode,
    at: number,
    name: Exclude<MethodName, 'size' | keyof typeof MACROS>,
    of: ASTNode,
    arg: ASTNode,
    depth: number,
  ): Value {
    const values = [this.#value(of, depth), this.#value(arg, depth)];
    return lift(this.#source, node, values, ([receiver, argument]) => {
      const wanted = name === 'containsIP' ? 'network' : 'string';
      if (receiver?.type !== wanted) {
        const what = receiver === undefined ? '' : TYPE_NAMES[receiver.type];
        const remedy =
          name === 'containsIP'
            ? 'write cidr("10.0.0.0/8").containsIP(…)'
            : `${name} is for strings`;
        return this.#source.refuse(at, `${this.#excerpt(of)} is ${what}: ${remedy}`);
      }
      if (argument?.type !== 'string') {
        const what = argument === undefined ? '' : TYPE_NAMES[argument.type];
        return this.#refuse(arg, `${this.#excerpt(arg)} is ${what}: ${name} takes a string`);
      }
      if (receiver.type === 'network') {
        const of = inNetworks(argument.of, [receiver.network]);
        if (of.kind === 'error') this.#refuse(arg, `${this.#excerpt(arg)} is no address`);
        return { type: 'bool', of };
      }
      if (name !== 'matches') {
        if (name === 'containsIP') return this.#refuse(node, name);
        return { type: 'bool', of: relation(name, receiver.of, argument.of) };
      }
      if (argument.of.kind !== 'text') return this.#refuse(arg, 'matches takes a constant pattern');
      const wrong = checkPattern(argument.of.value);
      if (wrong !== null) this.#refuse(arg, `${this.#excerpt(arg)} is no pattern: ${wrong}`);
      return { type: 'bool', of: matchesPattern(receiver.of, argument.of.value) };
    });
  }

  #macro(
    node: ASTNode,
    at: number,
    name: keyof typeof MACROS,
    of: ASTNode,
    args: readonly ASTNode[],
    depth: number,
  ): Value {
    const [id, test] = args;
    if (this.#scope !== null) {
      this.#source.refuse(at, `${name} cannot stand within exists, all or exists_one`);
    }
    if (id?.op !== 'id' || test === undefined) {
      return this.#source.refuse(at, `${name} takes a name and a condition`);
    }
    return lift(this.#source, node, [this.#value(of, depth)], ([list]) => {
      if (list?.type !== 'texts' && list?.type !== 'u64s') {
        const what = list === undefined ? '' : TYPE_NAMES[list.type];
        return this.#source.refuse(
          at,
          `${this.#excerpt(of)} is ${what}: ${name} is for fields that are lists`,
        );
      }
      const item: Leaf =
        list.type === 'texts'
          ? { type: 'string', of: { kind: 'item' } }
          : { type: 'int', of: { kind: 'item' }, unit: null };
      this.#scope = { name: id.args, item };
      const condition = this.condition(test, depth);
      this.#scope = null;
      return { type: 'bool', of: over(MACROS[name], list.field, condition) };
    });
  }
}

/** The predicate of an expression, over fields by their full names. */
export function check(source: Source, node: ASTNode): Bool {
  const condition = new Checker(source).condition(node, 1);
  return checkNodes(source, node, condition);
}
