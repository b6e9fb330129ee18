#include "hooks.h"

#include <bpf/libbpf.h>
#include <string.h>

#include <algorithm>

#include "../bpf/config.h"
#include "events.h"
#include "syscalls.h"
#include "tapio.skel.h"

namespace tapio {
namespace {

struct CallFamily {
  const char* name;
  tapio_call kind;
  std::vector<unsigned> ops;
  // Where the call of that name takes its arguments otherwise through a 32-bit entry.
  tapio_call kind_32 = TAPIO_CALL_NONE;
};

// The syscalls of each family, by name; what an architecture lacks is left out.
const CallFamily call_families[] = {
    {"open", TAPIO_CALL_OPEN, {TAPIO_FILE_OPEN}},
    {"openat", TAPIO_CALL_OPENAT, {TAPIO_FILE_OPEN}},
    {"openat2", TAPIO_CALL_OPENAT2, {TAPIO_FILE_OPEN}},
    {"creat", TAPIO_CALL_CREAT, {TAPIO_FILE_OPEN}},
    {"read", TAPIO_CALL_READ, {TAPIO_FILE_READ, TAPIO_NETWORK_RECV}},
    {"readv", TAPIO_CALL_READ, {TAPIO_FILE_READ, TAPIO_NETWORK_RECV}},
    {"pread64", TAPIO_CALL_PREAD, {TAPIO_FILE_READ, TAPIO_NETWORK_RECV}},
    {"preadv", TAPIO_CALL_PREAD, {TAPIO_FILE_READ, TAPIO_NETWORK_RECV}},
    {"preadv2", TAPIO_CALL_PREAD, {TAPIO_FILE_READ, TAPIO_NETWORK_RECV}},
    {"write", TAPIO_CALL_WRITE, {TAPIO_FILE_WRITE, TAPIO_NETWORK_SEND}},
    {"writev", TAPIO_CALL_WRITE, {TAPIO_FILE_WRITE, TAPIO_NETWORK_SEND}},
    {"pwrite64", TAPIO_CALL_PWRITE, {TAPIO_FILE_WRITE, TAPIO_NETWORK_SEND}},
    {"pwritev", TAPIO_CALL_PWRITE, {TAPIO_FILE_WRITE, TAPIO_NETWORK_SEND}},
    {"pwritev2", TAPIO_CALL_PWRITE, {TAPIO_FILE_WRITE, TAPIO_NETWORK_SEND}},
    {"unlink", TAPIO_CALL_UNLINK, {TAPIO_FILE_UNLINK}},
    {"unlinkat", TAPIO_CALL_UNLINKAT, {TAPIO_FILE_UNLINK, TAPIO_FILE_RMDIR}},
    {"rename", TAPIO_CALL_RENAME, {TAPIO_FILE_RENAME}},
    {"renameat", TAPIO_CALL_RENAMEAT, {TAPIO_FILE_RENAME}},
    {"renameat2", TAPIO_CALL_RENAMEAT, {TAPIO_FILE_RENAME}},
    {"link", TAPIO_CALL_LINK, {TAPIO_FILE_LINK}},
    {"linkat", TAPIO_CALL_LINKAT, {TAPIO_FILE_LINK}},
    {"symlink", TAPIO_CALL_SYMLINK, {TAPIO_FILE_LINK}},
    {"symlinkat", TAPIO_CALL_SYMLINKAT, {TAPIO_FILE_LINK}},
    {"mkdir", TAPIO_CALL_MKDIR, {TAPIO_FILE_MKDIR}},
    {"mkdirat", TAPIO_CALL_MKDIRAT, {TAPIO_FILE_MKDIR}},
    {"rmdir", TAPIO_CALL_RMDIR, {TAPIO_FILE_RMDIR}},
    {"chmod", TAPIO_CALL_CHMOD, {TAPIO_FILE_CHMOD}},
    {"fchmod", TAPIO_CALL_FCHMOD, {TAPIO_FILE_CHMOD}},
    {"fchmodat", TAPIO_CALL_FCHMODAT, {TAPIO_FILE_CHMOD}},
    {"fchmodat2", TAPIO_CALL_FCHMODAT, {TAPIO_FILE_CHMOD}},
    {"chown", TAPIO_CALL_CHOWN, {TAPIO_FILE_CHOWN}},
    {"lchown", TAPIO_CALL_CHOWN, {TAPIO_FILE_CHOWN}},
    {"fchown", TAPIO_CALL_FCHOWN, {TAPIO_FILE_CHOWN}},
    {"chown32", TAPIO_CALL_CHOWN, {TAPIO_FILE_CHOWN}},
    {"lchown32", TAPIO_CALL_CHOWN, {TAPIO_FILE_CHOWN}},
    {"fchown32", TAPIO_CALL_FCHOWN, {TAPIO_FILE_CHOWN}},
    {"fchownat", TAPIO_CALL_FCHOWNAT, {TAPIO_FILE_CHOWN}},
    {"truncate", TAPIO_CALL_TRUNCATE, {TAPIO_FILE_TRUNCATE}},
    {"ftruncate", TAPIO_CALL_FTRUNCATE, {TAPIO_FILE_TRUNCATE}},
    {"fsync", TAPIO_CALL_FSYNC, {TAPIO_FILE_FSYNC}},
    {"fdatasync", TAPIO_CALL_FSYNC, {TAPIO_FILE_FSYNC}},
    {"sync_file_range", TAPIO_CALL_FSYNC, {TAPIO_FILE_FSYNC}},
    {"close", TAPIO_CALL_CLOSE, {TAPIO_FILE_CLOSE}},
    {"close_range", TAPIO_CALL_CLOSE, {TAPIO_FILE_CLOSE}},
    {"sendfile", TAPIO_CALL_SENDFILE, {TAPIO_FILE_READ, TAPIO_FILE_WRITE, TAPIO_NETWORK_SEND}},
    {"splice",
     TAPIO_CALL_SPLICE,
     {TAPIO_FILE_READ, TAPIO_FILE_WRITE, TAPIO_NETWORK_RECV, TAPIO_NETWORK_SEND}},
    {"copy_file_range", TAPIO_CALL_SPLICE, {TAPIO_FILE_READ, TAPIO_FILE_WRITE}},
    {"connect", TAPIO_CALL_CONNECT, {TAPIO_NETWORK_CONNECT}},
    {"accept", TAPIO_CALL_ACCEPT, {TAPIO_NETWORK_ACCEPT}},
    {"accept4", TAPIO_CALL_ACCEPT, {TAPIO_NETWORK_ACCEPT}},
    {"listen", TAPIO_CALL_LISTEN, {TAPIO_NETWORK_LISTEN}},
    {"sendto", TAPIO_CALL_SENDTO, {TAPIO_NETWORK_SEND}},
    {"sendmsg", TAPIO_CALL_SENDMSG, {TAPIO_NETWORK_SEND}},
    {"sendmmsg", TAPIO_CALL_SENDMMSG, {TAPIO_NETWORK_SEND}},
    {"recvfrom", TAPIO_CALL_RECVFROM, {TAPIO_NETWORK_RECV}},
    {"recvmsg", TAPIO_CALL_RECVMSG, {TAPIO_NETWORK_RECV}},
    {"recvmmsg", TAPIO_CALL_RECVMMSG, {TAPIO_NETWORK_RECV}},
    {"execve", TAPIO_CALL_EXECVE, {TAPIO_PROCESS_EXEC}},
    {"execveat", TAPIO_CALL_EXECVEAT, {TAPIO_PROCESS_EXEC}},
    {"mmap", TAPIO_CALL_MMAP, {TAPIO_MEMORY_MMAP}, TAPIO_CALL_MMAP_BLOCK},
    {"mmap2", TAPIO_CALL_MMAP, {TAPIO_MEMORY_MMAP}},
    {"munmap", TAPIO_CALL_MUNMAP, {TAPIO_MEMORY_MUNMAP}},
    {"mprotect", TAPIO_CALL_MPROTECT, {TAPIO_MEMORY_MPROTECT}},
    {"pkey_mprotect", TAPIO_CALL_MPROTECT, {TAPIO_MEMORY_MPROTECT}},
    {"brk", TAPIO_CALL_BRK, {TAPIO_MEMORY_BRK}},
    {"socketcall",
     TAPIO_CALL_SOCKETCALL,
     {TAPIO_NETWORK_CONNECT, TAPIO_NETWORK_ACCEPT, TAPIO_NETWORK_LISTEN}},
};

// Ops whose rows are of a socket, and so need to know whose sockets are.
const std::vector<unsigned> socket_ops = {
    TAPIO_NETWORK_CONNECT,    TAPIO_NETWORK_ACCEPT, TAPIO_NETWORK_CLOSE, TAPIO_NETWORK_LISTEN,
    TAPIO_NETWORK_RETRANSMIT, TAPIO_NETWORK_RESET,  TAPIO_NETWORK_DROP,  TAPIO_NETWORK_PACKET};

}  // namespace

uint64_t bits_of(const std::vector<unsigned>& ops) {
  uint64_t bits = 0;
  for (unsigned op : ops) bits |= 1ull << op;
  return bits;
}

std::vector<Hook> hooks_of(const tapio_programs& skeleton, bool latency) {
  const auto& programs = skeleton.progs;
  std::vector<unsigned> call_ops = {TAPIO_SYSCALL_CALL};
  std::vector<unsigned> all_ops;
  for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) all_ops.push_back(op);
  for (const CallFamily& family : call_families)
    call_ops.insert(call_ops.end(), family.ops.begin(), family.ops.end());
  return {
      {programs.process_fork, "sched_process_fork", {TAPIO_PROCESS_FORK}},
      {programs.process_exec, "sched_process_exec", {TAPIO_PROCESS_EXEC}},
      {programs.process_exit, "sched_process_exit", {TAPIO_PROCESS_EXIT}},
      {programs.signal_generate, "signal_generate", {TAPIO_PROCESS_SIGNAL}},
      {programs.socket_state, "inet_sock_set_state", socket_ops},
      {programs.socket_destroyed, "tcp_destroy_sock", socket_ops},
      {programs.retransmit, "tcp_retransmit_skb", {TAPIO_NETWORK_RETRANSMIT}},
      {programs.reset_sent, "tcp_send_reset", {TAPIO_NETWORK_RESET}},
      {programs.reset_received, "tcp_receive_reset", {TAPIO_NETWORK_RESET}},
      {programs.packet_dropped_rx_sk, "kfree_skb", {TAPIO_NETWORK_DROP}},
      {programs.packet_dropped_reason, "kfree_skb", {TAPIO_NETWORK_DROP}},
      {programs.packet_sent, "net_dev_queue", {TAPIO_NETWORK_PACKET}},
      {programs.packet_received, "netif_receive_skb", {TAPIO_NETWORK_PACKET}},
      {programs.oom_victim_task, "mark_victim", {TAPIO_MEMORY_OOM}},
      {programs.oom_victim_pid, "mark_victim", {TAPIO_MEMORY_OOM}},
      {programs.cgroup_made, "cgroup_mkdir", all_ops, true},
      {programs.cgroup_entered, "cgroup_attach_task", all_ops, true},
      {programs.page_fault, "page_fault_user", {TAPIO_MEMORY_FAULT}},
      {programs.kmalloc_size, "kmalloc", {TAPIO_MEMORY_ALLOC}},
      {programs.kmalloc_cache_size, "kmalloc", {TAPIO_MEMORY_ALLOC}},
      {programs.cache_alloc_size, "kmem_cache_alloc", {TAPIO_MEMORY_ALLOC}},
      {programs.cache_alloc_cache_size, "kmem_cache_alloc", {TAPIO_MEMORY_ALLOC}},
      {programs.cache_alloc_cache, "kmem_cache_alloc", {TAPIO_MEMORY_ALLOC}},
      {programs.page_alloc, "mm_page_alloc", {TAPIO_MEMORY_ALLOC}},
      {programs.kfreed, "kfree", {TAPIO_MEMORY_FREE}},
      {programs.cache_freed, "kmem_cache_free", {TAPIO_MEMORY_FREE}},
      {programs.page_freed, "mm_page_free", {TAPIO_MEMORY_FREE}},
      {programs.rss_changed, "rss_stat", {TAPIO_MEMORY_RSS}},
      {programs.rss_changed_count, "rss_stat", {TAPIO_MEMORY_RSS}},
      {programs.call_exit, "sys_exit", call_ops},
      // Starts are noted for latencies only; a connection's latency is known without.
      {programs.call_enter, "sys_enter", latency ? call_ops : std::vector<unsigned>{}},
  };
}

