// The predicate of one type's rows out of the one for all types: its own fields by their column names, fields
// of other types absent, `type` a constant.

import type { EventType } from '../../../schemas/arrow.ts';
import type { Bool, Int, Text } from '../predicate.ts';
import {
  ALWAYS,
  and,
  arith,
  choose,
  compare,
  compareText,
  ERROR,
  FALSE,
  inNetworks,
  matchesPattern,
  negate,
  not,
  oneOf,
  or,
  over,
  relation,
  size,
  TYPE_FIELD,
  within,
} from './fold.ts';

class Lowering {
  readonly #type: EventType;

  constructor(type: EventType) {
    this.#type = type;
  }

  /** The column of a field, or null where it is another type's. */
  #column(field: string): string | null {
    if (ALWAYS.has(field)) return field;
    const [type, name] = field.split('.');
    return type === this.#type && name !== undefined ? name : null;
  }

  #placed<N extends { readonly field: string }>(node: N): N | null {
    const field = this.#column(node.field);
    return field === null ? null : { ...node, field };
  }

  /** Null for what is always an error. */
  #int(node: Int): Int | null {
    switch (node.kind) {
      case 'int':
      case 'item':
        return node;
      case 'field':
      case 'length':
      case 'element':
        return this.#placed(node);
      case 'arith': {
        const left = this.#int(node.left);
        const right = this.#int(node.right);
        return left === null || right === null ? null : arith(node.op, left, right);
      }
      case 'negate': {
        const of = this.#int(node.of);
        return of === null ? null : negate(of);
      }
      case 'size': {
        const of = this.#text(node.of);
        return of === null ? null : size(of);
      }
    }
  }

  #text(node: Text): Text | null {
    if (node.kind === 'text' || node.kind === 'item') return node;
    if (node.field === TYPE_FIELD) return { kind: 'text', value: this.#type };
    return this.#placed(node);
  }

  #ofInt(of: Int, test: (of: Int) => Bool): Bool {
    const lowered = this.#int(of);
    return lowered === null ? ERROR : test(lowered);
  }

  #ofText(of: Text, test: (of: Text) => Bool): Bool {
    const lowered = this.#text(of);
    return lowered === null ? ERROR : test(lowered);
  }

  bool(node: Bool): Bool {
    switch (node.kind) {
      case 'true':
      case 'false':
      case 'error':
        return node;
      case 'and':
        return and(node.args.map((arg) => this.bool(arg)));
      case 'or':
        return or(node.args.map((arg) => this.bool(arg)));
      case 'not':
        return not(this.bool(node.of));
      case 'untrue':
        return { kind: 'untrue', of: this.bool(node.of) };
      case 'choose':
        return choose(this.bool(node.test), this.bool(node.then), this.bool(node.else));
      case 'within':
        return this.#ofInt(node.of, (of) => within(of, node.ranges));
      case 'compare':
        return this.#ofInt(node.left, (left) =>
          this.#ofInt(node.right, (right) => compare(node.op, left, right)),
        );
      case 'compareText':
        return this.#ofText(node.left, (left) =>
          this.#ofText(node.right, (right) => compareText(node.op, left, right)),
        );
      case 'oneOf':
        return this.#ofText(node.of, (of) => oneOf(of, node.values));
      case 'startsWith':
      case 'endsWith':
      case 'contains':
        return this.#ofText(node.of, (of) =>
          this.#ofText(node.text, (text) => relation(node.kind, of, text)),
        );
      case 'matches':
        return this.#ofText(node.of, (of) => matchesPattern(of, node.pattern));
      case 'inNetworks':
        return this.#ofText(node.of, (of) => inNetworks(of, node.networks));
      case 'has':
        return this.#placed(node) ?? FALSE;
      case 'any':
      case 'every':
      case 'one': {
        const placed = this.#placed(node);
        return placed === null ? ERROR : over(node.kind, placed.field, this.bool(node.test));
      }
    }
  }
}

/** What the predicate for all types comes to in rows of one type; it has the same three values. */
export function lower(predicate: Bool, type: EventType): Bool {
  return new Lowering(type).bool(predicate);
}
