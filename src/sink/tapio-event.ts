// A UnifiedEvent as the tapio.v1.Event that the server of the summer of 2025 makes a UnifiedEvent of again. It reads `data`, and
// of that only keys that are not nested; what it drops is sent all the same, for a server that does better.

import type { Attribute, Severity, UnifiedEvent, UnifiedType } from '../unified/event.ts';
import { EVENT_TYPES_V1, SEVERITIES_V1, SOURCE_EBPF } from './tapio-proto.ts';

const TYPES: Readonly<Partial<Record<UnifiedType, number>>> = {
  network: EVENT_TYPES_V1.NETWORK,
  process: EVENT_TYPES_V1.PROCESS,
  memory: EVENT_TYPES_V1.RESOURCE_USAGE,
};

const SEVERITIES: Readonly<Record<Severity, number>> = {
  debug: SEVERITIES_V1.DEBUG,
  info: SEVERITIES_V1.INFO,
  low: SEVERITIES_V1.INFO,
  medium: SEVERITIES_V1.WARNING,
  warning: SEVERITIES_V1.WARNING,
  high: SEVERITIES_V1.ERROR,
  error: SEVERITIES_V1.ERROR,
  critical: SEVERITIES_V1.CRITICAL,
};

type Value = { readonly number_value: number } | { readonly string_value: string };

/** A message of tapio.v1.Event, as protobufjs takes it. */
export interface TapioEvent {
  readonly id: string;
  readonly type: number;
  readonly severity: number;
  readonly source: number;
  readonly message: string;
  readonly timestamp: { readonly seconds: number; readonly nanos: number };
  readonly context: { readonly node: string; readonly host: string };
  readonly data: { readonly fields: Readonly<Record<string, Value>> };
  readonly attributes: Readonly<Record<string, string>>;
  readonly collector_id: string;
  readonly confidence: number;
  readonly tags: readonly string[];
}

function typeOf({ type, attributes }: UnifiedEvent): number {
  const known = TYPES[type];
  if (known !== undefined) return known;
  return String(attributes?.event ?? '').startsWith('file.')
    ? EVENT_TYPES_V1.FILE_SYSTEM
    : EVENT_TYPES_V1.SYSCALL;
}

/** RFC 3339 in UTC as seconds and nanoseconds. */
function timestampOf(text: string): TapioEvent['timestamp'] {
  const nanos = Number((/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(9, '0'));
  return { seconds: Math.floor(Date.parse(text) / 1000), nanos };
}

/** Text of an attribute, however it is held. */
function textOf(value: Attribute): string {
  if (typeof value === 'object' && 'rawJSON' in value) return value.rawJSON;
  return Array.isArray(value) ? value.join(' ') : String(value);
}

function dataValue(value: Attribute): Value {
  return typeof value === 'number' ? { number_value: value } : { string_value: textOf(value) };
}

/** The keys that the server looks for, none of them nested, and after them the attributes. */
function dataOf({ kernel, network, entity, attributes }: UnifiedEvent): Record<string, Value> {
  const { args, ...call } = kernel ?? {};
  const flat: Record<string, Attribute | undefined> = {
    ...attributes,
    ...Object.fromEntries(Object.entries(args ?? {}).map(([i, arg]) => [`arg_${i}`, arg])),
    ...network,
    ...call,
    entity_type: entity?.type,
    entity_name: entity?.name,
    entity_uid: entity?.uid,
  };
  return Object.fromEntries(
    Object.entries(flat).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, dataValue(value)]],
    ),
  );
}

/** The event as it goes over the wire. `collector`: who sends it. */
export function tapioEvent(event: UnifiedEvent, collector: string): TapioEvent {
  const { id, severity = 'info', message = '', attributes = {} } = event;
  const host = textOf(attributes.host ?? '');
  return {
    id,
    type: typeOf(event),
    severity: SEVERITIES[severity],
    source: SOURCE_EBPF,
    message,
    timestamp: timestampOf(event.timestamp),
    context: { node: host, host },
    data: { fields: dataOf(event) },
    attributes: Object.fromEntries(
      Object.entries(attributes).flatMap(([key, value]) =>
        value === undefined ? [] : [[key, textOf(value)]],
      ),
    ),
    collector_id: collector,
    confidence: event.confidence ?? 1,
    tags: event.semantic?.tags ?? [],
  };
}
