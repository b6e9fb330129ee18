/* Generated from schemas/events.ts by npm run generate; do not edit. */

#ifndef TAPIO_EVENTS_H
#define TAPIO_EVENTS_H

#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

#define TAPIO_FORMAT_VERSION 1
#define TAPIO_SCHEMA_FINGERPRINT "f62b6055ca91a48d"

#define TAPIO_FLAG_LATE 1 /* came out of the rings after a row with a later ktime */
#define TAPIO_FLAG_TRUNCATED 2 /* a string was cut */
#define TAPIO_FLAG_PENDING 4 /* the call had not returned when the row was made */

enum tapio_type {
  TAPIO_TYPE_PROCESS = 1,
  TAPIO_TYPE_NETWORK = 2,
  TAPIO_TYPE_FILE = 3,
  TAPIO_TYPE_MEMORY = 4,
  TAPIO_TYPE_SYSCALL = 5,
};

enum tapio_op {
  TAPIO_PROCESS_FORK = 1,
  TAPIO_PROCESS_EXEC = 2,
  TAPIO_PROCESS_EXIT = 3,
  TAPIO_PROCESS_SIGNAL = 4,
  TAPIO_NETWORK_CONNECT = 5,
  TAPIO_NETWORK_ACCEPT = 6,
  TAPIO_NETWORK_CLOSE = 7,
  TAPIO_NETWORK_LISTEN = 8,
  TAPIO_NETWORK_RETRANSMIT = 9,
  TAPIO_NETWORK_RESET = 10,
  TAPIO_NETWORK_DROP = 11,
  TAPIO_NETWORK_SEND = 12,
  TAPIO_NETWORK_RECV = 13,
  TAPIO_NETWORK_PACKET = 14,
  TAPIO_FILE_OPEN = 15,
  TAPIO_FILE_UNLINK = 16,
  TAPIO_FILE_RENAME = 17,
  TAPIO_FILE_LINK = 18,
  TAPIO_FILE_MKDIR = 19,
  TAPIO_FILE_RMDIR = 20,
  TAPIO_FILE_CHMOD = 21,
  TAPIO_FILE_CHOWN = 22,
  TAPIO_FILE_TRUNCATE = 23,
  TAPIO_FILE_READ = 24,
  TAPIO_FILE_WRITE = 25,
  TAPIO_FILE_FSYNC = 26,
  TAPIO_FILE_CLOSE = 27,
  TAPIO_MEMORY_OOM = 28,
  TAPIO_MEMORY_MMAP = 29,
  TAPIO_MEMORY_MUNMAP = 30,
  TAPIO_MEMORY_MPROTECT = 31,
  TAPIO_MEMORY_BRK = 32,
  TAPIO_MEMORY_FAULT = 33,
  TAPIO_MEMORY_ALLOC = 34,
  TAPIO_MEMORY_FREE = 35,
  TAPIO_MEMORY_RSS = 36,
  TAPIO_SYSCALL_CALL = 37,
  TAPIO_OPS = 38,
};

/* Heads every record. */
struct tapio_header {
  __u64 commit; /* position, pad, words, xor the secret; see bpf/ring.h */
  __u64 ktime; /* CLOCK_MONOTONIC ns, read after the space was reserved */
  __u32 op_sequence; /* low 32 bits of emitted[op] of this CPU */
  __u16 op; /* enum tapio_op */
  __u16 flags; /* TAPIO_FLAG_* */
  __u32 pid; /* thread group */
  __u32 tid; /* thread */
  __u32 ppid; /* parent thread group */
  __u32 weight; /* 1, more where sampled */
  __u32 uid; /* real user */
  __u32 gid; /* real group */
  __u64 cgroup_id; /* cgroup v2 id */
  __u64 pstart; /* CLOCK_BOOTTIME ns of the thread group leader’s start */
  __u8 comm[16]; /* name of the thread */
};
_Static_assert(offsetof(struct tapio_header, commit) == 0, "commit");
_Static_assert(offsetof(struct tapio_header, ktime) == 8, "ktime");
_Static_assert(offsetof(struct tapio_header, op_sequence) == 16, "op_sequence");
_Static_assert(offsetof(struct tapio_header, op) == 20, "op");
_Static_assert(offsetof(struct tapio_header, flags) == 22, "flags");
_Static_assert(offsetof(struct tapio_header, pid) == 24, "pid");
_Static_assert(offsetof(struct tapio_header, tid) == 28, "tid");
_Static_assert(offsetof(struct tapio_header, ppid) == 32, "ppid");
_Static_assert(offsetof(struct tapio_header, weight) == 36, "weight");
_Static_assert(offsetof(struct tapio_header, uid) == 40, "uid");
_Static_assert(offsetof(struct tapio_header, gid) == 44, "gid");
_Static_assert(offsetof(struct tapio_header, cgroup_id) == 48, "cgroup_id");
_Static_assert(offsetof(struct tapio_header, pstart) == 56, "pstart");
_Static_assert(offsetof(struct tapio_header, comm) == 64, "comm");
_Static_assert(sizeof(struct tapio_header) == 80, "header");

/* Heads each string of a tail; `stored` bytes follow, then zeros up to a multiple of 8.
 * `full` is the length before it was cut, 0xffff where that is larger or unknown. */
struct tapio_string {
  __u16 stored;
  __u16 full;
  __u32 reserved;
};
_Static_assert(sizeof(struct tapio_string) == 8, "string");

struct tapio_process_fork {
  struct tapio_header header;
  __u64 child_pstart;
  __u32 child_pid;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_process_fork, child_pstart) == 80, "child_pstart");
_Static_assert(offsetof(struct tapio_process_fork, child_pid) == 88, "child_pid");
_Static_assert(offsetof(struct tapio_process_fork, nulls) == 92, "nulls");
_Static_assert(sizeof(struct tapio_process_fork) == 96, "tapio_process_fork");
#define TAPIO_NULL_PROCESS_FORK_CHILD_PID (1u << 0)
#define TAPIO_NULL_PROCESS_FORK_CHILD_PSTART (1u << 1)

