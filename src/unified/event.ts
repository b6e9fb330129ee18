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

/** `,"key":value` of a value that needs no escapes; nothing where it is not there. */
const plain = (key: string, value: string | undefined): string =>
  value === undefined ? '' : `,"${key}":"${value}"`;
const whole = (key: string, value: unknown): string =>
  value === undefined ? '' : `,"${key}":${JSON.stringify(value)}`;

/** Tags of ops, as text: all rows of an op share one list. */
const TAGS = new WeakMap<readonly string[], string>();

function tagsJson(tags: readonly string[]): string {
  let text = TAGS.get(tags);
  if (text === undefined) {
    text = JSON.stringify(tags);
    TAGS.set(tags, text);
  }
  return text;
}

/**
 * The event as it is sent: what JSON.stringify() gives. That takes three times as long where it meets a string that was
 * put together, as `message` is; so it is asked only for parts that have none, and for the message once.
 */
export function unifiedJson(event: UnifiedEvent): string {
  const { id, timestamp, type, source, message, tags, semantic, entity } = event;
  const said = message === undefined ? undefined : JSON.stringify(message);
  let text = `{"id":"${id}","timestamp":"${timestamp}","type":"${type}","source":"${source}"`;
  text += plain('category', event.category) + plain('severity', event.severity);
  text += whole('confidence', event.confidence);
  if (said !== undefined) text += `,"message":${said}`;
  text += whole('tags', tags);
  if (semantic !== undefined) {
    const { intent, category, narrative, confidence } = semantic;
    const told = narrative === message ? said : JSON.stringify(narrative);
    text += `,"semantic":{"intent":"${intent}","category":"${category}","tags":${tagsJson(semantic.tags)},"narrative":${told},"confidence":${confidence}}`;
  }
  if (entity !== undefined) {
    text += `,"entity":{"type":"${entity.type}","name":${JSON.stringify(entity.name)}${plain('uid', entity.uid)}}`;
  }
  text += whole('kernel', event.kernel) + whole('network', event.network);
  text += whole('attributes', event.attributes) + plain('raw_data', event.raw_data);
  return `${text}}`;
}
