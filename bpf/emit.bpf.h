/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Writing a record: reserve space in this CPU's ring, fill it in place, publish it.
 *
 * Reserving is one atomic add, so an interrupt may nest anywhere. The header is read directly from
 * the task (8 ns; the helpers cost 130), the clock after the space is reserved: what is reserved
 * later has a later ktime. Cheap rejects come before all of it.
 */
#ifndef TAPIO_EMIT_BPF_H
#define TAPIO_EMIT_BPF_H

#include "arch.bpf.h"
#include "filter.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1); /* set by the loader: CPUs x blocks */
  __uint(key_size, sizeof(__u32));
  __uint(value_size, TAPIO_BLOCK_BYTES);
} rings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1); /* set by the loader: CPUs */
  __type(key, __u32);
  __type(value, struct tapio_ring_control);
} control SEC(".maps");

/* No program reads it: it stays with the rings for the process that comes next. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct tapio_session);
} session SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u8);
} excluded_pids SEC(".maps"), excluded_uids SEC(".maps");

struct comm_key {
  __u64 words[2];
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct comm_key);
  __type(value, __u8);
} excluded_comms SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u64);
  __type(value, __u8);
} excluded_cgroups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct tapio_filter);
} filters SEC(".maps");

const volatile __u32 blocks_per_cpu; /* a power of two */
const volatile __u64 ring_secret;
/* bpf_rdonly_cast exists (6.2): typed loads at ~1 ns instead of probe reads at ~30. */
const volatile bool has_typed_loads;
const volatile __u32 page_shift;

volatile struct tapio_config config SEC(".data.config");

/*
 * A syscall at its exit, as its handler gets it. Handlers are global functions, each of which the
 * verifier looks at once, whoever calls them; they may take no register set, hence the copy.
 */
struct call {
  __u64 args[6];
  __s64 ret;
  __u64 started; /* ktime; 0 where it was not noted */
  __u32 number;  /* of the call in its own table */
  __u16 kind;    /* enum tapio_call */
  __u16 is_32;   /* it came through a 32-bit entry: structures in user memory are that ABI's */
};

/* Who an event belongs to, where that is not the current task. */
struct owner {
  __u32 pid, tid, ppid, uid, gid, reserved;
  __u64 cgroup_id, pstart;
  __u64 comm[2];
};

/* An open reservation. Its maker says whose the record is: `owner` is null where it is the current
 * task's. */
struct slot {
  struct tapio_ring_control *control;
  __u64 position;
  const struct owner *owner;
};

static __always_inline struct tapio_ring_control *this_control(void) {
  __u32 cpu = bpf_get_smp_processor_id();
  return bpf_map_lookup_elem(&control, &cpu);
}

static __always_inline void count(__u64 *counter) { __sync_fetch_and_add(counter, 1); }

static __always_inline bool op_is_on(__u32 op) { return config.ops & (1ull << op); }

static __always_inline bool is_self(struct task_struct *task) { return task->tgid == config.self; }

static __noinline bool is_excluded(__u32 pid, __u32 uid, __u64 cgroup_id, __u64 comm0,
                                   __u64 comm1) {
  __u32 excludes = config.excludes;
  struct comm_key comm = {{comm0, comm1}};
  return ((excludes & TAPIO_EXCLUDE_PID) && bpf_map_lookup_elem(&excluded_pids, &pid)) ||
         ((excludes & TAPIO_EXCLUDE_UID) && bpf_map_lookup_elem(&excluded_uids, &uid)) ||
         ((excludes & TAPIO_EXCLUDE_COMM) && bpf_map_lookup_elem(&excluded_comms, &comm)) ||
         ((excludes & TAPIO_EXCLUDE_CGROUP) && bpf_map_lookup_elem(&excluded_cgroups, &cgroup_id));
}

static __noinline void count_filtered(__u32 op) {
  struct tapio_ring_control *control = this_control();
  if (control && op < TAPIO_OPS_MAX) count(&control->filtered[op]);
}

