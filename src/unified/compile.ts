// What is read of a row and how its attributes are written, compiled for each op from the event table: what looks at names at
// run time takes some 20 ns for each of 30. The source has nothing but names of the event table in it.

import type { EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import type { RowColumns } from '../event/json.ts';
import { type AnyCell, type Cell, cellOf, type Wide } from './cells.ts';
import type { OwnRow } from './row.ts';
import * as out from './text.ts';
import { jsonPiece, type Piece } from './text.ts';

/** Columns that every row has. */
export interface CommonCells {
  readonly op: Cell<Piece>;
  readonly comm: Cell<Piece>;
  readonly cpu: Cell<number>;
  readonly pid: Cell<number>;
  readonly tid: Cell<number>;
  readonly ppid: Cell<number>;
  readonly uid: Cell<number>;
  readonly gid: Cell<number>;
  readonly weight: Cell<number>;
  readonly flags: Cell<number>;
  readonly seq: Wide;
  readonly ts: Wide;
  readonly pstart: Wide;
  readonly cgroup_id: Wide;
  readonly kstack_id: Wide;
  readonly ustack_id: Wide;
}

/** What is the same in all events of a converter: words, or a value that it knows. */
export type Static =
  | { readonly text: string }
  | { readonly known: 'boot_id' | 'host' | 'mapping_version' | 'recording' };

/** What is known beside the row. */
export interface Known {
  /** What stands next to one another in all events, by number in GROUPS; each is made when it is first asked for. */
  readonly groups: (Piece | undefined)[];
  group(number: number): Piece;
  /** Write times of the row that is converted. */
  ktime(): void;
  originalTimestamp(): void;
}

/** How rows of an op are read and written. */
export interface OpWriter<T extends EventType> {
  /** Its own fields; those that it does not set are null, as are ids and addresses, which are only told. */
  readonly row: (cells: CommonCells, row: number) => OwnRow<T>;
  /** Writes what has no place of its own, keys in order, from the brace behind the context before to the event's end. */
  readonly attributes: (cells: CommonCells, row: number, own: OwnRow<T>, known: Known) => void;
}

/** Own columns that have a place of their own; the others are attributes. */
const PLACED = new Set([
  ...['saddr', 'daddr', 'sport', 'dport', 'protocol', 'direction'],
  ...['bytes_sent', 'bytes_received', 'args', 'packet'],
]);

/** A part of the attributes: the same for a while, or a statement that writes it. */
type Part = Static | { readonly statement: string };

const FIRST = 'boot_id';
const groups: Static[][] = [];
const groupNumbers = new Map<string, number>();

/** What the groups of a converter hold, by number. */
export const GROUPS: readonly (readonly Static[])[] = groups;

function groupNumber(group: Static[]): number {
  const key = JSON.stringify(group);
  const known = groupNumbers.get(key) ?? groups.push(group) - 1;
  groupNumbers.set(key, known);
  return known;
}

const specOf = (type: EventType): TypeSpec => EVENTS[type];
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : 1;
const literal = (entries: readonly (readonly [string, string])[]): string =>
  `({${entries.map(([name, expression]) => `${name}: ${expression}`).join(', ')}})`;
const isTold = ({ unit }: FieldSpec): boolean => unit === 'address' || unit === 'id';
const isText = ({ type }: FieldSpec): boolean => type === 'name' || type === 'text';

function compile<F>(parameters: readonly string[], body: string): F {
  return new Function(...parameters, `'use strict'; ${body}`) as F;
}

/** Compiles statements, and the keys that they write. */
class Statements {
  readonly keys: Piece[] = [];

  /** An attribute. 64-bit ids are text, as in our own form of rows, counts are numbers. */
  attribute(name: string, field: FieldSpec): string {
    const cell = `cells.${name}`;
    if (isTold(field)) {
      const write = field.unit === 'address' ? 'wideHex' : 'wide';
      const value = `${write}(${cell}.low(row), ${cell}.high(row))`;
      return this.#quoted(name, `!${cell}.isNull(row)`, value);
    }
    const own = `own.${name}`;
    if (isText(field)) return this.#quoted(name, `${own} !== null`, `put(${own})`);
    return this.#number(name, `${own} !== null`, `integer(${own})`);
  }

  /** Common columns that are attributes; what says nothing is not there. */
  common(name: string, [column, silent]: readonly [FieldSpec, number]): string {
    const cell = `cells.${name}`;
    if (isTold(column)) {
      return this.#quoted(
        name,
        `!${cell}.isZero(row)`,
        `wide(${cell}.low(row), ${cell}.high(row))`,
      );
    }
    const value = `(${cell}.at(row) ?? ${silent})`;
    return this.#number(name, `${value} !== ${silent}`, `number(${value})`);
  }

  #key(name: string, quote: string): string {
    // Those before the first one that is always there have their comma behind them.
    const key = jsonPiece(`${name < FIRST ? '' : ','}"${name}":${quote}`);
    return `put(keys[${this.keys.push(key) - 1}])`;
  }

  #quoted(name: string, condition: string, write: string): string {
    const end = name < FIRST ? 'byte(34); byte(44);' : 'byte(34);';
    return `if (${condition}) { ${this.#key(name, '"')}; ${write}; ${end} }`;
  }

  #number(name: string, condition: string, write: string): string {
    const end = name < FIRST ? 'byte(44);' : '';
    return `if (${condition}) { ${this.#key(name, '')}; ${write}; ${end} }`;
  }
}

