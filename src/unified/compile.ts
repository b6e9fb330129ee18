// What is read of a row, compiled for each op from the event table: an object that is written as one literal is made in a
// few ns, where one that is filled name by name takes some 20 ns for each of its 30 names. The source has nothing but
// names of the event table in it.

import type { EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import type { RowColumns } from '../event/json.ts';
import { type AnyCell, type Cell, cellOf, type Wide } from './cells.ts';
import type { Attribute } from './event.ts';
import type { OwnRow } from './row.ts';

/** Columns that every row has. */
export interface CommonCells {
  readonly op: Cell<string>;
  readonly comm: Cell<string>;
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

/** Attributes that are known beside the row. */
export interface Known {
  boot_id: string;
  event: string;
  host: string;
  ktime: string;
  mapping_version: string;
  original_timestamp: string | undefined;
  pstart: string;
  recording: string;
}

export type Attributes = Readonly<Record<string, Attribute | undefined>>;

/** How rows of an op are read. */
export interface OpReader<T extends EventType> {
  /** Its own fields; those that it does not set are null. */
  readonly row: (cells: CommonCells, row: number) => OwnRow<T>;
  /** What has no place of its own in a UnifiedEvent, keys in order. */
  readonly attributes: (
    cells: CommonCells,
    row: number,
    own: OwnRow<T>,
    known: Known,
  ) => Attributes;
}

/** Own columns that have a place of their own; the others are attributes. */
const PLACED = new Set([
  ...['saddr', 'daddr', 'sport', 'dport', 'protocol', 'direction'],
  ...['bytes_sent', 'bytes_received', 'args', 'packet'],
]);

const KNOWN = [
  ...['boot_id', 'event', 'host', 'ktime'],
  ...['mapping_version', 'original_timestamp', 'pstart', 'recording'],
] as const satisfies readonly (keyof Known)[];

/** Common columns that are attributes, as expressions; what says nothing is not there. */
const COMMON_ATTRIBUTES: Readonly<Record<string, string>> = {
  cgroup_id: 'cells.cgroup_id.digits(row)',
  flags: 'cells.flags.at(row) || undefined',
  kstack_id: 'cells.kstack_id.isZero(row) ? undefined : cells.kstack_id.digits(row)',
  ppid: 'cells.ppid.at(row)',
  seq: 'cells.seq.digits(row)',
  ustack_id: 'cells.ustack_id.isZero(row) ? undefined : cells.ustack_id.digits(row)',
  weight: 'cells.weight.at(row) === 1 ? undefined : cells.weight.at(row)',
};

const specOf = (type: EventType): TypeSpec => EVENTS[type];
const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number =>
  a < b ? -1 : 1;
const literal = (entries: readonly (readonly [string, string])[]): string =>
  `({${entries.map(([name, expression]) => `${name}: ${expression}`).join(', ')}})`;

/** 64-bit ids are text, as in our own form of rows, counts are numbers. */
function attribute(name: string, { unit }: FieldSpec): string {
  if (unit === 'address') return `cells.${name}.hex(row)`;
  if (unit === 'id') return `cells.${name}.digits(row)`;
  return `own.${name} ?? undefined`;
}

function compile<F>(parameters: readonly string[], expression: string): F {
  return new Function(...parameters, `'use strict'; return ${expression};`) as F;
}

/** How an op of a type is read. */
export function opReader<T extends EventType>(type: T, op: string): OpReader<T> {
  const spec = specOf(type);
  const set = new Set(spec.ops[op]?.fields.filter((name) => name !== 'packet'));
  const fields = Object.entries(spec.fields);
  // All fields are there, so that what looks at rows of a type sees objects of one shape.
  const own = fields.map(
    ([name]) => [name, set.has(name) ? `cells.${name}.at(row)` : 'null'] as const,
  );
  const extras = fields
    .filter(([name]) => set.has(name) && !PLACED.has(name))
    .map(([name, field]) => [name, attribute(name, field)] as const);
  const all = new Map<string, string>([
    ...KNOWN.map((name) => [name, `known.${name}`] as const),
    ...Object.entries(COMMON_ATTRIBUTES),
    ...extras,
  ]);
  return {
    row: compile(['cells', 'row'], literal(own)),
    attributes: compile(['cells', 'row', 'own', 'known'], literal([...all].sort(byName))),
  };
}

/** Columns that a conversion wants of a type: all but what no UnifiedEvent holds. */
export function columnsOf(type: EventType): string[] {
  const own = Object.keys(specOf(type).fields).filter((name) => name !== 'packet');
  return [...Object.keys(COMMON), ...own];
}

type CellOf = (name: string) => AnyCell;

/** Makes the cells of a block's columns: one literal for a type, so that all blocks have one shape. */
export function cellsReader(type: EventType): (columns: RowColumns) => CommonCells {
  const specs: Readonly<Record<string, FieldSpec>> = { ...COMMON, ...specOf(type).fields };
  const names = columnsOf(type);
  const make = compile<(cellOf: CellOf) => CommonCells>(
    ['cellOf'],
    literal(names.map((name) => [name, `cellOf('${name}')`])),
  );
  return (columns) => make((name) => cellOf((specs[name] as FieldSpec).type, columns.get(name)));
}
