// Rows as the columns of a segment, out of their JSON form.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import type { RowColumns, RowValue } from '../../src/event/json.ts';
import { Strings } from '../../src/segment/strings.ts';
import {
  DictionaryVector,
  NumberVector,
  type TypedArray,
  type Vector,
  vectorOf,
} from '../../src/segment/vectors.ts';

/** A row by column. */
export type PlainRow = Readonly<Record<string, RowValue>>;

type Json = Readonly<Record<string, unknown>>;

/** JSON whose integers beyond a double are bigint. */
export function parseExactly(text: string): unknown {
  const reviver = (_: string, value: unknown, context: { source?: string }): unknown => {
    const isWhole = typeof value === 'number' && /^-?\d+$/.test(context.source ?? '');
    return isWhole && !Number.isSafeInteger(value) ? BigInt(context.source as string) : value;
  };
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
}

function nsOf(text: string): bigint {
  const [, seconds = '', fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(text) ?? [];
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

function cellOf(value: unknown, { type }: FieldSpec): RowValue {
  if (value === undefined || value === null) return null;
  if (type === 'timestamp') return nsOf(String(value));
  if (type === 'u64' || type === 'i64') return BigInt(value as string);
  if (type === 'u64s') return (value as string[]).map(BigInt);
  if (type === 'bytes') return Buffer.from(String(value), 'base64');
  return value as RowValue;
}

/** All columns of a type. */
export function specsOf(type: EventType): Readonly<Record<string, FieldSpec>> {
  return { ...COMMON, ...(EVENTS[type] as TypeSpec).fields };
}

/** A row from a line of `query -o json`. */
export function rowOf(line: string): { type: EventType; row: PlainRow } {
  const json = parseExactly(line) as Json;
  const type = EVENT_TYPES.find((one) => one === json.type) as EventType;
  const row = Object.entries(specsOf(type)).map(([name, spec]) => [
    name,
    cellOf(name in COMMON ? json[name] : (json[type] as Json)[name], spec),
  ]);
  return { type, row: Object.fromEntries(row) as PlainRow };
}

function validityOf(values: readonly RowValue[]): Uint8Array {
  if (!values.includes(null)) return new Uint8Array(0);
  const bits = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, i) => {
    if (value !== null) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  });
  return bits;
}

function numbers(type: FieldSpec['type'], values: readonly RowValue[]): TypedArray {
  const small = values.map((value) => Number(value ?? 0));
  const wide = values.map((value) => BigInt((value as bigint) ?? 0n));
  if (type === 'u16') return Uint16Array.from(small);
  if (type === 'u32') return Uint32Array.from(small);
  if (type === 'i32') return Int32Array.from(small);
  return type === 'u64' ? BigUint64Array.from(wide) : BigInt64Array.from(wide);
}

function bufferOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
}

function offsetsOf(lengths: readonly number[]): Uint8Array {
  let end = 0;
  return bufferOf(Int32Array.from([0, ...lengths.map((length) => (end += length))]));
}

/** A column of lists or bytes, in Arrow's buffers. */
function listColumn(type: FieldSpec['type'], values: readonly RowValue[]): Vector {
  const lists = values.map((value) => (value ?? []) as readonly RowValue[]);
  const all = lists.flatMap((list) => [...list]);
  const buffers = [validityOf(values), offsetsOf(lists.map(({ length }) => length))];
  if (type === 'bytes')
    buffers.push(Buffer.concat(values.filter((value) => value !== null) as Uint8Array[]));
  else if (type === 'u64s')
    buffers.push(new Uint8Array(0), bufferOf(BigUint64Array.from(all as bigint[])));
  else {
    const texts = all.map((text) => Buffer.from(String(text)));
    buffers.push(
      new Uint8Array(0),
      offsetsOf(texts.map(({ length }) => length)),
      Buffer.concat(texts),
    );
  }
  const nodes = [{ length: values.length }, { length: all.length }];
  return vectorOf({ name: '', type, nullable: true }, { nodes, buffers }, undefined);
}

function column(type: FieldSpec['type'], values: readonly RowValue[]): Vector {
  if (type === 'texts' || type === 'u64s' || type === 'bytes') return listColumn(type, values);
  const validity = validityOf(values);
  if (type !== 'name' && type !== 'text') {
    return new NumberVector(values.length, validity, numbers(type, values));
  }
  const strings = [...new Set(values.filter((value) => value !== null))] as string[];
  const places = new Map(strings.map((text, i) => [text, i]));
  const indices = values.map((value) => places.get(value as string) ?? 0);
  const array = type === 'name' ? Uint16Array.from(indices) : Int32Array.from(indices);
  return new DictionaryVector(values.length, validity, array, Strings.of(strings));
}

/** Columns that hold these rows, as a segment's do. */
export function columnsWith(type: EventType, rows: readonly PlainRow[]): RowColumns {
  return new Map(
    Object.entries(specsOf(type)).map(([name, spec]) => [
      name,
      column(
        spec.type,
        rows.map((row) => row[name] ?? null),
      ),
    ]),
  );
}

/** The same without buffers: each value as it is. */
export function looseColumns(type: EventType, rows: readonly PlainRow[]): RowColumns {
  return new Map(
    Object.keys(specsOf(type)).map((name) => [
      name,
      { get: (row: number) => rows[row]?.[name] ?? null },
    ]),
  );
}
