/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Rows of calls that change names and attributes, and that end the use of a descriptor.
 */
#include "path.bpf.h"

#define AT_REMOVEDIR 0x200

struct name_call {
  const void *name, *new_name; /* the latter of rename and link only */
  __u64 ret, started, offset;
  int dirfd, new_dirfd;
  __u32 op, mode, fd, nulls, path_null;
  bool is_symlink; /* `name` is text that is not looked up */
};

_Static_assert(sizeof(struct tapio_file_unlink) == sizeof(struct tapio_file_rmdir), "same shape");
_Static_assert(sizeof(struct tapio_file_unlink) == sizeof(struct tapio_file_rename), "same shape");
_Static_assert(sizeof(struct tapio_file_unlink) == sizeof(struct tapio_file_link), "same shape");
_Static_assert(TAPIO_NULL_FILE_UNLINK_PATH == TAPIO_NULL_FILE_RMDIR_PATH, "same shape");
_Static_assert(TAPIO_NULL_FILE_RENAME_PATH == TAPIO_NULL_FILE_LINK_PATH, "same shape");
_Static_assert(TAPIO_NULL_FILE_RENAME_NEW_PATH == TAPIO_NULL_FILE_LINK_NEW_PATH, "same shape");
_Static_assert(TAPIO_NULL_FILE_UNLINK_LATENCY_NS == TAPIO_NULL_FILE_CHMOD_LATENCY_NS, "same bit");
_Static_assert(TAPIO_NULL_FILE_UNLINK_LATENCY_NS == TAPIO_NULL_FILE_CHOWN_LATENCY_NS, "same bit");
_Static_assert(TAPIO_NULL_FILE_UNLINK_LATENCY_NS == TAPIO_NULL_FILE_MKDIR_LATENCY_NS, "same bit");
_Static_assert(TAPIO_NULL_FILE_UNLINK_LATENCY_NS == TAPIO_NULL_FILE_TRUNCATE_LATENCY_NS,
               "same bit");
_Static_assert(TAPIO_NULL_FILE_UNLINK_LATENCY_NS == TAPIO_NULL_FILE_RENAME_LATENCY_NS, "same bit");
_Static_assert(sizeof(struct tapio_file_chmod) == sizeof(struct tapio_file_truncate), "same size");
_Static_assert(sizeof(struct tapio_file_chown) == sizeof(struct tapio_file_unlink), "same size");
_Static_assert(sizeof(struct tapio_file_mkdir) == sizeof(struct tapio_file_unlink), "same size");

/* Where the tail begins. */
static __always_inline __u64 name_head(__u32 op) {
  return op == TAPIO_FILE_CHMOD || op == TAPIO_FILE_TRUNCATE ? sizeof(struct tapio_file_chmod)
                                                             : sizeof(struct tapio_file_unlink);
}

static __always_inline void fill_name(struct tapio_file_unlink *record, struct name_call *call,
                                      __u32 nulls) {
  record->ret = call->ret;
  record->latency_ns = latency_since(&record->header, call->started);
  if (!call->started) nulls |= TAPIO_NULL_FILE_UNLINK_LATENCY_NS;
  if (call->op == TAPIO_FILE_CHMOD) {
    struct tapio_file_chmod *chmod = (void *)record;
    chmod->fd = call->fd;
    chmod->mode = call->mode;
    chmod->nulls = nulls;
    __builtin_memset(chmod->reserved, 0, sizeof(chmod->reserved));
  } else if (call->op == TAPIO_FILE_TRUNCATE) {
    struct tapio_file_truncate *truncate = (void *)record;
    truncate->offset = call->offset;
    truncate->fd = call->fd;
    truncate->nulls = nulls;
  } else if (call->op == TAPIO_FILE_CHOWN) {
    struct tapio_file_chown *chown = (void *)record;
    chown->fd = call->fd;
    chown->nulls = nulls;
  } else if (call->op == TAPIO_FILE_MKDIR) {
    struct tapio_file_mkdir *mkdir = (void *)record;
    mkdir->mode = call->mode;
    mkdir->nulls = nulls;
  } else {
    record->nulls = nulls;
    __builtin_memset(record->reserved, 0, sizeof(record->reserved));
  }
}

static __noinline int emit_name(struct task_struct *task, struct name_call *call) {
  const __u32 room = sizeof(struct tapio_file_chmod) + PATH_ROOM;
  struct slot slot = {};
  struct tapio_file_unlink *record = (void *)reserve(&slot, call->op & (TAPIO_OPS_MAX - 1), room);
  if (!record) return 0;
  fill_task(&record->header, task);
  bool fault = false;
  __u64 used =
      put_user_path((char *)record, name_head(call->op), task, call->name, call->dirfd, &fault);
  fill_name(record, call, call->nulls | (fault ? call->path_null : 0));
  commit_used(&slot, &record->header, used, room);
  return 0;
}

