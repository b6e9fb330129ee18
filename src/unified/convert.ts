// Raw rows as UnifiedEvents. What a row becomes depends on the row, on its segment's header, and on what that segment
// tells of its process: never on the clock or on /proc, so that it is the same whenever and wherever it is made.

import type { EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import { formatTs } from '../event/clock.ts';
import type { RowColumns, RowValue } from '../event/json.ts';
import type {
  Attribute,
  Entity,
  Integer,
  KernelContext,
  NetworkContext,
  UnifiedEvent,
} from './event.ts';
import { hashWords, hexOf, type Words, wordsOf } from './id.ts';
import { type Get, MAPPING_VERSION, MEANINGS, type Meaning, TYPES } from './mapping.ts';

/** What is known of the recording that a row is of. */
export interface Origin {
  readonly recording: string;
  readonly host: string;
  readonly boot_id: string;
  /** ns; ts = ktime + tsOffset. */
  readonly tsOffset: bigint;
}

/** What a segment tells of a process. */
export interface ProcessContext {
  readonly exe: string | null;
  readonly cwd: string | null;
  readonly cgroup: string | null;
  readonly container_id: string | null;
}

/** As if the rows happened at another time, anew. */
export interface Rebase {
  /** Added to their times, ns. */
  readonly shift: bigint;
  /** Ids are made of it as well: another one gives other ids. */
  readonly salt: string;
}

export interface ConvertOptions {
  readonly processOf?: (pid: number, pstart: bigint) => ProcessContext | null;
  readonly rebase?: Rebase;
}

/** Own columns that have a place of their own in a UnifiedEvent; the others are attributes. */
const PLACED = new Set([
  ...['saddr', 'daddr', 'sport', 'dport', 'protocol', 'direction'],
  ...['bytes_sent', 'bytes_received', 'args', 'packet'],
]);
/** Own columns whose value is what a call returned. */
const RETURNS = ['ret', 'result'] as const;

const INT32 = 2 ** 31;
/** Part of ECMAScript since 2025, which the compiler's library does not know yet. */
const rawJson = (JSON as unknown as { rawJSON(text: string): Exclude<Integer, number> }).rawJSON;

function integer(value: bigint | number): Integer {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  return rawJson(value.toString());
}

/** A time as Go's RFC3339Nano writes it: without zeros at its end. */
function goTime(ns: bigint): string {
  return formatTs(ns).replace(/\.?0*Z$/, 'Z');
}

const isNumber = (value: RowValue): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint';

/** An attribute as JSON: 64-bit ids are text, as in our own form of rows, counts are numbers. */
function attributeOf(value: RowValue, { unit }: FieldSpec): Attribute | undefined {
  if (value === null || value instanceof Uint8Array) return undefined;
  if (unit === 'address') return `0x${(value as bigint).toString(16)}`;
  if (unit === 'id') return String(value);
  if (isNumber(value)) return integer(value);
  return typeof value === 'string' ? value : value.map(String);
}

/** A column that becomes an attribute. */
interface Extra {
  readonly name: string;
  readonly spec: FieldSpec;
}

function extrasOf(type: EventType): Extra[] {
  const { fields } = EVENTS[type] as TypeSpec;
  return Object.entries(fields)
    .filter(([name]) => !PLACED.has(name))
    .map(([name, spec]) => ({ name, spec }));
}

const EXTRAS = new Map<EventType, readonly Extra[]>();

/** Columns that a conversion wants of a type: all but what no UnifiedEvent holds. */
export function columnsOf(type: EventType): string[] {
  const own = Object.keys((EVENTS[type] as TypeSpec).fields).filter((name) => name !== 'packet');
  return [...Object.keys(COMMON), ...own];
}

const OP_IDS = new Map<string, number>(
  Object.entries(EVENTS).flatMap(([type, { ops }]) =>
    Object.entries(ops as TypeSpec['ops']).map(([op, { id }]) => [`${type}.${op}`, id] as const),
  ),
);

/** Text or nothing: Go leaves out what is empty. */
const text = (value: RowValue): string | undefined =>
  value === null || value === '' ? undefined : String(value);
const count = (value: RowValue): Integer | undefined =>
  isNumber(value) && Number(value) !== 0 ? integer(value) : undefined;
const small = (value: RowValue): number | undefined => (value === null ? undefined : Number(value));
const nonZero = (value: RowValue): number | undefined => Number(value ?? 0) || undefined;

function argsOf(value: RowValue): Record<string, string> | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const hex = (item: string | bigint): string =>
    typeof item === 'bigint' ? `0x${item.toString(16)}` : item;
  return Object.fromEntries(
    (value as (string | bigint)[]).map((item, i) => [String(i), hex(item)]),
  );
}

function returnOf(get: Get): number | undefined {
  for (const column of RETURNS) {
    const value = get(column);
    if (value !== null) {
      const number = Number(value);
      return number >= -INT32 && number < INT32 ? number || undefined : undefined;
    }
  }
  const error = get('error');
  return error === null ? undefined : -Number(error) || undefined;
}

const DIRECTIONS: Readonly<Record<string, NetworkContext['direction']>> = {
  sent: 'egress',
  received: 'ingress',
};