void choose_variants(tapio_programs& skeleton, const KernelTypes& types) {
  auto& programs = skeleton.progs;
  const int drop_arguments = types.tracepoint_arguments("kfree_skb");
  bpf_program__set_autoload(programs.packet_dropped_rx_sk, drop_arguments >= 4);
  bpf_program__set_autoload(programs.packet_dropped_reason, drop_arguments == 3);
  const bool victim_is_task = types.tracepoint_argument_is_pointer("mark_victim", 0);
  const bool victim_exists = types.tracepoint_arguments("mark_victim") > 0;
  bpf_program__set_autoload(programs.oom_victim_task, victim_exists && victim_is_task);
  bpf_program__set_autoload(programs.oom_victim_pid, victim_exists && !victim_is_task);
  const bool kmalloc_has_cache = types.tracepoint_argument_is_pointer("kmalloc", 2);
  bpf_program__set_autoload(programs.kmalloc_size, !kmalloc_has_cache);
  bpf_program__set_autoload(programs.kmalloc_cache_size, kmalloc_has_cache);
  const bool alloc_has_cache = types.tracepoint_argument_is_pointer("kmem_cache_alloc", 2);
  const bool alloc_has_sizes = types.tracepoint_arguments("kmem_cache_alloc") == 6;
  bpf_program__set_autoload(programs.cache_alloc_size, !alloc_has_cache);
  bpf_program__set_autoload(programs.cache_alloc_cache_size, alloc_has_cache && alloc_has_sizes);
  bpf_program__set_autoload(programs.cache_alloc_cache, alloc_has_cache && !alloc_has_sizes);
  const bool rss_has_count = types.tracepoint_arguments("rss_stat") == 3;
  bpf_program__set_autoload(programs.rss_changed, !rss_has_count);
  bpf_program__set_autoload(programs.rss_changed_count, rss_has_count);
  // A tracepoint that this kernel lacks costs its ops, not the recording.
  for (const Hook& hook : hooks_of(skeleton, true))
    if (types.tracepoint_arguments(hook.tracepoint) < 0)
      bpf_program__set_autoload(hook.program, false);
}

