/* SPDX-License-Identifier: GPL-2.0-only
 *
 * File rows, each made at its syscall's exit.
 */
#include "path.bpf.h"

/* Descriptors whose path each task used last: read and write carry a path without walking for it.
 */
#define FD_SLOTS 8
#define FD_PATH_BYTES 320u

struct fd_path {
  __u64 file; /* the open file that this entry is of; with its inode, the key that must match */
  __u64 inode;
  __u64 number;
  __u32 device;
  __u16 stored;
  __u16 full;
  char path[FD_PATH_BYTES];
};

struct fd_paths {
  struct fd_path slots[FD_SLOTS];
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct fd_paths);
} fd_cache SEC(".maps");

/* Where a walk that is not written straight into a record goes: too large for the stack. */
struct walk_scratch {
  char path[DIRECTORY_MAX_BYTES + COMPONENT_MAX_BYTES];
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct walk_scratch);
} walk_scratches SEC(".maps");

/* st_dev as user space sees it (new_encode_dev of include/linux/kdev_t.h). */
static __always_inline __u64 user_device(__u32 dev) {
  __u32 major = dev >> 20, minor = dev & 0xfffff;
  return (minor & 0xff) | (major << 8) | ((__u64)(minor & ~0xffu) << 12);
}

struct open_call {
  const void *name;
  __u64 ret, started;
  int dirfd;
  __u32 flags, mode;
};

static __noinline int emit_open(struct task_struct *task, struct open_call *call) {
  const __u32 room = sizeof(struct tapio_file_open) + PATH_ROOM;
  struct slot slot = {};
  struct tapio_file_open *record = (void *)reserve(&slot, TAPIO_FILE_OPEN, room);
  if (!record) return 0;
  fill_task(&record->header, task);
  __u32 nulls = TAPIO_NULL_FILE_OPEN_INODE | TAPIO_NULL_FILE_OPEN_DEVICE | TAPIO_NULL_FILE_OPEN_FD;
  long ret = call->ret;
  record->ret = ret;
  record->open_flags = call->flags;
  record->mode = call->mode;
  record->latency_ns = latency_since(&record->header, call->started);
  record->inode = 0;
  record->device = 0;
  record->fd = 0;
  if (ret >= 0) {
    struct file *file = file_of(task, ret);
    record->fd = ret;
    nulls &= ~TAPIO_NULL_FILE_OPEN_FD;
    if (file) {
      struct inode *inode = FIELD(struct file, file, f_inode);
      struct super_block *super = FIELD(struct inode, inode, i_sb);
      record->inode = FIELD(struct inode, inode, i_ino);
      record->device = user_device(FIELD(struct super_block, super, s_dev));
      nulls &= ~(TAPIO_NULL_FILE_OPEN_INODE | TAPIO_NULL_FILE_OPEN_DEVICE);
    }
  }
  if (!call->started) nulls |= TAPIO_NULL_FILE_OPEN_LATENCY_NS;
  bool fault = false;
  __u64 used =
      put_user_path((char *)record, sizeof(*record), task, call->name, call->dirfd, &fault);
  if (fault) nulls |= TAPIO_NULL_FILE_OPEN_PATH;
  record->nulls = nulls;
  commit_used(&slot, &record->header, used, room);
  return 0;
}