static __noinline int emit_two_names(struct task_struct *task, struct name_call *call) {
  const __u32 room = sizeof(struct tapio_file_rename) + 2 * PATH_ROOM;
  struct slot slot = {};
  struct tapio_file_rename *record = (void *)reserve(&slot, call->op & (TAPIO_OPS_MAX - 1), room);
  if (!record) return 0;
  fill_task(&record->header, task);
  __u32 nulls = call->started ? 0 : TAPIO_NULL_FILE_RENAME_LATENCY_NS;
  bool fault = false, new_fault = false;
  __u64 used = sizeof(*record);
  if (call->is_symlink) {
    used = put_user_string((char *)record, used, call->name, NAME_MAX_BYTES, &fault);
    used = put_empty((char *)record, used, DIRECTORY_UNKNOWN);
  } else {
    used = put_user_path((char *)record, used, task, call->name, call->dirfd, &fault);
  }
  used = put_user_path((char *)record, used, task, call->new_name, call->new_dirfd, &new_fault);
  if (fault) nulls |= TAPIO_NULL_FILE_RENAME_PATH;
  if (new_fault) nulls |= TAPIO_NULL_FILE_RENAME_NEW_PATH;
  record->ret = call->ret;
  record->latency_ns = latency_since(&record->header, call->started);
  record->nulls = nulls;
  __builtin_memset(record->reserved, 0, sizeof(record->reserved));
  commit_used(&slot, &record->header, used, room);
  return 0;
}

/* Calls with one name. The -at calls have a directory in front of the rest. */
__noinline int handle_name(const struct call *call) {
  if (!call) return 0;
  __u32 kind = call->kind;
  bool at = kind == TAPIO_CALL_UNLINKAT || kind == TAPIO_CALL_MKDIRAT ||
            kind == TAPIO_CALL_FCHMODAT || kind == TAPIO_CALL_FCHOWNAT;
  __u64 second = at ? call->args[2] : call->args[1];
  struct name_call name = {
      .name = (const void *)(at ? call->args[1] : call->args[0]),
      .ret = call->ret,
      .started = call->started,
      .dirfd = at ? (int)call->args[0] : AT_FDCWD,
  };
  if (kind == TAPIO_CALL_MKDIR || kind == TAPIO_CALL_MKDIRAT) {
    name.op = TAPIO_FILE_MKDIR;
    name.path_null = TAPIO_NULL_FILE_MKDIR_PATH;
    name.mode = (__u16)second;
  } else if (kind == TAPIO_CALL_CHMOD || kind == TAPIO_CALL_FCHMODAT) {
    name.op = TAPIO_FILE_CHMOD;
    name.path_null = TAPIO_NULL_FILE_CHMOD_PATH;
    name.nulls = TAPIO_NULL_FILE_CHMOD_FD;
    name.mode = (__u16)second;
  } else if (kind == TAPIO_CALL_CHOWN || kind == TAPIO_CALL_FCHOWNAT) {
    name.op = TAPIO_FILE_CHOWN;
    name.path_null = TAPIO_NULL_FILE_CHOWN_PATH;
    name.nulls = TAPIO_NULL_FILE_CHOWN_FD;
  } else if (kind == TAPIO_CALL_TRUNCATE) {
    name.op = TAPIO_FILE_TRUNCATE;
    name.path_null = TAPIO_NULL_FILE_TRUNCATE_PATH;
    name.nulls = TAPIO_NULL_FILE_TRUNCATE_FD;
    name.offset = second;
  } else {
    bool removes = kind == TAPIO_CALL_RMDIR || (at && (second & AT_REMOVEDIR));
    name.op = removes ? TAPIO_FILE_RMDIR : TAPIO_FILE_UNLINK;
    name.path_null = TAPIO_NULL_FILE_UNLINK_PATH;
  }
  if (!op_is_on(name.op)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_name(task, name.op, name.name, true)) return 0;
  return emit_name(task, &name);
}

__noinline int handle_two_names(const struct call *call) {
  if (!call) return 0;
  __u32 kind = call->kind;
  bool at = kind == TAPIO_CALL_RENAMEAT || kind == TAPIO_CALL_LINKAT;
  struct name_call name = {
      .op = kind == TAPIO_CALL_RENAME || kind == TAPIO_CALL_RENAMEAT ? TAPIO_FILE_RENAME
                                                                     : TAPIO_FILE_LINK,
      .name = (const void *)(at ? call->args[1] : call->args[0]),
      .new_name = (const void *)(at ? call->args[3] : call->args[1]),
      .ret = call->ret,
      .started = call->started,
      .dirfd = at ? (int)call->args[0] : AT_FDCWD,
      .new_dirfd = at ? (int)call->args[2] : AT_FDCWD,
      .is_symlink = kind == TAPIO_CALL_SYMLINK || kind == TAPIO_CALL_SYMLINKAT,
  };
  if (kind == TAPIO_CALL_SYMLINKAT) {
    name.new_name = (const void *)call->args[2];
    name.new_dirfd = (int)call->args[1];
  }
  if (!op_is_on(name.op)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_name(task, name.op, name.name, true)) return 0;
  return emit_two_names(task, &name);
}

