// What each op means to Tapio. A new kind of row is one more entry here.

import type { EventType } from '../../schemas/arrow.ts';
import type { EVENTS } from '../../schemas/events.ts';
import type { Category, Integer, Severity, UnifiedType } from './event.ts';
import { errorName, errorNumbers, signalName, signalNumbers } from './numbers.ts';
import { digits, type NetworkRow, numberOf, type OwnRow } from './row.ts';

/** Stands in every event: another one means that the same row may give another event. */
export const MAPPING_VERSION = '1';

/** What goes onward where nobody says: lifecycle, failures, and what changes who may do what; not every read. */
export const DEFAULT_ONWARD_FILTER = [
  'type == "process"',
  'type == "network" && op in ["connect", "accept", "listen", "reset", "drop", "retransmit"]',
  'type == "file" && op in ["chmod", "chown"]',
  'type == "file" && file.ret in [-1, -5, -13, -28, -30]',
  'type == "memory" && op == "oom"',
]
  .map((part) => `(${part})`)
  .join(' || ');

/** What an op means. */
export interface Meaning<T extends EventType> {
  readonly category: Category;
  readonly intent: string;
  readonly severity: (row: OwnRow<T>) => Severity;
  /** What happened, without its process. */
  readonly message: (row: OwnRow<T>) => string;
  /** Which way bytes or connections go; of rows that have no direction of their own. */
  readonly direction?: 'ingress' | 'egress';
}

export const TYPES: Readonly<Record<EventType, UnifiedType>> = {
  process: 'process',
  network: 'network',
  // Tapio has no type for files and system calls: its own converter says system.
  file: 'system',
  memory: 'memory',
  syscall: 'system',
};

/** Of one connection: from here on it is no accident. */
const MANY_RETRANSMITS = 3;
const UNREACHABLE = errorNumbers('CONNREFUSED', 'TIMEDOUT', 'HOSTUNREACH', 'NETUNREACH');
const DENIED = errorNumbers('ACCES', 'PERM');
const BROKEN = errorNumbers('IO', 'NOSPC', 'ROFS');
/** Signals whose default is to dump core: the program did something wrong. */
const CRASHES = signalNumbers(
  ...['QUIT', 'ILL', 'TRAP', 'ABRT', 'BUS', 'FPE', 'SEGV', 'XCPU', 'XFSZ', 'SYS'],
);
const [SIGKILL] = signalNumbers('KILL');

/** Of an errno, 0 where there is none. */
function failure(error: number, fine: Severity): Severity {
  if (error <= 0) return fine;
  if (BROKEN.has(error)) return 'error';
  return DENIED.has(error) || UNREACHABLE.has(error) ? 'warning' : 'low';
}

const outcome = (error: number): string => (error > 0 ? `: ${errorName(error)}` : '');

interface Returning {
  readonly ret: Integer | null;
}
/** The errno of what a call returned; an address or a count is none. */
function errorOf({ ret }: Returning): number {
  const number = numberOf(ret);
  return number < 0 && number > -4096 ? -number : 0;
}

