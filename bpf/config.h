/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * What user space tells the programs while they run: a mapped global that the addon writes.
 */
#ifndef TAPIO_CONFIG_H
#define TAPIO_CONFIG_H

#define TAPIO_SYSCALLS_MAX 512

/* What to do at a syscall's exit. */
enum tapio_call {
  TAPIO_CALL_NONE = 0,
  TAPIO_CALL_PLAIN, /* only syscall.call */
  TAPIO_CALL_OPEN,
  TAPIO_CALL_OPENAT,
  TAPIO_CALL_OPENAT2,
  TAPIO_CALL_CREAT,
  TAPIO_CALL_READ,
  TAPIO_CALL_PREAD, /* the offset is argument 3 */
  TAPIO_CALL_WRITE,
  TAPIO_CALL_PWRITE,
  TAPIO_CALL_CONNECT,
  TAPIO_CALL_ACCEPT,
  TAPIO_CALL_LISTEN,
  TAPIO_CALL_EXECVE,
  TAPIO_CALL_EXECVEAT,
  TAPIO_CALL_KIND = 0x3f, /* mask of the above */
  TAPIO_CALL_ROW = 0x40,  /* also a syscall.call row */
  TAPIO_CALL_TIMED = 0x80 /* the enter program notes its start */
};

/* Which selections are in use, so that an unused one costs nothing. */
enum tapio_selection {
  TAPIO_EXCLUDE_PID = 1,
  TAPIO_EXCLUDE_UID = 2,
  TAPIO_EXCLUDE_COMM = 4,
  TAPIO_EXCLUDE_CGROUP = 8,
};

struct tapio_config {
  __u64 ops;  /* bit per op id */
  __u32 self; /* thread group of the recorder: never recorded, never counted */
  __u32 excludes;
  __u8 calls[TAPIO_SYSCALLS_MAX];
};

/* A process that was alive when the source started, as the task iterator writes it. */
struct tapio_alive {
  __u32 pid;
  __u32 ppid;
  __u32 uid;
  __u32 reserved;
  __u64 pstart;
  __u64 cgroup_id;
  __u8 comm[16];
};

#endif
