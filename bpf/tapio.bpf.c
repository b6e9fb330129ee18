/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The object: one file per event type, sharing the ring and the tables. syscall.bpf.c comes last,
 * as it hands calls to the others.
 */
#include "kernel.bpf.h"

#include "process.bpf.c"

#include "file.bpf.c"

#include "names.bpf.c"

#include "network.bpf.c"

#include "memory.bpf.c"

#include "snapshot.bpf.c"

#include "syscall.bpf.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