static __noinline void count_refused(__u32 cause, __u32 op) {
  struct tapio_ring_control *control = this_control();
  if (control && op < TAPIO_OPS_MAX && cause < TAPIO_REFUSALS) count(&control->refused[cause][op]);
}

static __always_inline void owner_of_task(struct owner *owner, struct task_struct *task) {
  __u64 *comm = (__u64 *)task->comm;
  owner->pid = task->tgid;
  owner->tid = task->pid;
  owner->ppid = task->real_parent->tgid;
  owner->uid = task->cred->uid.val;
  owner->gid = task->cred->gid.val;
  owner->reserved = 0;
  owner->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
  owner->pstart = task->group_leader->start_boottime;
  owner->comm[0] = comm[0];
  owner->comm[1] = comm[1];
}

/* The filter that holds, or null. */
static __always_inline const struct tapio_filter *current_filter(void) {
  __u32 excludes = config.excludes;
  __u32 which = excludes & TAPIO_FILTER_SECOND ? 1 : 0;
  if (!(excludes & (TAPIO_FILTER_FIRST | TAPIO_FILTER_SECOND))) return 0;
  return bpf_map_lookup_elem(&filters, &which);
}

/* TAPIO_FILTER_PASS or _REJECT where all events of the op are alike to the selections in use;
 * anything else where each must be looked at. */
static __always_inline __u32 verdict_of_op(__u32 op) {
  if (config.excludes & TAPIO_EXCLUDES) return 0;
  const struct tapio_filter *filter = current_filter();
  return filter ? filter->entries[op & (TAPIO_OPS_MAX - 1)] : TAPIO_FILTER_PASS;
}

/* Whether tests of this op look at its own words: filling them may be dear. */
static __always_inline bool asks_for_own(__u32 op) {
  const struct tapio_filter *filter = current_filter();
  return filter && (filter->own & (1ull << op));
}

/* Words of an event that are its op's own. */
struct own_words {
  __u64 words[TAPIO_WORDS - TAPIO_WORD_OWN];
};

/* A chain of tests that is being followed. */
struct chain {
  __u64 words[TAPIO_WORDS + 1];
  const struct tapio_filter *filter;
  __u32 at;
  __u32 has_own;
};

/* One test; 1 where it was the last. */
static __always_inline long next_test(struct chain *chain) {
  __u32 at = chain->at;
  if (at >= TAPIO_TESTS_MAX) return 1;
  chain->at = at = tapio_filter_step(chain->filter, at, chain->words, chain->has_own);
  return at >= TAPIO_TESTS_MAX;
}

static long follow_chain(__u32 step, struct chain *chain) {
  return next_test(chain) || next_test(chain);
}

static __noinline bool fails_filter(const struct tapio_filter *filter, __u32 op,
                                    const struct owner *owner, const struct own_words *own) {
  __u32 at = filter->entries[op & (TAPIO_OPS_MAX - 1)];
  if (at >= TAPIO_TESTS_MAX) return at == TAPIO_FILTER_REJECT;
  struct chain chain = {.filter = filter, .at = at};
  __u64 *words = chain.words;
  words[TAPIO_WORD_PID] = owner->pid;
  words[TAPIO_WORD_TID] = owner->tid;
  words[TAPIO_WORD_PPID] = owner->ppid;
  words[TAPIO_WORD_UID] = owner->uid;
  words[TAPIO_WORD_GID] = owner->gid;
  words[TAPIO_WORD_CGROUP] = owner->cgroup_id;
  words[TAPIO_WORD_PSTART] = owner->pstart;
  words[TAPIO_WORD_COMM] = owner->comm[0];
  words[TAPIO_WORD_COMM + 1] = owner->comm[1];
  if (own) {
    __builtin_memcpy(&words[TAPIO_WORD_OWN], own->words, sizeof(own->words));
    chain.has_own = 1;
  }
  /* Most chains are short. */
  if (!next_test(&chain)) bpf_loop(TAPIO_TESTS_MAX, follow_chain, &chain, 0);
  return chain.at == TAPIO_FILTER_REJECT;
}

