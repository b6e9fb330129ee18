/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What differs between CPU architectures: where a syscall's number and arguments lie, and how a
 * record is published.
 */
#ifndef TAPIO_ARCH_BPF_H
#define TAPIO_ARCH_BPF_H

#include "kernel.bpf.h"

#if defined(__TARGET_ARCH_x86)

struct pt_regs {
  unsigned long bx, cx, bp, di, si, dx, r10, r8, r9, orig_ax, ip;
} CORE;

/* Set in thread_info.status while a 32-bit entry is served: it has numbers of its own. */
#define TS_COMPAT 2
#define call_number(regs) ((regs)->orig_ax)
#define code_address(regs) ((regs)->ip)
#define call_is_32(task) ((task)->thread_info.status & TS_COMPAT)
#define call_arg0(regs) ((regs)->di)
#define call_arg1(regs) ((regs)->si)
#define call_arg2(regs) ((regs)->dx)
#define call_arg3(regs) ((regs)->r10)
#define call_arg4(regs) ((regs)->r8)
#define call_arg5(regs) ((regs)->r9)
#define call_arg0_32(regs) ((regs)->bx)
#define call_arg1_32(regs) ((regs)->cx)
#define call_arg2_32(regs) ((regs)->dx)
#define call_arg3_32(regs) ((regs)->si)
#define call_arg4_32(regs) ((regs)->di)
#define call_arg5_32(regs) ((regs)->bp)
/* x86 keeps stores in order; only the compiler must be held back. */
#define publish(word, value)             \
  do {                                   \
    barrier();                           \
    *(volatile __u64 *)(word) = (value); \
    barrier();                           \
  } while (0)

#elif defined(__TARGET_ARCH_arm64)

struct pt_regs {
  unsigned long regs[31];
  unsigned long pc;
  unsigned long orig_x0;
} CORE;

#define call_number(regs) ((regs)->regs[8])
#define code_address(regs) ((regs)->pc)
#define call_is_32(task) 0
/* x0 holds the result by now; the first argument is kept beside it. */
#define call_arg0(regs) ((regs)->orig_x0)
#define call_arg1(regs) ((regs)->regs[1])
#define call_arg2(regs) ((regs)->regs[2])
#define call_arg3(regs) ((regs)->regs[3])
#define call_arg4(regs) ((regs)->regs[4])
#define call_arg5(regs) ((regs)->regs[5])
#define call_arg0_32(regs) call_arg0(regs)
#define call_arg1_32(regs) call_arg1(regs)
#define call_arg2_32(regs) call_arg2(regs)
#define call_arg3_32(regs) call_arg3(regs)
#define call_arg4_32(regs) call_arg4(regs)
#define call_arg5_32(regs) call_arg5(regs)
/* A value-returning atomic is a full barrier in BPF: the record is visible before its commit word.
 */
#define publish(word, value) __sync_lock_test_and_set((__u64 *)(word), (value))

#else
#error "no register layout for this architecture"
#endif

#endif
