/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Strings of a record's tail, and directories walked up to the process's root. A directory goes out
 * as its components, leaf first, each with its NUL; user space turns it round. The walk is
 * lock-free: a rename under it can give a path that never was, as with every reader outside the VFS
 * locks.
 */
#ifndef TAPIO_PATH_BPF_H
#define TAPIO_PATH_BPF_H

#include "emit.bpf.h"

#define NAME_MAX_BYTES 4096u /* PATH_MAX, with the NUL */
#define DIRECTORY_MAX_BYTES 1024u
#define COMPONENT_MAX_BYTES 256u /* NAME_MAX and the NUL */
#define WALK_STEPS 48
#define STRING_HEAD 8u
/* Room that a string of up to `bytes` reserves: its head, and what rounds it up. */
#define STRING_ROOM(bytes) (STRING_HEAD + (bytes) + 8)
#define PATH_ROOM (STRING_ROOM(NAME_MAX_BYTES) + STRING_ROOM(DIRECTORY_MAX_BYTES))
#define DIRECTORY_UNKNOWN 0xffffu

#define align8(n) (((n) + 7) & ~7ull)

extern void *bpf_rdonly_cast(const void *object, __u32 btf_id__k) __ksym __weak;

/* One field through a pointer that the verifier knows nothing of. */
#define FIELD(type, pointer, member)                                                    \
  ({                                                                                    \
    __typeof__(((type *)0)->member) value_;                                             \
    const void *from_ = (pointer);                                                      \
    if (has_typed_loads)                                                                \
      value_ = ((type *)bpf_rdonly_cast(from_, bpf_core_type_id_kernel(type)))->member; \
    else                                                                                \
      value_ = BPF_CORE_READ((type *)from_, member);                                    \
    value_;                                                                             \
  })

/* Writes a string's head; the bytes follow it. */
static __always_inline void put_head(char *at, __u64 stored, __u64 full) {
  *(__u64 *)at = stored | full << 16;
}

/* An absent string: `given` of a file's own path, `directory` where none is needed. */
static __always_inline __u64 put_empty(char *record, __u64 used, __u64 full) {
  put_head(record + used, 0, full);
  return used + STRING_HEAD;
}

/* Appends a NUL-terminated user string of up to `room` bytes (a constant); a fault leaves it empty.
 */
static __always_inline __u64 put_user_string(char *record, __u64 used, const void *from, __u32 room,
                                             bool *fault) {
  long bytes = bpf_probe_read_user_str(record + used + STRING_HEAD, room, from);
  __u64 stored = 0;
  if (bytes > 0 && bytes <= room)
    stored = bytes - 1;
  else
    *fault = true;
  barrier_var(stored);
  if (stored >= room) stored = room - 1;
  put_head(record + used, stored, stored);
  return used + STRING_HEAD + align8(stored);
}

static __always_inline __u64 put_kernel_string(char *record, __u64 used, const void *from,
                                               __u32 room) {
  long bytes = bpf_probe_read_kernel_str(record + used + STRING_HEAD, room, from);
  __u64 stored = 0;
  if (bytes > 0 && bytes <= room) stored = bytes - 1;
  barrier_var(stored);
  if (stored >= room) stored = room - 1;
  put_head(record + used, stored, stored);
  return used + STRING_HEAD + align8(stored);
}

/* As rejects_current(), of an event with a name that its caller gives, of user memory or the
 * kernel's. One that is relative is not told from others here. */
static __noinline bool is_rejected_name(struct task_struct *task, __u32 op, const void *name,
                                        bool of_user) {
  if (!asks_for_own(op)) return is_rejected_task(task, op);
  struct owner owner;
  struct own_words own = {};
  owner_of_task(&owner, task);
  char *path = (char *)own.words;
  long bytes = of_user ? bpf_probe_read_user_str(path, TAPIO_PATH_BYTES, name)
                       : bpf_probe_read_kernel_str(path, TAPIO_PATH_BYTES, name);
  return is_rejected(&owner, op, bytes > 0 && path[0] == '/' ? &own : 0);
}

static __always_inline bool rejects_name(struct task_struct *task, __u32 op, const void *name,
                                         bool of_user) {
  if (is_self(task)) return true;
  return config.excludes && is_rejected_name(task, op, name, of_user);
}

#define WALK_CUT (1ull << 32)

struct walk_state {
  struct dentry *dentry;
  struct vfsmount *mount;
  struct dentry *mount_root;
  struct dentry *root;
  struct vfsmount *root_mount;
  char *out;
  __u64 used;
  __u64 cut;
};