/* True when the owner's event of this op is not to be recorded; counts it then. `own` is null where
 * its words are not known. Not static, so that it is verified once and not for each caller. */
__noinline bool is_rejected(const struct owner *owner, __u32 op, const struct own_words *own) {
  if (!owner) return false;
  bool rejected =
      (config.excludes & TAPIO_EXCLUDES) &&
      is_excluded(owner->pid, owner->uid, owner->cgroup_id, owner->comm[0], owner->comm[1]);
  if (!rejected) {
    const struct tapio_filter *filter = current_filter();
    rejected = filter && fails_filter(filter, op, owner, own);
  }
  if (rejected) count_filtered(op);
  return rejected;
}

static __noinline bool is_rejected_task(struct task_struct *task, __u32 op) {
  struct owner owner;
  __u32 verdict = verdict_of_op(op);
  if (verdict == TAPIO_FILTER_PASS) return false;
  if (verdict == TAPIO_FILTER_REJECT) {
    count_filtered(op);
    return true;
  }
  owner_of_task(&owner, task);
  return is_rejected(&owner, op, 0);
}

/* True when the current task's events of this op are not to be recorded; counts what was rejected.
 */
static __always_inline bool rejects_current(struct task_struct *task, __u32 op) {
  if (is_self(task)) return true;
  return config.excludes && is_rejected_task(task, op);
}

static __always_inline bool rejects_owner(const struct owner *owner, __u32 op) {
  if (owner->pid == config.self) return true;
  return config.excludes && is_rejected(owner, op, 0);
}

static __always_inline void *block_at(__u32 cpu, __u64 position) {
  __u32 blocks = blocks_per_cpu;
  __u32 index = cpu * blocks + ((position / TAPIO_BLOCK_BYTES) & (blocks - 1));
  return bpf_map_lookup_elem(&rings, &index);
}

/* Fills [position, position + bytes), which lies within one block, with a pad record. */
static __noinline int write_pad(__u64 position, __u32 bytes) {
  char *block = block_at(bpf_get_smp_processor_id(), position);
  __u64 offset = position & (TAPIO_BLOCK_MASK & ~7u);
  if (!block || !bytes) return 0;
  publish(block + offset,
          (position << 16 | TAPIO_PAD_BIT | ((bytes >> 3) & TAPIO_WORDS_MASK)) ^ ring_secret);
  return 0;
}

/* A reservation that crosses a block's end becomes padding: no record crosses a block. */
static __noinline int pad_crossing(__u64 position, __u32 bytes) {
  __u32 here = TAPIO_BLOCK_BYTES - (position & TAPIO_BLOCK_MASK);
  write_pad(position, here);
  if (bytes > here) write_pad(position + here, bytes - here);
  return 0;
}

/* Nobody has read for longer than is allowed. A recorder that comes back clears muted_since and
 * then sets ops: ops must be 0 before muted_since says so, or it could stay 0 unseen. */
static __noinline int fall_silent(__u64 now) {
  config.ops = 0;
  __sync_val_compare_and_swap(&config.muted_since, 0, now);
  return 0;
}

#include "admit.bpf.h"

/*
 * Reserves `bytes` (a constant) and counts the record of `op`. Null when the op's cap leaves it
 * out, which is counted as sampled, when the CPU has no ring, or when nested writers took the space
 * three times; these are counted as refused. Fill and publish() what it returns: there is no way to
 * abandon a reservation.
 */
