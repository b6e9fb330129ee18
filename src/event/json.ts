// The JSON form of a row: 64-bit ids and ktime are strings, addresses hex strings, counts and durations
// numbers, ts RFC 3339 in UTC with nine digits.

import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import { nearestName, TapioError } from '../errors.ts';
import { formatTs } from './clock.ts';

/** A value as readers of segments give it. */
export type RowValue =
  | number
  | bigint
  | string
  | readonly string[]
  | readonly bigint[]
  | Uint8Array
  | null;

/** Columns of one type, by name; `get` gives the value of a row. */
export type RowColumns = ReadonlyMap<string, { get(row: number): RowValue }>;

type Encoder = (value: RowValue) => string;

const number: Encoder = (value) => String(value);
const text: Encoder = (value) => JSON.stringify(value);
const quoted: Encoder = (value) => `"${value}"`;
const hex = (value: bigint): string => `"0x${value.toString(16)}"`;

const encoded = (encode: Encoder, value: RowValue): string =>
  value === null ? 'null' : encode(value);

function encoderOf(field: FieldSpec): Encoder {
  switch (field.type) {
    case 'name':
    case 'text':
      return text;
    case 'texts':
      return text;
    case 'u64s':
      return (value) => `[${(value as readonly bigint[]).map(hex).join(',')}]`;
    case 'bytes':
      return (value) => `"${Buffer.from(value as Uint8Array).toString('base64')}"`;
    case 'timestamp':
      return (value) => `"${formatTs(value as bigint)}"`;
    default:
      if (field.unit === 'id') return quoted;
      if (field.unit === 'address') return (value) => hex(value as bigint);
      return number;
  }
}

/** Common fields in the order in which JSON has them; ktime and type are made up on the way. */
export const COMMON_ORDER = [
  'seq',
  'ts',
  'ktime',
  'type',
  'op',
  'cpu',
  'pid',
  'pstart',
  'tid',
  'ppid',
  'uid',
  'gid',
  'comm',
  'cgroup_id',
  'kstack_id',
  'ustack_id',
  'weight',
  'flags',
] as const;

const COMMON_SPECS: Readonly<Record<string, FieldSpec>> = COMMON;

/** Every name that --fields takes: common ones, `type.field`. */
export function fieldNames(): string[] {
  const own = Object.entries(EVENTS).flatMap(([type, spec]) =>
    Object.keys(spec.fields).map((name) => `${type}.${name}`),
  );
  return [...COMMON_ORDER, ...own];
}

/** Throws TapioError('usage') for a name that is none of fieldNames(). */
export function checkFields(names: readonly string[]): void {
  const known = fieldNames();
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = nearestName(name, known);
    throw new TapioError(
      'usage',
      `unknown field ${name}${near === null ? '' : ` (did you mean ${near}?)`}: own fields are written type.field`,
    );
  }
}

interface Part {
  readonly column: string;
  readonly encode: Encoder;
  readonly head: string;
}

/** Writes rows of one type. With `fields` only those are written. */
export class JsonEncoder {
  readonly #type: string;
  readonly #common: readonly Part[];
  readonly #own: readonly Part[];
  /** Columns that must be read. */
  readonly columns: readonly string[];

  constructor(type: string, fields: readonly string[] | null) {
    const wanted = fields === null ? null : new Set(fields);
    const spec = (EVENTS as Readonly<Record<string, TypeSpec>>)[type];
    this.#type = type;
    this.#common = COMMON_ORDER.filter((name) => wanted?.has(name) ?? true).map((name) => ({
      column: name,
      encode: encoderOf(COMMON_SPECS[name] ?? { id: 0, type: 'name', doc: '', since: 1 }),
      head: `"${name}":`,
    }));
    this.#own = Object.entries(spec?.fields ?? {})
      .filter(([name]) => wanted?.has(`${type}.${name}`) ?? true)
      .map(([name, field]) => ({ column: name, encode: encoderOf(field), head: `"${name}":` }));
    const made: readonly string[] = ['ktime', 'type'];
    this.columns = [
      ...new Set([
        'seq',
        'ts',
        ...this.#common.map((p) => p.column),
        ...this.#own.map((p) => p.column),
      ]),
    ].filter((name) => !made.includes(name));
  }

  /** One row, without a line end; columns that are absent are null. `tsOffset` is that of its segment. */
  encode(columns: RowColumns, row: number, tsOffset: bigint): string {
    const parts: string[] = [];
    for (const { column, encode, head } of this.#common) {
      if (column === 'type') parts.push(`"type":"${this.#type}"`);
      else if (column === 'ktime') {
        parts.push(`"ktime":"${(columns.get('ts')?.get(row) as bigint) - tsOffset}"`);
      } else parts.push(head + encoded(encode, columns.get(column)?.get(row) ?? null));
    }
    if (this.#own.length > 0) {
      const own = this.#own.map(
        ({ column, encode, head }) => head + encoded(encode, columns.get(column)?.get(row) ?? null),
      );
      parts.push(`"${this.#type}":{${own.join(',')}}`);
    }
    return `{${parts.join(',')}}`;
  }
}

/** Encoders of all types, each made when it is first asked for. */
export class JsonEncoders {
  readonly #fields: readonly string[] | null;
  readonly #made = new Map<string, JsonEncoder>();

  constructor(fields: readonly string[] | null = null) {
    this.#fields = fields;
  }

  of(type: string): JsonEncoder {
    let encoder = this.#made.get(type);
    if (encoder === undefined) {
      encoder = new JsonEncoder(type, this.#fields);
      this.#made.set(type, encoder);
    }
    return encoder;
  }
}
