// Every setting of a recording: one table, by the names that flags, environment and file use.

import { unknownName, usage } from './values.ts';

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
    doc: 'leave out comm=, pid=, uid=, port=, path=PREFIX, cgroup= or container= (counted as filtered)',
  },
  only: {
    type: 'list',
    placeholder: 'KEY=VALUE,…',
    doc: 'record only these: the same keys as exclude; values of one key are alternatives',
  },
  filter: {
    type: 'string',
    placeholder: 'EXPR',
    doc: 'record only rows that match, such as network.dport == 443 (what does not is counted as filtered)',
  },
  limit: {
    type: 'list',
    placeholder: 'OP=RATE,…',
    doc: 'at most so many rows of an op, such as file.open=50k/s, in fair shares among cgroups; their weights stand for what is left out',
  },
  sample: {
    type: 'list',
    placeholder: 'OP=1/N,…',
    doc: 'one of N events of an op, at random, such as syscall.call=1/100; its weight stands for the others',
  },
  mask: {
    type: 'list',
    placeholder: 'PATTERN',
    doc: 'mask what matches in command lines before it is stored, beside passwords, tokens and keys; RE2, arguments are lines; none: not even those; may be repeated',
  },
  latency: { type: 'boolean', doc: 'measure how long calls take (about 57 ns a call)' },
  snaplen: {
    type: 'number',
    placeholder: 'BYTES',
    doc: 'bytes of each packet that network.packet keeps, from its network header: 128 (at most 1024)',
  },
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
  user: {
    type: 'string',
    placeholder: 'NAME[:GROUP]',
    doc: 'run as this user, by name or number, with no more of root than CAP_BPF and CAP_PERFMON; the store is its own',
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
    doc: 'who vouches for clients, PEM: each must have a certificate of theirs, or a token',
  },
  tokens: {
    type: 'string',
    placeholder: 'FILE',
    doc: 'bearer tokens that clients may send, as tapio-record token NAME makes them (src/service/TOKENS.md)',
  },
  'jwt-issuer': {
    type: 'string',
    placeholder: 'URL',
    doc: 'take JSON Web Tokens of this issuer (iss)',
  },
  'jwt-audience': {
    type: 'string',
    placeholder: 'NAME',
    doc: 'for whom they must be (aud): a name of this recorder',
  },
  'jwt-algorithm': {
    type: 'list',
    placeholder: 'NAME,…',
    doc: 'how they must be signed, such as ES256; no others are taken',
  },
  'jwt-keys': {
    type: 'string',
    placeholder: 'FILE',
    doc: 'public keys of their issuer: a JSON Web Key Set, or PEM',
  },
  'jwt-groups-claim': {
    type: 'string',
    placeholder: 'NAME',
    doc: 'claim that lists the groups of who holds one: groups',
  },
  'insecure-loopback': {
    type: 'boolean',
    doc: 'serve --listen 127.0.0.1:PORT without TLS, to processes of this host that have a token',
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
  metrics: {
    type: 'string',
    placeholder: 'HOST:PORT',
    doc: 'tell Prometheus how the recorder is (/metrics, /healthz, /readyz; src/metrics/METRICS.md): nowhere',
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

const ENVIRONMENT_PREFIX = 'TAPIO_RECORD_';
/** Names the file of settings, as --config does. */
export const CONFIG_VARIABLE = 'TAPIO_RECORD_CONFIG';

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

/** One of the choices of a setting. */
export function choice<T extends string>(name: SettingName, value: unknown, fallback: T): T {
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
