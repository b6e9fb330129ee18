// What a row's UnifiedEvent is, made in the plainest way: an object of JavaScript's own, BigInt and JSON.stringify(). The
// converter's text is held against it. What an op is (category, severity, direction) is the mapping's own word.

import type { EventType } from '../../schemas/arrow.ts';
import { EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import { formatTs } from '../../src/event/clock.ts';
import type { RowValue } from '../../src/event/json.ts';
import type { Origin, Rebase } from '../../src/unified/convert.ts';
import { hashWords, type Words, wordsOf } from '../../src/unified/id.ts';
import { MAPPING_VERSION, meaningOf, TYPES } from '../../src/unified/mapping.ts';
import { errorName, signalName } from '../../src/unified/numbers.ts';
import type { PlainRow } from './unified-rows.ts';

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
const PLACED = [
  ...['saddr', 'daddr', 'sport', 'dport', 'protocol', 'direction'],
  ...['bytes_sent', 'bytes_received', 'args', 'packet'],
];

/** Own fields by name, those that the op does not set null. */
type Own = Readonly<Record<string, RowValue>>;

function endpoint(address: RowValue, port: RowValue): string {
  const host = address ?? '?';
  if (port === null) return `${host}`;
  return String(host).includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

const failed = (error: number): string => (error > 0 ? `: ${errorName(error)}` : '');

function errorOf({ ret }: Own): number {
  const number = Number(ret ?? 0);
  return number < 0 && number > -4096 ? -number : 0;
}

const VERBS: Readonly<Record<string, string>> = {
  ...{ open: 'opened', unlink: 'removed', rename: 'renamed', link: 'linked', close: 'closed' },
  ...{ mkdir: 'made directory', rmdir: 'removed directory', truncate: 'set the length of' },
  ...{ chmod: 'changed the permissions of', chown: 'changed the owner of' },
  ...{ read: 'read', write: 'wrote', fsync: 'made durable' },
};
const MEMORY: Readonly<Record<string, string>> = {
  ...{ mmap: 'made a mapping', munmap: 'removed a mapping', brk: 'moved the end of the heap' },
  ...{ mprotect: 'changed the protection of a mapping', fault: 'page fault' },
  ...{
    alloc: 'kernel memory allocated',
    free: 'kernel memory freed',
    rss: 'resident size changed',
  },
};

function told(type: EventType, op: string, own: Own): string {
  const to = endpoint(own.daddr ?? null, own.dport ?? null);
  const from = endpoint(own.saddr ?? null, own.sport ?? null);
  const error = failed(Number(own.error ?? 0));
  const target = own.target_pid ?? '?';
  switch (`${type}.${op}`) {
    case 'process.fork':
      return `created process ${own.child_pid ?? '?'}`;
    case 'process.exec':
      return `started ${own.filename ?? '?'}${failed(-Number(own.result ?? 0))}`;
    case 'process.exit':
      return own.signal === null
        ? `ended with code ${own.exit_code ?? '?'}`
        : `ended by ${signalName(Number(own.signal))}`;
    case 'process.signal':
      return `sent ${signalName(Number(own.signal ?? 0))} to ${target}`;
    case 'network.connect':
      return `connect to ${to}${error}`;
    case 'network.accept':
      return `accepted a connection from ${to}${error}`;
    case 'network.close':
      return `closed ${from} to ${to}`;
    case 'network.listen':
      return `listens on ${from}${error}`;
    case 'network.retransmit':
      return `sent a segment to ${to} again`;
    case 'network.reset':
      return `reset from ${from} to ${to}`;
    case 'network.drop':
      return `packet from ${from} to ${to} dropped: ${own.drop_reason ?? 'no reason'}`;
    case 'network.send':
      return `sent ${own.bytes ?? 0} bytes to ${to}${error}`;
    case 'network.recv':
      return `received ${own.bytes ?? 0} bytes from ${to}${error}`;
    case 'network.packet':
      return `packet from ${from} to ${to}`;
    case 'memory.oom':
      return `out of memory: process ${target} is killed`;
    case 'syscall.call':
      return `${own.name ?? `system call ${own.nr ?? '?'}`} returned${failed(errorOf(own))}`;
  }
  if (type === 'memory') return MEMORY[op] + failed(errorOf(own));
  const what = own.path ?? `descriptor ${own.fd ?? '?'}`;
  const second = own.new_path === null ? '' : ` to ${own.new_path}`;
  return `${VERBS[op]} ${what}${second}${failed(errorOf(own))}`;
}

/** Numbers as the mapping's severities take them. */
function number(value: RowValue): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : rawJson(String(value));
}

const full = (value: RowValue | undefined): unknown =>
  value === null || value === undefined || value === '' || Number(value) === 0
    ? undefined
    : number(value);

/** As `full`, for texts, which may look like numbers. */
const words = (value: RowValue | undefined): unknown => value || undefined;

function networkOf(own: Own, usual: string | undefined): unknown {
  const ways: Readonly<Record<string, string>> = { sent: 'egress', received: 'ingress' };
  const way = own.direction === null ? usual : ways[String(own.direction)];
  const isTurned = own.direction === null && way === 'ingress';
  const [source, dest] = isTurned ? ['d', 's'] : ['s', 'd'];
  return {
    protocol: words(own.protocol),
    source_ip: words(own[`${source}addr`]),
    source_port: full(own[`${source}port`]),
    dest_ip: words(own[`${dest}addr`]),
    dest_port: full(own[`${dest}port`]),
    direction: way,
    bytes_sent: full(own.bytes_sent) ?? (way === 'egress' ? full(own.bytes) : undefined),
    bytes_recv: full(own.bytes_received) ?? (way === 'ingress' ? full(own.bytes) : undefined),
    latency_ns: full(own.latency_ns),
  };
}

function returnOf(event: string, own: Own): number | undefined {
  if (own.ret !== undefined) {
    const value = Number(own.ret ?? 0);
    return value >= -(2 ** 31) && value < 2 ** 31 ? value || undefined : undefined;
  }
  if (own.error !== undefined) return -Number(own.error ?? 0) || undefined;
  return event === 'process.exec' ? Number(own.result ?? 0) || undefined : undefined;
}

function argsOf(args: RowValue | undefined): unknown {
  if (!Array.isArray(args) || args.length === 0) return undefined;
  const text = (arg: unknown): unknown => (typeof arg === 'bigint' ? `0x${arg.toString(16)}` : arg);
  return Object.fromEntries(args.map((arg, i) => [i, text(arg)]));
}

function idOf(ktime: bigint, opBits: number, tid: number, seeds: Words): string {
  const low = Number(BigInt.asIntN(32, ktime));
  const high = Number(BigInt.asIntN(32, ktime >> 32n));
  const hashed = hashWords([low, high, opBits, tid | 0], seeds);
  return hashed.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

const goTime = (ts: bigint): string => formatTs(ts).replace(/\.?0*Z$/, 'Z');

function attributeOf({ unit }: FieldSpec, value: RowValue): unknown {
  if (value === null) return undefined;
  if (unit === 'address') return `0x${(value as bigint).toString(16)}`;
  return unit === 'id' ? String(value) : number(value);
}

/** The text of the event of a row. */
export function plainJson(
  type: EventType,
  row: PlainRow,
  { recording, host, boot_id, tsOffset }: Origin,
  rebase?: Rebase,
): string {
  const spec: TypeSpec = EVENTS[type];
  const op = String(row.op);
  const event = `${type}.${op}`;
  const meaning = meaningOf(type, op);
  const known = spec.ops[op];
  if (meaning === undefined || known === undefined) throw new Error(`what is ${event}?`);
  const own: Own = Object.fromEntries(
    Object.keys(spec.fields).map((name) => [
      name,
      known.fields.includes(name) ? (row[name] ?? null) : null,
    ]),
  );
  const numbers = Object.entries(own).map(([name, value]) => [name, number(value)]);
  const severity = meaning.severity(Object.fromEntries(numbers));
  const ts = row.ts as bigint;
  const boot = wordsOf(boot_id);
  const seeds = rebase === undefined ? boot : hashWords(wordsOf(rebase.salt), boot);
  const [pid, tid, cpu] = [Number(row.pid), Number(row.tid), Number(row.cpu)];
  const process = `${pid}:${row.pstart}`;
  const message = `${row.comm ?? ''}[${pid}] ${told(type, op, own)}`;
  const target = own.target_pid ?? null;
  const victim = { name: String(target ?? '?'), uid: target === null ? undefined : String(target) };
  const owner = pid === 0 ? null : { name: row.comm ?? '', uid: process };
  const whom = event === 'memory.oom' ? victim : owner;
  const { category, intent } = meaning;
  const extras = Object.entries(spec.fields).flatMap(([name, field]) =>
    PLACED.includes(name) ? [] : [[name, attributeOf(field, own[name] ?? null)]],
  );
  const attributes = {
    ...{ boot_id, event, host, recording, mapping_version: MAPPING_VERSION },
    ...{ ktime: String(ts - tsOffset), seq: String(row.seq), pstart: String(row.pstart) },
    ...{ cgroup_id: String(row.cgroup_id), ppid: row.ppid, flags: row.flags || undefined },
    kstack_id: row.kstack_id === 0n ? undefined : String(row.kstack_id),
    ustack_id: row.ustack_id === 0n ? undefined : String(row.ustack_id),
    weight: row.weight === 1 ? undefined : row.weight,
    original_timestamp: rebase === undefined ? undefined : goTime(ts),
    ...Object.fromEntries(extras),
  };
  return JSON.stringify({
    id: idOf(ts - tsOffset, (known.id << 16) | cpu, tid, seeds),
    timestamp: goTime(ts + (rebase?.shift ?? 0n)),
    ...{ type: TYPES[type], source: 'ebpf', category, severity, confidence: 1, message },
    semantic: { intent, category, tags: [type, op], narrative: message, confidence: 1 },
    entity: whom === null ? undefined : { type: 'process', ...whom },
    kernel: {
      syscall: type === 'syscall' ? (own.name ?? undefined) : undefined,
      ...{ pid: pid || undefined, tid: tid || undefined },
      ...{ uid: row.uid || undefined, gid: row.gid || undefined, comm: words(row.comm) },
      ...{ return_code: returnOf(event, own), args: argsOf(own.args), cpu_core: cpu || undefined },
    },
    network: type === 'network' ? networkOf(own, meaning.direction) : undefined,
    attributes: Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
  });
}
