/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What was there before we came: processes, and who owns the sockets that are already open.
 */
#include "socket.bpf.h"

SEC("iter/task")
int alive_processes(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task || task->pid != task->tgid) return 0;
  struct tapio_alive alive = {
      .pid = task->tgid,
      .ppid = task->real_parent->tgid,
      .uid = task->cred->uid.val,
      .pstart = task->start_boottime,
      .cgroup_id = task->cgroups->dfl_cgrp->kn->id,
  };
  __u64 *comm = (__u64 *)task->comm;
  ((__u64 *)alive.comm)[0] = comm[0];
  ((__u64 *)alive.comm)[1] = comm[1];
  bpf_seq_write(ctx->meta->seq, &alive, sizeof(alive));
  return 0;
}

/* One record per descriptor: whoever reads them drops those of an inode that was there. */
static __noinline int write_socket(struct seq_file *seq, struct sock *sk, struct inode *inode) {
  __u64 key = (__u64)sk;
  struct owned *known = bpf_map_lookup_elem(&socket_table, &key);
  __u8 state = FIELD(struct sock, sk, __sk_common.skc_state);
  /* What is under way is a row at its outcome. */
  if (!known || state == TCP_CLOSE || state == TCP_SYN_SENT) return 0;
  struct endpoint_pair pair;
  endpoints_of(&pair, sk);
  struct tapio_open_socket open = {
      .inode = FIELD(struct inode, inode, i_ino),
      .pstart = known->owner.pstart,
      .pid = known->owner.pid,
      .uid = known->owner.uid,
      .sport = pair.sport,
      .dport = pair.dport,
      .family = pair.family,
      .state = state,
  };
  __builtin_memcpy(open.comm, &known->owner.comm, sizeof(open.comm));
  __builtin_memcpy(open.saddr, pair.saddr, sizeof(open.saddr));
  __builtin_memcpy(open.daddr, pair.daddr, sizeof(open.daddr));
  bpf_seq_write(seq, &open, sizeof(open));
  return 0;
}

SEC("iter/task_file")
int socket_owners(struct bpf_iter__task_file *ctx) {
  struct file *file = ctx->file;
  struct task_struct *task = ctx->task;
  if (!file || !task) return 0;
  unsigned short mode = file->f_inode->i_mode;
  if ((mode & S_IFMT) != S_IFSOCK) return 0;
  struct sock *sk = FIELD(struct socket, file->private_data, sk);
  if (!sk || !is_inet(FIELD(struct sock, sk, __sk_common.skc_family))) return 0;
  struct owned entry = {};
  owner_of_task(&entry.owner, task->group_leader);
  bool is_tcp = FIELD(struct sock, sk, sk_protocol) == IPPROTO_TCP;
  if (is_tcp && FIELD(struct sock, sk, __sk_common.skc_state) == TCP_SYN_SENT)
    entry.connect_state = CONNECT_PENDING;
  __u64 key = (__u64)sk;
  bpf_map_update_elem(&socket_table, &key, &entry, BPF_NOEXIST);
  if (is_tcp) write_socket(ctx->meta->seq, sk, file->f_inode);
  return 0;
}
