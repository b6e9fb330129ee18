// What a recording can be told: one table of settings, from flags, environment, file and defaults, in
// that order of precedence.

import { totalmem } from 'node:os';
import { EVENTS } from '../schemas/events.ts';
import { nearestName, TapioError } from './errors.ts';

export interface Setting {
  /** `sinks` is a list of settings, which only a file can hold. */
  readonly type: 'string' | 'number' | 'boolean' | 'list' | 'sinks';
  readonly doc: string;
  readonly choices?: readonly string[];
  readonly placeholder?: string;
}

/** Every setting of tapio-record start, by the name that flags and the file use. */
export const SETTINGS = {
  store: { type: 'string', placeholder: 'DIR', doc: 'where to record' },
  duration: {
    type: 'string',
    placeholder: 'TIME',
    doc: 'end by itself after this long: 10s, 5m, 2h',
  },
  profile: {
    type: 'string',
    choices: ['minimal', 'default', 'full'],
    doc: 'minimal: processes only; default: what is cheap and asked for most; full: all but floods',
  },
  enable: {
    type: 'list',
    placeholder: 'OP,…',
    doc: 'ops to add to the profile, such as file.read',
  },
  disable: { type: 'list', placeholder: 'OP,…', doc: 'ops to take from the profile' },
  syscalls: {
    type: 'list',
    placeholder: 'NAME,…',
    doc: 'system calls that syscall.call records; turns it on',
  },
  exclude: {
    type: 'list',
    placeholder: 'KEY=VALUE,…',
    doc: 'leave out comm=, pid=, uid= or cgroup= (counted as filtered)',
  },
  filter: {
    type: 'string',
    placeholder: 'EXPR',
    doc: 'record only rows that match, such as network.dport == 443 (what does not is counted as filtered)',
  },
  latency: { type: 'boolean', doc: 'measure how long calls take (about 57 ns a call)' },
  source: {
    type: 'string',
    choices: ['live', 'synthetic'],
    doc: 'live: this host’s kernel; synthetic: generated events, no privileges needed',
  },
  rate: { type: 'number', placeholder: 'N', doc: 'synthetic: events per second (0 = all it can)' },
  seed: { type: 'number', placeholder: 'S', doc: 'synthetic: what the events are made from' },
  events: { type: 'number', placeholder: 'N', doc: 'synthetic: stop making them after N' },
  'ring-size': {
    type: 'string',
    placeholder: 'SIZE',
    doc: 'kernel memory per CPU, a power of two: 64MiB (less where that passes 2 % of RAM)',
  },
  'max-bytes': {
    type: 'string',
    placeholder: 'SIZE',
    doc: 'the oldest segments go when the store takes more: 4GiB',
  },
  'max-age': {
    type: 'string',
    placeholder: 'TIME',
    doc: 'segments older than this go: 24h',
  },
  'min-free': {
    type: 'string',
    placeholder: 'SIZE|N%',
    doc: 'the oldest segments go when less is free on the disk: 5%',
  },
  'orphan-timeout': {
    type: 'string',
    placeholder: 'TIME',
    doc: 'how long the programs go on recording into their rings when the recorder has died: 10m',
  },
  sink: {
    type: 'list',
    placeholder: 'URL',
    doc: 'send events onward as UnifiedEvents: nats://HOST, tapio://HOST, http://HOST/PATH, ndjson:FILE; may be repeated',
  },
  'sink-filter': {
    type: 'string',
    placeholder: 'EXPR',
    doc: 'rows that --sink sends: lifecycle, failures and what changes rights where nothing is said; true: all',
  },
  sinks: {
    type: 'sinks',
    doc: 'sinks with settings of their own: a list of {name, url, filter, rate, raw, from}',
  },
  listen: {
    type: 'list',
    placeholder: 'unix:PATH|HOST:PORT',
    doc: 'serve raw events over gRPC there, to those who may see them: STORE/recorder.sock; none: nowhere',
  },
  'tls-cert': {
    type: 'string',
    placeholder: 'FILE',
    doc: 'certificate of --listen HOST:PORT, PEM',
  },
  'tls-key': { type: 'string', placeholder: 'FILE', doc: 'its key, PEM' },
  'tls-client-ca': {
    type: 'string',
    placeholder: 'FILE',
    doc: 'who vouches for clients, PEM: each must have a certificate of theirs',
  },
  policy: {
    type: 'string',
    placeholder: 'FILE',
    doc: 'who may see what (src/service/POLICY.md); without one: root and the recorder’s own user, everything',
  },
  'audit-key': {
    type: 'string',
    placeholder: 'FILE',
    doc: 'key of the audit of what was read, best where nobody else can write: STORE/audit.key',
  },
  'log-level': {
    type: 'string',
    choices: ['error', 'warn', 'info', 'debug'],
    doc: 'how much to say on stderr',
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof SETTINGS;
/** Settings as given somewhere; what is missing is undefined. */
export type Given = Readonly<Partial<Record<SettingName, unknown>>>;

/** What a sink is told to do, as it stands in the configuration. */
export interface SinkSettings {
  readonly name: string;
  /** With its secrets: it is never shown. */
  readonly url: string;
  /** Which rows go, as an expression; null: what goes where nobody says. */
  readonly filter: string | null;
  /** Most events a second; null: as many as it takes. */
  readonly rate: number | null;
  /** Whether each event holds its row as well, as a RawEvent message. */
  readonly raw: boolean;
  /** What a sink begins with that is new: what is recorded from then on, or all that the store holds. */
  readonly from: 'now' | 'oldest';
}

/** Where is served: at a Unix socket, or over TLS. */
export type Listening =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number };

/** Files, PEM: who we are, and who vouches for clients. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
}

export interface RecordConfig {
  readonly store: string | null;
  readonly durationMs: number | null;
  /** Op ids that are on. */
  readonly ops: readonly number[];
  readonly syscalls: readonly string[];
  readonly exclude: {
    readonly pids: readonly number[];
    readonly uids: readonly number[];
    readonly comms: readonly string[];
    readonly cgroups: readonly bigint[];
  };
  /** An expression; null: everything. */
  readonly filter: string | null;
  readonly latency: boolean;
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
  /** Where to serve; null: in the store. */
  readonly listen: readonly Listening[] | null;
  readonly policy: string | null;
  readonly auditKey: string | null;
  /** Null where nothing is served over TLS. */
  readonly tls: TlsFiles | null;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
}

