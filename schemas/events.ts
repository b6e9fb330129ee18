// The event table: the one place that says what an event is.
//
// From it come the C records of bpf/ and native/, the native decoder, the Arrow schemas, the JSON
// form, the TypeScript types, the filter names, EVENTS.md and the help texts.
//
// Laws. Append only: an id or a number is never reused, a type, unit or meaning never changes; what
// must change becomes a new field or a new op. Every field has a doc, and a unit where it has one.
// A field that an op does not set is null. Field ids are protobuf field numbers.

/**
 * How a field is stored in Arrow.
 * `name` is a string from a small set (dictionary, u16 index), `text` a string from a large one
 * (dictionary, i32 index), `texts` list<utf8>, `u64s` list<u64>, `bytes` binary.
 */
export type FieldType =
  | 'u16'
  | 'u32'
  | 'u64'
  | 'i32'
  | 'i64'
  | 'timestamp'
  | 'name'
  | 'text'
  | 'texts'
  | 'u64s'
  | 'bytes';

/**
 * What the number means. `id` and `time` are 64-bit identities (JSON strings), `address` is a memory
 * address (JSON hex string), all others are JSON numbers.
 */
export type Unit =
  | 'ns'
  | 'us'
  | 'bytes'
  | 'count'
  | 'id'
  | 'address'
  | 'errno'
  | 'bits'
  | 'time'
  | 'number';

/**
 * How the raw record carries a field where that is not plainly the Arrow type.
 * - `enum`: a small number that native/names turns into a string;
 * - `inet`: 16 bytes in network order, read with the op's `family`;
 * - `path`: two strings of the tail, the name given and the directory (components, leaf first);
 * - `string`: one string of the tail; `strings`: one string of the tail, NUL separated;
 * - `args`: six u64 of which the syscall's own number of arguments are meant;
 * - `derived`: not in the record, made by the decoder from another field.
 */
export type Wire =
  | { readonly as: 'enum'; readonly of: EnumName; readonly type: 'u8' | 'u16' }
  | { readonly as: 'inet' }
  | { readonly as: 'path' }
  | { readonly as: 'string' }
  | { readonly as: 'strings' }
  | { readonly as: 'args' }
  | { readonly as: 'derived'; readonly from: string };

export type EnumName = 'family' | 'protocol' | 'tcp_state' | 'drop_reason' | 'direction';

export interface FieldSpec {
  readonly id: number;
  readonly type: FieldType;
  readonly unit?: Unit;
  readonly wire?: Wire;
  readonly doc: string;
  /** Format version that introduced the field. */
  readonly since: number;
}

export interface OpSpec {
  /** Unique over all types, dense, below MAX_OPS: it indexes the kernel's counters. */
  readonly id: number;
  /** On in the `default` profile. */
  readonly default: boolean;
  readonly doc: string;
  /** The kernel hooks or syscalls that it covers. */
  readonly covers: readonly string[];
  /** The fields that this op sets; some may still be null in a row. */
  readonly fields: readonly string[];
  /** Whether this version records it. */
  readonly recorded: boolean;
  readonly since: number;
}

export interface TypeSpec {
  readonly id: number;
  readonly doc: string;
  readonly ops: Readonly<Record<string, OpSpec>>;
  readonly fields: Readonly<Record<string, FieldSpec>>;
}

/** Version of the segment format and of this table; a reader refuses what is newer. */
export const FORMAT_VERSION = 1;

/** Room for op ids in the kernel's counters and bitmaps. */
export const MAX_OPS = 64;

/** Bits of the common field `flags`. */
export const FLAGS = {
  late: { bit: 0, doc: 'came out of the rings after a row with a later ktime' },
  truncated: { bit: 1, doc: 'a string was cut' },
  pending: { bit: 2, doc: 'the call had not returned when the row was made' },
} as const;

