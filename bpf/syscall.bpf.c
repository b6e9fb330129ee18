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

SEC("tp_btf/sys_enter")
int BPF_PROG(call_enter, struct pt_regs *regs, long number) {
  if (!config.ops || (__u64)number >= TAPIO_SYSCALLS_MAX) return 0;
  if (!(config.calls[number] & TAPIO_CALL_TIMED)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  __u32 tid = task->pid;
  __u32 key = tid & (STARTS - 1);
  struct start *start = bpf_map_lookup_elem(&starts, &key);
  if (!start) return 0;
  start->tag = (__u64)tid << 32 | (__u32)number;
  start->ktime = bpf_ktime_get_ns();
  return 0;
}

/* ktime at which the call began; 0 where its start was not seen. */
static __always_inline __u64 call_start(__u32 tid, __u64 number) {
  __u32 key = tid & (STARTS - 1);
  struct start *start = bpf_map_lookup_elem(&starts, &key);
  if (!start || start->tag != ((__u64)tid << 32 | (__u32)number)) return 0;
  start->tag = 0;
  return start->ktime;
}

static __noinline int emit_call(struct task_struct *task, struct pt_regs *regs, long ret,
                                __u64 started) {
  if (rejects_current(task, TAPIO_SYSCALL_CALL)) return 0;
  const __u32 bytes = sizeof(struct tapio_syscall_call);
  struct slot slot;
  struct tapio_syscall_call *record = (void *)reserve(&slot, TAPIO_SYSCALL_CALL, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->args[0] = call_arg0(regs);
  record->args[1] = call_arg1(regs);
  record->args[2] = call_arg2(regs);
  record->args[3] = call_arg3(regs);
  record->args[4] = call_arg4(regs);
  record->args[5] = call_arg5(regs);
  record->ret = ret;
  record->latency_ns = latency_since(&record->header, started);
  record->nr = call_number(regs);
  record->nulls = started ? 0 : TAPIO_NULL_SYSCALL_CALL_LATENCY_NS;
  commit(&slot, &record->header, bytes);
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_exit, struct pt_regs *regs, long ret) {
  __u64 number = call_number(regs);
  if (!config.ops || number >= TAPIO_SYSCALLS_MAX) return 0;
  __u32 call = config.calls[number];
  if (!call) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (is_self(task) || call_is_compat(task)) return 0;
  __u64 started = call & TAPIO_CALL_TIMED ? call_start(task->pid, number) : 0;
  __u32 kind = call & TAPIO_CALL_KIND;
  if (kind >= TAPIO_CALL_OPEN && kind <= TAPIO_CALL_CREAT)
    handle_open(task, regs, ret, kind, started);
  else if (kind >= TAPIO_CALL_READ && kind <= TAPIO_CALL_PWRITE)
    handle_io(task, regs, ret, kind, started);
  else if (kind == TAPIO_CALL_CONNECT)
    handle_connect(task, regs, ret, started);
  else if (kind == TAPIO_CALL_ACCEPT)
    handle_accept(task, regs, ret, started);
  else if (kind == TAPIO_CALL_LISTEN)
    handle_listen(task, regs, ret);
  else if (kind == TAPIO_CALL_EXECVE || kind == TAPIO_CALL_EXECVEAT)
    handle_failed_exec(task, regs, ret, kind);
  if (call & TAPIO_CALL_ROW) emit_call(task, regs, ret, started);
  return 0;
}