struct tapio_process_exec {
  struct tapio_header header;
  __u32 args_length;
  __s32 result;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_process_exec, args_length) == 80, "args_length");
_Static_assert(offsetof(struct tapio_process_exec, result) == 84, "result");
_Static_assert(offsetof(struct tapio_process_exec, nulls) == 88, "nulls");
_Static_assert(offsetof(struct tapio_process_exec, reserved) == 92, "reserved");
_Static_assert(sizeof(struct tapio_process_exec) == 96, "tapio_process_exec");
/* tail: filename, cwd, args */
#define TAPIO_NULL_PROCESS_EXEC_ARGS_LENGTH (1u << 0)
#define TAPIO_NULL_PROCESS_EXEC_RESULT (1u << 1)
#define TAPIO_NULL_PROCESS_EXEC_FILENAME (1u << 2)
#define TAPIO_NULL_PROCESS_EXEC_CWD (1u << 3)
#define TAPIO_NULL_PROCESS_EXEC_ARGS (1u << 4)

struct tapio_process_exit {
  struct tapio_header header;
  __u64 duration_ns;
  __u64 cpu_ns;
  __s32 exit_code;
  __s32 signal;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_process_exit, duration_ns) == 80, "duration_ns");
_Static_assert(offsetof(struct tapio_process_exit, cpu_ns) == 88, "cpu_ns");
_Static_assert(offsetof(struct tapio_process_exit, exit_code) == 96, "exit_code");
_Static_assert(offsetof(struct tapio_process_exit, signal) == 100, "signal");
_Static_assert(offsetof(struct tapio_process_exit, nulls) == 104, "nulls");
_Static_assert(offsetof(struct tapio_process_exit, reserved) == 108, "reserved");
_Static_assert(sizeof(struct tapio_process_exit) == 112, "tapio_process_exit");
#define TAPIO_NULL_PROCESS_EXIT_EXIT_CODE (1u << 0)
#define TAPIO_NULL_PROCESS_EXIT_SIGNAL (1u << 1)
#define TAPIO_NULL_PROCESS_EXIT_DURATION_NS (1u << 2)
#define TAPIO_NULL_PROCESS_EXIT_CPU_NS (1u << 3)

struct tapio_process_signal {
  struct tapio_header header;
  __s32 signal;
  __u32 target_pid;
  __s32 result;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_process_signal, signal) == 80, "signal");
_Static_assert(offsetof(struct tapio_process_signal, target_pid) == 84, "target_pid");
_Static_assert(offsetof(struct tapio_process_signal, result) == 88, "result");
_Static_assert(offsetof(struct tapio_process_signal, nulls) == 92, "nulls");
_Static_assert(sizeof(struct tapio_process_signal) == 96, "tapio_process_signal");
#define TAPIO_NULL_PROCESS_SIGNAL_SIGNAL (1u << 0)
#define TAPIO_NULL_PROCESS_SIGNAL_TARGET_PID (1u << 1)
#define TAPIO_NULL_PROCESS_SIGNAL_RESULT (1u << 2)

struct tapio_network_connect {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u64 latency_ns;
  __s32 error;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 old_state;
  __u8 new_state;
};
_Static_assert(offsetof(struct tapio_network_connect, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_connect, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_connect, latency_ns) == 112, "latency_ns");
_Static_assert(offsetof(struct tapio_network_connect, error) == 120, "error");
_Static_assert(offsetof(struct tapio_network_connect, nulls) == 124, "nulls");
_Static_assert(offsetof(struct tapio_network_connect, sport) == 128, "sport");
_Static_assert(offsetof(struct tapio_network_connect, dport) == 130, "dport");
_Static_assert(offsetof(struct tapio_network_connect, family) == 132, "family");
_Static_assert(offsetof(struct tapio_network_connect, protocol) == 133, "protocol");
_Static_assert(offsetof(struct tapio_network_connect, old_state) == 134, "old_state");
_Static_assert(offsetof(struct tapio_network_connect, new_state) == 135, "new_state");
_Static_assert(sizeof(struct tapio_network_connect) == 136, "tapio_network_connect");
#define TAPIO_NULL_NETWORK_CONNECT_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_CONNECT_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_CONNECT_LATENCY_NS (1u << 2)
#define TAPIO_NULL_NETWORK_CONNECT_ERROR (1u << 3)
#define TAPIO_NULL_NETWORK_CONNECT_SPORT (1u << 4)
#define TAPIO_NULL_NETWORK_CONNECT_DPORT (1u << 5)
#define TAPIO_NULL_NETWORK_CONNECT_FAMILY (1u << 6)
#define TAPIO_NULL_NETWORK_CONNECT_PROTOCOL (1u << 7)
#define TAPIO_NULL_NETWORK_CONNECT_OLD_STATE (1u << 8)
#define TAPIO_NULL_NETWORK_CONNECT_NEW_STATE (1u << 9)

