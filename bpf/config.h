/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * What user space tells the programs while they run, and what it leaves for the process that comes
 * after it: mapped memory that the addon writes.
 */
#ifndef TAPIO_CONFIG_H
#define TAPIO_CONFIG_H

#define TAPIO_SYSCALLS_MAX 512
#define TAPIO_SNAPLEN_MAX 1024u

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
  TAPIO_CALL_SENDTO,
  TAPIO_CALL_SENDMSG,
  TAPIO_CALL_SENDMMSG,
  TAPIO_CALL_RECVFROM,
  TAPIO_CALL_RECVMSG,
  TAPIO_CALL_RECVMMSG,
  TAPIO_CALL_SENDFILE, /* to argument 0, from argument 1 */
  TAPIO_CALL_SPLICE,   /* from argument 0, to argument 2; copy_file_range too */
  TAPIO_CALL_MMAP,
  TAPIO_CALL_MMAP_BLOCK, /* the arguments are in memory: i386's first mmap */
  TAPIO_CALL_MUNMAP,
  TAPIO_CALL_MPROTECT,
  TAPIO_CALL_BRK,
  TAPIO_CALL_SOCKETCALL, /* many in one: which it is, and its arguments, are in memory */
  TAPIO_CALL_UNLINK,
  TAPIO_CALL_UNLINKAT,
  TAPIO_CALL_RENAME,
  TAPIO_CALL_RENAMEAT,
  TAPIO_CALL_LINK,
  TAPIO_CALL_LINKAT,
  TAPIO_CALL_SYMLINK,
  TAPIO_CALL_SYMLINKAT,
  TAPIO_CALL_MKDIR,
  TAPIO_CALL_MKDIRAT,
  TAPIO_CALL_RMDIR,
  TAPIO_CALL_CHMOD,
  TAPIO_CALL_FCHMOD,
  TAPIO_CALL_FCHMODAT,
  TAPIO_CALL_CHOWN,
  TAPIO_CALL_FCHOWN,
  TAPIO_CALL_FCHOWNAT,
  TAPIO_CALL_TRUNCATE,
  TAPIO_CALL_FTRUNCATE,
  TAPIO_CALL_FSYNC,
  TAPIO_CALL_CLOSE,
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
  TAPIO_EXCLUDES = 15, /* mask of the above */
  /* Which of the two filters holds; a change writes the other one first. */
  TAPIO_FILTER_FIRST = 16,
  TAPIO_FILTER_SECOND = 32,
};

/* How many of an op's events become rows: one of each `every` at random, and of these at most
 * `rows` in each window. 0: no such bound. */
struct tapio_cap {
  __u64 window_ns;
  __u32 every;
  __u32 rows;
};
#define TAPIO_CAPS 64 /* by op id */

/* Append only: a newer process takes over from programs that were loaded with this. */
struct tapio_config {
  __u64 ops;  /* bit per op id; 0: every program returns at once */
  __u32 self; /* thread group of the recorder: never recorded, never counted */
  __u32 excludes;
  __u64 deadline;    /* ktime by which the recorder says that it is there, again and again */
  __u64 muted_since; /* ktime at which a program found the deadline past and set ops to 0 */
  __u8 calls[TAPIO_SYSCALLS_MAX];
  __u8 calls_32[TAPIO_SYSCALLS_MAX]; /* by the numbers of the 32-bit entries */
  __u32 snaplen;                     /* bytes of a packet that are kept, up to TAPIO_SNAPLEN_MAX */
  __u32 reserved;
  __u64 capped; /* bit per op id that has a cap */
  struct tapio_cap caps[TAPIO_CAPS];
};

#define TAPIO_SESSION_VERSION 1
#define TAPIO_LAYOUTS_BYTES 32768

/* Who made a set of rings and for what, for whoever finds it pinned. Append only; a reader that
 * does not know the version leaves the rings alone. */
struct tapio_session {
  __u32 version;
  __u32 cpus;
  __u64 ring_bytes; /* per CPU */
  __u64 secret;
  __u64 made_at;      /* ktime */
  __u64 program_hash; /* FNV-1a of the object that was loaded */
  /* Sizes of what the rings consist of: all must be as the reader knows them, but for the config,
   * which grows. */
  __u32 block_bytes;
  __u32 header_bytes;
  __u32 control_bytes;
  __u32 config_bytes;
  __u8 fingerprint[32]; /* of the event table, as text */
  __u8 recording[64];
  __u8 store[256];  /* path, for people */
  __u32 holder_pid; /* who reads the rings; 0: nobody */
  __u32 reserved;
  __u64 holder_start;                /* clock ticks since boot, as /proc/PID/stat has it */
  __u8 layouts[TAPIO_LAYOUTS_BYTES]; /* how records are laid out: schemas/generated/layouts.h */
};

/* Names of cgroups that are kept, of each kind. */
#define TAPIO_CGROUPS_MAX 4096
/* A path below its hierarchy's root, ended by a NUL; cut where it is longer. */
struct tapio_cgroup_path {
  char text[512];
};
struct tapio_process_key {
  __u32 pid;
  __u32 reserved;
  __u64 pstart;
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

/* A call in flight that is this old is told as a row when recording ends. */
#define TAPIO_PENDING_NS 1000000000ull

/* A call that has not returned, as the task iterator writes it. */
struct tapio_under_way {
  __u32 pid;
  __u32 tid;
  __u32 uid;
  __u32 number; /* of the call in its own table */
  __u64 pstart;
  __u64 started; /* ktime */
  __u64 args[6];
  __u8 comm[16];
  __u32 is_32;
  __u32 reserved;
};

/* A TCP socket that a process held when the source started, as the file iterator writes it: once
 * per descriptor. */
struct tapio_open_socket {
  __u64 inode;
  __u64 pstart;
  __u32 pid;
  __u32 uid;
  __u8 comm[16];
  __u8 saddr[16];
  __u8 daddr[16];
  __u16 sport;
  __u16 dport;
  __u8 family;
  __u8 state;
  __u16 reserved;
};

#endif