/** What there is once in a while, and its value that says nothing. */
const RARE: Readonly<Record<string, number>> = { flags: 0, kstack_id: 0, ustack_id: 0, weight: 1 };

function partsOf(
  type: EventType,
  op: string,
  isRebased: boolean,
): { parts: Part[]; keys: Piece[] } {
  const spec = specOf(type);
  const statements = new Statements();
  const set = new Set(spec.ops[op]?.fields);
  const all = new Map<string, readonly Part[]>([
    ['boot_id', [{ text: '"boot_id":' }, { known: 'boot_id' }]],
    ['event', [{ text: `,"event":"${type}.${op}"` }]],
    ['host', [{ text: ',"host":' }, { known: 'host' }]],
    ['ktime', [{ text: ',"ktime":"' }, { statement: 'known.ktime();' }, { text: '"' }]],
    ['mapping_version', [{ text: ',"mapping_version":' }, { known: 'mapping_version' }]],
    ['ppid', [{ text: ',"ppid":' }, { statement: 'number(cells.ppid.at(row) ?? 0);' }]],
    ['recording', [{ text: ',"recording":' }, { known: 'recording' }]],
  ]);
  for (const name of ['cgroup_id', 'pstart', 'seq']) {
    const statement = `wide(cells.${name}.low(row), cells.${name}.high(row));`;
    all.set(name, [{ text: `,"${name}":"` }, { statement }, { text: '"' }]);
  }
  if (isRebased) {
    const text = ',"original_timestamp":"';
    all.set('original_timestamp', [
      { text },
      { statement: 'known.originalTimestamp();' },
      { text: 'Z"' },
    ]);
  }
  for (const [name, silent] of Object.entries(RARE)) {
    const column = COMMON[name as keyof typeof COMMON];
    all.set(name, [{ statement: statements.common(name, [column, silent]) }]);
  }
  for (const [name, field] of Object.entries(spec.fields)) {
    if (!set.has(name) || PLACED.has(name)) continue;
    all.set(name, [{ statement: statements.attribute(name, field) }]);
  }
  const parts = [...all].sort(byName).flatMap(([, some]) => some);
  return {
    parts: [{ text: '},"attributes":{' }, ...parts, { text: '}}' }],
    keys: statements.keys,
  };
}

/** Statements in order, and what is the same between them at once. */
function bodyOf(parts: readonly Part[]): string {
  const statements: string[] = [];
  let group: Static[] = [];
  const end = (): void => {
    if (group.length === 0) return;
    const number = groupNumber(group);
    statements.push(`put(known.groups[${number}] ?? known.group(${number}));`);
    group = [];
  };
  for (const part of parts) {
    if ('statement' in part) {
      end();
      statements.push(part.statement);
    } else group.push(part);
  }
  end();
  return statements.join('\n');
}

/** How an op of a type is read and written. `isRebased`: its events tell their original time as well. */
export function opWriter<T extends EventType>(
  type: T,
  op: string,
  isRebased: boolean,
): OpWriter<T> {
  const spec = specOf(type);
  const set = new Set(spec.ops[op]?.fields.filter((name) => name !== 'packet'));
  // All fields are there, so that what looks at rows of a type sees objects of one shape.
  const own = Object.entries(spec.fields).map(([name, field]) => {
    const isRead = set.has(name) && (PLACED.has(name) || !isTold(field));
    return [name, isRead ? `cells.${name}.at(row)` : 'null'] as const;
  });
  const { parts, keys } = partsOf(type, op, isRebased);
  const make = compile<(keys: readonly Piece[], functions: Out) => OpWriter<T>['attributes']>(
    ['keys', 'out'],
    `const { put, byte, number, integer, wide, wideHex } = out;
return (cells, row, own, known) => {\n${bodyOf(parts)}\n};`,
  );
  return {
    row: compile(['cells', 'row'], `return ${literal(own)};`),
    attributes: make(keys, out),
  };
}

/** Columns that a conversion wants of a type: all but what no UnifiedEvent holds. */
export function columnsOf(type: EventType): string[] {
  const own = Object.keys(specOf(type).fields).filter((name) => name !== 'packet');
  return [...Object.keys(COMMON), ...own];
}

type Out = typeof out;
type CellOf = (name: string) => AnyCell;

/** Makes the cells of a block's columns: one literal for a type, so that all blocks have one shape. */
export function cellsReader(type: EventType): (columns: RowColumns) => CommonCells {
  const specs: Readonly<Record<string, FieldSpec>> = { ...COMMON, ...specOf(type).fields };
  const names = columnsOf(type);
  const make = compile<(cellOf: CellOf) => CommonCells>(
    ['cellOf'],
    `return ${literal(names.map((name) => [name, `cellOf('${name}')`]))};`,
  );
  return (columns) => make((name) => cellOf((specs[name] as FieldSpec).type, columns.get(name)));
}