struct tapio_network_accept {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u64 latency_ns;
  __s32 error;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 new_state;
  __u8 reserved;
};
_Static_assert(offsetof(struct tapio_network_accept, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_accept, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_accept, latency_ns) == 112, "latency_ns");
_Static_assert(offsetof(struct tapio_network_accept, error) == 120, "error");
_Static_assert(offsetof(struct tapio_network_accept, nulls) == 124, "nulls");
_Static_assert(offsetof(struct tapio_network_accept, sport) == 128, "sport");
_Static_assert(offsetof(struct tapio_network_accept, dport) == 130, "dport");
_Static_assert(offsetof(struct tapio_network_accept, family) == 132, "family");
_Static_assert(offsetof(struct tapio_network_accept, protocol) == 133, "protocol");
_Static_assert(offsetof(struct tapio_network_accept, new_state) == 134, "new_state");
_Static_assert(offsetof(struct tapio_network_accept, reserved) == 135, "reserved");
_Static_assert(sizeof(struct tapio_network_accept) == 136, "tapio_network_accept");
#define TAPIO_NULL_NETWORK_ACCEPT_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_ACCEPT_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_ACCEPT_LATENCY_NS (1u << 2)
#define TAPIO_NULL_NETWORK_ACCEPT_ERROR (1u << 3)
#define TAPIO_NULL_NETWORK_ACCEPT_SPORT (1u << 4)
#define TAPIO_NULL_NETWORK_ACCEPT_DPORT (1u << 5)
#define TAPIO_NULL_NETWORK_ACCEPT_FAMILY (1u << 6)
#define TAPIO_NULL_NETWORK_ACCEPT_PROTOCOL (1u << 7)
#define TAPIO_NULL_NETWORK_ACCEPT_NEW_STATE (1u << 8)

struct tapio_network_close {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u64 bytes_sent;
  __u64 bytes_received;
  __u32 srtt_us;
  __u32 retransmits;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 old_state;
  __u8 new_state;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_network_close, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_close, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_close, bytes_sent) == 112, "bytes_sent");
_Static_assert(offsetof(struct tapio_network_close, bytes_received) == 120, "bytes_received");
_Static_assert(offsetof(struct tapio_network_close, srtt_us) == 128, "srtt_us");
_Static_assert(offsetof(struct tapio_network_close, retransmits) == 132, "retransmits");
_Static_assert(offsetof(struct tapio_network_close, nulls) == 136, "nulls");
_Static_assert(offsetof(struct tapio_network_close, sport) == 140, "sport");
_Static_assert(offsetof(struct tapio_network_close, dport) == 142, "dport");
_Static_assert(offsetof(struct tapio_network_close, family) == 144, "family");
_Static_assert(offsetof(struct tapio_network_close, protocol) == 145, "protocol");
_Static_assert(offsetof(struct tapio_network_close, old_state) == 146, "old_state");
_Static_assert(offsetof(struct tapio_network_close, new_state) == 147, "new_state");
_Static_assert(offsetof(struct tapio_network_close, reserved) == 148, "reserved");
_Static_assert(sizeof(struct tapio_network_close) == 152, "tapio_network_close");
#define TAPIO_NULL_NETWORK_CLOSE_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_CLOSE_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_CLOSE_BYTES_SENT (1u << 2)
#define TAPIO_NULL_NETWORK_CLOSE_BYTES_RECEIVED (1u << 3)
#define TAPIO_NULL_NETWORK_CLOSE_SRTT_US (1u << 4)
#define TAPIO_NULL_NETWORK_CLOSE_RETRANSMITS (1u << 5)
#define TAPIO_NULL_NETWORK_CLOSE_SPORT (1u << 6)
#define TAPIO_NULL_NETWORK_CLOSE_DPORT (1u << 7)
#define TAPIO_NULL_NETWORK_CLOSE_FAMILY (1u << 8)
#define TAPIO_NULL_NETWORK_CLOSE_PROTOCOL (1u << 9)
#define TAPIO_NULL_NETWORK_CLOSE_OLD_STATE (1u << 10)
#define TAPIO_NULL_NETWORK_CLOSE_NEW_STATE (1u << 11)

struct tapio_network_listen {
  struct tapio_header header;
  __u8 saddr[16];
  __s32 error;
  __u32 nulls;
  __u16 sport;
  __u8 family;
  __u8 protocol;
  __u8 old_state;
  __u8 reserved[3];
};
_Static_assert(offsetof(struct tapio_network_listen, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_listen, error) == 96, "error");
_Static_assert(offsetof(struct tapio_network_listen, nulls) == 100, "nulls");
_Static_assert(offsetof(struct tapio_network_listen, sport) == 104, "sport");
_Static_assert(offsetof(struct tapio_network_listen, family) == 106, "family");
_Static_assert(offsetof(struct tapio_network_listen, protocol) == 107, "protocol");
_Static_assert(offsetof(struct tapio_network_listen, old_state) == 108, "old_state");
_Static_assert(offsetof(struct tapio_network_listen, reserved) == 109, "reserved");
_Static_assert(sizeof(struct tapio_network_listen) == 112, "tapio_network_listen");
#define TAPIO_NULL_NETWORK_LISTEN_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_LISTEN_ERROR (1u << 1)
#define TAPIO_NULL_NETWORK_LISTEN_SPORT (1u << 2)
#define TAPIO_NULL_NETWORK_LISTEN_FAMILY (1u << 3)
#define TAPIO_NULL_NETWORK_LISTEN_PROTOCOL (1u << 4)
#define TAPIO_NULL_NETWORK_LISTEN_OLD_STATE (1u << 5)

struct tapio_network_retransmit {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u32 srtt_us;
  __u32 retransmits;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 old_state;
  __u8 reserved[5];
};
_Static_assert(offsetof(struct tapio_network_retransmit, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_retransmit, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_retransmit, srtt_us) == 112, "srtt_us");
_Static_assert(offsetof(struct tapio_network_retransmit, retransmits) == 116, "retransmits");
_Static_assert(offsetof(struct tapio_network_retransmit, nulls) == 120, "nulls");
_Static_assert(offsetof(struct tapio_network_retransmit, sport) == 124, "sport");
_Static_assert(offsetof(struct tapio_network_retransmit, dport) == 126, "dport");
_Static_assert(offsetof(struct tapio_network_retransmit, family) == 128, "family");
_Static_assert(offsetof(struct tapio_network_retransmit, protocol) == 129, "protocol");
_Static_assert(offsetof(struct tapio_network_retransmit, old_state) == 130, "old_state");
_Static_assert(offsetof(struct tapio_network_retransmit, reserved) == 131, "reserved");
_Static_assert(sizeof(struct tapio_network_retransmit) == 136, "tapio_network_retransmit");
#define TAPIO_NULL_NETWORK_RETRANSMIT_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_RETRANSMIT_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_RETRANSMIT_SRTT_US (1u << 2)
#define TAPIO_NULL_NETWORK_RETRANSMIT_RETRANSMITS (1u << 3)
#define TAPIO_NULL_NETWORK_RETRANSMIT_SPORT (1u << 4)
#define TAPIO_NULL_NETWORK_RETRANSMIT_DPORT (1u << 5)
#define TAPIO_NULL_NETWORK_RETRANSMIT_FAMILY (1u << 6)
#define TAPIO_NULL_NETWORK_RETRANSMIT_PROTOCOL (1u << 7)
#define TAPIO_NULL_NETWORK_RETRANSMIT_OLD_STATE (1u << 8)

