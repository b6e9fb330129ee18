/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Names of cgroups, kept as they are made: a container may be gone before anybody could look its
 * cgroup up. User space asks by id, and on hosts of the first version's hierarchies, where all rows
 * have the id of one root, by the process that was put into it.
 */
#include "kernel.bpf.h"

struct cgroup_root {
  int hierarchy_id; /* 0: the second version's */
} CORE;
struct cgroup___rooted {
  struct kernfs_node *kn;
  struct cgroup_root *root;
} CORE;

/* LRU: nobody tells how long a name is wanted after its cgroup has gone. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TAPIO_CGROUPS_MAX);
  __type(key, __u64);
  __type(value, struct tapio_cgroup_path);
} cgroup_paths SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TAPIO_CGROUPS_MAX);
  __type(key, struct tapio_process_key);
  __type(value, struct tapio_cgroup_path);
} process_cgroups SEC(".maps");

/* A path is too large for the stack: an entry is made empty, and filled in place. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct tapio_cgroup_path);
} no_cgroup_path SEC(".maps");

static __always_inline int keep_path(void *map, const void *key, const char *path) {
  __u32 zero = 0;
  struct tapio_cgroup_path *entry = bpf_map_lookup_elem(&no_cgroup_path, &zero);
  if (!entry) return 0;
  bpf_map_update_elem(map, key, entry, BPF_ANY);
  entry = bpf_map_lookup_elem(map, key);
  if (entry) bpf_probe_read_kernel_str(entry->text, sizeof(entry->text), path);
  return 0;
}

static __always_inline bool is_unified(struct cgroup *cgroup) {
  return ((struct cgroup___rooted *)cgroup)->root->hierarchy_id == 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *cgroup, const char *path) {
  if (!config.ops || !is_unified(cgroup)) return 0;
  __u64 id = cgroup->kn->id;
  return keep_path(&cgroup_paths, &id, path);
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_entered, struct cgroup *to, const char *path, struct task_struct *task) {
  if (!config.ops || is_unified(to)) return 0;
  struct tapio_process_key key = {.pid = task->tgid, .pstart = task->group_leader->start_boottime};
  return keep_path(&process_cgroups, &key, path);
}
