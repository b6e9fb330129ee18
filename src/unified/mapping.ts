// What each op means to Tapio. A new kind of row is one more entry here.

import type { EventType } from '../../schemas/arrow.ts';
import type { EVENTS } from '../../schemas/events.ts';
import type { Category, Integer, Severity, UnifiedType } from './event.ts';
import { endpoint, errorBehind, number, type Saying, says, signal, text } from './messages.ts';
import { errorNumbers, signalNumbers } from './numbers.ts';
import { type NetworkRow, numberOf, type OwnRow } from './row.ts';

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
  readonly message: Saying<OwnRow<T>>;
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

interface Returning {
  readonly ret: Integer | null;
}
/** The errno of what a call returned; an address or a count is none. */
function errorOf({ ret }: Returning): number {
  const number = numberOf(ret);
  return number < 0 && number > -4096 ? -number : 0;
}

const from = endpoint(
  (row: NetworkRow) => row.saddr,
  (row) => row.sport,
);
const to = endpoint(
  (row: NetworkRow) => row.daddr,
  (row) => row.dport,
);
const failed = errorBehind((row: NetworkRow) => row.error ?? 0);
const returned = errorBehind(errorOf);
const bytes = number((row: NetworkRow) => row.bytes, '0');

const always = (severity: Severity) => (): Severity => severity;
const reached =
  (fine: Severity) =>
  (row: NetworkRow): Severity =>
    failure(row.error ?? 0, fine);

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

const path = text((row: OwnRow<'file'>) => row.path);
const descriptor = says`descriptor ${number((row: OwnRow<'file'>) => row.fd)}`;
const newPath = says` to ${text((row: OwnRow<'file'>) => row.new_path)}`;
const what: Saying<OwnRow<'file'>> = (row) => (row.path === null ? descriptor(row) : path(row));
const second: Saying<OwnRow<'file'>> = (row) => {
  if (row.new_path !== null) newPath(row);
};

const file = (verb: string, category: Category, fine: Severity = 'info'): Meaning<'file'> => ({
  category,
  intent: category === 'security' ? 'security-event' : 'system-event',
  severity: (row) => failure(errorOf(row), fine),
  message: says`${verb} ${what}${second}${returned}`,
});

const target = number((row: { readonly target_pid: number | null }) => row.target_pid);

const memory = (message: string): Meaning<'memory'> => ({
  category: 'performance',
  intent: 'memory-usage',
  severity: (row) => failure(errorOf(row), 'debug'),
  message: says`${message}${returned}`,
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

const program = text((row: OwnRow<'process'>) => row.filename);
const ended = says`ended with code ${number((row: OwnRow<'process'>) => row.exit_code)}`;
const signalSent = signal((row: OwnRow<'process'>) => row.signal ?? 0);
const killed = says`ended by ${signalSent}`;

const name = text((row: OwnRow<'syscall'>) => row.name);
const nr = says`system call ${number((row: OwnRow<'syscall'>) => row.nr)}`;
const call: Saying<OwnRow<'syscall'>> = (row) => (row.name === null ? nr(row) : name(row));

/** By type, then op: every op of the event table. */
export const MEANINGS: {
  readonly [T in EventType]: Readonly<Record<keyof (typeof EVENTS)[T]['ops'], Meaning<T>>>;
} = {
  process: {
    fork: life(
      always('info'),
      says`created process ${number((row: OwnRow<'process'>) => row.child_pid)}`,
    ),
    exec: life(
      (row) => ((row.result ?? 0) < 0 ? 'warning' : 'info'),
      says`started ${program}${errorBehind((row: OwnRow<'process'>) => -(row.result ?? 0))}`,
    ),
    exit: life(
      ({ signal, exit_code }) => {
        if (signal === null) return (exit_code ?? 0) === 0 ? 'info' : 'low';
        if (CRASHES.has(signal)) return 'error';
        return signal === SIGKILL ? 'warning' : 'low';
      },
      (row) => (row.signal === null ? ended(row) : killed(row)),
    ),
    signal: life(
      // 1 and more: it was ignored, or did not get through.
      (row) => ((row.result ?? 0) === 0 ? 'info' : 'low'),
      says`sent ${signalSent} to ${target}`,
    ),
  },
  network: {
    connect: network('availability', reached('info'), says`connect to ${to}${failed}`, 'egress'),
    accept: network(
      'availability',
      reached('info'),
      says`accepted a connection from ${to}${failed}`,
      'ingress',
    ),
    close: network('performance', always('info'), says`closed ${from} to ${to}`),
    listen: network('security', reached('info'), says`listens on ${from}${failed}`),
    retransmit: network(
      'performance',
      (row) => ((row.retransmits ?? 0) >= MANY_RETRANSMITS ? 'warning' : 'low'),
      says`sent a segment to ${to} again`,
      'egress',
    ),
    reset: network('availability', always('warning'), says`reset from ${from} to ${to}`),
    drop: network(
      'availability',
      always('warning'),
      says`packet from ${from} to ${to} dropped: ${text((row: NetworkRow) => row.drop_reason, 'no reason')}`,
    ),
    send: network(
      'performance',
      reached('debug'),
      says`sent ${bytes} bytes to ${to}${failed}`,
      'egress',
    ),
    recv: network(
      'performance',
      reached('debug'),
      says`received ${bytes} bytes from ${to}${failed}`,
      'ingress',
    ),
    packet: network('performance', always('debug'), says`packet from ${from} to ${to}`),
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
      message: says`out of memory: process ${target} is killed`,
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
      message: says`${call} returned${returned}`,
    },
  },
};

/** What an op means; undefined of one that the event table does not have. */
export function meaningOf(type: EventType, op: string): Meaning<EventType> | undefined {
  return (MEANINGS[type] as unknown as Readonly<Record<string, Meaning<EventType>>>)[op];
}
