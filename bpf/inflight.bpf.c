/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Calls that have not returned: told on demand, and as rows with the flag `pending` when recording
 * ends. Only calls whose start is noted are known.
 */
#include "syscall.bpf.c"

/* The call that a thread is in, where it is one whose start was noted. */
static __always_inline bool call_under_way(struct task_struct *task,
                                           struct tapio_under_way *under_way) {
  __u32 tid = task->pid;
  __u32 key = tid & (STARTS - 1);
  struct start *start = bpf_map_lookup_elem(&starts, &key);
  if (!start || start->tag >> 32 != tid || task->tgid == config.self) return false;
  __u32 tagged = (__u32)start->tag;
  bool is_32 = tagged & TAG_32;
  struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
  /* A thread that has left its call while the hook was off has a start nobody took back. */
  if (!regs || call_number(regs) != (tagged & ~TAG_32)) return false;
  under_way->started = start->ktime;
  under_way->number = tagged & ~TAG_32;
  under_way->is_32 = is_32;
  under_way->args[0] = ARGUMENT(0);
  under_way->args[1] = ARGUMENT(1);
  under_way->args[2] = ARGUMENT(2);
  under_way->args[3] = ARGUMENT(3);
  under_way->args[4] = ARGUMENT(4);
  under_way->args[5] = ARGUMENT(5);
  return true;
}

SEC("iter/task")
int calls_under_way(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  struct tapio_under_way under_way = {};
  if (!task || !call_under_way(task, &under_way)) return 0;
  under_way.pid = task->tgid;
  under_way.tid = task->pid;
  under_way.uid = task->cred->uid.val;
  under_way.pstart = task->group_leader->start_boottime;
  __u64 *comm = (__u64 *)task->comm;
  ((__u64 *)under_way.comm)[0] = comm[0];
  ((__u64 *)under_way.comm)[1] = comm[1];
  bpf_seq_write(ctx->meta->seq, &under_way, sizeof(under_way));
  return 0;
}

/* A row of which only the owner and the time so far are known; its `strings` are absent. */
#define PENDING_ROW(name, OP, strings)                                             \
  static __noinline int pending_##name(const struct owner *owner, __u64 started) { \
    const __u32 bytes = sizeof(struct tapio_##name) + (strings)*STRING_HEAD;       \
    const __u32 head = sizeof(struct tapio_header);                                \
    if (!op_is_on(TAPIO_##OP) || rejects_owner(owner, TAPIO_##OP)) return 0;       \
    struct slot slot = {.owner = owner};                                           \
    struct tapio_##name *record = (void *)reserve(&slot, TAPIO_##OP, bytes);       \
    if (!record) return 0;                                                         \
    __builtin_memset((char *)record + head, 0, bytes - head);                      \
    fill_owner(&record->header, owner);                                            \
    record->header.flags = TAPIO_FLAG_PENDING;                                     \
    record->latency_ns = latency_since(&record->header, started);                  \
    record->nulls = ~TAPIO_NULL_##OP##_LATENCY_NS;                                 \
    commit(&slot, &record->header, bytes);                                         \
    return 0;                                                                      \
  }

PENDING_ROW(file_open, FILE_OPEN, 2)
PENDING_ROW(file_read, FILE_READ, 2)
PENDING_ROW(file_write, FILE_WRITE, 2)
PENDING_ROW(network_connect, NETWORK_CONNECT, 0)
PENDING_ROW(network_accept, NETWORK_ACCEPT, 0)
PENDING_ROW(network_send, NETWORK_SEND, 0)
PENDING_ROW(network_recv, NETWORK_RECV, 0)

static __noinline int pending_call(const struct owner *owner, struct tapio_under_way *under_way) {
  if (!op_is_on(TAPIO_SYSCALL_CALL) || rejects_owner(owner, TAPIO_SYSCALL_CALL)) return 0;
  const __u32 bytes = sizeof(struct tapio_syscall_call);
  struct slot slot = {.owner = owner};
  struct tapio_syscall_call *record = (void *)reserve(&slot, TAPIO_SYSCALL_CALL, bytes);
  if (!record) return 0;
  fill_owner(&record->header, owner);
  record->header.flags = TAPIO_FLAG_PENDING;
  __builtin_memcpy(record->args, under_way->args, sizeof(record->args));
  record->ret = 0;
  record->latency_ns = latency_since(&record->header, under_way->started);
  record->nr = under_way->number;
  record->nulls = TAPIO_NULL_SYSCALL_CALL_RET;
  commit(&slot, &record->header, bytes);
  return 0;
}

static __always_inline bool is_socket_of(struct task_struct *task, __u64 fd) {
  struct file *file = file_of(task, fd);
  return file && is_socket(file);
}

/* What the walk is at: with it, the stack would be too small. One process walks at a time. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct tapio_under_way);
} walked_call SEC(".maps");

/* Run as recording ends, while the ops are still on. */
SEC("iter/task")
int pending_calls(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  __u32 zero = 0;
  struct tapio_under_way *under_way = bpf_map_lookup_elem(&walked_call, &zero);
  if (!task || !under_way || !call_under_way(task, under_way)) return 0;
  if (bpf_ktime_get_ns() - under_way->started < TAPIO_PENDING_NS) return 0;
  __u32 entry = call_entry(under_way->number, under_way->is_32);
  struct owner owner;
  owner_of_task(&owner, task);
  switch (entry & TAPIO_CALL_KIND) {
    case TAPIO_CALL_OPEN:
    case TAPIO_CALL_OPENAT:
    case TAPIO_CALL_OPENAT2:
    case TAPIO_CALL_CREAT:
      pending_file_open(&owner, under_way->started);
      break;
    case TAPIO_CALL_READ:
    case TAPIO_CALL_PREAD:
      if (socket_of(task, under_way->args[0]))
        pending_network_recv(&owner, under_way->started);
      else if (!is_socket_of(task, under_way->args[0]))
        pending_file_read(&owner, under_way->started);
      break;
    case TAPIO_CALL_WRITE:
    case TAPIO_CALL_PWRITE:
      if (socket_of(task, under_way->args[0]))
        pending_network_send(&owner, under_way->started);
      else if (!is_socket_of(task, under_way->args[0]))
        pending_file_write(&owner, under_way->started);
      break;
    case TAPIO_CALL_SENDTO:
    case TAPIO_CALL_SENDMSG:
    case TAPIO_CALL_SENDMMSG:
      if (socket_of(task, under_way->args[0])) pending_network_send(&owner, under_way->started);
      break;
    case TAPIO_CALL_RECVFROM:
    case TAPIO_CALL_RECVMSG:
    case TAPIO_CALL_RECVMMSG:
      if (socket_of(task, under_way->args[0])) pending_network_recv(&owner, under_way->started);
      break;
    case TAPIO_CALL_CONNECT:
      if (socket_of(task, under_way->args[0])) pending_network_connect(&owner, under_way->started);
      break;
    case TAPIO_CALL_ACCEPT:
      if (socket_of(task, under_way->args[0])) pending_network_accept(&owner, under_way->started);
      break;
  }
  if (entry & TAPIO_CALL_ROW) pending_call(&owner, under_way);
  return 0;
}