static __always_inline struct tapio_header *reserve(struct slot *slot, __u32 op, __u32 bytes) {
  __u32 weight = 1;
  if (config.capped & (1ull << op)) {
    weight = admit(op, slot->owner);
    if (!weight) return 0;
  }
  __u32 cpu = bpf_get_smp_processor_id();
  struct tapio_ring_control *control = this_control();
  if (!control) return 0;
#pragma unroll
  for (int attempt = 0; attempt < 3; attempt++) {
    __u64 position = __sync_fetch_and_add(&control->position, bytes);
    __u64 offset = position & (TAPIO_BLOCK_MASK & ~7u);
    barrier_var(offset);
    if (offset <= TAPIO_BLOCK_BYTES - bytes) {
      char *block = block_at(cpu, position);
      if (!block) {
        count(&control->refused[TAPIO_REFUSED_NO_RING][op]);
        return 0;
      }
      struct tapio_header *record = (struct tapio_header *)(block + offset);
      /* A commit word of an earlier lap must not be taken for ours while we fill. */
      *(volatile __u64 *)&record->commit = 0;
      barrier();
      slot->control = control;
      slot->position = position;
      record->op_sequence = __sync_fetch_and_add(&control->emitted[op], 1);
      record->op = op;
      record->flags = 0;
      record->weight = weight;
      __u64 now = bpf_ktime_get_ns();
      record->ktime = now;
      if (now > config.deadline) fall_silent(now);
      return record;
    }
    pad_crossing(position, bytes);
  }
  count(&control->refused[TAPIO_REFUSED_CONTENTION][op]);
  return 0;
}

static __always_inline void fill_task(struct tapio_header *record, struct task_struct *task) {
  __u64 *comm = (__u64 *)task->comm;
  const struct cred *cred = task->cred;
  record->pid = task->tgid;
  record->tid = task->pid;
  record->ppid = task->real_parent->tgid;
  record->uid = cred->uid.val;
  record->gid = cred->gid.val;
  record->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
  record->pstart = task->group_leader->start_boottime;
  ((__u64 *)record->comm)[0] = comm[0];
  ((__u64 *)record->comm)[1] = comm[1];
}

static __always_inline void fill_owner(struct tapio_header *record, const struct owner *owner) {
  record->pid = owner->pid;
  record->tid = owner->tid;
  record->ppid = owner->ppid;
  record->uid = owner->uid;
  record->gid = owner->gid;
  record->cgroup_id = owner->cgroup_id;
  record->pstart = owner->pstart;
  ((__u64 *)record->comm)[0] = owner->comm[0];
  ((__u64 *)record->comm)[1] = owner->comm[1];
}

/* Time from a start that was noted to the record's own ktime: one clock reading serves both. */
static __always_inline __u64 latency_since(const struct tapio_header *record, __u64 started) {
  return started ? record->ktime - started : 0;
}

/* Publishes a record of the size that was reserved. */
static __always_inline void commit(const struct slot *slot, struct tapio_header *record,
                                   __u32 bytes) {
  /* Tracepoint programs do not run preemptibly, so no writer should see its ring lapped while it
   * fills; if one does, what it wrote may lie over newer records, and that is said. */
  if (slot->control->position - slot->position > (__u64)blocks_per_cpu * TAPIO_BLOCK_BYTES / 2)
    count(&slot->control->refused[TAPIO_REFUSED_OVERRUN][record->op & (TAPIO_OPS_MAX - 1)]);
  publish(&record->commit, (slot->position << 16 | (bytes >> 3)) ^ ring_secret);
}

/*
 * Publishes a record that turned out shorter than reserved: the rest is given back, or padded where
 * a nested writer has reserved behind us meanwhile. `used` is a multiple of 8.
 */
static __always_inline void commit_used(const struct slot *slot, struct tapio_header *record,
                                        __u64 used, __u32 reserved) {
  __u64 end = slot->position + reserved;
  if (used < reserved) {
    if (__sync_val_compare_and_swap(&slot->control->position, end, slot->position + used) != end)
      write_pad(slot->position + used, reserved - used);
  } else {
    used = reserved;
  }
  commit(slot, record, used);
}

#endif