function endpoint(address: string | null, port: number | null): string {
  if (address === null) return port === null ? '?' : `?:${port}`;
  if (port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
const from = (row: NetworkRow): string => endpoint(row.saddr, row.sport);
const to = (row: NetworkRow): string => endpoint(row.daddr, row.dport);

const always = (severity: Severity) => (): Severity => severity;
const reached =
  (fine: Severity) =>
  (row: NetworkRow): Severity =>
    failure(row.error ?? 0, fine);
const errorText = (row: NetworkRow): string => outcome(row.error ?? 0);

const network = (
  category: Category,
  severity: Meaning<'network'>['severity'],
  message: Meaning<'network'>['message'],
  direction?: 'ingress' | 'egress',
): Meaning<'network'> => ({
  category,
  intent: 'network-activity',
  severity,
  message,
  ...(direction !== undefined && { direction }),
});

const file = (verb: string, category: Category, fine: Severity = 'info'): Meaning<'file'> => ({
  category,
  intent: category === 'security' ? 'security-event' : 'system-event',
  severity: (row) => failure(errorOf(row), fine),
  message: (row) => {
    const what = row.path ?? `descriptor ${row.fd ?? '?'}`;
    const second = row.new_path === null ? '' : ` to ${row.new_path}`;
    return `${verb} ${what}${second}${outcome(errorOf(row))}`;
  },
});

const memory = (message: string): Meaning<'memory'> => ({
  category: 'performance',
  intent: 'memory-usage',
  severity: (row) => failure(errorOf(row), 'debug'),
  message: (row) => message + outcome(errorOf(row)),
});

const life = (
  severity: Meaning<'process'>['severity'],
  message: Meaning<'process'>['message'],
): Meaning<'process'> => ({
  category: 'system',
  intent: 'process-lifecycle',
  severity,
  message,
});

/** By type, then op: every op of the event table. */
export const MEANINGS: {
  readonly [T in EventType]: Readonly<Record<keyof (typeof EVENTS)[T]['ops'], Meaning<T>>>;
} = {
  process: {
    fork: life(always('info'), (row) => `created process ${row.child_pid ?? '?'}`),
    exec: life(
      (row) => ((row.result ?? 0) < 0 ? 'warning' : 'info'),
      (row) => `started ${row.filename ?? '?'}${outcome(-(row.result ?? 0))}`,
    ),
    exit: life(
      ({ signal, exit_code }) => {
        if (signal === null) return (exit_code ?? 0) === 0 ? 'info' : 'low';
        if (CRASHES.has(signal)) return 'error';
        return signal === SIGKILL ? 'warning' : 'low';
      },
      ({ signal, exit_code }) =>
        signal === null ? `ended with code ${exit_code ?? '?'}` : `ended by ${signalName(signal)}`,
    ),
    signal: life(
      // 1 and more: it was ignored, or did not get through.
      (row) => ((row.result ?? 0) === 0 ? 'info' : 'low'),
      (row) => `sent ${signalName(row.signal ?? 0)} to ${row.target_pid ?? '?'}`,
    ),
  },
  network: {
    connect: network(
      'availability',
      reached('info'),
      (row) => `connect to ${to(row)}${errorText(row)}`,
      'egress',
    ),
    accept: network(
      'availability',
      reached('info'),
      (row) => `accepted a connection from ${to(row)}${errorText(row)}`,
      'ingress',
    ),
    close: network('performance', always('info'), (row) => `closed ${from(row)} to ${to(row)}`),
    listen: network(
      'security',
      reached('info'),
      (row) => `listens on ${from(row)}${errorText(row)}`,
    ),
    retransmit: network(
      'performance',
      (row) => ((row.retransmits ?? 0) >= MANY_RETRANSMITS ? 'warning' : 'low'),
      (row) => `sent a segment to ${to(row)} again`,
      'egress',
    ),
    reset: network(
      'availability',
      always('warning'),
      (row) => `reset from ${from(row)} to ${to(row)}`,
    ),
    drop: network(
      'availability',
      always('warning'),
      (row) => `packet from ${from(row)} to ${to(row)} dropped: ${row.drop_reason ?? 'no reason'}`,
    ),
    send: network(
      'performance',
      reached('debug'),
      (row) => `sent ${digits(row.bytes ?? 0)} bytes to ${to(row)}${errorText(row)}`,
      'egress',
    ),
    recv: network(
      'performance',
      reached('debug'),
      (row) => `received ${digits(row.bytes ?? 0)} bytes from ${to(row)}${errorText(row)}`,
      'ingress',
    ),
    packet: network(
      'performance',
      always('debug'),
      (row) => `packet from ${from(row)} to ${to(row)}`,
    ),
  },
  file: {
    open: file('opened', 'system'),
    unlink: file('removed', 'system'),
    rename: file('renamed', 'system'),
    link: file('linked', 'system'),
    mkdir: file('made directory', 'system'),
    rmdir: file('removed directory', 'system'),
    chmod: file('changed the permissions of', 'security', 'low'),
    chown: file('changed the owner of', 'security', 'low'),
    truncate: file('set the length of', 'system'),
    read: file('read', 'performance', 'debug'),
    write: file('wrote', 'performance', 'debug'),
    fsync: file('made durable', 'performance', 'debug'),
    close: file('closed', 'performance', 'debug'),
  },
  memory: {
    oom: {
      category: 'availability',
      intent: 'memory-usage',
      severity: always('critical'),
      message: (row) => `out of memory: process ${row.target_pid ?? '?'} is killed`,
    },
    mmap: memory('made a mapping'),
    munmap: memory('removed a mapping'),
    mprotect: { ...memory('changed the protection of a mapping'), category: 'security' },
    brk: memory('moved the end of the heap'),
    fault: memory('page fault'),
    alloc: memory('kernel memory allocated'),
    free: memory('kernel memory freed'),
    rss: memory('resident size changed'),
  },
  syscall: {
    call: {
      category: 'system',
      intent: 'system-event',
      severity: (row) => failure(errorOf(row), 'debug'),
      message: (row) =>
        `${row.name ?? `system call ${row.nr ?? '?'}`} returned${outcome(errorOf(row))}`,
    },
  },
};
