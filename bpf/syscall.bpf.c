/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Every syscall passes here once, at its exit, and in one table lookup is either done with or
 * handed to the op that wants it. The enter program only notes the time, and is attached only where
 * latencies are wanted.
 */
#include "emit.bpf.h"

/* Start of the call that a thread is in. Two threads whose ids share the low bits overwrite each
 * other; the tag then does not match and the latency is unknown, never wrong. */
#define STARTS 65536
struct start {
  __u64 tag; /* tid << 32 | call number */
  __u64 ktime;
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, STARTS);
  __type(key, __u32);
  __type(value, struct start);
} starts SEC(".maps");

/* What to do for a call: its byte of the table of its ABI. 32-bit calls have numbers of their own,
 * and tags that no 64-bit call has. */
static __always_inline __u32 call_entry(__u64 number, bool is_32) {
  if (!config.ops || number >= TAPIO_SYSCALLS_MAX) return 0;
  barrier_var(number); /* else the compiler moves the check to where the verifier has lost it */
  number &= TAPIO_SYSCALLS_MAX - 1;
  return is_32 ? config.calls_32[number] : config.calls[number];
}
#define TAG_32 0x80000000u

SEC("tp_btf/sys_enter")
int BPF_PROG(call_enter, struct pt_regs *regs, long number) {
  if (!config.ops || (__u64)number >= TAPIO_SYSCALLS_MAX) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  bool is_32 = call_is_32(task);
  if (!(call_entry(number, is_32) & TAPIO_CALL_TIMED)) return 0;
  __u32 tid = task->pid;
  __u32 key = tid & (STARTS - 1);
  struct start *start = bpf_map_lookup_elem(&starts, &key);
  if (!start) return 0;
  start->tag = (__u64)tid << 32 | (__u32)number | (is_32 ? TAG_32 : 0);
  start->ktime = bpf_ktime_get_ns();
  return 0;
}

/* ktime at which the call began; 0 where its start was not seen. */
static __always_inline __u64 call_start(__u32 tid, __u32 tagged_number) {
  __u32 key = tid & (STARTS - 1);
  struct start *start = bpf_map_lookup_elem(&starts, &key);
  if (!start || start->tag != ((__u64)tid << 32 | tagged_number)) return 0;
  start->tag = 0;
  return start->ktime;
}

