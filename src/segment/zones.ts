// What a batch holds at a glance: readers skip it where that rules every row out. Rows that are null may
// count as zero, or as the first string: a zone never holds too little.

import type { ColumnSpec, ColumnType } from '../../schemas/arrow.ts';
import { type ColumnBuffers, EMPTY } from './arrow-file.ts';
import { bloomOf, capacityOf, hashNumber, hashText } from './bloom.ts';

/** Smallest and largest number (min > max: all are null), and a Bloom filter of them. */
export interface NumberZone {
  readonly min: number;
  readonly max: number;
  readonly bloom?: string;
}

/** All strings where they are few, else a Bloom filter of them: see bloom.ts. */
export type TextZone = { readonly in: readonly string[] } | { readonly bloom: string };

/** By column. */
export type Zones = Readonly<Record<string, NumberZone | TextZone>>;

/** A column of a batch as zones are made of it. */
export interface ZonedColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly allNull: boolean;
  /** Where its values begin. */
  readonly memory: ArrayBuffer;
  readonly offset: number;
}

/** Numbers that people ask by; those with `true` are asked for one by one. */
const NUMBERS: Readonly<Record<string, boolean>> = {
  pid: true,
  uid: false,
  weight: false,
  sport: true,
  dport: true,
  child_pid: true,
  target_pid: true,
};

/** A set has no more strings than this, and no more characters. */
const SET_MAX = 32;
const SET_CHARS_MAX = 512;
/**
 * Bits of a filter for each row of its batch, at most: all of a batch's take less than 2 % of what it does. Texts may
 * be many, as the paths are of who walks a tree.
 */
const BITS_PER_ROW = 1;
const BITS_PER_ROW_OF_TEXT = 2;
/** Values beyond this are not looked for one by one: ids of processes are below it. */
const MET = 2 ** 22;

/** Marks values that were met; all zero between calls. */
const met = new Uint8Array(MET);

// These loops are all that runs per row on the writer's thread: 2 ns a row, as plain as can be.
function numberRange(values: Uint16Array | Uint32Array | Int32Array): [number, number] {
  let min = values[0] ?? 0;
  let max = min;
  for (let i = 1; i < values.length; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  return [min, max];
}

/** The different values, or null where there are more than `most` or one is out of reach. */
function distinct(values: Uint16Array | Uint32Array | Int32Array, most: number): number[] | null {
  const found: number[] = [];
  let fits = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (met[value] === 1) continue;
    if (found.length === most || value < 0 || value >= MET) {
      fits = false;
      break;
    }
    met[value] = 1;
    found.push(value);
  }
  for (const value of found) met[value] = 0;
  return fits ? found : null;
}

function numberZone(values: Uint16Array | Uint32Array | Int32Array, filtered: boolean): NumberZone {
  const [min, max] = numberRange(values);
  const bitsMax = values.length * BITS_PER_ROW;
  const found = filtered && min !== max ? distinct(values, capacityOf(bitsMax)) : null;
  if (found === null) return { min, max };
  return { min, max, bloom: bloomOf(found.map(hashNumber), bitsMax) };
}

function textZone(
  values: Uint16Array | Int32Array,
  bitsPerRow: number,
  text: (index: number) => string,
): TextZone | null {
  const bitsMax = values.length * bitsPerRow;
  const found = distinct(values, Math.max(SET_MAX, capacityOf(bitsMax)));
  if (found === null) return null;
  if (found.length <= SET_MAX) {
    const strings = found.map(text);
    const chars = strings.reduce((sum, one) => sum + one.length, 0);
    if (chars <= SET_CHARS_MAX) return { in: strings };
    if (found.length > capacityOf(bitsMax)) return null;
  }
  return {
    bloom: bloomOf(
      found.map((index) => hashText(text(index))),
      bitsMax,
    ),
  };
}

function numbersOf(
  type: 'u16' | 'u32' | 'i32',
  memory: ArrayBuffer,
  offset: number,
  rows: number,
): Uint16Array | Uint32Array | Int32Array {
  if (type === 'u16') return new Uint16Array(memory, offset, rows);
  return type === 'u32'
    ? new Uint32Array(memory, offset, rows)
    : new Int32Array(memory, offset, rows);
}

function zoneOf(
  { name, type, allNull, memory, offset }: ZonedColumn,
  rows: number,
  text: (index: number) => string,
): NumberZone | TextZone | null {
  switch (type) {
    case 'name':
      return allNull
        ? { in: [] }
        : textZone(new Uint16Array(memory, offset, rows), BITS_PER_ROW, text);
    case 'text':
      return allNull
        ? { in: [] }
        : textZone(new Int32Array(memory, offset, rows), BITS_PER_ROW_OF_TEXT, text);
    case 'u16':
    case 'u32':
    case 'i32': {
      const filtered = NUMBERS[name];
      if (filtered === undefined) return null;
      if (allNull) return { min: 0, max: -1 };
      return numberZone(numbersOf(type, memory, offset, rows), filtered);
    }
    default:
      return null;
  }
}

/** Zones of the columns that people ask by. `text` gives a string of a column (by position) by index. */
export function zonesOf(
  columns: readonly ZonedColumn[],
  rows: number,
  text: (column: number, index: number) => string,
): Zones {
  const zones: Record<string, NumberZone | TextZone> = {};
  columns.forEach((column, i) => {
    const zone = zoneOf(column, rows, (index) => text(i, index));
    if (zone !== null) zones[column.name] = zone;
  });
  return zones;
}

/** Zones of columns whose buffers are there; `dictionaries`: strings by the position of their column. */
export function zonesOfBuffers(
  specs: readonly ColumnSpec[],
  columns: readonly ColumnBuffers[],
  rows: number,
  dictionaries: ReadonlyMap<number, readonly string[]>,
): Zones {
  const zoned = specs.map(({ name, type, nullable }, i): ZonedColumn => {
    const { nodes = [], buffers = [] } = columns[i] ?? {};
    const { bytes } = buffers[1] ?? EMPTY;
    const allNull = nullable && nodes[0]?.nulls === rows;
    return { name, type, allNull, memory: bytes.buffer as ArrayBuffer, offset: bytes.byteOffset };
  });
  return zonesOf(zoned, rows, (column, index) => dictionaries.get(column)?.[index] ?? '');
}