struct tapio_network_reset {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 old_state;
  __u8 direction;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_network_reset, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_reset, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_reset, nulls) == 112, "nulls");
_Static_assert(offsetof(struct tapio_network_reset, sport) == 116, "sport");
_Static_assert(offsetof(struct tapio_network_reset, dport) == 118, "dport");
_Static_assert(offsetof(struct tapio_network_reset, family) == 120, "family");
_Static_assert(offsetof(struct tapio_network_reset, protocol) == 121, "protocol");
_Static_assert(offsetof(struct tapio_network_reset, old_state) == 122, "old_state");
_Static_assert(offsetof(struct tapio_network_reset, direction) == 123, "direction");
_Static_assert(offsetof(struct tapio_network_reset, reserved) == 124, "reserved");
_Static_assert(sizeof(struct tapio_network_reset) == 128, "tapio_network_reset");
#define TAPIO_NULL_NETWORK_RESET_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_RESET_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_RESET_SPORT (1u << 2)
#define TAPIO_NULL_NETWORK_RESET_DPORT (1u << 3)
#define TAPIO_NULL_NETWORK_RESET_FAMILY (1u << 4)
#define TAPIO_NULL_NETWORK_RESET_PROTOCOL (1u << 5)
#define TAPIO_NULL_NETWORK_RESET_OLD_STATE (1u << 6)
#define TAPIO_NULL_NETWORK_RESET_DIRECTION (1u << 7)

struct tapio_network_drop {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u32 packet_length;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u16 drop_reason;
  __u8 family;
  __u8 protocol;
};
_Static_assert(offsetof(struct tapio_network_drop, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_drop, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_drop, packet_length) == 112, "packet_length");
_Static_assert(offsetof(struct tapio_network_drop, nulls) == 116, "nulls");
_Static_assert(offsetof(struct tapio_network_drop, sport) == 120, "sport");
_Static_assert(offsetof(struct tapio_network_drop, dport) == 122, "dport");
_Static_assert(offsetof(struct tapio_network_drop, drop_reason) == 124, "drop_reason");
_Static_assert(offsetof(struct tapio_network_drop, family) == 126, "family");
_Static_assert(offsetof(struct tapio_network_drop, protocol) == 127, "protocol");
_Static_assert(sizeof(struct tapio_network_drop) == 128, "tapio_network_drop");
#define TAPIO_NULL_NETWORK_DROP_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_DROP_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_DROP_PACKET_LENGTH (1u << 2)
#define TAPIO_NULL_NETWORK_DROP_SPORT (1u << 3)
#define TAPIO_NULL_NETWORK_DROP_DPORT (1u << 4)
#define TAPIO_NULL_NETWORK_DROP_DROP_REASON (1u << 5)
#define TAPIO_NULL_NETWORK_DROP_FAMILY (1u << 6)
#define TAPIO_NULL_NETWORK_DROP_PROTOCOL (1u << 7)

struct tapio_network_send {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u64 bytes;
  __u64 latency_ns;
  __s32 error;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 reserved[2];
};
_Static_assert(offsetof(struct tapio_network_send, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_send, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_send, bytes) == 112, "bytes");
_Static_assert(offsetof(struct tapio_network_send, latency_ns) == 120, "latency_ns");
_Static_assert(offsetof(struct tapio_network_send, error) == 128, "error");
_Static_assert(offsetof(struct tapio_network_send, nulls) == 132, "nulls");
_Static_assert(offsetof(struct tapio_network_send, sport) == 136, "sport");
_Static_assert(offsetof(struct tapio_network_send, dport) == 138, "dport");
_Static_assert(offsetof(struct tapio_network_send, family) == 140, "family");
_Static_assert(offsetof(struct tapio_network_send, protocol) == 141, "protocol");
_Static_assert(offsetof(struct tapio_network_send, reserved) == 142, "reserved");
_Static_assert(sizeof(struct tapio_network_send) == 144, "tapio_network_send");
#define TAPIO_NULL_NETWORK_SEND_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_SEND_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_SEND_BYTES (1u << 2)
#define TAPIO_NULL_NETWORK_SEND_LATENCY_NS (1u << 3)
#define TAPIO_NULL_NETWORK_SEND_ERROR (1u << 4)
#define TAPIO_NULL_NETWORK_SEND_SPORT (1u << 5)
#define TAPIO_NULL_NETWORK_SEND_DPORT (1u << 6)
#define TAPIO_NULL_NETWORK_SEND_FAMILY (1u << 7)
#define TAPIO_NULL_NETWORK_SEND_PROTOCOL (1u << 8)

