// What a recording is told: settings from flags, environment, file and defaults, in that order of precedence,
// checked and typed.

import { totalmem } from 'node:os';
import { EVENTS } from '../../schemas/events.ts';
import { type CapConfig, capsOf } from './caps.ts';
import { type MaskPattern, maskOf } from './mask.ts';
import { type Exclusions, selectionOf } from './selection.ts';
import { type ServingConfig, servingOf } from './serving.ts';
import { choice, type Given, type SettingName } from './settings.ts';
import { type SinkSettings, sinksOf } from './sinks.ts';
import {
  type Address,
  addressOf,
  booleanOf,
  integerOf,
  listOf,
  numberOf,
  parseDuration,
  parseSize,
  unknownName,
  usage,
} from './values.ts';

export interface RecordConfig {
  readonly store: string | null;
  readonly durationMs: number | null;
  /** Op ids that are on. */
  readonly ops: readonly number[];
  readonly syscalls: readonly string[];
  readonly exclude: Exclusions;
  /** Of ops that have one. */
  readonly caps: readonly CapConfig[];
  /** An expression, of --filter and what of --only and --exclude is one; null: everything. */
  readonly filter: string | null;
  /** Secrets of command lines that are masked before anything is stored. */
  readonly mask: readonly MaskPattern[];
  readonly latency: boolean;
  /** Bytes of a packet that network.packet keeps. */
  readonly snaplen: number;
  readonly source: 'live' | 'synthetic';
  readonly rate: number;
  readonly seed: number;
  readonly events: number;
  readonly ringBytes: number;
  /** What the store may take, bytes; how old it may get, ms; what must stay free on its disk. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly minFree: { readonly bytes: number } | { readonly share: number };
  readonly orphanTimeoutMs: number;
  readonly sinks: readonly SinkSettings[];
  readonly serving: ServingConfig;
  /** Who the recorder is to run as, NAME or NAME:GROUP; null: who starts it. */
  readonly user: string | null;
  /** Where Prometheus is told how the recorder is; null: nowhere. */
  readonly metrics: Address | null;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
}

/** Smallest ring: eight blocks of 64 KiB. */
export const RING_BYTES_MIN = 512 * 1024;
export const RING_BYTES_MAX = 1024 ** 3;
const RING_BYTES_DEFAULT = 64 * 2 ** 20;
const RING_SHARE_OF_MEMORY = 0.02;

function ringBytes(value: unknown, cpus: number): number {
  if (value === undefined) {
    let bytes = RING_BYTES_DEFAULT;
    while (bytes * cpus > totalmem() * RING_SHARE_OF_MEMORY && bytes > RING_BYTES_MIN) bytes /= 2;
    return bytes;
  }
  const bytes = parseSize(String(value));
  if (bytes < RING_BYTES_MIN || bytes > RING_BYTES_MAX || Math.log2(bytes) % 1 !== 0) {
    throw usage(`--ring-size ${value} is not a power of two from 512KiB to 1GiB`);
  }
  return bytes;
}

const MAX_BYTES_DEFAULT = '4GiB';
/** Less than this leaves no room for a segment and its successor. */
const MAX_BYTES_MIN = 1 << 20;
const MAX_AGE_DEFAULT = '24h';
const MIN_FREE_DEFAULT = '5%';
const ORPHAN_TIMEOUT_DEFAULT = '10m';
const ORPHAN_TIMEOUT_MIN_MS = 1000;

function maxBytes(value: unknown): number {
  const bytes = parseSize(String(value ?? MAX_BYTES_DEFAULT));
  if (bytes < MAX_BYTES_MIN) throw usage(`--max-bytes ${value} is too little: 1MiB or more`);
  return bytes;
}

function minFree(value: unknown): RecordConfig['minFree'] {
  const text = String(value ?? MIN_FREE_DEFAULT);
  const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(text);
  if (share === null) return { bytes: parseSize(text) };
  if (Number(share[1]) > 90) throw usage(`--min-free ${text} leaves no room: 90% or less`);
  return { share: Number(share[1]) / 100 };
}

function atLeast(name: SettingName, value: unknown, fallback: string, least: number): number {
  const ms = parseDuration(String(value ?? fallback));
  if (ms < least) throw usage(`--${name} ${value} is too short: ${least / 1000}s or more`);
  return ms;
}

const SNAPLEN_DEFAULT = 128;
/** TAPIO_SNAPLEN_MAX of bpf/config.h. */
const SNAPLEN_MAX = 1024;