/** Fields of every row, in column order. `ktime` is not stored: it is ts − offset of the segment. */
export const COMMON = {
  seq: {
    id: 1,
    type: 'u64',
    unit: 'count',
    doc: 'position in the recording, from 1, without gaps',
    since: 1,
  },
  ts: { id: 2, type: 'timestamp', unit: 'time', doc: 'wall-clock time of the row, UTC', since: 1 },
  cpu: { id: 3, type: 'u16', unit: 'number', doc: 'CPU that raised the event', since: 1 },
  op: {
    id: 4,
    type: 'name',
    wire: { as: 'derived', from: 'op' },
    doc: 'operation, without its type',
    since: 1,
  },
  pid: {
    id: 5,
    type: 'u32',
    unit: 'number',
    doc: 'process (thread group) whose event it is; 0 where no process owns it',
    since: 1,
  },
  pstart: {
    id: 6,
    type: 'u64',
    unit: 'id',
    doc: 'start of the process, ns since boot (CLOCK_BOOTTIME); (pid, pstart) names a process',
    since: 1,
  },
  tid: { id: 7, type: 'u32', unit: 'number', doc: 'thread', since: 1 },
  ppid: { id: 8, type: 'u32', unit: 'number', doc: 'parent process', since: 1 },
  uid: { id: 9, type: 'u32', unit: 'number', doc: 'real user id', since: 1 },
  gid: { id: 10, type: 'u32', unit: 'number', doc: 'real group id', since: 1 },
  comm: {
    id: 11,
    type: 'name',
    wire: { as: 'derived', from: 'comm' },
    doc: 'name of the thread (up to 15 bytes)',
    since: 1,
  },
  cgroup_id: { id: 12, type: 'u64', unit: 'id', doc: 'cgroup v2 id (inode)', since: 1 },
  kstack_id: { id: 13, type: 'u64', unit: 'id', doc: 'kernel stack, 0 = none', since: 1 },
  ustack_id: { id: 14, type: 'u64', unit: 'id', doc: 'user stack, 0 = none', since: 1 },
  weight: {
    id: 15,
    type: 'u32',
    unit: 'count',
    doc: 'events that this row stands for; above 1 where sampled',
    since: 1,
  },
  flags: { id: 16, type: 'u16', unit: 'bits', doc: '1 late, 2 truncated, 4 pending', since: 1 },
} as const satisfies Readonly<Record<string, FieldSpec>>;

const ON = { default: true, recorded: true, since: 1 } as const;
const OFF = { default: false, recorded: true, since: 1 } as const;

const LATENCY = {
  type: 'u64',
  unit: 'ns',
  doc: 'time from the start of the call to this row; null where it was not measured',
  since: 1,
} as const;