struct tapio_network_recv {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u64 bytes;
  __u64 latency_ns;
  __s32 error;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 reserved[2];
};
_Static_assert(offsetof(struct tapio_network_recv, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_recv, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_recv, bytes) == 112, "bytes");
_Static_assert(offsetof(struct tapio_network_recv, latency_ns) == 120, "latency_ns");
_Static_assert(offsetof(struct tapio_network_recv, error) == 128, "error");
_Static_assert(offsetof(struct tapio_network_recv, nulls) == 132, "nulls");
_Static_assert(offsetof(struct tapio_network_recv, sport) == 136, "sport");
_Static_assert(offsetof(struct tapio_network_recv, dport) == 138, "dport");
_Static_assert(offsetof(struct tapio_network_recv, family) == 140, "family");
_Static_assert(offsetof(struct tapio_network_recv, protocol) == 141, "protocol");
_Static_assert(offsetof(struct tapio_network_recv, reserved) == 142, "reserved");
_Static_assert(sizeof(struct tapio_network_recv) == 144, "tapio_network_recv");
#define TAPIO_NULL_NETWORK_RECV_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_RECV_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_RECV_BYTES (1u << 2)
#define TAPIO_NULL_NETWORK_RECV_LATENCY_NS (1u << 3)
#define TAPIO_NULL_NETWORK_RECV_ERROR (1u << 4)
#define TAPIO_NULL_NETWORK_RECV_SPORT (1u << 5)
#define TAPIO_NULL_NETWORK_RECV_DPORT (1u << 6)
#define TAPIO_NULL_NETWORK_RECV_FAMILY (1u << 7)
#define TAPIO_NULL_NETWORK_RECV_PROTOCOL (1u << 8)

struct tapio_network_packet {
  struct tapio_header header;
  __u8 saddr[16];
  __u8 daddr[16];
  __u32 packet_length;
  __u32 nulls;
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 protocol;
  __u8 direction;
  __u8 reserved;
};
_Static_assert(offsetof(struct tapio_network_packet, saddr) == 80, "saddr");
_Static_assert(offsetof(struct tapio_network_packet, daddr) == 96, "daddr");
_Static_assert(offsetof(struct tapio_network_packet, packet_length) == 112, "packet_length");
_Static_assert(offsetof(struct tapio_network_packet, nulls) == 116, "nulls");
_Static_assert(offsetof(struct tapio_network_packet, sport) == 120, "sport");
_Static_assert(offsetof(struct tapio_network_packet, dport) == 122, "dport");
_Static_assert(offsetof(struct tapio_network_packet, family) == 124, "family");
_Static_assert(offsetof(struct tapio_network_packet, protocol) == 125, "protocol");
_Static_assert(offsetof(struct tapio_network_packet, direction) == 126, "direction");
_Static_assert(offsetof(struct tapio_network_packet, reserved) == 127, "reserved");
_Static_assert(sizeof(struct tapio_network_packet) == 128, "tapio_network_packet");
/* tail: packet */
#define TAPIO_NULL_NETWORK_PACKET_SADDR (1u << 0)
#define TAPIO_NULL_NETWORK_PACKET_DADDR (1u << 1)
#define TAPIO_NULL_NETWORK_PACKET_PACKET_LENGTH (1u << 2)
#define TAPIO_NULL_NETWORK_PACKET_SPORT (1u << 3)
#define TAPIO_NULL_NETWORK_PACKET_DPORT (1u << 4)
#define TAPIO_NULL_NETWORK_PACKET_FAMILY (1u << 5)
#define TAPIO_NULL_NETWORK_PACKET_PROTOCOL (1u << 6)
#define TAPIO_NULL_NETWORK_PACKET_DIRECTION (1u << 7)
#define TAPIO_NULL_NETWORK_PACKET_PACKET (1u << 8)

struct tapio_file_open {
  struct tapio_header header;
  __u64 inode;
  __u64 device;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 open_flags;
  __u32 mode;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_open, inode) == 80, "inode");
_Static_assert(offsetof(struct tapio_file_open, device) == 88, "device");
_Static_assert(offsetof(struct tapio_file_open, ret) == 96, "ret");
_Static_assert(offsetof(struct tapio_file_open, latency_ns) == 104, "latency_ns");
_Static_assert(offsetof(struct tapio_file_open, fd) == 112, "fd");
_Static_assert(offsetof(struct tapio_file_open, open_flags) == 116, "open_flags");
_Static_assert(offsetof(struct tapio_file_open, mode) == 120, "mode");
_Static_assert(offsetof(struct tapio_file_open, nulls) == 124, "nulls");
_Static_assert(sizeof(struct tapio_file_open) == 128, "tapio_file_open");
/* tail: path */
#define TAPIO_NULL_FILE_OPEN_INODE (1u << 0)
#define TAPIO_NULL_FILE_OPEN_DEVICE (1u << 1)
#define TAPIO_NULL_FILE_OPEN_RET (1u << 2)
#define TAPIO_NULL_FILE_OPEN_LATENCY_NS (1u << 3)
#define TAPIO_NULL_FILE_OPEN_FD (1u << 4)
#define TAPIO_NULL_FILE_OPEN_OPEN_FLAGS (1u << 5)
#define TAPIO_NULL_FILE_OPEN_MODE (1u << 6)
#define TAPIO_NULL_FILE_OPEN_PATH (1u << 7)

struct tapio_file_unlink {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_file_unlink, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_unlink, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_unlink, nulls) == 96, "nulls");
_Static_assert(offsetof(struct tapio_file_unlink, reserved) == 100, "reserved");
_Static_assert(sizeof(struct tapio_file_unlink) == 104, "tapio_file_unlink");
/* tail: path */
#define TAPIO_NULL_FILE_UNLINK_RET (1u << 0)
#define TAPIO_NULL_FILE_UNLINK_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_UNLINK_PATH (1u << 2)

struct tapio_file_rename {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_file_rename, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_rename, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_rename, nulls) == 96, "nulls");
_Static_assert(offsetof(struct tapio_file_rename, reserved) == 100, "reserved");
_Static_assert(sizeof(struct tapio_file_rename) == 104, "tapio_file_rename");
/* tail: path, new_path */
#define TAPIO_NULL_FILE_RENAME_RET (1u << 0)
#define TAPIO_NULL_FILE_RENAME_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_RENAME_PATH (1u << 2)
#define TAPIO_NULL_FILE_RENAME_NEW_PATH (1u << 3)