/** Whoever began is the source: of a connection that was accepted, that is the other side. */
function networkOf(get: Get, { direction }: Meaning): NetworkContext {
  const own = get('direction');
  const way = own === null ? direction : DIRECTIONS[String(own)];
  const isTurned = own === null && way === 'ingress';
  const [source, sourcePort, dest, destPort] = isTurned
    ? ['daddr', 'dport', 'saddr', 'sport']
    : ['saddr', 'sport', 'daddr', 'dport'];
  const bytes = count(get('bytes'));
  const sent = way === 'egress' ? bytes : undefined;
  const received = way === 'ingress' ? bytes : undefined;
  return {
    protocol: text(get('protocol')),
    source_ip: text(get(source as string)),
    source_port: nonZero(get(sourcePort as string)),
    dest_ip: text(get(dest as string)),
    dest_port: nonZero(get(destPort as string)),
    direction: way,
    bytes_sent: count(get('bytes_sent')) ?? sent,
    bytes_recv: count(get('bytes_received')) ?? received,
    latency_ns: count(get('latency_ns')),
  } as NetworkContext;
}

function sorted(attributes: Record<string, Attribute | undefined>): Record<string, Attribute> {
  const entries = Object.entries(attributes).filter(([, value]) => value !== undefined);
  // Go writes the keys of a map in order.
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries) as Record<string, Attribute>;
}

/** Converts the rows of one segment, or of one live recording. */
export class Converter {
  readonly #origin: Origin;
  readonly #options: ConvertOptions;
  readonly #boot: Words;

  constructor(origin: Origin, options: ConvertOptions = {}) {
    this.#origin = origin;
    this.#options = options;
    const boot = wordsOf(origin.boot_id);
    const { rebase } = options;
    this.#boot = rebase === undefined ? boot : hashWords(wordsOf(rebase.salt), boot);
  }

  /**
   * The event of a row that has columnsOf() its type, with its own ts; null where its op is none of the event table's,
   * as that of a later version.
   */
  convert(type: EventType, columns: RowColumns, row: number): UnifiedEvent | null {
    const get: Get = (name) => columns.get(name)?.get(row) ?? null;
    const op = String(get('op'));
    const meaning = MEANINGS[type][op];
    if (meaning === undefined) return null;
    const ts = get('ts') as bigint;
    const message = `${get('comm')}[${get('pid')}] ${meaning.message(get)}`;
    const { category, intent } = meaning;
    return {
      id: this.#id(type, op, get, ts),
      timestamp: goTime(ts + (this.#options.rebase?.shift ?? 0n)),
      type: TYPES[type],
      source: 'ebpf',
      category,
      severity: meaning.severity(get),
      confidence: 1,
      message,
      semantic: { intent, category, tags: [type, op], narrative: message, confidence: 1 },
      entity: entityOf(type, op, get),
      kernel: kernelOf(type, get),
      ...(type === 'network' && { network: networkOf(get, meaning) }),
      attributes: this.#attributes(type, op, get, ts),
    };
  }

  #id(type: EventType, op: string, get: Get, ts: bigint): string {
    const ktime = ts - this.#origin.tsOffset;
    const place = Number(get('cpu')) | ((OP_IDS.get(`${type}.${op}`) ?? 0) << 16);
    const [low, high] = [Number(ktime & 0xffffffffn) | 0, Number(ktime >> 32n) | 0];
    return hexOf(hashWords([low, high, place, Number(get('tid')) | 0], this.#boot));
  }

  #attributes(type: EventType, op: string, get: Get, ts: bigint): Record<string, Attribute> {
    const { recording, host, boot_id, tsOffset } = this.#origin;
    const process = this.#options.processOf?.(Number(get('pid')), get('pstart') as bigint) ?? null;
    const out: Record<string, Attribute | undefined> = {
      mapping_version: MAPPING_VERSION,
      event: `${type}.${op}`,
      ...{ recording, host, boot_id },
      seq: String(get('seq')),
      ktime: String(ts - tsOffset),
      ppid: small(get('ppid')),
      pstart: String(get('pstart')),
      cgroup_id: String(get('cgroup_id')),
      weight: Number(get('weight')) === 1 ? undefined : small(get('weight')),
      flags: nonZero(get('flags')),
      exe: text(process?.exe ?? null),
      cwd: text(process?.cwd ?? null),
      cgroup: text(process?.cgroup ?? null),
      container_id: text(process?.container_id ?? null),
    };
    if (this.#options.rebase !== undefined) out.original_timestamp = formatTs(ts);
    const extras = EXTRAS.get(type) ?? extrasOf(type);
    EXTRAS.set(type, extras);
    for (const { name, spec } of extras) {
      const value = attributeOf(get(name), spec);
      if (value !== undefined) out[name] = value;
    }
    return sorted(out);
  }
}

function kernelOf(type: EventType, get: Get): KernelContext {
  return {
    syscall: type === 'syscall' ? text(get('name')) : undefined,
    pid: nonZero(get('pid')),
    tid: nonZero(get('tid')),
    uid: nonZero(get('uid')),
    gid: nonZero(get('gid')),
    comm: text(get('comm')),
    return_code: returnOf(get),
    args: argsOf(get('args')),
    cpu_core: nonZero(get('cpu')),
  } as KernelContext;
}

function entityOf(type: EventType, op: string, get: Get): Entity {
  // Whom the OOM killer chose is whom it is about.
  if (type === 'memory' && op === 'oom') {
    return { type: 'process', name: String(get('target_pid')), uid: String(get('target_pid')) };
  }
  return { type: 'process', name: String(get('comm')), uid: `${get('pid')}:${get('pstart')}` };
}