void write_calls(const SourceConfig& config, tapio_config* to) {
  const uint64_t ops = bits_of(config.ops);
  uint8_t calls[TAPIO_SYSCALLS_MAX] = {};
  uint8_t calls_32[TAPIO_SYSCALLS_MAX] = {};
  const uint8_t timed = config.latency ? TAPIO_CALL_TIMED : 0;
  for (const CallFamily& family : call_families) {
    if (!(bits_of(family.ops) & ops)) continue;
    const int number = syscall_number(family.name);
    if (number >= 0 && number < TAPIO_SYSCALLS_MAX)
      calls[number] = static_cast<uint8_t>(family.kind | timed);
    const int number_32 = syscall_number_32(family.name);
    const tapio_call kind_32 = family.kind_32 ? family.kind_32 : family.kind;
    if (number_32 >= 0 && number_32 < TAPIO_SYSCALLS_MAX)
      calls_32[number_32] = static_cast<uint8_t>(kind_32 | timed);
  }
  // A row of syscall.call says its number only, of the 64-bit table: 32-bit calls have none.
  if (ops >> TAPIO_SYSCALL_CALL & 1) {
    for (uint32_t number : config.syscalls) {
      if (number >= TAPIO_SYSCALLS_MAX) continue;
      if (!calls[number]) calls[number] = static_cast<uint8_t>(TAPIO_CALL_PLAIN | timed);
      calls[number] |= TAPIO_CALL_ROW;
    }
  }
  memcpy(to->calls, calls, sizeof(calls));
  memcpy(to->calls_32, calls_32, sizeof(calls_32));
}

std::vector<ProbeResult> probe_types(const std::string& path) {
  libbpf_set_print([](enum libbpf_print_level, const char*, va_list) { return 0; });
  const KernelTypes types(path);
  std::vector<ProbeResult> results;
  tapio_programs* skeleton = types.ok() ? tapio_programs__open() : nullptr;
  if (!skeleton) return results;
  choose_variants(*skeleton, types);
  for (const Hook& hook : hooks_of(*skeleton, true)) {
    const bool fits = bpf_program__autoload(hook.program);
    const auto same = [&](const ProbeResult& one) { return one.name == hook.tracepoint; };
    const auto known = std::find_if(results.begin(), results.end(), same);
    if (known != results.end()) {
      known->ok |= fits;  // one of several variants
      continue;
    }
    const bool exists = types.tracepoint_arguments(hook.tracepoint) >= 0;
    results.push_back(
        {hook.tracepoint, fits,
         exists ? "none of our programs fits its arguments" : "this kernel has no such tracepoint",
         hook.is_aid ? std::vector<unsigned>{} : hook.ops});
  }
  for (ProbeResult& one : results)
    if (one.ok) one.detail.clear();
  tapio_programs__destroy(skeleton);
  return results;
}

}  // namespace tapio
