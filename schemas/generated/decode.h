// Generated from schemas/events.ts by npm run generate; do not edit.
#pragma once

#include "columns.h"

namespace tapio {

enum common_column {
  k_seq = 0,
  k_ts = 1,
  k_cpu = 2,
  k_op = 3,
  k_pid = 4,
  k_pstart = 5,
  k_tid = 6,
  k_ppid = 7,
  k_uid = 8,
  k_gid = 9,
  k_comm = 10,
  k_cgroup_id = 11,
  k_kstack_id = 12,
  k_ustack_id = 13,
  k_weight = 14,
  k_flags = 15,
  k_common_columns = 16,
};

enum process_column {
  k_process_child_pid = 16,
  k_process_child_pstart = 17,
  k_process_filename = 18,
  k_process_args = 19,
  k_process_args_length = 20,
  k_process_cwd = 21,
  k_process_exit_code = 22,
  k_process_signal = 23,
  k_process_duration_ns = 24,
  k_process_cpu_ns = 25,
  k_process_target_pid = 26,
  k_process_result = 27,
};
inline constexpr ColumnSpec process_columns[] = {
    {"seq", Kind::kU64, false},
    {"ts", Kind::kI64, false},
    {"cpu", Kind::kU16, false},
    {"op", Kind::kDict16, false},
    {"pid", Kind::kU32, false},
    {"pstart", Kind::kU64, false},
    {"tid", Kind::kU32, false},
    {"ppid", Kind::kU32, false},
    {"uid", Kind::kU32, false},
    {"gid", Kind::kU32, false},
    {"comm", Kind::kDict16, false},
    {"cgroup_id", Kind::kU64, false},
    {"kstack_id", Kind::kU64, false},
    {"ustack_id", Kind::kU64, false},
    {"weight", Kind::kU32, false},
    {"flags", Kind::kU16, false},
    {"child_pid", Kind::kU32, true},
    {"child_pstart", Kind::kU64, true},
    {"filename", Kind::kDict32, true},
    {"args", Kind::kTexts, true},
    {"args_length", Kind::kU32, true},
    {"cwd", Kind::kDict32, true},
    {"exit_code", Kind::kI32, true},
    {"signal", Kind::kI32, true},
    {"duration_ns", Kind::kU64, true},
    {"cpu_ns", Kind::kU64, true},
    {"target_pid", Kind::kU32, true},
    {"result", Kind::kI32, true},
};

enum network_column {
  k_network_family = 16,
  k_network_protocol = 17,
  k_network_saddr = 18,
  k_network_daddr = 19,
  k_network_sport = 20,
  k_network_dport = 21,
  k_network_old_state = 22,
  k_network_new_state = 23,
  k_network_error = 24,
  k_network_latency_ns = 25,
  k_network_bytes_sent = 26,
  k_network_bytes_received = 27,
  k_network_srtt_us = 28,
  k_network_retransmits = 29,
  k_network_drop_reason = 30,
  k_network_bytes = 31,
  k_network_packet = 32,
  k_network_packet_length = 33,
  k_network_direction = 34,
};
inline constexpr ColumnSpec network_columns[] = {
    {"seq", Kind::kU64, false},
    {"ts", Kind::kI64, false},
    {"cpu", Kind::kU16, false},
    {"op", Kind::kDict16, false},
    {"pid", Kind::kU32, false},
    {"pstart", Kind::kU64, false},
    {"tid", Kind::kU32, false},
    {"ppid", Kind::kU32, false},
    {"uid", Kind::kU32, false},
    {"gid", Kind::kU32, false},
    {"comm", Kind::kDict16, false},
    {"cgroup_id", Kind::kU64, false},
    {"kstack_id", Kind::kU64, false},
    {"ustack_id", Kind::kU64, false},
    {"weight", Kind::kU32, false},
    {"flags", Kind::kU16, false},
    {"family", Kind::kDict16, true},
    {"protocol", Kind::kDict16, true},
    {"saddr", Kind::kDict32, true},
    {"daddr", Kind::kDict32, true},
    {"sport", Kind::kU16, true},
    {"dport", Kind::kU16, true},
    {"old_state", Kind::kDict16, true},
    {"new_state", Kind::kDict16, true},
    {"error", Kind::kI32, true},
    {"latency_ns", Kind::kU64, true},
    {"bytes_sent", Kind::kU64, true},
    {"bytes_received", Kind::kU64, true},
    {"srtt_us", Kind::kU32, true},
    {"retransmits", Kind::kU32, true},
    {"drop_reason", Kind::kDict16, true},
    {"bytes", Kind::kU64, true},
    {"packet", Kind::kBytes, true},
    {"packet_length", Kind::kU32, true},
    {"direction", Kind::kDict16, true},
};

enum file_column {
  k_file_path = 16,
  k_file_new_path = 17,
  k_file_fd = 18,
  k_file_open_flags = 19,
  k_file_mode = 20,
  k_file_inode = 21,
  k_file_device = 22,
  k_file_offset = 23,
  k_file_bytes = 24,
  k_file_ret = 25,
  k_file_latency_ns = 26,
};
inline constexpr ColumnSpec file_columns[] = {
    {"seq", Kind::kU64, false},
    {"ts", Kind::kI64, false},
    {"cpu", Kind::kU16, false},
    {"op", Kind::kDict16, false},
    {"pid", Kind::kU32, false},
    {"pstart", Kind::kU64, false},
    {"tid", Kind::kU32, false},
    {"ppid", Kind::kU32, false},
    {"uid", Kind::kU32, false},
    {"gid", Kind::kU32, false},
    {"comm", Kind::kDict16, false},
    {"cgroup_id", Kind::kU64, false},
    {"kstack_id", Kind::kU64, false},
    {"ustack_id", Kind::kU64, false},
    {"weight", Kind::kU32, false},
    {"flags", Kind::kU16, false},
    {"path", Kind::kDict32, true},
    {"new_path", Kind::kDict32, true},
    {"fd", Kind::kI32, true},
    {"open_flags", Kind::kU32, true},
    {"mode", Kind::kU32, true},
    {"inode", Kind::kU64, true},
    {"device", Kind::kU64, true},
    {"offset", Kind::kI64, true},
    {"bytes", Kind::kU64, true},
    {"ret", Kind::kI64, true},
    {"latency_ns", Kind::kU64, true},
};

enum memory_column {
  k_memory_address = 16,
  k_memory_length = 17,
  k_memory_prot = 18,
  k_memory_map_flags = 19,
  k_memory_order = 20,
  k_memory_gfp = 21,
  k_memory_call_site = 22,
  k_memory_ret = 23,
  k_memory_target_pid = 24,
};
inline constexpr ColumnSpec memory_columns[] = {
    {"seq", Kind::kU64, false},
    {"ts", Kind::kI64, false},
    {"cpu", Kind::kU16, false},
    {"op", Kind::kDict16, false},
    {"pid", Kind::kU32, false},
    {"pstart", Kind::kU64, false},
    {"tid", Kind::kU32, false},
    {"ppid", Kind::kU32, false},
    {"uid", Kind::kU32, false},
    {"gid", Kind::kU32, false},
    {"comm", Kind::kDict16, false},
    {"cgroup_id", Kind::kU64, false},
    {"kstack_id", Kind::kU64, false},
    {"ustack_id", Kind::kU64, false},
    {"weight", Kind::kU32, false},
    {"flags", Kind::kU16, false},
    {"address", Kind::kU64, true},
    {"length", Kind::kU64, true},
    {"prot", Kind::kU32, true},
    {"map_flags", Kind::kU32, true},
    {"order", Kind::kU32, true},
    {"gfp", Kind::kU32, true},
    {"call_site", Kind::kU64, true},
    {"ret", Kind::kI64, true},
    {"target_pid", Kind::kU32, true},
};

enum syscall_column {
  k_syscall_nr = 16,
  k_syscall_name = 17,
  k_syscall_args = 18,
  k_syscall_ret = 19,
  k_syscall_latency_ns = 20,
};
inline constexpr ColumnSpec syscall_columns[] = {
    {"seq", Kind::kU64, false},
    {"ts", Kind::kI64, false},
    {"cpu", Kind::kU16, false},
    {"op", Kind::kDict16, false},
    {"pid", Kind::kU32, false},
    {"pstart", Kind::kU64, false},
    {"tid", Kind::kU32, false},
    {"ppid", Kind::kU32, false},
    {"uid", Kind::kU32, false},
    {"gid", Kind::kU32, false},
    {"comm", Kind::kDict16, false},
    {"cgroup_id", Kind::kU64, false},
    {"kstack_id", Kind::kU64, false},
    {"ustack_id", Kind::kU64, false},
    {"weight", Kind::kU32, false},
    {"flags", Kind::kU16, false},
    {"nr", Kind::kU32, true},
    {"name", Kind::kDict16, true},
    {"args", Kind::kU64s, true},
    {"ret", Kind::kI64, true},
    {"latency_ns", Kind::kU64, true},
};

struct TypeColumns {
  const char* name;
  const ColumnSpec* columns;
  unsigned count;
};
// Indexed by enum tapio_type; entry 0 is unused.
inline constexpr TypeColumns type_columns[] = {
    {"", nullptr, 0},
    {"process", process_columns, 28},
    {"network", network_columns, 35},
    {"file", file_columns, 27},
    {"memory", memory_columns, 25},
    {"syscall", syscall_columns, 21},
};

inline constexpr unsigned char type_of_op[38] = {0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5};
inline constexpr const char* name_of_op[38] = {
    "",
    "fork",
    "exec",
    "exit",
    "signal",
    "connect",
    "accept",
    "close",
    "listen",
    "retransmit",
    "reset",
    "drop",
    "send",
    "recv",
    "packet",
    "open",
    "unlink",
    "rename",
    "link",
    "mkdir",
    "rmdir",
    "chmod",
    "chown",
    "truncate",
    "read",
    "write",
    "fsync",
    "close",
    "oom",
    "mmap",
    "munmap",
    "mprotect",
    "brk",
    "fault",
    "alloc",
    "free",
    "rss",
    "call",
};

// Moves the op’s own fields into the row that `sink` stands at. False for an unknown op and for a
// record that is too short for what it claims; the row is then not to be kept.
template <class Sink>
bool decode_fields(Sink& sink, unsigned op, const unsigned char* record, unsigned bytes) {
  switch (op) {
    case TAPIO_PROCESS_FORK: {
      if (bytes < sizeof(struct tapio_process_fork)) return false;
      const auto* r = reinterpret_cast<const struct tapio_process_fork*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_process_child_pid, r->child_pid);
      if (!(r->nulls & (1u << 1))) sink.value(k_process_child_pstart, r->child_pstart);
      return true;
    }
    case TAPIO_PROCESS_EXEC: {
      if (bytes < sizeof(struct tapio_process_exec)) return false;
      const auto* r = reinterpret_cast<const struct tapio_process_exec*>(record);
      Tail tail(record + sizeof(struct tapio_process_exec), bytes - sizeof(struct tapio_process_exec));
      if (!(r->nulls & (1u << 0))) sink.value(k_process_args_length, r->args_length);
      if (!(r->nulls & (1u << 1))) sink.value(k_process_result, r->result);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 2))) sink.path(k_process_filename, given, directory);
      }
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 3))) sink.path(k_process_cwd, given, directory);
      }
      {
        const TailString all = tail.next();
        if (!(r->nulls & (1u << 4))) sink.strings(k_process_args, all);
      }
      return tail.ok();
    }
    case TAPIO_PROCESS_EXIT: {
      if (bytes < sizeof(struct tapio_process_exit)) return false;
      const auto* r = reinterpret_cast<const struct tapio_process_exit*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_process_exit_code, r->exit_code);
      if (!(r->nulls & (1u << 1))) sink.value(k_process_signal, r->signal);
      if (!(r->nulls & (1u << 2))) sink.value(k_process_duration_ns, r->duration_ns);
      if (!(r->nulls & (1u << 3))) sink.value(k_process_cpu_ns, r->cpu_ns);
      return true;
    }
    case TAPIO_PROCESS_SIGNAL: {
      if (bytes < sizeof(struct tapio_process_signal)) return false;
      const auto* r = reinterpret_cast<const struct tapio_process_signal*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_process_signal, r->signal);
      if (!(r->nulls & (1u << 1))) sink.value(k_process_target_pid, r->target_pid);
      if (!(r->nulls & (1u << 2))) sink.value(k_process_result, r->result);
      return true;
    }
    case TAPIO_NETWORK_CONNECT: {
      if (bytes < sizeof(struct tapio_network_connect)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_connect*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 6))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 6))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_error, r->error);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 5))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 6))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 8))) sink.name(k_network_old_state, Names::tcp_state, r->old_state);
      if (!(r->nulls & (1u << 9))) sink.name(k_network_new_state, Names::tcp_state, r->new_state);
      return true;
    }
    case TAPIO_NETWORK_ACCEPT: {
      if (bytes < sizeof(struct tapio_network_accept)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_accept*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 6))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 6))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_error, r->error);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 5))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 6))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 8))) sink.name(k_network_new_state, Names::tcp_state, r->new_state);
      return true;
    }
    case TAPIO_NETWORK_CLOSE: {
      if (bytes < sizeof(struct tapio_network_close)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_close*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 8))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 8))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_bytes_sent, r->bytes_sent);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_bytes_received, r->bytes_received);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_srtt_us, r->srtt_us);
      if (!(r->nulls & (1u << 5))) sink.value(k_network_retransmits, r->retransmits);
      if (!(r->nulls & (1u << 6))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 7))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 8))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 9))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 10))) sink.name(k_network_old_state, Names::tcp_state, r->old_state);
      if (!(r->nulls & (1u << 11))) sink.name(k_network_new_state, Names::tcp_state, r->new_state);
      return true;
    }
    case TAPIO_NETWORK_LISTEN: {
      if (bytes < sizeof(struct tapio_network_listen)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_listen*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 3))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1))) sink.value(k_network_error, r->error);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 3))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 4))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 5))) sink.name(k_network_old_state, Names::tcp_state, r->old_state);
      return true;
    }
    case TAPIO_NETWORK_RETRANSMIT: {
      if (bytes < sizeof(struct tapio_network_retransmit)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_retransmit*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 6))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 6))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_srtt_us, r->srtt_us);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_retransmits, r->retransmits);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 5))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 6))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 8))) sink.name(k_network_old_state, Names::tcp_state, r->old_state);
      return true;
    }
    case TAPIO_NETWORK_RESET: {
      if (bytes < sizeof(struct tapio_network_reset)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_reset*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 4))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 4))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 4))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 5))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 6))) sink.name(k_network_old_state, Names::tcp_state, r->old_state);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_direction, Names::direction, r->direction);
      return true;
    }
    case TAPIO_NETWORK_DROP: {
      if (bytes < sizeof(struct tapio_network_drop)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_drop*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 6))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 6))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_packet_length, r->packet_length);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 5))) sink.name(k_network_drop_reason, Names::drop_reason, r->drop_reason);
      if (!(r->nulls & (1u << 6))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      return true;
    }
    case TAPIO_NETWORK_SEND: {
      if (bytes < sizeof(struct tapio_network_send)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_send*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 7))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 7))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_bytes, r->bytes);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_error, r->error);
      if (!(r->nulls & (1u << 5))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 6))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 8))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      return true;
    }
    case TAPIO_NETWORK_RECV: {
      if (bytes < sizeof(struct tapio_network_recv)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_recv*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 7))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 7))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_bytes, r->bytes);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_error, r->error);
      if (!(r->nulls & (1u << 5))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 6))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 8))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      return true;
    }
    case TAPIO_NETWORK_PACKET: {
      if (bytes < sizeof(struct tapio_network_packet)) return false;
      const auto* r = reinterpret_cast<const struct tapio_network_packet*>(record);
      Tail tail(record + sizeof(struct tapio_network_packet), bytes - sizeof(struct tapio_network_packet));
      if (!(r->nulls & (1u << 0 | 1u << 5))) sink.inet(k_network_saddr, r->family, r->saddr);
      if (!(r->nulls & (1u << 1 | 1u << 5))) sink.inet(k_network_daddr, r->family, r->daddr);
      if (!(r->nulls & (1u << 2))) sink.value(k_network_packet_length, r->packet_length);
      if (!(r->nulls & (1u << 3))) sink.value(k_network_sport, r->sport);
      if (!(r->nulls & (1u << 4))) sink.value(k_network_dport, r->dport);
      if (!(r->nulls & (1u << 5))) sink.name(k_network_family, Names::family, r->family);
      if (!(r->nulls & (1u << 6))) sink.name(k_network_protocol, Names::protocol, r->protocol);
      if (!(r->nulls & (1u << 7))) sink.name(k_network_direction, Names::direction, r->direction);
      {
        const TailString bytes = tail.next();
        if (!(r->nulls & (1u << 8))) sink.bytes(k_network_packet, bytes);
      }
      return tail.ok();
    }
    case TAPIO_FILE_OPEN: {
      if (bytes < sizeof(struct tapio_file_open)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_open*>(record);
      Tail tail(record + sizeof(struct tapio_file_open), bytes - sizeof(struct tapio_file_open));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_inode, r->inode);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_device, r->device);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 3))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 4))) sink.value(k_file_fd, r->fd);
      if (!(r->nulls & (1u << 5))) sink.value(k_file_open_flags, r->open_flags);
      if (!(r->nulls & (1u << 6))) sink.value(k_file_mode, r->mode);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 7))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_UNLINK: {
      if (bytes < sizeof(struct tapio_file_unlink)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_unlink*>(record);
      Tail tail(record + sizeof(struct tapio_file_unlink), bytes - sizeof(struct tapio_file_unlink));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 2))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_RENAME: {
      if (bytes < sizeof(struct tapio_file_rename)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_rename*>(record);
      Tail tail(record + sizeof(struct tapio_file_rename), bytes - sizeof(struct tapio_file_rename));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 2))) sink.path(k_file_path, given, directory);
      }
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 3))) sink.path(k_file_new_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_LINK: {
      if (bytes < sizeof(struct tapio_file_link)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_link*>(record);
      Tail tail(record + sizeof(struct tapio_file_link), bytes - sizeof(struct tapio_file_link));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 2))) sink.path(k_file_path, given, directory);
      }
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 3))) sink.path(k_file_new_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_MKDIR: {
      if (bytes < sizeof(struct tapio_file_mkdir)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_mkdir*>(record);
      Tail tail(record + sizeof(struct tapio_file_mkdir), bytes - sizeof(struct tapio_file_mkdir));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_mode, r->mode);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 3))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_RMDIR: {
      if (bytes < sizeof(struct tapio_file_rmdir)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_rmdir*>(record);
      Tail tail(record + sizeof(struct tapio_file_rmdir), bytes - sizeof(struct tapio_file_rmdir));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 2))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_CHMOD: {
      if (bytes < sizeof(struct tapio_file_chmod)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_chmod*>(record);
      Tail tail(record + sizeof(struct tapio_file_chmod), bytes - sizeof(struct tapio_file_chmod));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_fd, r->fd);
      if (!(r->nulls & (1u << 3))) sink.value(k_file_mode, r->mode);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 4))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_CHOWN: {
      if (bytes < sizeof(struct tapio_file_chown)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_chown*>(record);
      Tail tail(record + sizeof(struct tapio_file_chown), bytes - sizeof(struct tapio_file_chown));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_fd, r->fd);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 3))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_TRUNCATE: {
      if (bytes < sizeof(struct tapio_file_truncate)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_truncate*>(record);
      Tail tail(record + sizeof(struct tapio_file_truncate), bytes - sizeof(struct tapio_file_truncate));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_offset, r->offset);
      if (!(r->nulls & (1u << 3))) sink.value(k_file_fd, r->fd);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 4))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_READ: {
      if (bytes < sizeof(struct tapio_file_read)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_read*>(record);
      Tail tail(record + sizeof(struct tapio_file_read), bytes - sizeof(struct tapio_file_read));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_inode, r->inode);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_device, r->device);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_offset, r->offset);
      if (!(r->nulls & (1u << 3))) sink.value(k_file_bytes, r->bytes);
      if (!(r->nulls & (1u << 4))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 5))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 6))) sink.value(k_file_fd, r->fd);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 7))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_WRITE: {
      if (bytes < sizeof(struct tapio_file_write)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_write*>(record);
      Tail tail(record + sizeof(struct tapio_file_write), bytes - sizeof(struct tapio_file_write));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_inode, r->inode);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_device, r->device);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_offset, r->offset);
      if (!(r->nulls & (1u << 3))) sink.value(k_file_bytes, r->bytes);
      if (!(r->nulls & (1u << 4))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 5))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 6))) sink.value(k_file_fd, r->fd);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 7))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_FSYNC: {
      if (bytes < sizeof(struct tapio_file_fsync)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_fsync*>(record);
      Tail tail(record + sizeof(struct tapio_file_fsync), bytes - sizeof(struct tapio_file_fsync));
      if (!(r->nulls & (1u << 0))) sink.value(k_file_inode, r->inode);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_device, r->device);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 3))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 4))) sink.value(k_file_fd, r->fd);
      {
        const TailString given = tail.next();
        const TailString directory = tail.next();
        if (!(r->nulls & (1u << 5))) sink.path(k_file_path, given, directory);
      }
      return tail.ok();
    }
    case TAPIO_FILE_CLOSE: {
      if (bytes < sizeof(struct tapio_file_close)) return false;
      const auto* r = reinterpret_cast<const struct tapio_file_close*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_file_ret, r->ret);
      if (!(r->nulls & (1u << 1))) sink.value(k_file_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 2))) sink.value(k_file_fd, r->fd);
      return true;
    }
    case TAPIO_MEMORY_OOM: {
      if (bytes < sizeof(struct tapio_memory_oom)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_oom*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_target_pid, r->target_pid);
      return true;
    }
    case TAPIO_MEMORY_MMAP: {
      if (bytes < sizeof(struct tapio_memory_mmap)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_mmap*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_length, r->length);
      if (!(r->nulls & (1u << 2))) sink.value(k_memory_ret, r->ret);
      if (!(r->nulls & (1u << 3))) sink.value(k_memory_prot, r->prot);
      if (!(r->nulls & (1u << 4))) sink.value(k_memory_map_flags, r->map_flags);
      return true;
    }
    case TAPIO_MEMORY_MUNMAP: {
      if (bytes < sizeof(struct tapio_memory_munmap)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_munmap*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_length, r->length);
      if (!(r->nulls & (1u << 2))) sink.value(k_memory_ret, r->ret);
      return true;
    }
    case TAPIO_MEMORY_MPROTECT: {
      if (bytes < sizeof(struct tapio_memory_mprotect)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_mprotect*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_length, r->length);
      if (!(r->nulls & (1u << 2))) sink.value(k_memory_ret, r->ret);
      if (!(r->nulls & (1u << 3))) sink.value(k_memory_prot, r->prot);
      return true;
    }
    case TAPIO_MEMORY_BRK: {
      if (bytes < sizeof(struct tapio_memory_brk)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_brk*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_ret, r->ret);
      return true;
    }
    case TAPIO_MEMORY_FAULT: {
      if (bytes < sizeof(struct tapio_memory_fault)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_fault*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_call_site, r->call_site);
      if (!(r->nulls & (1u << 2))) sink.value(k_memory_prot, r->prot);
      return true;
    }
    case TAPIO_MEMORY_ALLOC: {
      if (bytes < sizeof(struct tapio_memory_alloc)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_alloc*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_length, r->length);
      if (!(r->nulls & (1u << 2))) sink.value(k_memory_call_site, r->call_site);
      if (!(r->nulls & (1u << 3))) sink.value(k_memory_order, r->order);
      if (!(r->nulls & (1u << 4))) sink.value(k_memory_gfp, r->gfp);
      return true;
    }
    case TAPIO_MEMORY_FREE: {
      if (bytes < sizeof(struct tapio_memory_free)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_free*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_address, r->address);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_call_site, r->call_site);
      if (!(r->nulls & (1u << 2))) sink.value(k_memory_order, r->order);
      return true;
    }
    case TAPIO_MEMORY_RSS: {
      if (bytes < sizeof(struct tapio_memory_rss)) return false;
      const auto* r = reinterpret_cast<const struct tapio_memory_rss*>(record);
      if (!(r->nulls & (1u << 0))) sink.value(k_memory_length, r->length);
      if (!(r->nulls & (1u << 1))) sink.value(k_memory_target_pid, r->target_pid);
      return true;
    }
    case TAPIO_SYSCALL_CALL: {
      if (bytes < sizeof(struct tapio_syscall_call)) return false;
      const auto* r = reinterpret_cast<const struct tapio_syscall_call*>(record);
      if (!(r->nulls & (1u << 0 | 1u << 3))) sink.args(k_syscall_args, r->nr, r->args);
      if (!(r->nulls & (1u << 1))) sink.value(k_syscall_ret, r->ret);
      if (!(r->nulls & (1u << 2))) sink.value(k_syscall_latency_ns, r->latency_ns);
      if (!(r->nulls & (1u << 3))) sink.value(k_syscall_nr, r->nr);
      if (!(r->nulls & (1u << 3))) sink.syscall_name(k_syscall_name, r->nr);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace tapio
