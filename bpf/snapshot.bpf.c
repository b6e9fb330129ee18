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
  __u64 key = (__u64)sk;
  bpf_map_update_elem(&socket_table, &key, &entry, BPF_NOEXIST);
  return 0;
}
