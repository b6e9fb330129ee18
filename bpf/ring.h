/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * The raw ring: memory that the kernel's programs write and user space maps read-only.
 * Shared by bpf/, native/ and the tests; needs __u64 and friends from the includer.
 *
 *   rings map   ARRAY, BPF_F_MMAPABLE, one element per block:
 *               CPU c owns blocks [c * blocks_per_cpu, (c + 1) * blocks_per_cpu)
 *   control map ARRAY, BPF_F_MMAPABLE, one element (a page) per CPU: struct tapio_ring_control
 *
 * A position counts bytes since the ring was made and never wraps (64 bits). The record at position
 * p lies at p % ring size; no record crosses a block. Its first word says what lies there:
 *
 *   commit = (position << 16 | pad << 15 | words) ^ secret
 *
 * so a reader at p knows a committed record from a stale, half-written or forged one without any
 * word that the writer would have to read. `words` counts 8-byte words, header included.
 * The secret is random per ring: a user string that happens to lie where a commit word belongs
 * cannot pose as one.
 */
#ifndef TAPIO_RING_H
#define TAPIO_RING_H

/* 64 KiB: a record with a path reserves up to 5.3 KiB and gives back what it did not use, so a
 * block's last 5.3 KiB are padding when such records fill it: 8 % here, 16 % with 32 KiB blocks;
 * twice that for rename and link, which have two. */
#define TAPIO_BLOCK_BYTES 65536u
#define TAPIO_BLOCK_MASK (TAPIO_BLOCK_BYTES - 1)
#define TAPIO_PAD_BIT 0x8000ull
#define TAPIO_WORDS_MASK 0x7fffull
/* The largest record; also the most by which a writer may give reserved space back. */
#define TAPIO_RECORD_BYTES_MAX 16384u
#define TAPIO_OPS_MAX 64

/* Why the kernel side itself could not write a record that was due. */
enum tapio_refusal {
  TAPIO_REFUSED_NO_RING = 0,    /* the CPU has no ring (came online after the start) */
  TAPIO_REFUSED_CONTENTION = 1, /* nested writers took the space three times */
  TAPIO_REFUSED_TABLE_FULL = 2, /* a table of calls or sockets under way was full */
  TAPIO_REFUSED_OVERRUN = 3,    /* the writer itself was lapped: its record may be damaged */
  TAPIO_REFUSALS = 4,
};

/* Written by the kernel only. `emitted[op]` is counted as space is reserved, and its value before
 * that goes into the record as op_sequence, so a reader knows exactly how many records of each op
 * it missed on each CPU. issued = emitted + filtered + sampled + refused (but for OVERRUN, whose
 * records were emitted). `filtered` counts what selection rejected, `sampled` what a sample or a
 * limit left out of the rest, both before anything was filled. */
struct tapio_ring_control {
  __u64 position;
  __u64 reserved[7];
  __u64 emitted[TAPIO_OPS_MAX];
  __u64 filtered[TAPIO_OPS_MAX];
  __u64 refused[TAPIO_REFUSALS][TAPIO_OPS_MAX];
  __u64 sampled[TAPIO_OPS_MAX];
  __u8 fill[4096 - 64 - 8 * TAPIO_OPS_MAX * (3 + TAPIO_REFUSALS)];
};
_Static_assert(sizeof(struct tapio_ring_control) == 4096, "a page, so that it can be mapped");

#endif