const ENVIRONMENT_PREFIX = 'TAPIO_RECORD_';
/** Names the file of settings, as --config does. */
export const CONFIG_VARIABLE = 'TAPIO_RECORD_CONFIG';

/** The error for a setting that makes no sense. */
export const usage = (message: string): TapioError => new TapioError('usage', message);

/** The error for a name that is not known, with the nearest that is. */
export function unknownName(what: string, word: string, names: Iterable<string>): TapioError {
  const near = nearestName(word, names);
  const hint = near === null ? '' : ` (did you mean ${near}?)`;
  return usage(`unknown ${what} ${word}${hint}`);
}

/** Settings named in the environment: TAPIO_RECORD_RING_SIZE and so on. */
export function settingsFromEnvironment(environment: NodeJS.ProcessEnv): Given {
  const names = new Map(
    (Object.keys(SETTINGS) as SettingName[]).map((name) => [
      ENVIRONMENT_PREFIX + name.toUpperCase().replaceAll('-', '_'),
      name,
    ]),
  );
  const out: Partial<Record<SettingName, unknown>> = {};
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || variable === CONFIG_VARIABLE) continue;
    const name = names.get(variable);
    if (name === undefined) throw unknownName('environment variable', variable, names.keys());
    if (value !== '') out[name] = value;
  }
  return out;
}

