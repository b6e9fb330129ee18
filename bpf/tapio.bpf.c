/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The object: one file per event type or group of ops, sharing the ring and the tables.
 * syscall.bpf.c comes last, as it hands calls to the others.
 */
#include "kernel.bpf.h"

#include "process.bpf.c"

#include "cgroup.bpf.c"

#include "transfer.bpf.c"

#include "file.bpf.c"

#include "names.bpf.c"

#include "network.bpf.c"

#include "packet.bpf.c"

#include "memory.bpf.c"

#include "snapshot.bpf.c"

#include "inflight.bpf.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
