/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Caps: which events of an op become rows where it has a sample or a limit, and for how many events
 * each row stands. Included by emit.bpf.h, whose reserve() asks.
 *
 * A sample takes one event of each `every` of a CPU, at random: sums over weight are unbiased for
 * whatever part of the events they are taken of, and off by less than `every` per CPU in all.
 *
 * A limit is a number of rows in each window over all CPUs, and is shared among cgroups by max-min
 * fairness: what some do not use of their share, the others have. A cgroup may have `level` rows in
 * a window. Where some wanted more, the level of the next window is the one at which the rows of
 * the last would have come to the limit, and is right after as many windows as there are cgroups at
 * most. Meanwhile each has its equal part in any case, so that no flood takes it from the quiet:
 * the window in which somebody comes may have more rows than the limit.
 * What a cgroup wanted and did not get, its next row stands for.
 */
#ifndef TAPIO_ADMIT_BPF_H
#define TAPIO_ADMIT_BPF_H

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TAPIO_OPS_MAX);
  __type(key, __u32);
  __type(value, __u64);
} sample_counts SEC(".maps");

/* The window of an op's limit that is under way. */
struct limit_window {
  __u64 number;
  __u64 rows;          /* admitted so far */
  __u64 active;        /* cgroups seen so far */
  __u64 short_of;      /* cgroups that did not get all they wanted */
  __u64 level;         /* rows that a cgroup may have */
  __u64 active_before; /* cgroups of the window before */
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TAPIO_OPS_MAX);
  __type(key, __u32);
  __type(value, struct limit_window);
} limit_windows SEC(".maps");

struct share_key {
  __u64 cgroup_id;
  __u64 op;
};

/* A cgroup's share of an op's limit. */
struct share {
  __u64 wanted;   /* number of the window << 32 | events in it */
  __u64 short_in; /* the last window in which it did not get all */
  __u64 owed;     /* events that its next row stands for beside its own */
};

/* Cgroups come and go: those not seen for longest give way. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct share_key);
  __type(value, struct share);
} shares SEC(".maps");

/* Good mixing of all bits (Steele, Lea and Flood, 2014). */
static __always_inline __u64 mixed(__u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/* Whether this event of the op is the one that its block of `every` is represented by. */
static __always_inline bool is_drawn(__u32 op, __u32 every) {
  __u64 *counter = bpf_map_lookup_elem(&sample_counts, &op);
  if (!counter) return true;
  __u64 number = __sync_fetch_and_add(counter, 1);
  __u64 block = number / every;
  __u64 seed = ring_secret ^ ((__u64)bpf_get_smp_processor_id() << 48) ^ ((__u64)op << 40);
  __u64 drawn = ((mixed(seed + block * 0x9e3779b97f4a7c15ull) >> 32) * every) >> 32;
  return number - block * every == drawn;
}

/* Begins a window; `follows`: it is the next after the one that was under way. */
static __always_inline void begin_window(struct limit_window *window, __u64 limit, bool follows) {
  __u64 rows = __sync_lock_test_and_set(&window->rows, 0);
  __u64 active = __sync_lock_test_and_set(&window->active, 0);
  __u64 short_of = __sync_lock_test_and_set(&window->short_of, 0);
  __u64 level = limit;
  if (follows && short_of) {
    level = window->level;
    if (rows <= limit) {
      level += (limit - rows) / short_of;
    } else {
      __u64 less = (rows - limit + short_of - 1) / short_of;
      level = level > less ? level - less : 0;
    }
    if (level > limit) level = limit;
  }
  window->level = level;
  window->active_before = follows ? active : 0;
}

/* Whether the op has rows left in this window that are nobody's own. */
static __always_inline bool takes_spare(struct limit_window *window, __u64 limit) {
  if (__sync_fetch_and_add(&window->rows, 1) < limit) return true;
  __sync_fetch_and_add(&window->rows, -1);
  return false;
}

static __always_inline struct share *share_of(__u32 op, __u64 cgroup_id) {
  struct share_key key = {cgroup_id, op};
  struct share *share = bpf_map_lookup_elem(&shares, &key);
  if (share) return share;
  struct share fresh = {};
  bpf_map_update_elem(&shares, &key, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&shares, &key);
}

/* Whether the cgroup may have one more row in the window. */
static __always_inline bool has_share(struct share *share, struct limit_window *window,
                                      __u64 number, __u64 limit) {
  __u64 wanted = __sync_fetch_and_add(&share->wanted, 1);
  if (wanted >> 32 < number) {
    /* Who comes first on another CPU begins the window, and this is one more event in it. */
    if (__sync_val_compare_and_swap(&share->wanted, wanted + 1, number << 32 | 1) == wanted + 1) {
      wanted = number << 32;
      __sync_fetch_and_add(&window->active, 1);
    } else {
      wanted = __sync_fetch_and_add(&share->wanted, 1);
    }
  }
  __u64 events = wanted & 0xffffffff;
  __u64 cgroups = window->active > window->active_before ? window->active : window->active_before;
  if (cgroups && events < limit / cgroups) {
    __sync_fetch_and_add(&window->rows, 1);
    return true;
  }
  if (events < window->level && takes_spare(window, limit)) return true;
  if (share->short_in != number && __sync_lock_test_and_set(&share->short_in, number) != number)
    __sync_fetch_and_add(&window->short_of, 1);
  return false;
}

/* For how many events the row stands that this one, which stands for `weight`, may become; 0: none.
 */
static __always_inline __u64 within_limit(__u32 op, const struct owner *owner, __u64 weight) {
  __u64 limit = config.caps[op & (TAPIO_CAPS - 1)].rows;
  __u64 window_ns = config.caps[op & (TAPIO_CAPS - 1)].window_ns;
  struct limit_window *window = bpf_map_lookup_elem(&limit_windows, &op);
  if (!window || !window_ns) return weight;
  __u64 number = (bpf_ktime_get_ns() / window_ns) & 0xffffffff;
  __u64 last = window->number;
  if (number > last && __sync_val_compare_and_swap(&window->number, last, number) == last)
    begin_window(window, limit, number == last + 1);
  struct task_struct *task = bpf_get_current_task_btf();
  __u64 cgroup_id = owner ? owner->cgroup_id : task->cgroups->dfl_cgrp->kn->id;
  struct share *share = share_of(op, cgroup_id);
  /* Without room for another cgroup, there is only the limit of all. */
  if (!share) return takes_spare(window, limit) ? weight : 0;
  if (has_share(share, window, number, limit))
    return weight + __sync_lock_test_and_set(&share->owed, 0);
  __sync_fetch_and_add(&share->owed, weight);
  return 0;
}

/* For how many events the row stands that this one of a capped op may become; 0: it becomes none,
 * and is counted. Not static, so that it is verified once and not for each caller. */
__noinline int admit(__u32 op, const struct owner *owner) {
  op &= TAPIO_OPS_MAX - 1;
  __u64 weight = 1;
  __u32 every = config.caps[op].every;
  if (every > 1) weight = is_drawn(op, every) ? every : 0;
  if (weight && config.caps[op].rows) weight = within_limit(op, owner, weight);
  if (!weight) {
    struct tapio_ring_control *control = this_control();
    if (control) count(&control->sampled[op]);
  }
  return weight > 0x7fffffff ? 0x7fffffff : weight;
}

#endif