struct tapio_file_link {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_file_link, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_link, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_link, nulls) == 96, "nulls");
_Static_assert(offsetof(struct tapio_file_link, reserved) == 100, "reserved");
_Static_assert(sizeof(struct tapio_file_link) == 104, "tapio_file_link");
/* tail: path, new_path */
#define TAPIO_NULL_FILE_LINK_RET (1u << 0)
#define TAPIO_NULL_FILE_LINK_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_LINK_PATH (1u << 2)
#define TAPIO_NULL_FILE_LINK_NEW_PATH (1u << 3)

struct tapio_file_mkdir {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __u32 mode;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_mkdir, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_mkdir, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_mkdir, mode) == 96, "mode");
_Static_assert(offsetof(struct tapio_file_mkdir, nulls) == 100, "nulls");
_Static_assert(sizeof(struct tapio_file_mkdir) == 104, "tapio_file_mkdir");
/* tail: path */
#define TAPIO_NULL_FILE_MKDIR_RET (1u << 0)
#define TAPIO_NULL_FILE_MKDIR_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_MKDIR_MODE (1u << 2)
#define TAPIO_NULL_FILE_MKDIR_PATH (1u << 3)

struct tapio_file_rmdir {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_file_rmdir, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_rmdir, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_rmdir, nulls) == 96, "nulls");
_Static_assert(offsetof(struct tapio_file_rmdir, reserved) == 100, "reserved");
_Static_assert(sizeof(struct tapio_file_rmdir) == 104, "tapio_file_rmdir");
/* tail: path */
#define TAPIO_NULL_FILE_RMDIR_RET (1u << 0)
#define TAPIO_NULL_FILE_RMDIR_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_RMDIR_PATH (1u << 2)

struct tapio_file_chmod {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 mode;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_file_chmod, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_chmod, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_chmod, fd) == 96, "fd");
_Static_assert(offsetof(struct tapio_file_chmod, mode) == 100, "mode");
_Static_assert(offsetof(struct tapio_file_chmod, nulls) == 104, "nulls");
_Static_assert(offsetof(struct tapio_file_chmod, reserved) == 108, "reserved");
_Static_assert(sizeof(struct tapio_file_chmod) == 112, "tapio_file_chmod");
/* tail: path */
#define TAPIO_NULL_FILE_CHMOD_RET (1u << 0)
#define TAPIO_NULL_FILE_CHMOD_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_CHMOD_FD (1u << 2)
#define TAPIO_NULL_FILE_CHMOD_MODE (1u << 3)
#define TAPIO_NULL_FILE_CHMOD_PATH (1u << 4)

struct tapio_file_chown {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_chown, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_chown, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_chown, fd) == 96, "fd");
_Static_assert(offsetof(struct tapio_file_chown, nulls) == 100, "nulls");
_Static_assert(sizeof(struct tapio_file_chown) == 104, "tapio_file_chown");
/* tail: path */
#define TAPIO_NULL_FILE_CHOWN_RET (1u << 0)
#define TAPIO_NULL_FILE_CHOWN_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_CHOWN_FD (1u << 2)
#define TAPIO_NULL_FILE_CHOWN_PATH (1u << 3)

struct tapio_file_truncate {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __s64 offset;
  __s32 fd;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_truncate, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_truncate, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_truncate, offset) == 96, "offset");
_Static_assert(offsetof(struct tapio_file_truncate, fd) == 104, "fd");
_Static_assert(offsetof(struct tapio_file_truncate, nulls) == 108, "nulls");
_Static_assert(sizeof(struct tapio_file_truncate) == 112, "tapio_file_truncate");
/* tail: path */
#define TAPIO_NULL_FILE_TRUNCATE_RET (1u << 0)
#define TAPIO_NULL_FILE_TRUNCATE_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_TRUNCATE_OFFSET (1u << 2)
#define TAPIO_NULL_FILE_TRUNCATE_FD (1u << 3)
#define TAPIO_NULL_FILE_TRUNCATE_PATH (1u << 4)

struct tapio_file_read {
  struct tapio_header header;
  __u64 inode;
  __u64 device;
  __s64 offset;
  __u64 bytes;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_read, inode) == 80, "inode");
_Static_assert(offsetof(struct tapio_file_read, device) == 88, "device");
_Static_assert(offsetof(struct tapio_file_read, offset) == 96, "offset");
_Static_assert(offsetof(struct tapio_file_read, bytes) == 104, "bytes");
_Static_assert(offsetof(struct tapio_file_read, ret) == 112, "ret");
_Static_assert(offsetof(struct tapio_file_read, latency_ns) == 120, "latency_ns");
_Static_assert(offsetof(struct tapio_file_read, fd) == 128, "fd");
_Static_assert(offsetof(struct tapio_file_read, nulls) == 132, "nulls");
_Static_assert(sizeof(struct tapio_file_read) == 136, "tapio_file_read");
/* tail: path */
#define TAPIO_NULL_FILE_READ_INODE (1u << 0)
#define TAPIO_NULL_FILE_READ_DEVICE (1u << 1)
#define TAPIO_NULL_FILE_READ_OFFSET (1u << 2)
#define TAPIO_NULL_FILE_READ_BYTES (1u << 3)
#define TAPIO_NULL_FILE_READ_RET (1u << 4)
#define TAPIO_NULL_FILE_READ_LATENCY_NS (1u << 5)
#define TAPIO_NULL_FILE_READ_FD (1u << 6)
#define TAPIO_NULL_FILE_READ_PATH (1u << 7)

struct tapio_file_write {
  struct tapio_header header;
  __u64 inode;
  __u64 device;
  __s64 offset;
  __u64 bytes;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_write, inode) == 80, "inode");