__noinline int handle_close(const struct call *call) {
  if (!call || !op_is_on(TAPIO_FILE_CLOSE)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_FILE_CLOSE)) return 0;
  const __u32 bytes = sizeof(struct tapio_file_close);
  struct slot slot = {};
  struct tapio_file_close *record = (void *)reserve(&slot, TAPIO_FILE_CLOSE, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->ret = call->ret;
  record->latency_ns = latency_since(&record->header, call->started);
  record->fd = call->args[0];
  record->nulls = call->started ? 0 : TAPIO_NULL_FILE_CLOSE_LATENCY_NS;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* The path of a descriptor's file, as read and write have it; false where there is none. */
static __always_inline struct fd_path *path_of_descriptor(struct task_struct *task, __u32 fd) {
  struct file *file = file_of(task, fd);
  if (!file) return 0;
  struct inode *inode = FIELD(struct file, file, f_inode);
  unsigned short mode = FIELD(struct inode, inode, i_mode);
  if ((mode & S_IFMT) == S_IFSOCK) return 0;
  struct fd_paths *paths = bpf_task_storage_get(&fd_cache, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!paths) return 0;
  struct fd_path *entry = &paths->slots[fd & (FD_SLOTS - 1)];
  if (entry->file != (__u64)file || entry->inode != (__u64)inode)
    fill_fd_path(task, entry, (__u64)file, (__u64)inode);
  return entry;
}

/* Appends such a path: an empty name in that directory. */
static __always_inline __u64 put_fd_path(char *record, __u64 used, struct fd_path *entry) {
  put_head(record + used, 0, entry ? 0 : DIRECTORY_UNKNOWN);
  used += STRING_HEAD;
  if (!entry) return put_empty(record, used, DIRECTORY_UNKNOWN);
  __u64 stored = entry->stored;
  barrier_var(stored);
  if (stored > FD_PATH_BYTES) stored = FD_PATH_BYTES;
  put_head(record + used, stored, entry->full);
  __builtin_memcpy(record + used + STRING_HEAD, entry->path, FD_PATH_BYTES);
  return used + STRING_HEAD + align8(stored);
}

#define FD_PATH_ROOM (2 * STRING_HEAD + FD_PATH_BYTES)

static __noinline int emit_fsync(struct task_struct *task, const struct call *call) {
  if (rejects_current(task, TAPIO_FILE_FSYNC)) return 0;
  struct fd_path *entry = path_of_descriptor(task, call->args[0]);
  const __u32 room = sizeof(struct tapio_file_fsync) + FD_PATH_ROOM;
  struct slot slot = {};
  struct tapio_file_fsync *record = (void *)reserve(&slot, TAPIO_FILE_FSYNC, room);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->inode = entry ? entry->number : 0;
  record->device = entry ? user_device(entry->device) : 0;
  record->ret = call->ret;
  record->latency_ns = latency_since(&record->header, call->started);
  record->fd = call->args[0];
  __u32 nulls = call->started ? 0 : TAPIO_NULL_FILE_FSYNC_LATENCY_NS;
  if (!entry)
    nulls |=
        TAPIO_NULL_FILE_FSYNC_INODE | TAPIO_NULL_FILE_FSYNC_DEVICE | TAPIO_NULL_FILE_FSYNC_PATH;
  record->nulls = nulls;
  __u64 used = put_fd_path((char *)record, sizeof(*record), entry);
  commit_used(&slot, &record->header, used, room);
  return 0;
}

/* Calls on a descriptor whose rows carry a path. */
__noinline int handle_descriptor(const struct call *call) {
  if (!call) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  __u32 kind = call->kind;
  if (kind == TAPIO_CALL_FSYNC) return op_is_on(TAPIO_FILE_FSYNC) ? emit_fsync(task, call) : 0;
  struct name_call name = {.ret = call->ret, .started = call->started, .fd = call->args[0]};
  if (kind == TAPIO_CALL_FCHMOD) {
    name.op = TAPIO_FILE_CHMOD;
    name.path_null = TAPIO_NULL_FILE_CHMOD_PATH;
    name.mode = (__u16)call->args[1];
  } else if (kind == TAPIO_CALL_FCHOWN) {
    name.op = TAPIO_FILE_CHOWN;
    name.path_null = TAPIO_NULL_FILE_CHOWN_PATH;
  } else {
    name.op = TAPIO_FILE_TRUNCATE;
    name.path_null = TAPIO_NULL_FILE_TRUNCATE_PATH;
    name.offset = call->args[1];
  }
  if (!op_is_on(name.op) || rejects_current(task, name.op)) return 0;
  struct fd_path *entry = path_of_descriptor(task, name.fd);
  const __u32 room = sizeof(struct tapio_file_chmod) + FD_PATH_ROOM;
  struct slot slot = {};
  struct tapio_file_unlink *record = (void *)reserve(&slot, name.op & (TAPIO_OPS_MAX - 1), room);
  if (!record) return 0;
  fill_task(&record->header, task);
  fill_name(record, &name, entry ? 0 : name.path_null);
  __u64 used = put_fd_path((char *)record, name_head(name.op), entry);
  commit_used(&slot, &record->header, used, room);
  return 0;
}