__noinline int handle_open(const struct call *call) {
  if (!call || !op_is_on(TAPIO_FILE_OPEN)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  __u32 kind = call->kind;
  struct open_call open = {.ret = call->ret, .started = call->started, .dirfd = AT_FDCWD};
  if (kind == TAPIO_CALL_OPENAT || kind == TAPIO_CALL_OPENAT2) {
    open.dirfd = (int)call->args[0];
    open.name = (const void *)call->args[1];
    if (rejects_name(task, TAPIO_FILE_OPEN, open.name, true)) return 0;
    if (kind == TAPIO_CALL_OPENAT2) {
      struct {
        __u64 flags, mode;
      } how = {};
      bpf_probe_read_user(&how, sizeof(how), (const void *)call->args[2]);
      open.flags = how.flags;
      open.mode = how.mode;
    } else {
      open.flags = call->args[2];
      open.mode = call->args[3];
    }
  } else {
    open.name = (const void *)call->args[0];
    if (rejects_name(task, TAPIO_FILE_OPEN, open.name, true)) return 0;
    open.flags = kind == TAPIO_CALL_CREAT ? O_CREAT_WRONLY_TRUNC : call->args[1];
    open.mode = kind == TAPIO_CALL_CREAT ? call->args[1] : call->args[2];
  }
  /* The mode argument is garbage unless the call may create (O_CREAT, __O_TMPFILE). */
  if (kind != TAPIO_CALL_CREAT && !(open.flags & (00000100 | 020000000))) open.mode = 0;
  return emit_open(task, &open);
}

/* "pipe:[123]" as the kernel itself names what has no directory entry. */
static __always_inline __u64 write_pipe_name(char *out, __u64 number) {
  __builtin_memcpy(out, "pipe:[", 6);
  char digits[20];
  __u32 count = 0;
  for (int i = 0; i < 20; i++) {
    digits[19 - i] = '0' + number % 10;
    number /= 10;
    count++;
    if (!number) break;
  }
  __u32 at = 6;
  for (int i = 0; i < 20; i++) {
    if (i < 20 - count) continue;
    out[at & 31] = digits[i];
    at++;
  }
  out[at & 31] = ']';
  out[(at + 1) & 31] = 0;
  return at + 2;
}

static __noinline int fill_fd_path(struct task_struct *task, struct fd_path *entry, __u64 file_,
                                   __u64 inode_) {
  struct file *file = (void *)file_;
  struct inode *inode = (void *)inode_;
  struct super_block *super = FIELD(struct inode, inode, i_sb);
  unsigned long magic = FIELD(struct super_block, super, s_magic);
  struct dentry *dentry = FIELD(struct file, file, f_path.dentry);
  struct vfsmount *mount = FIELD(struct file, file, f_path.mnt);
  __u32 zero = 0;
  struct walk_scratch *scratch = bpf_map_lookup_elem(&walk_scratches, &zero);
  if (!scratch) return 0;
  entry->file = 0; /* not valid while it is being changed */
  entry->number = FIELD(struct inode, inode, i_ino);
  entry->device = FIELD(struct super_block, super, s_dev);
  __u64 stored, full;
  if (magic == PIPEFS_MAGIC) {
    stored = full = write_pipe_name(scratch->path, entry->number);
  } else if (magic == ANON_INODE_FS_MAGIC) {
    const unsigned char *name = FIELD(struct dentry, dentry, d_name.name);
    __builtin_memcpy(scratch->path, "anon_inode:", 11);
    long bytes = bpf_probe_read_kernel_str(scratch->path + 11, COMPONENT_MAX_BYTES, name);
    stored = full = bytes > 0 ? 11 + bytes : 11;
  } else {
    struct place from = {(__u64)dentry, (__u64)mount};
    __u64 walked = walk(&from, (struct directory *)scratch->path);
    stored = walked & 0xffff;
    full = walked & WALK_CUT ? DIRECTORY_UNKNOWN : stored;
  }
  if (stored > FD_PATH_BYTES) stored = FD_PATH_BYTES;
  entry->stored = stored;
  entry->full = full;
  bpf_probe_read_kernel(entry->path, FD_PATH_BYTES, scratch->path);
  entry->inode = inode_;
  entry->file = file_;
  return 0;
}

struct io_call {
  __u64 ret, started, offset;
  __u32 op, fd, nulls;
};

/* One copy of the record for each size of path, so that every size is a constant. */
#define EMIT_IO(room)                                                                  \
  static __noinline int emit_io_##room(struct task_struct *task, struct io_call *call, \
                                       struct fd_path *entry) {                        \
    const __u32 bytes = sizeof(struct tapio_file_read) + 2 * STRING_HEAD + (room);     \
    struct slot slot = {};                                                             \
    struct tapio_file_read *record =                                                   \
        (void *)reserve(&slot, call->op & (TAPIO_OPS_MAX - 1), bytes);                 \
    if (!record) return 0;                                                             \
    fill_task(&record->header, task);                                                  \
    record->inode = entry->number;                                                     \
    record->device = user_device(entry->device);                                       \
    record->offset = call->offset;                                                     \
    record->bytes = call->ret;                                                         \
    record->ret = call->ret;                                                           \
    record->latency_ns = latency_since(&record->header, call->started);                \
    record->fd = call->fd;                                                             \
    record->nulls = call->nulls;                                                       \
    char *tail = (char *)(record + 1);                                                 \
    put_head(tail, 0, 0);                                                              \
    put_head(tail + STRING_HEAD, entry->stored, entry->full);                          \
    __builtin_memcpy(tail + 2 * STRING_HEAD, entry->path, (room));                     \
    commit(&slot, &record->header, bytes);                                             \
    return 0;                                                                          \
  }

_Static_assert(sizeof(struct tapio_file_read) == sizeof(struct tapio_file_write), "same shape");
_Static_assert(TAPIO_NULL_FILE_READ_OFFSET == TAPIO_NULL_FILE_WRITE_OFFSET, "same shape");
_Static_assert(TAPIO_NULL_FILE_READ_BYTES == TAPIO_NULL_FILE_WRITE_BYTES, "same shape");

EMIT_IO(32)
EMIT_IO(96)
EMIT_IO(320)

