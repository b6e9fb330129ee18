/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The kernel's types, as far as the programs read them. CO-RE adjusts every offset at load, so only
 * names matter here; this replaces a vmlinux.h of 135,000 lines.
 */
#ifndef TAPIO_KERNEL_BPF_H
#define TAPIO_KERNEL_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "config.h"
#include "events.h"
#include "ring.h"

#define CORE __attribute__((preserve_access_index))
#define barrier() asm volatile("" ::: "memory")

typedef int pid_t;
typedef unsigned int uid_t;

struct qstr {
  const unsigned char *name;
} CORE;
struct super_block {
  __u32 s_dev;
  unsigned long s_magic;
} CORE;
struct inode {
  unsigned short i_mode;
  unsigned long i_ino;
  struct super_block *i_sb;
} CORE;
struct dentry {
  struct dentry *d_parent;
  struct qstr d_name;
  struct inode *d_inode;
} CORE;
struct vfsmount {
  struct dentry *mnt_root;
} CORE;
struct mount {
  struct mount *mnt_parent;
  struct dentry *mnt_mountpoint;
  struct vfsmount mnt;
} CORE;
struct path {
  struct vfsmount *mnt;
  struct dentry *dentry;
} CORE;
struct file {
  void *private_data;
  struct inode *f_inode;
  struct path f_path;
} CORE;
struct fdtable {
  unsigned int max_fds;
  struct file **fd;
} CORE;
struct files_struct {
  struct fdtable *fdt;
} CORE;
struct fs_struct {
  struct path root;
  struct path pwd;
} CORE;

typedef struct {
  uid_t val;
} kuid_t;
typedef struct {
  uid_t val;
} kgid_t;
struct cred {
  kuid_t uid;
  kgid_t gid;
} CORE;
struct kernfs_node {
  __u64 id;
} CORE;
struct cgroup {
  struct kernfs_node *kn;
} CORE;
struct css_set {
  struct cgroup *dfl_cgrp;
} CORE;
struct task_struct;
struct percpu_counter {
  __s64 count;
} CORE;
struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
  struct task_struct *owner;
  struct percpu_counter rss_stat[4];
} CORE;
typedef struct {
  __s64 counter;
} atomic64_t;
/* Before 6.2. */
struct mm_rss_stat {
  atomic64_t count[4];
} CORE;
struct mm_struct___atomic {
  struct mm_rss_stat rss_stat;
} CORE;
struct page;
struct kmem_cache {
  unsigned int object_size;
} CORE;
typedef struct {
  int counter;
} atomic_t;
struct signal_struct {
  atomic_t live;
  int group_exit_code;
  unsigned int flags;
  unsigned long long sum_sched_runtime;
} CORE;
struct sched_entity {
  __u64 sum_exec_runtime;
} CORE;
struct thread_info {
  __u32 status;
} CORE;
struct task_struct {
  struct thread_info thread_info;
  pid_t pid;
  pid_t tgid;
  int exit_code;
  __u64 start_boottime;
  struct task_struct *real_parent;
  struct task_struct *group_leader;
  const struct cred *cred;
  struct css_set *cgroups;
  struct fs_struct *fs;
  struct files_struct *files;
  struct mm_struct *mm;
  struct signal_struct *signal;
  struct sched_entity se;
  char comm[16];
} CORE;
struct linux_binprm {
  const char *filename;
} CORE;
struct kernel_siginfo {
  int si_code;
} CORE;

struct in6_addr {
  __u8 bytes[16];
};
struct sock_common {
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
  unsigned long skc_flags;
} CORE;
struct sock {
  struct sock_common __sk_common;
  int sk_err;
  __u16 sk_type;
  __u16 sk_protocol;
} CORE;
struct inet_sock {
  struct sock sk;
  __be16 inet_sport;
} CORE;
struct inet_connection_sock {
  struct inet_sock icsk_inet;
} CORE;
struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u64 bytes_sent;
  __u64 bytes_retrans;
  __u64 bytes_received;
  __u32 srtt_us;
  __u32 total_retrans;
} CORE;
struct socket {
  struct sock *sk;
} CORE;
struct sk_buff {
  struct sock *sk;
  unsigned int len;
  unsigned int data_len;
  __be16 protocol;
  __u16 transport_header;
  __u16 network_header;
  unsigned char *head;
  unsigned char *data;
} CORE;

/* Iterator contexts (BPF_TRACE_ITER). */
struct seq_file;
struct bpf_iter_meta {
  struct seq_file *seq;
} CORE;
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
} CORE;
struct bpf_iter__task_file {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  __u32 fd;
  struct file *file;
} CORE;

/* Constants of the uapi headers that these programs name. */
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define PIPEFS_MAGIC 0x50495045
#define ANON_INODE_FS_MAGIC 0x09041934
#define AT_FDCWD -100
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define O_CREAT_WRONLY_TRUNC 01101
#define EINTR 4
#define EAGAIN 11
#define EALREADY 114
#define EINPROGRESS 115
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516
#define SI_TIMER -2
#define SI_KERNEL 0x80
#define SEND_SIG_PRIV 1
#define SIGNAL_GROUP_EXIT 4
#define SOCK_DONE 1
#define MSG_PEEK 2
#define MSG_ERRQUEUE 0x2000
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

#endif
