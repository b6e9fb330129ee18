/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Memory rows. The OOM killer runs in the process that asked for memory: the row is that one's.
 */
#include "emit.bpf.h"

static __always_inline int emit_oom(__u32 victim) {
  if (!op_is_on(TAPIO_MEMORY_OOM)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_OOM)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_oom);
  struct slot slot = {};
  struct tapio_memory_oom *record = (void *)reserve(&slot, TAPIO_MEMORY_OOM, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->target_pid = victim;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* Since commit 72ba14deb40a ("mm: update mark_victim tracepoints fields", 6.8) the task is given.
 */
SEC("tp_btf/mark_victim")
int BPF_PROG(oom_victim_task, struct task_struct *victim) { return emit_oom(victim->tgid); }

SEC("tp_btf/mark_victim")
int BPF_PROG(oom_victim_pid, int victim) { return emit_oom(victim); }