static __noinline int emit_call(struct task_struct *task, const struct call *call) {
  if (rejects_current(task, TAPIO_SYSCALL_CALL)) return 0;
  const __u32 bytes = sizeof(struct tapio_syscall_call);
  struct slot slot = {};
  struct tapio_syscall_call *record = (void *)reserve(&slot, TAPIO_SYSCALL_CALL, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  __builtin_memcpy(record->args, call->args, sizeof(record->args));
  record->ret = call->ret;
  record->latency_ns = latency_since(&record->header, call->started);
  record->nr = call->number;
  record->nulls = call->started ? 0 : TAPIO_NULL_SYSCALL_CALL_LATENCY_NS;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* i386's one call for all of sockets becomes the one that it stands for, if that is recorded. */
#define SOCKETCALL_CONNECT 3
#define SOCKETCALL_LISTEN 4
#define SOCKETCALL_ACCEPT 5
#define SOCKETCALL_ACCEPT4 18
static __noinline int unpack_socketcall(struct call *call) {
  __u32 args[3] = {};
  __u64 which = call->args[0];
  call->kind = which == SOCKETCALL_CONNECT                                 ? TAPIO_CALL_CONNECT
               : which == SOCKETCALL_LISTEN                                ? TAPIO_CALL_LISTEN
               : which == SOCKETCALL_ACCEPT || which == SOCKETCALL_ACCEPT4 ? TAPIO_CALL_ACCEPT
                                                                           : TAPIO_CALL_NONE;
  __u32 bytes = call->kind == TAPIO_CALL_LISTEN ? 8 : 12;
  if (bpf_probe_read_user(args, bytes, (const void *)call->args[1])) call->kind = TAPIO_CALL_NONE;
  call->args[0] = args[0];
  call->args[1] = args[1];
  call->args[2] = args[2];
  return 0;
}

#define ARGUMENT(i) (is_32 ? (__u32)call_arg##i##_32(regs) : call_arg##i(regs))

SEC("tp_btf/sys_exit")
int BPF_PROG(call_exit, struct pt_regs *regs, long ret) {
  __u64 number = call_number(regs);
  if (!config.ops || number >= TAPIO_SYSCALLS_MAX) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  bool is_32 = call_is_32(task);
  __u32 entry = call_entry(number, is_32);
  if (!entry || is_self(task)) return 0;
  struct call call = {
      .args = {ARGUMENT(0), ARGUMENT(1), ARGUMENT(2), ARGUMENT(3), ARGUMENT(4), ARGUMENT(5)},
      .ret = ret,
      .number = number,
      .kind = entry & TAPIO_CALL_KIND,
      .is_32 = is_32,
  };
  if (entry & TAPIO_CALL_TIMED)
    call.started = call_start(task->pid, (__u32)number | (is_32 ? TAG_32 : 0));
  if (call.kind == TAPIO_CALL_SOCKETCALL) unpack_socketcall(&call);
  switch (call.kind) {
    case TAPIO_CALL_OPEN:
    case TAPIO_CALL_OPENAT:
    case TAPIO_CALL_OPENAT2:
    case TAPIO_CALL_CREAT:
      handle_open(&call);
      break;
    case TAPIO_CALL_READ:
    case TAPIO_CALL_PREAD:
    case TAPIO_CALL_WRITE:
    case TAPIO_CALL_PWRITE:
      handle_io(&call);
      break;
    case TAPIO_CALL_SENDTO:
    case TAPIO_CALL_SENDMSG:
    case TAPIO_CALL_SENDMMSG:
    case TAPIO_CALL_RECVFROM:
    case TAPIO_CALL_RECVMSG:
    case TAPIO_CALL_RECVMMSG:
      handle_messages(&call);
      break;
    case TAPIO_CALL_UNLINK:
    case TAPIO_CALL_UNLINKAT:
    case TAPIO_CALL_MKDIR:
    case TAPIO_CALL_MKDIRAT:
    case TAPIO_CALL_RMDIR:
    case TAPIO_CALL_CHMOD:
    case TAPIO_CALL_FCHMODAT:
    case TAPIO_CALL_CHOWN:
    case TAPIO_CALL_FCHOWNAT:
    case TAPIO_CALL_TRUNCATE:
      handle_name(&call);
      break;
    case TAPIO_CALL_RENAME:
    case TAPIO_CALL_RENAMEAT:
    case TAPIO_CALL_LINK:
    case TAPIO_CALL_LINKAT:
    case TAPIO_CALL_SYMLINK:
    case TAPIO_CALL_SYMLINKAT:
      handle_two_names(&call);
      break;
    case TAPIO_CALL_FCHMOD:
    case TAPIO_CALL_FCHOWN:
    case TAPIO_CALL_FTRUNCATE:
    case TAPIO_CALL_FSYNC:
      handle_descriptor(&call);
      break;
    case TAPIO_CALL_SENDFILE:
    case TAPIO_CALL_SPLICE:
      handle_transfer(&call);
      break;
    case TAPIO_CALL_CLOSE:
      handle_close(&call);
      break;
    case TAPIO_CALL_CONNECT:
      handle_connect(&call);
      break;
    case TAPIO_CALL_ACCEPT:
      handle_accept(&call);
      break;
    case TAPIO_CALL_LISTEN:
      handle_listen(&call);
      break;
    case TAPIO_CALL_EXECVE:
    case TAPIO_CALL_EXECVEAT:
      handle_failed_exec(&call);
      break;
    case TAPIO_CALL_MMAP:
    case TAPIO_CALL_MMAP_BLOCK:
      handle_mmap(&call);
      break;
    case TAPIO_CALL_MUNMAP:
      handle_munmap(&call);
      break;
    case TAPIO_CALL_MPROTECT:
      handle_mprotect(&call);
      break;
    case TAPIO_CALL_BRK:
      handle_brk(&call);
      break;
  }
  if (entry & TAPIO_CALL_ROW) emit_call(task, &call);
  return 0;
}
