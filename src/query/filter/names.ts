// What the names of the filter language mean, and what is said of a name that means nothing.

import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../../schemas/events.ts';
import { nearestName } from '../../errors.ts';
import { TYPE_FIELD } from './fold.ts';
import type { Leaf } from './values.ts';

const TYPES: Readonly<Record<string, TypeSpec>> = EVENTS;
const COMMON_FIELDS: Readonly<Record<string, FieldSpec>> = COMMON;

/** Names that stand for themselves. */
const VARIABLES: readonly string[] = [...Object.keys(COMMON), 'ktime', TYPE_FIELD];

const OWN_FIELDS: readonly string[] = Object.entries(TYPES).flatMap(([type, { fields }]) =>
  Object.keys(fields).map((field) => `${type}.${field}`),
);

function columnLeaf(field: string, spec: FieldSpec): Leaf {
  switch (spec.type) {
    case 'name':
    case 'text':
      return { type: 'string', of: { kind: 'field', field } };
    case 'timestamp':
      return { type: 'timestamp', of: { kind: 'field', field } };
    case 'texts':
    case 'u64s':
    case 'bytes':
      return { type: spec.type, field };
    default: {
      const unit = spec.unit === 'ns' || spec.unit === 'us' ? spec.unit : null;
      return { type: 'int', of: { kind: 'field', field }, unit };
    }
  }
}

export const isType = (name: string): boolean => Object.hasOwn(TYPES, name);

/** What a variable is, or null where there is none of that name. */
export function variable(name: string): Leaf | null {
  if (name === TYPE_FIELD) return { type: 'string', of: { kind: 'field', field: name } };
  if (name === 'ktime') return { type: 'int', of: { kind: 'field', field: name }, unit: null };
  const spec = Object.hasOwn(COMMON_FIELDS, name) ? COMMON_FIELDS[name] : undefined;
  return spec === undefined ? null : columnLeaf(name, spec);
}

/** What a field of a type is, under its full name; null where the type has no such field. */
export function ownField(type: string, name: string): Leaf | null {
  const fields = TYPES[type]?.fields ?? {};
  const spec = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return spec === undefined ? null : columnLeaf(`${type}.${name}`, spec);
}

const meant = (names: readonly string[]): string => {
  const last = names.at(-1) ?? '';
  const list = names.length > 1 ? `${names.slice(0, -1).join(', ')} or ${last}` : last;
  return last === '' ? '' : ` (did you mean ${list}?)`;
};

const near = (word: string, names: readonly string[]): string => {
  const name = nearestName(word, names);
  return meant(name === null ? [] : [name]);
};

/** A variable that is none: perhaps a field without its type. */
export function unknownVariable(name: string): string {
  const full = OWN_FIELDS.filter((one) => one.split('.')[1] === name);
  const names = [...VARIABLES, ...Object.keys(TYPES), ...OWN_FIELDS];
  return `unknown name ${name}${full.length > 0 ? meant(full) : near(name, names)}`;
}

/** A type's name where a value is wanted. */
export function bareType(type: string): string {
  const example = Object.keys(TYPES[type]?.fields ?? {})[0] ?? '';
  return `${type} is a type: name a field of it, as in ${type}.${example}, or write type == "${type}"`;
}

/** A field that the type has not. */
export function unknownField(type: string, name: string): string {
  if (VARIABLES.includes(name))
    return `${name} is a field of every type: write it without ${type}.`;
  const own = Object.keys(TYPES[type]?.fields ?? {});
  const elsewhere = OWN_FIELDS.filter((one) => one.split('.')[1] === name);
  return `${type} has no field ${name}${elsewhere.length > 0 ? meant(elsewhere) : near(name, own)}`;
}

const FUNCTIONS = ['has', 'size', 'timestamp', 'duration', 'cidr'] as const;
const METHODS = [
  'size',
  'startsWith',
  'endsWith',
  'contains',
  'matches',
  'containsIP',
  'exists',
  'all',
  'exists_one',
] as const;

export type FunctionName = (typeof FUNCTIONS)[number];
export type MethodName = (typeof METHODS)[number];

export const isFunction = (name: string): name is FunctionName =>
  (FUNCTIONS as readonly string[]).includes(name);
export const isMethod = (name: string): name is MethodName =>
  (METHODS as readonly string[]).includes(name);

export function unknownFunction(name: string): string {
  if (isMethod(name)) return `${name} follows a value: write x.${name}(…)`;
  return `unknown function ${name}${near(name, [...FUNCTIONS, ...METHODS])}`;
}

export function unknownMethod(name: string): string {
  if (isFunction(name)) return `${name} is a function: write ${name}(…)`;
  return `unknown method ${name}${near(name, METHODS)}`;
}