/** A list given as text with commas, as a list, or several times. */
function listOf(value: unknown): string[] {
  const parts = Array.isArray(value) ? value : [value];
  return parts
    .flatMap((part) => String(part).split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A duration such as 500ms, 10s, 1h30m, in ms. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy)];
  const covered = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || covered !== text.length) {
    throw usage(`${text} is no duration: write 500ms, 10s, 5m or 1h30m`);
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS_MS[part[2] ?? ''] ?? 0), 0);
}

/** A size such as 64MiB, 64M or 67108864, in bytes (units are powers of 1024). */
export function parseSize(text: string): number {
  const match = /^(\d+)\s*([kmg]?)(i?b)?$/i.exec(text);
  if (match === null) throw usage(`${text} is no size: write 64MiB or 67108864`);
  const power = ['', 'k', 'm', 'g'].indexOf((match[2] ?? '').toLowerCase());
  return Number(match[1]) * 1024 ** power;
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

function exclusions(value: unknown): RecordConfig['exclude'] {
  const out = {
    pids: [] as number[],
    uids: [] as number[],
    comms: [] as string[],
    cgroups: [] as bigint[],
  };
  for (const part of value === undefined ? [] : listOf(value)) {
    const [key = '', ...rest] = part.split('=');
    const text = rest.join('=');
    const isNumber = /^\d+$/.test(text);
    if (key === 'comm' && text !== '') out.comms.push(text);
    else if (key === 'pid' && isNumber) out.pids.push(Number(text));
    else if (key === 'uid' && isNumber) out.uids.push(Number(text));
    else if (key === 'cgroup' && isNumber) out.cgroups.push(BigInt(text));
    else if (!['comm', 'pid', 'uid', 'cgroup'].includes(key)) {
      throw unknownName('exclusion', key, ['comm', 'pid', 'uid', 'cgroup']);
    } else throw usage(`--exclude ${part}: write comm=NAME, pid=NUMBER, uid=NUMBER or cgroup=ID`);
  }
  return out;
}

function choice<T extends string>(name: SettingName, value: unknown, fallback: T): T {
  if (value === undefined) return fallback;
  const setting: Setting = SETTINGS[name];
  const choices = setting.choices ?? [];
  if (!choices.includes(String(value))) {
    throw usage(
      `${unknownName(name, String(value), choices).message}: one of ${choices.join(', ')}`,
    );
  }
  return value as T;
}

function numberOf(name: SettingName, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!Number.isFinite(number) || number < 0)
    throw usage(`--${name} ${value} is not a number from 0`);
  return number;
}

function integerOf(name: SettingName, value: unknown, fallback: number): number {
  const number = numberOf(name, value, fallback);
  if (!Number.isSafeInteger(number)) throw usage(`--${name} ${value} is not a whole number`);
  return number;
}

function booleanOf(name: SettingName, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (value === true || value === 'true' || value === '1') return true;
  if (value === false || value === 'false' || value === '0') return false;
  throw usage(`${name} is true or false, not ${value}`);
}

/** Names of sinks become names of files. */
const SINK_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const SINK_KEYS = ['name', 'url', 'filter', 'rate', 'raw', 'from'] as const;

/** Throws TapioError('usage') for what cannot be the name of a sink. */
export function checkSinkName(name: string): void {
  if (SINK_NAME.test(name)) return;
  throw usage(
    `${JSON.stringify(name)} is no name for a sink: letters, digits, _ . and -, at most 64`,
  );
}

/** A name for a sink of which only the URL is given: the same for the same place. */
function sinkNameOf(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw usage('a sink is named by a URL such as nats://localhost:4222');
  const scheme = url.protocol.slice(0, -1);
  const words = [scheme, url.host, ...(url.host === '' ? [url.pathname] : [])];
  return words
    .map((word) => word.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, ''))
    .filter((word) => word !== '')
    .join('-')
    .slice(0, 64);
}