/* One step up: out of a mount, or to the parent directory. 1 ends the walk. */
static long walk_step(__u32 step, struct walk_state *state) {
  struct dentry *dentry = state->dentry;
  if (dentry == state->root && state->mount == state->root_mount) return 1;
  if (dentry == state->mount_root) {
    struct mount *at = (void *)state->mount - bpf_core_field_offset(struct mount, mnt);
    struct mount *above = FIELD(struct mount, at, mnt_parent);
    if (above == at) return 1;
    state->dentry = FIELD(struct mount, at, mnt_mountpoint);
    state->mount = (void *)above + bpf_core_field_offset(struct mount, mnt);
    state->mount_root = FIELD(struct vfsmount, state->mount, mnt_root);
    return 0;
  }
  struct dentry *parent = FIELD(struct dentry, dentry, d_parent);
  if (parent == dentry || !parent) return 1;
  __u64 used = state->used;
  if (used > DIRECTORY_MAX_BYTES - COMPONENT_MAX_BYTES) {
    state->cut = WALK_CUT;
    return 1;
  }
  const unsigned char *name = FIELD(struct dentry, dentry, d_name.name);
  long bytes = bpf_probe_read_kernel_str(state->out + used, COMPONENT_MAX_BYTES, name);
  if (bytes <= 0 || bytes > COMPONENT_MAX_BYTES) return 1;
  state->used = used + bytes;
  state->dentry = parent;
  return 0;
}

/* Where a walk begins; as numbers, since a function of its own takes no other pointers. */
struct place {
  __u64 dentry, mount;
};

/* Room for a walked directory. */
struct directory {
  char bytes[DIRECTORY_MAX_BYTES];
};

/*
 * Writes the components of a directory, leaf first, up to the root of the current process. Returns
 * the bytes written, with WALK_CUT set where there were more. Not static, so that it is verified
 * once and not for each caller.
 */
__noinline __u64 walk(const struct place *from, struct directory *out) {
  if (!from || !out) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct fs_struct *fs = task->fs;
  struct walk_state state = {
      .dentry = (void *)from->dentry,
      .mount = (void *)from->mount,
      .mount_root = FIELD(struct vfsmount, (void *)from->mount, mnt_root),
      .root = fs->root.dentry,
      .root_mount = fs->root.mnt,
      .out = out->bytes,
  };
  long steps = bpf_loop(WALK_STEPS, walk_step, &state, 0);
  return state.used | (steps == WALK_STEPS ? WALK_CUT : state.cut);
}

/* Appends a walked directory as a string of the tail. */
static __always_inline __u64 put_directory(char *record, __u64 used, struct task_struct *task,
                                           __u64 dentry, __u64 mount) {
  struct place from = {dentry, mount};
  __u64 walked = walk(&from, (struct directory *)(record + used + STRING_HEAD));
  __u64 stored = walked & 0xffff;
  barrier_var(stored);
  if (stored > DIRECTORY_MAX_BYTES) stored = DIRECTORY_MAX_BYTES;
  put_head(record + used, stored, walked & WALK_CUT ? DIRECTORY_UNKNOWN : stored);
  return used + STRING_HEAD + align8(stored);
}

/* The open file behind a descriptor of the task, or null. */
static __always_inline struct file *file_of(struct task_struct *task, __u64 fd) {
  struct files_struct *files = task->files;
  if (!files) return 0;
  struct fdtable *table = files->fdt;
  struct file *file = 0;
  if (fd >= table->max_fds) return 0;
  bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
  return file;
}

/* Appends the directory against which a relative name is meant: dirfd, or the working directory. */
static __always_inline __u64 put_base(char *record, __u64 used, struct task_struct *task,
                                      int dirfd) {
  __u64 dentry = 0, mount = 0;
  if (dirfd == AT_FDCWD) {
    struct fs_struct *fs = task->fs;
    dentry = (__u64)fs->pwd.dentry;
    mount = (__u64)fs->pwd.mnt;
  } else {
    struct file *file = file_of(task, (__u32)dirfd);
    if (file) {
      dentry = (__u64)FIELD(struct file, file, f_path.dentry);
      mount = (__u64)FIELD(struct file, file, f_path.mnt);
    }
  }
  if (!dentry || !mount) return put_empty(record, used, DIRECTORY_UNKNOWN);
  return put_directory(record, used, task, dentry, mount);
}

/* Appends a path that a caller named: the name, and where it is relative, its directory. */
static __always_inline __u64 put_user_path(char *record, __u64 used, struct task_struct *task,
                                           const void *name, int dirfd, bool *fault) {
  __u64 start = used;
  used = put_user_string(record, used, name, NAME_MAX_BYTES, fault);
  if (*fault || record[start + STRING_HEAD] == '/')
    return put_empty(record, used, DIRECTORY_UNKNOWN);
  return put_base(record, used, task, dirfd);
}

#endif