_Static_assert(offsetof(struct tapio_file_write, device) == 88, "device");
_Static_assert(offsetof(struct tapio_file_write, offset) == 96, "offset");
_Static_assert(offsetof(struct tapio_file_write, bytes) == 104, "bytes");
_Static_assert(offsetof(struct tapio_file_write, ret) == 112, "ret");
_Static_assert(offsetof(struct tapio_file_write, latency_ns) == 120, "latency_ns");
_Static_assert(offsetof(struct tapio_file_write, fd) == 128, "fd");
_Static_assert(offsetof(struct tapio_file_write, nulls) == 132, "nulls");
_Static_assert(sizeof(struct tapio_file_write) == 136, "tapio_file_write");
/* tail: path */
#define TAPIO_NULL_FILE_WRITE_INODE (1u << 0)
#define TAPIO_NULL_FILE_WRITE_DEVICE (1u << 1)
#define TAPIO_NULL_FILE_WRITE_OFFSET (1u << 2)
#define TAPIO_NULL_FILE_WRITE_BYTES (1u << 3)
#define TAPIO_NULL_FILE_WRITE_RET (1u << 4)
#define TAPIO_NULL_FILE_WRITE_LATENCY_NS (1u << 5)
#define TAPIO_NULL_FILE_WRITE_FD (1u << 6)
#define TAPIO_NULL_FILE_WRITE_PATH (1u << 7)

struct tapio_file_fsync {
  struct tapio_header header;
  __u64 inode;
  __u64 device;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_fsync, inode) == 80, "inode");
_Static_assert(offsetof(struct tapio_file_fsync, device) == 88, "device");
_Static_assert(offsetof(struct tapio_file_fsync, ret) == 96, "ret");
_Static_assert(offsetof(struct tapio_file_fsync, latency_ns) == 104, "latency_ns");
_Static_assert(offsetof(struct tapio_file_fsync, fd) == 112, "fd");
_Static_assert(offsetof(struct tapio_file_fsync, nulls) == 116, "nulls");
_Static_assert(sizeof(struct tapio_file_fsync) == 120, "tapio_file_fsync");
/* tail: path */
#define TAPIO_NULL_FILE_FSYNC_INODE (1u << 0)
#define TAPIO_NULL_FILE_FSYNC_DEVICE (1u << 1)
#define TAPIO_NULL_FILE_FSYNC_RET (1u << 2)
#define TAPIO_NULL_FILE_FSYNC_LATENCY_NS (1u << 3)
#define TAPIO_NULL_FILE_FSYNC_FD (1u << 4)
#define TAPIO_NULL_FILE_FSYNC_PATH (1u << 5)

struct tapio_file_close {
  struct tapio_header header;
  __s64 ret;
  __u64 latency_ns;
  __s32 fd;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_file_close, ret) == 80, "ret");
_Static_assert(offsetof(struct tapio_file_close, latency_ns) == 88, "latency_ns");
_Static_assert(offsetof(struct tapio_file_close, fd) == 96, "fd");
_Static_assert(offsetof(struct tapio_file_close, nulls) == 100, "nulls");
_Static_assert(sizeof(struct tapio_file_close) == 104, "tapio_file_close");
#define TAPIO_NULL_FILE_CLOSE_RET (1u << 0)
#define TAPIO_NULL_FILE_CLOSE_LATENCY_NS (1u << 1)
#define TAPIO_NULL_FILE_CLOSE_FD (1u << 2)

struct tapio_memory_oom {
  struct tapio_header header;
  __u32 target_pid;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_memory_oom, target_pid) == 80, "target_pid");
_Static_assert(offsetof(struct tapio_memory_oom, nulls) == 84, "nulls");
_Static_assert(sizeof(struct tapio_memory_oom) == 88, "tapio_memory_oom");
#define TAPIO_NULL_MEMORY_OOM_TARGET_PID (1u << 0)

struct tapio_memory_mmap {
  struct tapio_header header;
  __u64 address;
  __u64 length;
  __s64 ret;
  __u32 prot;
  __u32 map_flags;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_memory_mmap, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_mmap, length) == 88, "length");
_Static_assert(offsetof(struct tapio_memory_mmap, ret) == 96, "ret");
_Static_assert(offsetof(struct tapio_memory_mmap, prot) == 104, "prot");
_Static_assert(offsetof(struct tapio_memory_mmap, map_flags) == 108, "map_flags");
_Static_assert(offsetof(struct tapio_memory_mmap, nulls) == 112, "nulls");
_Static_assert(offsetof(struct tapio_memory_mmap, reserved) == 116, "reserved");
_Static_assert(sizeof(struct tapio_memory_mmap) == 120, "tapio_memory_mmap");
#define TAPIO_NULL_MEMORY_MMAP_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_MMAP_LENGTH (1u << 1)
#define TAPIO_NULL_MEMORY_MMAP_RET (1u << 2)
#define TAPIO_NULL_MEMORY_MMAP_PROT (1u << 3)
#define TAPIO_NULL_MEMORY_MMAP_MAP_FLAGS (1u << 4)

struct tapio_memory_munmap {
  struct tapio_header header;
  __u64 address;
  __u64 length;
  __s64 ret;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_memory_munmap, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_munmap, length) == 88, "length");
_Static_assert(offsetof(struct tapio_memory_munmap, ret) == 96, "ret");
_Static_assert(offsetof(struct tapio_memory_munmap, nulls) == 104, "nulls");
_Static_assert(offsetof(struct tapio_memory_munmap, reserved) == 108, "reserved");
_Static_assert(sizeof(struct tapio_memory_munmap) == 112, "tapio_memory_munmap");
#define TAPIO_NULL_MEMORY_MUNMAP_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_MUNMAP_LENGTH (1u << 1)
#define TAPIO_NULL_MEMORY_MUNMAP_RET (1u << 2)