/** Event types, their ops and their fields beyond the common ones. */
export const EVENTS = {
  process: {
    id: 1,
    doc: 'processes: how they start, what they run, how they end, what is sent to them',
    ops: {
      fork: {
        id: 1,
        ...ON,
        doc: 'a process was created (threads are not rows)',
        covers: ['sched_process_fork'],
        fields: ['child_pid', 'child_pstart'],
      },
      exec: {
        id: 2,
        ...ON,
        doc: 'a program was started, or could not be (result < 0)',
        covers: ['sched_process_exec', 'execve', 'execveat'],
        fields: ['args_length', 'result', 'filename', 'cwd', 'args'],
      },
      exit: {
        id: 3,
        ...ON,
        doc: 'the last thread of a process ended',
        covers: ['sched_process_exit'],
        fields: ['exit_code', 'signal', 'duration_ns', 'cpu_ns'],
      },
      signal: {
        id: 4,
        ...ON,
        doc: 'a signal was generated; the row is the sender’s',
        covers: ['signal_generate'],
        fields: ['signal', 'target_pid', 'result'],
      },
    },
    fields: {
      child_pid: { id: 20, type: 'u32', unit: 'number', doc: 'new process', since: 1 },
      child_pstart: {
        id: 21,
        type: 'u64',
        unit: 'id',
        doc: 'start of the new process, ns since boot',
        since: 1,
      },
      filename: {
        id: 22,
        type: 'text',
        wire: { as: 'path' },
        doc: 'program as named by the caller, made absolute',
        since: 1,
      },
      args: {
        id: 23,
        type: 'texts',
        wire: { as: 'strings' },
        doc: 'argument vector, up to 4 KiB; null for a failed exec',
        since: 1,
      },
      args_length: {
        id: 24,
        type: 'u32',
        unit: 'bytes',
        doc: 'true length of the argument vector, with its terminators',
        since: 1,
      },
      cwd: {
        id: 25,
        type: 'text',
        wire: { as: 'path' },
        doc: 'working directory',
        since: 1,
      },
      exit_code: {
        id: 26,
        type: 'i32',
        unit: 'number',
        doc: '0-255, null on death by signal',
        since: 1,
      },
      signal: {
        id: 27,
        type: 'i32',
        unit: 'number',
        doc: 'signal sent, or the one that ended the process',
        since: 1,
      },
      duration_ns: { id: 28, type: 'u64', unit: 'ns', doc: 'life of the process', since: 1 },
      cpu_ns: {
        id: 29,
        type: 'u64',
        unit: 'ns',
        doc: 'CPU time of all its threads, as far as the kernel had accounted for it: up to a tick less',
        since: 1,
      },
      target_pid: { id: 30, type: 'u32', unit: 'number', doc: 'process signalled', since: 1 },
      result: {
        id: 31,
        type: 'i32',
        unit: 'errno',
        doc: 'exec: 0 or −errno; signal: the kernel’s enum (0 delivered, 1 ignored, 2 already pending, 3 overflow, 4 lost info)',
        since: 1,
      },
    },
  },
  network: {
    id: 2,
    doc: 'sockets and packets of IPv4 and IPv6',
    ops: {
      connect: {
        id: 5,
        ...ON,
        doc: 'a connection was made or failed; a non-blocking one is a row at its outcome',
        covers: ['connect', 'inet_sock_set_state'],
        fields: [
          'saddr',
          'daddr',
          'latency_ns',
          'error',
          'sport',
          'dport',
          'family',
          'protocol',
          'old_state',
          'new_state',
        ],
      },
      accept: {
        id: 6,
        ...ON,
        doc: 'a connection was accepted; EAGAIN and interruption are no rows: nothing was accepted',
        covers: ['accept', 'accept4'],
        fields: [
          'saddr',
          'daddr',
          'latency_ns',
          'error',
          'sport',
          'dport',
          'family',
          'protocol',
          'new_state',
        ],
      },
      close: {
        id: 7,
        ...ON,
        doc: 'a TCP socket reached CLOSE, with its final counts',
        covers: ['inet_sock_set_state'],
        fields: [
          'saddr',
          'daddr',
          'bytes_sent',
          'bytes_received',
          'srtt_us',
          'retransmits',
          'sport',
          'dport',
          'family',
          'protocol',
          'old_state',
          'new_state',
        ],
      },
      listen: {
        id: 8,
        ...ON,
        doc: 'a socket began to listen, or could not; old_state says whether it did already',
        covers: ['listen'],
        fields: ['saddr', 'error', 'sport', 'family', 'protocol', 'old_state'],
      },
      retransmit: {
        id: 9,
        ...ON,
        doc: 'a TCP segment was sent again',
        covers: ['tcp_retransmit_skb'],
        fields: [
          'saddr',
          'daddr',
          'srtt_us',
          'retransmits',
          'sport',
          'dport',
          'family',
          'protocol',
          'old_state',
        ],
      },
      reset: {
        id: 10,
        ...ON,
        doc: 'a TCP reset was sent or received; addresses as in the reset packet',
        covers: ['tcp_send_reset', 'tcp_receive_reset'],
        fields: [
          'saddr',
          'daddr',
          'sport',
          'dport',
          'family',
          'protocol',
          'old_state',
          'direction',
        ],
      },
      drop: {
        id: 11,
        ...ON,
        doc: 'the kernel dropped an IP packet; addresses as in the packet',
        covers: ['kfree_skb'],
        fields: [
          'saddr',
          'daddr',
          'packet_length',
          'sport',
          'dport',
          'drop_reason',
          'family',
          'protocol',
        ],
      },
      send: {
        id: 12,
        ...OFF,
        doc: 'bytes were handed to a socket, a row for each message; no rows: EAGAIN and interrupted calls (as with accept), Unix sockets',
        covers: [
          'sendto',
          'sendmsg',
          'sendmmsg',
          'write',
          'writev',
          'pwrite64',
          'pwritev',
          'pwritev2',
          'sendfile',
          'splice',
        ],
        fields: [
          'saddr',
          'daddr',
          'bytes',
          'latency_ns',
          'error',
          'sport',
          'dport',
          'family',
          'protocol',
        ],
      },
      recv: {
        id: 13,
        ...OFF,
        doc: 'bytes were taken from a socket (0: the peer sends no more), a row for each message; no rows: EAGAIN and interrupted calls (as with accept), a look at what stays (MSG_PEEK) or at errors (MSG_ERRQUEUE), Unix sockets',
        covers: [
          'recvfrom',
          'recvmsg',
          'recvmmsg',
          'read',
          'readv',
          'pread64',
          'preadv',
          'preadv2',
          'splice',
        ],
        fields: [
          'saddr',
          'daddr',
          'bytes',
          'latency_ns',
          'error',
          'sport',
          'dport',
          'family',
          'protocol',
        ],
      },
      packet: {
        id: 14,
        ...OFF,
        doc: 'an IP packet was sent or received by a device (on loopback it is one of each); its first bytes (--snaplen), as far as they lie in the buffer’s first part',
        covers: ['net_dev_queue', 'netif_receive_skb'],
        fields: [
          'saddr',
          'daddr',
          'packet_length',
          'sport',
          'dport',
          'family',
          'protocol',
          'direction',
          'packet',
        ],
      },
    },
    fields: {
      family: {
        id: 20,
        type: 'name',
        wire: { as: 'enum', of: 'family', type: 'u8' },
        doc: 'inet or inet6; v4-mapped addresses are inet',
        since: 1,
      },
      protocol: {
        id: 21,
        type: 'name',
        wire: { as: 'enum', of: 'protocol', type: 'u8' },
        doc: 'tcp, udp, icmp, …',
        since: 1,
      },
      saddr: {
        id: 22,
        type: 'text',
        wire: { as: 'inet' },
        doc: 'local address; in packet, drop and reset the packet’s source',
        since: 1,
      },
      daddr: {
        id: 23,
        type: 'text',
        wire: { as: 'inet' },
        doc: 'remote address; in packet, drop and reset the packet’s destination',
        since: 1,
      },
      sport: { id: 24, type: 'u16', unit: 'number', doc: 'port that goes with saddr', since: 1 },
      dport: { id: 25, type: 'u16', unit: 'number', doc: 'port that goes with daddr', since: 1 },
      old_state: {
        id: 26,
        type: 'name',
        wire: { as: 'enum', of: 'tcp_state', type: 'u8' },
        doc: 'TCP state before',
        since: 1,
      },
      new_state: {
        id: 27,
        type: 'name',
        wire: { as: 'enum', of: 'tcp_state', type: 'u8' },
        doc: 'TCP state after',
        since: 1,
      },
      error: {
        id: 28,
        type: 'i32',
        unit: 'errno',
        doc: 'errno, 0 on success, null without an outcome',
        since: 1,
      },
      latency_ns: { id: 29, ...LATENCY },
      bytes_sent: {
        id: 30,
        type: 'u64',
        unit: 'bytes',
        doc: 'payload sent over the whole connection, without SYN, FIN and retransmissions',
        since: 1,
      },
      bytes_received: {
        id: 31,
        type: 'u64',
        unit: 'bytes',
        doc: 'payload received over the whole connection, without SYN and FIN',
        since: 1,
      },
      srtt_us: { id: 32, type: 'u32', unit: 'us', doc: 'smoothed round-trip time', since: 1 },
      retransmits: {
        id: 33,
        type: 'u32',
        unit: 'count',
        doc: 'segments retransmitted over the whole connection',
        since: 1,
      },
      drop_reason: {
        id: 34,
        type: 'name',
        wire: { as: 'enum', of: 'drop_reason', type: 'u16' },
        doc: 'the kernel’s name of the reason, without SKB_DROP_REASON_',
        since: 1,
      },
      bytes: { id: 35, type: 'u64', unit: 'bytes', doc: 'bytes moved; null on failure', since: 1 },
      packet: {
        id: 36,
        type: 'bytes',
        wire: { as: 'string' },
        doc: 'first bytes of the packet, from its network header; JSON has them in base64; flag 2 says that there were more',
        since: 1,
      },
      packet_length: {
        id: 37,
        type: 'u32',
        unit: 'bytes',
        doc: 'true length of the packet, from its network header; segments that the kernel splits later or has joined are one',
        since: 1,
      },
      direction: {
        id: 38,
        type: 'name',
        wire: { as: 'enum', of: 'direction', type: 'u8' },
        doc: 'sent or received',
        since: 1,
      },
    },
  },
  file: {
    id: 3,
    doc: 'files: names, and bytes read and written',
    ops: {
      open: {
        id: 15,
        ...ON,
        doc: 'a file was opened, or could not be',
        covers: ['open', 'openat', 'openat2', 'creat'],
        fields: ['inode', 'device', 'ret', 'latency_ns', 'fd', 'open_flags', 'mode', 'path'],
      },
      unlink: {
        id: 16,
        ...ON,
        doc: 'a name was removed',
        covers: ['unlink', 'unlinkat'],
        fields: ['ret', 'latency_ns', 'path'],
      },
      rename: {
        id: 17,
        ...ON,
        doc: 'a file was renamed',
        covers: ['rename', 'renameat', 'renameat2'],
        fields: ['ret', 'latency_ns', 'path', 'new_path'],
      },
      link: {
        id: 18,
        ...ON,
        doc: 'a hard or symbolic link was made',
        covers: ['link', 'linkat', 'symlink', 'symlinkat'],
        fields: ['ret', 'latency_ns', 'path', 'new_path'],
      },
      mkdir: {
        id: 19,
        ...ON,
        doc: 'a directory was made',
        covers: ['mkdir', 'mkdirat'],
        fields: ['ret', 'latency_ns', 'mode', 'path'],
      },
      rmdir: {
        id: 20,
        ...ON,
        doc: 'a directory was removed',
        covers: ['rmdir', 'unlinkat'],
        fields: ['ret', 'latency_ns', 'path'],
      },
      chmod: {
        id: 21,
        ...ON,
        doc: 'permissions were changed',
        covers: ['chmod', 'fchmod', 'fchmodat', 'fchmodat2'],
        fields: ['ret', 'latency_ns', 'fd', 'mode', 'path'],
      },
      chown: {
        id: 22,
        ...ON,
        doc: 'the owner was changed',
        covers: ['chown', 'lchown', 'fchown', 'fchownat'],
        fields: ['ret', 'latency_ns', 'fd', 'path'],
      },
      truncate: {
        id: 23,
        ...ON,
        doc: 'the length was set',
        covers: ['truncate', 'ftruncate'],
        fields: ['ret', 'latency_ns', 'offset', 'fd', 'path'],
      },
      read: {
        id: 24,
        ...OFF,
        doc: 'bytes were read from a file or device (sockets are network.recv)',
        covers: [
          'read',
          'pread64',
          'readv',
          'preadv',
          'preadv2',
          'sendfile',
          'splice',
          'copy_file_range',
        ],
        fields: ['inode', 'device', 'offset', 'bytes', 'ret', 'latency_ns', 'fd', 'path'],
      },
      write: {
        id: 25,
        ...OFF,
        doc: 'bytes were written to a file or device (sockets are network.send)',
        covers: [
          'write',
          'pwrite64',
          'writev',
          'pwritev',
          'pwritev2',
          'sendfile',
          'splice',
          'copy_file_range',
        ],
        fields: ['inode', 'device', 'offset', 'bytes', 'ret', 'latency_ns', 'fd', 'path'],
      },
      fsync: {
        id: 26,
        ...OFF,
        doc: 'a file was made durable',
        covers: ['fsync', 'fdatasync', 'sync_file_range'],
        fields: ['inode', 'device', 'ret', 'latency_ns', 'fd', 'path'],
      },
      close: {
        id: 27,
        ...OFF,
        doc: 'a descriptor was closed; of close_range fd is the first',
        covers: ['close', 'close_range'],
        fields: ['ret', 'latency_ns', 'fd'],
      },
    },
    fields: {
      path: {
        id: 20,
        type: 'text',
        wire: { as: 'path' },
        doc: 'the name given, made absolute; symlinks unresolved; where fd is given the file’s path',
        since: 1,
      },
      new_path: {
        id: 21,
        type: 'text',
        wire: { as: 'path' },
        doc: 'the second name of rename and link; of a symbolic link path is its target as given, new_path the link',
        since: 1,
      },
      fd: { id: 22, type: 'i32', unit: 'number', doc: 'descriptor', since: 1 },
      open_flags: { id: 23, type: 'u32', unit: 'bits', doc: 'O_* flags of open', since: 1 },
      mode: { id: 24, type: 'u32', unit: 'bits', doc: 'permission bits asked for', since: 1 },
      inode: { id: 25, type: 'u64', unit: 'id', doc: 'inode number', since: 1 },
      device: {
        id: 26,
        type: 'u64',
        unit: 'id',
        doc: 'device of the file system, as st_dev',
        since: 1,
      },
      offset: {
        id: 27,
        type: 'i64',
        unit: 'bytes',
        doc: 'position given to the call, or the length of truncate; null where the call uses the file’s own',
        since: 1,
      },
      bytes: { id: 28, type: 'u64', unit: 'bytes', doc: 'bytes moved; null on failure', since: 1 },
      ret: { id: 29, type: 'i64', unit: 'errno', doc: 'as the kernel returns (−errno)', since: 1 },
      latency_ns: { id: 30, ...LATENCY },
    },
  },
  memory: {
    id: 4,
    doc: 'memory: out-of-memory kills, mappings, faults, allocations',
    ops: {
      oom: {
        id: 28,
        ...ON,
        doc: 'the OOM killer chose a victim; the row is of the process that asked for memory',
        covers: ['mark_victim'],
        fields: ['target_pid'],
      },
      mmap: {
        id: 29,
        ...OFF,
        doc: 'a mapping was made, or could not be; address is where it lies, or was to lie',
        covers: ['mmap'],
        fields: ['address', 'length', 'ret', 'prot', 'map_flags'],
      },
      munmap: {
        id: 30,
        ...OFF,
        doc: 'a mapping was removed',
        covers: ['munmap'],
        fields: ['address', 'length', 'ret'],
      },
      mprotect: {
        id: 31,
        ...OFF,
        doc: 'the protection of a mapping was changed',
        covers: ['mprotect', 'pkey_mprotect'],
        fields: ['address', 'length', 'ret', 'prot'],
      },
      brk: {
        id: 32,
        ...OFF,
        doc: 'the heap’s end was asked for (address 0) or moved; ret is where it then lies',
        covers: ['brk'],
        fields: ['address', 'ret'],
      },
      fault: {
        id: 33,
        ...OFF,
        doc: 'a page fault of user code; prot is what the access needed: PROT_READ, _WRITE or _EXEC',
        covers: ['page_fault_user'],
        fields: ['address', 'call_site', 'prot'],
      },
      alloc: {
        id: 34,
        ...OFF,
        doc: 'the kernel allocated memory; of the task that ran, pid 0 if idle, also where an interrupt asked. Pages: order is set, address is that of the struct page',
        covers: ['kmalloc', 'kmem_cache_alloc', 'mm_page_alloc'],
        fields: ['address', 'length', 'call_site', 'order', 'gfp'],
      },
      free: {
        id: 35,
        ...OFF,
        doc: 'the kernel freed memory; of the task that ran, as with alloc',
        covers: ['kfree', 'kmem_cache_free', 'mm_page_free'],
        fields: ['address', 'call_site', 'order'],
      },
      rss: {
        id: 36,
        ...OFF,
        doc: 'the resident size of a process changed; length is within what the kernel’s CPUs hold back (32 pages each or more), target_pid null where the address space is nobody’s (fork, exec, exit)',
        covers: ['rss_stat'],
        fields: ['length', 'target_pid'],
      },
    },
    fields: {
      address: { id: 20, type: 'u64', unit: 'address', doc: 'address', since: 1 },
      length: { id: 21, type: 'u64', unit: 'bytes', doc: 'length', since: 1 },
      prot: { id: 22, type: 'u32', unit: 'bits', doc: 'PROT_* bits', since: 1 },
      map_flags: { id: 23, type: 'u32', unit: 'bits', doc: 'MAP_* flags', since: 1 },
      order: { id: 24, type: 'u32', unit: 'number', doc: 'page order', since: 1 },
      gfp: { id: 25, type: 'u32', unit: 'bits', doc: 'GFP flags', since: 1 },
      call_site: {
        id: 26,
        type: 'u64',
        unit: 'address',
        doc: 'code address that asked',
        since: 1,
      },
      ret: { id: 27, type: 'i64', unit: 'errno', doc: 'as the kernel returns (−errno)', since: 1 },
      target_pid: { id: 28, type: 'u32', unit: 'number', doc: 'process concerned', since: 1 },
    },
  },
  syscall: {
    id: 5,
    doc: 'system calls chosen by name',
    ops: {
      call: {
        id: 37,
        ...OFF,
        doc: 'a system call returned; of 64-bit programs, as others number their calls otherwise',
        covers: ['any, by --syscalls'],
        fields: ['args', 'ret', 'latency_ns', 'nr', 'name'],
      },
    },
    fields: {
      nr: { id: 20, type: 'u32', unit: 'number', doc: 'number of the call', since: 1 },
      name: {
        id: 21,
        type: 'name',
        wire: { as: 'derived', from: 'nr' },
        doc: 'name of the call',
        since: 1,
      },
      args: {
        id: 22,
        type: 'u64s',
        unit: 'address',
        wire: { as: 'args' },
        doc: 'its arguments, as many as it takes',
        since: 1,
      },
      ret: { id: 23, type: 'i64', unit: 'errno', doc: 'as the kernel returns (−errno)', since: 1 },
      latency_ns: { id: 24, ...LATENCY },
    },
  },
} as const satisfies Readonly<Record<string, TypeSpec>>;

/** Op ids to names. */
export const OP_NAMES: ReadonlyMap<number, { readonly type: string; readonly op: string }> =
  new Map(
    Object.entries(EVENTS).flatMap(([type, spec]) =>
      Object.entries(spec.ops).map(([op, { id }]) => [id, { type, op }] as const),
    ),
  );