function snaplen(value: unknown): number {
  const bytes = integerOf('snaplen', value, SNAPLEN_DEFAULT);
  if (bytes >= 1 && bytes <= SNAPLEN_MAX) return bytes;
  throw usage(`--snaplen ${value} is not a number of bytes from 1 to ${SNAPLEN_MAX}`);
}

/** Every op by its full name, `type.op`. */
export function allOps(): Map<string, { id: number; default: boolean; recorded: boolean }> {
  return new Map(
    Object.entries(EVENTS).flatMap(([type, spec]) =>
      Object.entries(spec.ops).map(([op, o]) => [`${type}.${op}`, o] as const),
    ),
  );
}

/** Ops that even the full profile leaves out: they would drown the rest. */
const NOT_IN_FULL = [
  'memory.alloc',
  'memory.free',
  'memory.rss',
  'memory.fault',
  'network.packet',
  'syscall.call',
];

function opsOf(given: Given): number[] {
  const ops = allOps();
  const named = (value: unknown): string[] => {
    const names = value === undefined ? [] : listOf(value);
    for (const name of names) if (!ops.has(name)) throw unknownName('op', name, ops.keys());
    return names;
  };
  const profile = String(given.profile ?? 'default');
  const on = new Set<string>();
  for (const [name, op] of ops) {
    if (!op.recorded) continue;
    if (profile === 'minimal' ? name.startsWith('process.') : op.default) on.add(name);
    if (profile === 'full' && !NOT_IN_FULL.includes(name)) on.add(name);
  }
  if (given.syscalls !== undefined && listOf(given.syscalls).length > 0) on.add('syscall.call');
  for (const name of named(given.enable)) {
    if (ops.get(name)?.recorded !== true) {
      throw usage(`${name} is in the event table, but this version does not record it yet`);
    }
    on.add(name);
  }
  for (const name of named(given.disable)) on.delete(name);
  return [...on].map((name) => ops.get(name)?.id ?? 0);
}

function metricsOf(value: unknown): Address | null {
  if (value === undefined) return null;
  const address = addressOf(String(value));
  if (address === null) {
    throw usage(`--metrics ${value}: write HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:9464`);
  }
  return address;
}

/** Checks settings and makes them typed. `layers` come in order of precedence, the strongest first. */
export function resolveConfig(layers: readonly Given[], cpus: number): RecordConfig {
  const given: Partial<Record<SettingName, unknown>> = {};
  for (const layer of [...layers].reverse()) {
    for (const [name, value] of Object.entries(layer)) {
      if (value !== undefined) given[name as SettingName] = value;
    }
  }
  choice('profile', given.profile, 'default');
  const duration = given.duration === undefined ? null : parseDuration(String(given.duration));
  const source = choice('source', given.source, 'live') as RecordConfig['source'];
  const ops = opsOf(given);
  const syscalls = given.syscalls === undefined ? [] : listOf(given.syscalls);
  if (ops.length === 0) throw usage('every op is off: nothing would be recorded');
  if (source === 'live' && syscalls.length === 0 && ops.includes(EVENTS.syscall.ops.call.id)) {
    throw usage('syscall.call records the calls that are named: add --syscalls NAME,…');
  }
  return {
    store: given.store === undefined ? null : String(given.store),
    durationMs: duration,
    ops,
    syscalls,
    caps: capsOf(given, allOps(), ops),
    ...selectionOf(given.only, given.exclude, given.filter),
    mask: maskOf(given),
    latency: booleanOf('latency', given.latency, true),
    snaplen: snaplen(given.snaplen),
    source,
    rate: numberOf('rate', given.rate, 1000),
    seed: integerOf('seed', given.seed, 1),
    events: integerOf('events', given.events, 0),
    ringBytes: ringBytes(given['ring-size'], cpus),
    maxBytes: maxBytes(given['max-bytes']),
    maxAgeMs: atLeast('max-age', given['max-age'], MAX_AGE_DEFAULT, 1000),
    minFree: minFree(given['min-free']),
    orphanTimeoutMs: atLeast(
      'orphan-timeout',
      given['orphan-timeout'],
      ORPHAN_TIMEOUT_DEFAULT,
      ORPHAN_TIMEOUT_MIN_MS,
    ),
    sinks: sinksOf(given),
    serving: servingOf(given),
    user: given.user === undefined ? null : String(given.user),
    metrics: metricsOf(given.metrics),
    logLevel: choice('log-level', given['log-level'], 'info'),
  };
}

/** Numbers of system calls by name; refuses a name that this architecture lacks. */
export function syscallNumbers(
  names: readonly string[],
  known: Readonly<Record<string, number>>,
): number[] {
  return names.map((name) => {
    const number = known[name];
    if (number === undefined) throw unknownName('system call', name, Object.keys(known));
    return number;
  });
}
