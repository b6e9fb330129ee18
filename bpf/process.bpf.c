/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Process rows: fork, exec, exit, signal.
 */
#include "path.bpf.h"

#define ARGS_MAX_BYTES 4096u

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child) {
  if (!op_is_on(TAPIO_PROCESS_FORK) || child->pid != child->tgid) return 0;
  if (rejects_current(parent, TAPIO_PROCESS_FORK)) return 0;
  const __u32 bytes = sizeof(struct tapio_process_fork);
  struct slot slot = {};
  struct tapio_process_fork *record = (void *)reserve(&slot, TAPIO_PROCESS_FORK, bytes);
  if (!record) return 0;
  fill_task(&record->header, parent);
  record->child_pid = child->tgid;
  record->child_pstart = child->start_boottime;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* Appends the working directory as a path of its own. */
static __always_inline __u64 put_cwd(char *record, __u64 used, struct task_struct *task) {
  used = put_empty(record, used, 0);
  return put_base(record, used, task, AT_FDCWD);
}

#define EXEC_ROOM                                                \
  (sizeof(struct tapio_process_exec) + PATH_ROOM + STRING_HEAD + \
   STRING_ROOM(DIRECTORY_MAX_BYTES) + STRING_ROOM(ARGS_MAX_BYTES))

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm) {
  if (!op_is_on(TAPIO_PROCESS_EXEC)) return 0;
  if (rejects_name(task, TAPIO_PROCESS_EXEC, bprm->filename, false)) return 0;
  struct slot slot = {};
  struct tapio_process_exec *record = (void *)reserve(&slot, TAPIO_PROCESS_EXEC, EXEC_ROOM);
  if (!record) return 0;
  fill_task(&record->header, task);
  struct mm_struct *mm = task->mm;
  unsigned long start = mm->arg_start;
  __u64 length = mm->arg_end - start;
  record->args_length = length;
  record->result = 0;
  record->nulls = 0;
  char *out = (char *)record;
  __u64 name_at = sizeof(*record);
  __u64 used = put_kernel_string(out, name_at, bprm->filename, NAME_MAX_BYTES);
  if (out[name_at + STRING_HEAD] == '/')
    used = put_empty(out, used, DIRECTORY_UNKNOWN);
  else
    used = put_base(out, used, task, AT_FDCWD);
  used = put_cwd(out, used, task);
  __u64 stored = length;
  barrier_var(stored);
  if (stored > ARGS_MAX_BYTES) stored = ARGS_MAX_BYTES;
  if (bpf_probe_read_user(out + used + STRING_HEAD, stored, (const void *)start)) {
    record->nulls |= TAPIO_NULL_PROCESS_EXEC_ARGS;
    stored = 0;
  }
  put_head(out + used, stored, length > 0xffff ? 0xffff : length);
  used += STRING_HEAD + align8(stored);
  commit_used(&slot, &record->header, used, EXEC_ROOM);
  return 0;
}

/* At the exit of execve and execveat: an exec that succeeded is sched_process_exec's. */
__noinline int handle_failed_exec(const struct call *call) {
  if (!call || call->ret >= 0 || !op_is_on(TAPIO_PROCESS_EXEC)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  bool at = call->kind == TAPIO_CALL_EXECVEAT;
  const void *name = (const void *)(at ? call->args[1] : call->args[0]);
  if (rejects_name(task, TAPIO_PROCESS_EXEC, name, true)) return 0;
  struct slot slot = {};
  struct tapio_process_exec *record = (void *)reserve(&slot, TAPIO_PROCESS_EXEC, EXEC_ROOM);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->args_length = 0;
  record->result = call->ret;
  __u32 nulls = TAPIO_NULL_PROCESS_EXEC_ARGS | TAPIO_NULL_PROCESS_EXEC_ARGS_LENGTH;
  int dirfd = at ? (int)call->args[0] : AT_FDCWD;
  char *out = (char *)record;
  bool fault = false;
  __u64 used = put_user_path(out, sizeof(*record), task, name, dirfd, &fault);
  if (fault) nulls |= TAPIO_NULL_PROCESS_EXEC_FILENAME;
  used = put_cwd(out, used, task);
  used = put_empty(out, used, 0);
  record->nulls = nulls;
  commit_used(&slot, &record->header, used, EXEC_ROOM);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task) {
  struct signal_struct *signal = task->signal;
  if (signal->live.counter != 0) return 0; /* other threads go on */
  if (!op_is_on(TAPIO_PROCESS_EXIT) || rejects_current(task, TAPIO_PROCESS_EXIT)) return 0;
  const __u32 bytes = sizeof(struct tapio_process_exit);
  struct slot slot = {};
  struct tapio_process_exit *record = (void *)reserve(&slot, TAPIO_PROCESS_EXIT, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  struct task_struct *leader = task->group_leader;
  /* As wait() reports it: the group's code where one was set, else the leader's. */
  __u32 code = signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : leader->exit_code;
  __u32 killer = code & 0x7f;
  record->exit_code = (code >> 8) & 0xff;
  record->signal = killer;
  record->duration_ns = bpf_ktime_get_boot_ns() - leader->start_boottime;
  record->cpu_ns = task->se.sum_exec_runtime + signal->sum_sched_runtime;
  record->nulls = killer ? TAPIO_NULL_PROCESS_EXIT_EXIT_CODE : TAPIO_NULL_PROCESS_EXIT_SIGNAL;
  commit(&slot, &record->header, bytes);
  return 0;
}

/*
 * The row is the sender's. A timer raises its signal in an interrupt, where `current` is whoever
 * happened to run: that signal is the target's own.
 */
SEC("tp_btf/signal_generate")
int BPF_PROG(signal_generate, int number, struct kernel_siginfo *info, struct task_struct *target,
             int group, int result) {
  if (!op_is_on(TAPIO_PROCESS_SIGNAL)) return 0;
  struct task_struct *sender = bpf_get_current_task_btf();
  bool from_timer = (__u64)info == SEND_SIG_PRIV;
  if ((__u64)info > SEND_SIG_PRIV) {
    int code = info->si_code;
    from_timer = code == SI_TIMER;
  }
  struct owner owner;
  owner_of_task(&owner, from_timer ? target : sender);
  if (rejects_owner(&owner, TAPIO_PROCESS_SIGNAL)) return 0;
  const __u32 bytes = sizeof(struct tapio_process_signal);
  struct slot slot = {.owner = &owner};
  struct tapio_process_signal *record = (void *)reserve(&slot, TAPIO_PROCESS_SIGNAL, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  record->signal = number;
  record->target_pid = target->tgid;
  record->result = result;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}