struct tapio_memory_mprotect {
  struct tapio_header header;
  __u64 address;
  __u64 length;
  __s64 ret;
  __u32 prot;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_memory_mprotect, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_mprotect, length) == 88, "length");
_Static_assert(offsetof(struct tapio_memory_mprotect, ret) == 96, "ret");
_Static_assert(offsetof(struct tapio_memory_mprotect, prot) == 104, "prot");
_Static_assert(offsetof(struct tapio_memory_mprotect, nulls) == 108, "nulls");
_Static_assert(sizeof(struct tapio_memory_mprotect) == 112, "tapio_memory_mprotect");
#define TAPIO_NULL_MEMORY_MPROTECT_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_MPROTECT_LENGTH (1u << 1)
#define TAPIO_NULL_MEMORY_MPROTECT_RET (1u << 2)
#define TAPIO_NULL_MEMORY_MPROTECT_PROT (1u << 3)

struct tapio_memory_brk {
  struct tapio_header header;
  __u64 address;
  __s64 ret;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_memory_brk, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_brk, ret) == 88, "ret");
_Static_assert(offsetof(struct tapio_memory_brk, nulls) == 96, "nulls");
_Static_assert(offsetof(struct tapio_memory_brk, reserved) == 100, "reserved");
_Static_assert(sizeof(struct tapio_memory_brk) == 104, "tapio_memory_brk");
#define TAPIO_NULL_MEMORY_BRK_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_BRK_RET (1u << 1)

struct tapio_memory_fault {
  struct tapio_header header;
  __u64 address;
  __u64 call_site;
  __u32 prot;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_memory_fault, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_fault, call_site) == 88, "call_site");
_Static_assert(offsetof(struct tapio_memory_fault, prot) == 96, "prot");
_Static_assert(offsetof(struct tapio_memory_fault, nulls) == 100, "nulls");
_Static_assert(sizeof(struct tapio_memory_fault) == 104, "tapio_memory_fault");
#define TAPIO_NULL_MEMORY_FAULT_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_FAULT_CALL_SITE (1u << 1)
#define TAPIO_NULL_MEMORY_FAULT_PROT (1u << 2)

struct tapio_memory_alloc {
  struct tapio_header header;
  __u64 address;
  __u64 length;
  __u64 call_site;
  __u32 order;
  __u32 gfp;
  __u32 nulls;
  __u8 reserved[4];
};
_Static_assert(offsetof(struct tapio_memory_alloc, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_alloc, length) == 88, "length");
_Static_assert(offsetof(struct tapio_memory_alloc, call_site) == 96, "call_site");
_Static_assert(offsetof(struct tapio_memory_alloc, order) == 104, "order");
_Static_assert(offsetof(struct tapio_memory_alloc, gfp) == 108, "gfp");
_Static_assert(offsetof(struct tapio_memory_alloc, nulls) == 112, "nulls");
_Static_assert(offsetof(struct tapio_memory_alloc, reserved) == 116, "reserved");
_Static_assert(sizeof(struct tapio_memory_alloc) == 120, "tapio_memory_alloc");
#define TAPIO_NULL_MEMORY_ALLOC_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_ALLOC_LENGTH (1u << 1)
#define TAPIO_NULL_MEMORY_ALLOC_CALL_SITE (1u << 2)
#define TAPIO_NULL_MEMORY_ALLOC_ORDER (1u << 3)
#define TAPIO_NULL_MEMORY_ALLOC_GFP (1u << 4)

struct tapio_memory_free {
  struct tapio_header header;
  __u64 address;
  __u64 call_site;
  __u32 order;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_memory_free, address) == 80, "address");
_Static_assert(offsetof(struct tapio_memory_free, call_site) == 88, "call_site");
_Static_assert(offsetof(struct tapio_memory_free, order) == 96, "order");
_Static_assert(offsetof(struct tapio_memory_free, nulls) == 100, "nulls");
_Static_assert(sizeof(struct tapio_memory_free) == 104, "tapio_memory_free");
#define TAPIO_NULL_MEMORY_FREE_ADDRESS (1u << 0)
#define TAPIO_NULL_MEMORY_FREE_CALL_SITE (1u << 1)
#define TAPIO_NULL_MEMORY_FREE_ORDER (1u << 2)

struct tapio_memory_rss {
  struct tapio_header header;
  __u64 length;
  __u32 target_pid;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_memory_rss, length) == 80, "length");
_Static_assert(offsetof(struct tapio_memory_rss, target_pid) == 88, "target_pid");
_Static_assert(offsetof(struct tapio_memory_rss, nulls) == 92, "nulls");
_Static_assert(sizeof(struct tapio_memory_rss) == 96, "tapio_memory_rss");
#define TAPIO_NULL_MEMORY_RSS_LENGTH (1u << 0)
#define TAPIO_NULL_MEMORY_RSS_TARGET_PID (1u << 1)

struct tapio_syscall_call {
  struct tapio_header header;
  __u64 args[6];
  __s64 ret;
  __u64 latency_ns;
  __u32 nr;
  __u32 nulls;
};
_Static_assert(offsetof(struct tapio_syscall_call, args) == 80, "args");
_Static_assert(offsetof(struct tapio_syscall_call, ret) == 128, "ret");
_Static_assert(offsetof(struct tapio_syscall_call, latency_ns) == 136, "latency_ns");
_Static_assert(offsetof(struct tapio_syscall_call, nr) == 144, "nr");
_Static_assert(offsetof(struct tapio_syscall_call, nulls) == 148, "nulls");
_Static_assert(sizeof(struct tapio_syscall_call) == 152, "tapio_syscall_call");
#define TAPIO_NULL_SYSCALL_CALL_ARGS (1u << 0)
#define TAPIO_NULL_SYSCALL_CALL_RET (1u << 1)
#define TAPIO_NULL_SYSCALL_CALL_LATENCY_NS (1u << 2)
#define TAPIO_NULL_SYSCALL_CALL_NR (1u << 3)

#endif