/* A call on a descriptor that is not open: there is no path, inode or device to tell. */
static __noinline int emit_io_without_file(struct task_struct *task, struct io_call *call) {
  const __u32 bytes = sizeof(struct tapio_file_read) + 2 * STRING_HEAD;
  struct slot slot = {};
  struct tapio_file_read *record = (void *)reserve(&slot, call->op & (TAPIO_OPS_MAX - 1), bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->inode = 0;
  record->device = 0;
  record->offset = call->offset;
  record->bytes = 0;
  record->ret = call->ret;
  record->latency_ns = latency_since(&record->header, call->started);
  record->fd = call->fd;
  record->nulls = call->nulls | TAPIO_NULL_FILE_READ_INODE | TAPIO_NULL_FILE_READ_DEVICE |
                  TAPIO_NULL_FILE_READ_PATH;
  put_empty((char *)record, sizeof(*record), 0);
  put_empty((char *)record, sizeof(*record) + STRING_HEAD, DIRECTORY_UNKNOWN);
  commit(&slot, &record->header, bytes);
  return 0;
}

__noinline int handle_io(const struct call *call) {
  if (!call) return 0;
  __u32 kind = call->kind;
  bool writes = kind == TAPIO_CALL_WRITE || kind == TAPIO_CALL_PWRITE;
  __u32 op = writes ? TAPIO_FILE_WRITE : TAPIO_FILE_READ;
  __u32 socket_op = writes ? TAPIO_NETWORK_SEND : TAPIO_NETWORK_RECV;
  __u32 fd = call->args[0];
  if (op_is_on(socket_op) && handle_socket_io(fd, socket_op, call)) return 0;
  if (!op_is_on(op)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct io_call io = {.ret = call->ret, .started = call->started, .op = op, .fd = fd};
  if (!io.started) io.nulls |= TAPIO_NULL_FILE_READ_LATENCY_NS;
  if (call->ret < 0) io.nulls |= TAPIO_NULL_FILE_READ_BYTES;
  io.nulls |= TAPIO_NULL_FILE_READ_OFFSET;
  if (kind == TAPIO_CALL_PREAD || kind == TAPIO_CALL_PWRITE) {
    io.offset = call->args[3];
    if (call->is_32) io.offset |= call->args[4] << 32;
    /* preadv2 and pwritev2 take -1 for the file's own position. */
    if ((long)io.offset >= 0) io.nulls &= ~TAPIO_NULL_FILE_READ_OFFSET;
  }
  struct file *file = file_of(task, fd);
  if (!file) return rejects_current(task, op) ? 0 : emit_io_without_file(task, &io);
  struct inode *inode = FIELD(struct file, file, f_inode);
  struct fd_paths *paths = bpf_task_storage_get(&fd_cache, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!paths) {
    count_refused(TAPIO_REFUSED_TABLE_FULL, op);
    return 0;
  }
  struct fd_path *entry = &paths->slots[fd & (FD_SLOTS - 1)];
  if (entry->file != (__u64)file || entry->inode != (__u64)inode) {
    unsigned short mode = FIELD(struct inode, inode, i_mode);
    /* What goes through a socket belongs to network.recv and network.send. */
    if ((mode & S_IFMT) == S_IFSOCK) return 0;
    fill_fd_path(task, entry, (__u64)file, (__u64)inode);
  }
  if (rejects_current(task, op)) return 0;
  if (entry->stored <= 32) return emit_io_32(task, &io, entry);
  if (entry->stored <= 96) return emit_io_96(task, &io, entry);
  return emit_io_320(task, &io, entry);
}

/* One end of a call that moves bytes from one descriptor to another, as the read or write that it
 * is. `position` points to the offset in user memory, which the call has moved on by now. */
static __always_inline int handle_end(const struct call *call, __u32 fd, const void *position,
                                      bool writes) {
  struct call end = {.ret = call->ret, .started = call->started, .args = {fd}};
  __u64 offset = 0;
  /* The 32-bit sendfile has an offset of its own size; the others' is 64 bits for all. */
  bool is_short = call->is_32 && call->kind == TAPIO_CALL_SENDFILE;
  bool known = position && !bpf_probe_read_user(&offset, is_short ? 4 : 8, position);
  end.args[3] = call->ret > 0 ? offset - call->ret : offset;
  if (writes)
    end.kind = known ? TAPIO_CALL_PWRITE : TAPIO_CALL_WRITE;
  else
    end.kind = known ? TAPIO_CALL_PREAD : TAPIO_CALL_READ;
  return handle_io(&end);
}

/* sendfile, splice and copy_file_range: a read and a write. */
__noinline int handle_transfer(const struct call *call) {
  if (!call) return 0;
  if (call->kind == TAPIO_CALL_SENDFILE) {
    handle_end(call, call->args[1], (const void *)call->args[2], false);
    return handle_end(call, call->args[0], 0, true);
  }
  handle_end(call, call->args[0], (const void *)call->args[1], false);
  return handle_end(call, call->args[2], (const void *)call->args[3], true);
}
