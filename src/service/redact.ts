// What is let out of a field that a policy hides: nothing, or its text without the parts that match. Every way
// out takes its blocks from here, before rows become JSON, Arrow or events.

import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldType, type TypeSpec } from '../../schemas/events.ts';
import type { RowValue } from '../event/json.ts';
import type { EventBlock } from '../event/stream.ts';
import { EncodedBlock } from '../raw/encoded.ts';
import { Strings } from '../segment/strings.ts';
import { DictionaryVector, NumberVector, type Vector } from '../segment/vectors.ts';
import { redactNative } from '../source/binding.ts';
import type { Mask, NativeTextRedactor } from '../source/redact.ts';

/** Fields by name, as filters and --fields have them: common ones, and network.dport. */
export interface Redactions {
  /** Those of which nothing is seen. */
  readonly hidden: ReadonlySet<string>;
  /** Those of which what matches is replaced. */
  readonly masked: ReadonlyMap<string, readonly Mask[]>;
}

/** They say which row is which, or how many it stands for: no answer is one without them. */
const ALWAYS_SHOWN = ['seq', 'ts', 'ktime', 'type', 'op', 'weight'];
const TEXT_TYPES: readonly FieldType[] = ['name', 'text', 'texts'];

/** Storage of each field that may be redacted. */
const FIELD_TYPES: ReadonlyMap<string, FieldType> = new Map([
  ...Object.entries(COMMON)
    .filter(([name]) => !ALWAYS_SHOWN.includes(name))
    .map(([name, { type }]) => [name, type] as const),
  ...Object.entries(EVENTS as Readonly<Record<string, TypeSpec>>).flatMap(([type, { fields }]) =>
    Object.entries(fields).map(([name, field]) => [`${type}.${name}`, field.type] as const),
  ),
]);

/** Names of the fields that may be redacted; with `texts`, of those that patterns can be of. */
export function redactableFields(of: 'all' | 'texts' = 'all'): string[] {
  return [...FIELD_TYPES]
    .filter(([, type]) => of === 'all' || TEXT_TYPES.includes(type))
    .map(([name]) => name);
}

/** The full name of a column of a type. */
export function fieldName(type: EventType, column: string): string {
  return Object.hasOwn(COMMON, column) || ALWAYS_SHOWN.includes(column)
    ? column
    : `${type}.${column}`;
}

type Column = { get(row: number): RowValue };

/** A column of a block without values. It has buffers where the stored one has, for those who read them. */
function absent(type: FieldType, length: number): Column {
  const none = new Uint8Array((length + 7) >> 3);
  switch (type) {
    case 'name':
      return new DictionaryVector(length, none, new Uint16Array(length), Strings.of([]));
    case 'text':
      return new DictionaryVector(length, none, new Int32Array(length), Strings.of([]));
    case 'u16':
      return new NumberVector(length, none, new Uint16Array(length));
    case 'u32':
      return new NumberVector(length, none, new Uint32Array(length));
    case 'i32':
      return new NumberVector(length, none, new Int32Array(length));
    case 'u64':
      return new NumberVector(length, none, new BigUint64Array(length));
    case 'i64':
    case 'timestamp':
      return new NumberVector(length, none, new BigInt64Array(length));
    default:
      return { get: () => null };
  }
}

/** Texts of one field. */
class MaskedTexts {
  readonly #native: NativeTextRedactor;
  /** Many blocks share a dictionary: each is gone through once. */
  readonly #dictionaries = new WeakMap<Strings, Strings>();

  constructor(masks: readonly Mask[]) {
    this.#native = new (redactNative().TextRedactor)(masks);
  }

  dictionary(strings: Strings): Strings {
    let out = this.#dictionaries.get(strings);
    if (out === undefined) {
      out = Strings.of(this.#native.redact(strings.all()));
      this.#dictionaries.set(strings, out);
    }
    return out;
  }

  value(value: RowValue): RowValue {
    if (typeof value === 'string') return this.#native.redact([value])[0] ?? null;
    return Array.isArray(value) ? this.#native.redact(value) : null;
  }
}

const lengthOf = (column: Column): Pick<Vector, 'length'> | null =>
  'length' in column ? { length: (column as Vector).length } : null;

function maskedColumn(column: Column, texts: MaskedTexts): Column {
  if (column instanceof DictionaryVector) {
    const { length, validity, indices, dictionary } = column;
    return new DictionaryVector(length, validity, indices, texts.dictionary(dictionary));
  }
  const get = (row: number): RowValue => texts.value(column.get(row));
  const masked: Partial<Vector> & Column = { ...lengthOf(column), get };
  return masked;
}

/** Makes blocks fit to be let out. */
export class Redactor {
  readonly #hidden: ReadonlySet<string>;
  readonly #masked: ReadonlyMap<string, MaskedTexts>;

  /** A field may be hidden and masked: it is hidden. Throws Error for a pattern that RE2 does not take. */
  constructor({ hidden, masked }: Redactions) {
    this.#hidden = hidden;
    this.#masked = new Map([...masked].map(([field, masks]) => [field, new MaskedTexts(masks)]));
  }

  /** True where fields are hidden as a whole or not at all: who leaves out their columns has redacted all. */
  get needsNoTexts(): boolean {
    return this.#masked.size === 0;
  }

  /** True where nothing is hidden. */
  get isIdle(): boolean {
    return this.#hidden.size === 0 && this.#masked.size === 0;
  }

  /**
   * The block with what may be seen of its columns; those that are hidden are null in every row. A dictionary
   * still holds strings of rows that are not in the block: what is let out is gathered row by row.
   */
  block(block: EventBlock): EventBlock {
    // It was made of the columns that may be seen.
    if (this.isIdle || (block instanceof EncodedBlock && this.needsNoTexts)) return block;
    const { type, columns } = block;
    const rows = lengthOf(columns.get('seq') ?? { get: () => null })?.length ?? null;
    const shown = new Map<string, Column>(columns);
    for (const { name, type: stored } of EVENT_TABLES[type].columns) {
      const field = fieldName(type, name);
      const column = columns.get(name);
      const texts = this.#masked.get(field);
      if (this.#hidden.has(field)) {
        shown.set(name, rows === null ? { get: () => null } : absent(stored as FieldType, rows));
      } else if (texts !== undefined && column !== undefined) {
        shown.set(name, maskedColumn(column, texts));
      }
    }
    return { ...block, columns: shown };
  }
}