function sinkOf(given: unknown): SinkSettings {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw usage(
      'sinks: each is a set of settings, such as {name: tapio, url: nats://localhost:4222}',
    );
  }
  const settings = given as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(settings)) {
    if (!SINK_KEYS.some((one) => one === key))
      throw unknownName('setting of a sink', key, SINK_KEYS);
  }
  const { url, filter = null, rate = null, raw = false, from = 'now' } = settings;
  if (typeof url !== 'string') throw usage('sinks: each has a url, such as nats://localhost:4222');
  const { name = sinkNameOf(url) } = settings;
  checkSinkName(String(name));
  if (from !== 'now' && from !== 'oldest') {
    throw usage(`sinks: ${name}: from is now or oldest, not ${JSON.stringify(from)}`);
  }
  if (rate !== null && !(Number(rate) > 0 && Number.isFinite(Number(rate)))) {
    throw usage(`sinks: ${name}: rate is events a second, not ${JSON.stringify(rate)}`);
  }
  if (typeof raw !== 'boolean') {
    throw usage(`sinks: ${name}: raw is true or false, not ${JSON.stringify(raw)}`);
  }
  return {
    name: String(name),
    url,
    filter: filter === null ? null : String(filter),
    rate: rate === null ? null : Number(rate),
    raw,
    from,
  };
}

function sinksOf(given: Given): SinkSettings[] {
  if (given['sink-filter'] !== undefined && given.sink === undefined) {
    throw usage('--sink-filter says which rows --sink sends: name one');
  }
  const urls = given.sink === undefined ? [] : [given.sink].flat();
  const named = given.sinks ?? [];
  if (!Array.isArray(named)) throw usage('sinks is a list: begin each with -');
  const sinks = [
    ...urls.map((url) => ({ url: String(url), filter: given['sink-filter'] })),
    ...named,
  ].map(sinkOf);
  const twice = sinks.find(({ name }, i) => sinks.findIndex((one) => one.name === name) < i);
  if (twice !== undefined)
    throw usage(`two sinks are named ${twice.name}: give each a name of its own`);
  return sinks;
}

function listeningOf(text: string): Listening[] {
  if (text === 'none') return [];
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path !== undefined) return [{ kind: 'unix', path }];
  const [, host, digits] = /^(?:tcp:)?(\[[0-9a-fA-F:.]+\]|[^:[\]/]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    throw usage(`--listen ${text}: write unix:PATH, HOST:PORT, [IPV6]:PORT or none`);
  }
  return [{ kind: 'tls', host: host.replace(/^\[|\]$/g, ''), port }];
}

/** Over TCP nobody is served without TLS, nor without a certificate of their own. */
function tlsOf(given: Given): TlsFiles | null {
  const names = ['tls-cert', 'tls-key', 'tls-client-ca'] as const;
  const isServed = listenOf(given)?.some(({ kind }) => kind === 'tls') === true;
  const missing = names.filter((name) => given[name] === undefined);
  if (isServed && missing.length > 0) {
    throw usage(`--listen HOST:PORT is served over TLS alone: add --${missing.join(', --')}`);
  }
  if (!isServed && missing.length < names.length) {
    throw usage('--tls-cert, --tls-key and --tls-client-ca are for --listen HOST:PORT: add that');
  }
  if (!isServed) return null;
  const [cert = '', key = '', clientCa = ''] = names.map((name) => String(given[name]));
  return { cert, key, clientCa };
}

const listenOf = ({ listen }: Given): Listening[] | null =>
  listen === undefined ? null : listOf(listen).flatMap(listeningOf);

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
    exclude: exclusions(given.exclude),
    filter: given.filter === undefined ? null : String(given.filter),
    latency: booleanOf('latency', given.latency, true),
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
    listen: listenOf(given),
    policy: given.policy === undefined ? null : String(given.policy),
    auditKey: given['audit-key'] === undefined ? null : String(given['audit-key']),
    tls: tlsOf(given),
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
