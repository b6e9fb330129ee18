// What each op means to Tapio. A new kind of row is one more entry here.

import { constants } from 'node:os';
import type { EventType } from '../../schemas/arrow.ts';
import type { RowValue } from '../event/json.ts';
import type { Category, NetworkContext, Severity, UnifiedType } from './event.ts';

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

/** A value of the row. */
export type Get = (column: string) => RowValue;

/** What an op means. */
export interface Meaning {
  readonly category: Category;
  readonly intent: string;
  readonly severity: (get: Get) => Severity;
  /** One sentence about the row, without its process. */
  readonly message: (get: Get) => string;
  /** Which way bytes or connections go; of rows that have no direction of their own. */
  readonly direction?: NetworkContext['direction'];
}

export const TYPES: Readonly<Record<EventType, UnifiedType>> = {
  process: 'process',
  network: 'network',
  // Tapio has no type for files and system calls: its own converter says system.
  file: 'system',
  memory: 'memory',
  syscall: 'system',
};

const { errno: ERRNO, signals: SIGNALS } = constants;
const errorName = (error: number): string =>
  Object.entries(ERRNO).find(([, number]) => number === error)?.[0] ?? `errno ${error}`;
const signalName = (signal: RowValue): string =>
  Object.entries(SIGNALS).find(([, number]) => number === Number(signal))?.[0] ??
  `signal ${signal}`;

const isOneOf = (value: RowValue, numbers: ReadonlySet<number>): boolean =>
  value !== null && numbers.has(Math.abs(Number(value)));
const numbers = (...names: readonly (keyof typeof ERRNO)[]): ReadonlySet<number> =>
  new Set(names.map((name) => ERRNO[name]));

const UNREACHABLE = numbers('ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH');
const DENIED = numbers('EACCES', 'EPERM');
const BROKEN = numbers('EIO', 'ENOSPC', 'EROFS');
/** Signals whose default is to dump core: the program did something wrong. */
const CRASHES = new Set([
  ...[SIGNALS.SIGQUIT, SIGNALS.SIGILL, SIGNALS.SIGTRAP, SIGNALS.SIGABRT, SIGNALS.SIGBUS],
  ...[SIGNALS.SIGFPE, SIGNALS.SIGSEGV, SIGNALS.SIGSYS],
]);

const always = (severity: Severity) => (): Severity => severity;

/** Of calls that give a negative errno, or nothing where their outcome is unknown. */
const byOutcome =
  (column: string, fine: Severity) =>
  (get: Get): Severity => {
    const value = get(column);
    const number = Number(value ?? 0);
    const failed = column === 'error' ? number !== 0 : number < 0;
    if (!failed) return fine;
    if (isOneOf(value, BROKEN)) return 'error';
    return isOneOf(value, DENIED) || isOneOf(value, UNREACHABLE) ? 'warning' : 'low';
  };

const outcome = (get: Get, column: string): string => {
  const value = get(column);
  if (value === null) return '';
  const error = column === 'error' ? Number(value) : -Number(value);
  return error > 0 ? `: ${errorName(error)}` : '';
};

const endpoint = (address: RowValue, port: RowValue): string => {
  const text = String(address ?? '?');
  return port === null ? text : `${text.includes(':') ? `[${text}]` : text}:${port}`;
};
const from = (get: Get): string => endpoint(get('saddr'), get('sport'));
const to = (get: Get): string => endpoint(get('daddr'), get('dport'));

const network = (
  category: Category,
  severity: Meaning['severity'],
  message: Meaning['message'],
  direction?: NetworkContext['direction'],
): Meaning => ({
  category,
  intent: 'network-activity',
  severity,
  message,
  ...(direction !== undefined && { direction }),
});

const file = (verb: string, category: Category, fine: Severity = 'info'): Meaning => ({
  category,
  intent: category === 'security' ? 'security-event' : 'system-event',
  severity: byOutcome('ret', fine),
  message: (get) => {
    const renamed = get('new_path') === null ? '' : ` to ${get('new_path')}`;
    return `${verb} ${get('path') ?? `descriptor ${get('fd') ?? '?'}`}${renamed}${outcome(get, 'ret')}`;
  },
});

const memory = (message: string): Meaning => ({
  category: 'performance',
  intent: 'memory-usage',
  severity: always('debug'),
  message: () => message,
});

const life = (severity: Meaning['severity'], message: Meaning['message']): Meaning => ({
  category: 'system',
  intent: 'process-lifecycle',
  severity,
  message,
});

/** By type, then op: every op of the event table. */
export const MEANINGS: Readonly<Record<EventType, Readonly<Record<string, Meaning>>>> = {
  process: {
    fork: life(always('info'), (get) => `created process ${get('child_pid')}`),
    exec: life(
      (get) => (Number(get('result') ?? 0) < 0 ? 'warning' : 'info'),
      (get) => `started ${get('filename') ?? '?'}${outcome(get, 'result')}`,
    ),
    exit: life(
      (get) => {
        const signal = get('signal');
        if (signal === null) return Number(get('exit_code') ?? 0) === 0 ? 'info' : 'low';
        if (CRASHES.has(Number(signal))) return 'error';
        return Number(signal) === SIGNALS.SIGKILL ? 'warning' : 'low';
      },
      (get) =>
        get('signal') === null
          ? `ended with code ${get('exit_code')}`
          : `ended by ${signalName(get('signal'))}`,
    ),
    signal: {
      ...life(always('info'), (get) => `sent ${signalName(get('signal'))} to ${get('target_pid')}`),
      severity: (get) => (Number(get('result') ?? 0) === 0 ? 'info' : 'low'),
    },
  },
  network: {
    connect: network(
      'availability',
      byOutcome('error', 'info'),
      (get) => `connect to ${to(get)}${outcome(get, 'error')}`,
      'egress',
    ),
    accept: network(
      'availability',
      byOutcome('error', 'info'),
      (get) => `accepted a connection from ${to(get)}${outcome(get, 'error')}`,
      'ingress',
    ),
    close: network('performance', always('info'), (get) => `closed ${from(get)} to ${to(get)}`),
    listen: network(
      'security',
      byOutcome('error', 'info'),
      (get) => `listens on ${from(get)}${outcome(get, 'error')}`,
    ),
    retransmit: network(
      'performance',
      (get) => (Number(get('retransmits') ?? 0) >= 3 ? 'warning' : 'low'),
      (get) => `sent a segment to ${to(get)} again`,
      'egress',
    ),
    reset: network(
      'availability',
      always('warning'),
      (get) => `reset from ${from(get)} to ${to(get)}`,
    ),
    drop: network(
      'availability',
      always('warning'),
      (get) =>
        `packet from ${from(get)} to ${to(get)} dropped: ${get('drop_reason') ?? 'no reason'}`,
    ),
    send: network(
      'performance',
      byOutcome('error', 'debug'),
      (get) => `sent ${get('bytes') ?? 0} bytes to ${to(get)}${outcome(get, 'error')}`,
      'egress',
    ),
    recv: network(
      'performance',
      byOutcome('error', 'debug'),
      (get) => `received ${get('bytes') ?? 0} bytes from ${to(get)}${outcome(get, 'error')}`,
      'ingress',
    ),
    packet: network(
      'performance',
      always('debug'),
      (get) => `packet from ${from(get)} to ${to(get)}`,
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
      message: (get) => `out of memory: process ${get('target_pid')} is killed`,
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
      severity: byOutcome('ret', 'debug'),
      message: (get) =>
        `${get('name') ?? `system call ${get('nr')}`} returned${outcome(get, 'ret')}`,
    },
  },
};
