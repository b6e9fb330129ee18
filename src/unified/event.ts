// Tapio's UnifiedEvent as a type: what schemas/unified.ts says.

import {
  CATEGORIES,
  SEVERITIES,
  type UNIFIED_EVENT,
  UNIFIED_TYPES,
  type UnifiedField,
  type UnifiedObject,
} from '../../schemas/unified.ts';

export { CATEGORIES, SEVERITIES, UNIFIED_TYPES };
export type UnifiedType = (typeof UNIFIED_TYPES)[number];
export type Severity = (typeof SEVERITIES)[number];
export type Category = (typeof CATEGORIES)[number];

/** A whole number; where it does not fit a double exactly, as JSON.rawJSON() has it. */
export type Integer = number | { readonly rawJSON: string };

/** Value of an attribute. */
export type Attribute = string | Integer | readonly string[];

interface Plain {
  readonly text: string;
  readonly texts: readonly string[];
  readonly text_map: Readonly<Record<string, string>>;
  readonly time: string;
  readonly base64: string;
  readonly u16: number;
  readonly u32: number;
  readonly i32: number;
  readonly u64: Integer;
  readonly i64: Integer;
  readonly share: number;
  readonly attributes: Readonly<Record<string, Attribute | undefined>>;
}

type Whole<F extends UnifiedField> = F extends { readonly values: readonly (infer V)[] }
  ? V
  : F['type'] extends keyof Plain
    ? Plain[F['type']]
    : F['type'] extends UnifiedObject
      ? Shape<F['type']>
      : never;

type Always<T extends UnifiedObject> = {
  [K in keyof T]: T[K] extends { readonly omitempty: true } ? never : K;
}[keyof T];

/** The type of what a table of fields describes; undefined is what is not there. */
type Shape<T extends UnifiedObject> = {
  readonly [K in Always<T>]: Whole<T[K]>;
} & { readonly [K in Exclude<keyof T, Always<T>>]?: Whole<T[K]> | undefined };

/** The event. */
export type UnifiedEvent = Shape<typeof UNIFIED_EVENT>;
export type Semantic = NonNullable<UnifiedEvent['semantic']>;
export type Entity = NonNullable<UnifiedEvent['entity']>;
export type KernelContext = NonNullable<UnifiedEvent['kernel']>;
export type NetworkContext = NonNullable<UnifiedEvent['network']>;

/** Part of ECMAScript since 2025, which the compiler's library does not know yet. */
const rawJson = (JSON as unknown as { rawJSON(text: string): Exclude<Integer, number> }).rawJSON;

/** An integer beyond a double as rawJSON: what `value` has of it is not exact. */
function exact(_: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return /^-?\d+$/.test(source ?? '') ? rawJson(source as string) : value;
}

/** Where a number is that a double may not hold. */
const LONG = /:-?\d{16}/;

/** The event that a text tells, which is one of Converter's. */
export function parseUnified(json: string): UnifiedEvent {
  // What looks at each value takes several times as long.
  const reviver = LONG.test(json) ? (exact as (key: string, value: unknown) => unknown) : undefined;
  return JSON.parse(json, reviver) as UnifiedEvent;
}
