/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Memory rows. The OOM killer runs in the process that asked for memory: the row is that one's.
 */
#include "emit.bpf.h"

static __always_inline int emit_oom(__u32 victim) {
  if (!op_is_on(TAPIO_MEMORY_OOM)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_OOM)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_oom);
  struct slot slot = {};
  struct tapio_memory_oom *record = (void *)reserve(&slot, TAPIO_MEMORY_OOM, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->target_pid = victim;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* Since commit 72ba14deb40a ("mm: update mark_victim tracepoints fields", 6.8) the task is given.
 */
SEC("tp_btf/mark_victim")
int BPF_PROG(oom_victim_task, struct task_struct *victim) { return emit_oom(victim->tgid); }

SEC("tp_btf/mark_victim")
int BPF_PROG(oom_victim_pid, int victim) { return emit_oom(victim); }

/* The arguments of i386's first mmap, which has room for one only. */
struct mmap_block {
  __u32 address, length, prot, map_flags;
};

__noinline int handle_mmap(const struct call *call) {
  if (!call || !op_is_on(TAPIO_MEMORY_MMAP)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_MMAP)) return 0;
  __u64 address = call->args[0], length = call->args[1];
  __u32 prot = call->args[2], map_flags = call->args[3], nulls = 0;
  if (call->kind == TAPIO_CALL_MMAP_BLOCK) {
    struct mmap_block block = {};
    if (bpf_probe_read_user(&block, sizeof(block), (void *)call->args[0]))
      nulls = TAPIO_NULL_MEMORY_MMAP_ADDRESS | TAPIO_NULL_MEMORY_MMAP_LENGTH |
              TAPIO_NULL_MEMORY_MMAP_PROT | TAPIO_NULL_MEMORY_MMAP_MAP_FLAGS;
    address = block.address;
    length = block.length;
    prot = block.prot;
    map_flags = block.map_flags;
  }
  /* The kernel's choice, but where there is none. */
  if ((__u64)call->ret < (__u64)-4095) {
    address = call->ret;
    nulls &= ~TAPIO_NULL_MEMORY_MMAP_ADDRESS;
  }
  const __u32 bytes = sizeof(struct tapio_memory_mmap);
  struct slot slot = {};
  struct tapio_memory_mmap *record = (void *)reserve(&slot, TAPIO_MEMORY_MMAP, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = address;
  record->length = length;
  record->ret = call->ret;
  record->prot = prot;
  record->map_flags = map_flags;
  record->nulls = nulls;
  commit(&slot, &record->header, bytes);
  return 0;
}

__noinline int handle_munmap(const struct call *call) {
  if (!call || !op_is_on(TAPIO_MEMORY_MUNMAP)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_MUNMAP)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_munmap);
  struct slot slot = {};
  struct tapio_memory_munmap *record = (void *)reserve(&slot, TAPIO_MEMORY_MUNMAP, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = call->args[0];
  record->length = call->args[1];
  record->ret = call->ret;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

__noinline int handle_mprotect(const struct call *call) {
  if (!call || !op_is_on(TAPIO_MEMORY_MPROTECT)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_MPROTECT)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_mprotect);
  struct slot slot = {};
  struct tapio_memory_mprotect *record = (void *)reserve(&slot, TAPIO_MEMORY_MPROTECT, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = call->args[0];
  record->length = call->args[1];
  record->ret = call->ret;
  record->prot = call->args[2];
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

__noinline int handle_brk(const struct call *call) {
  if (!call || !op_is_on(TAPIO_MEMORY_BRK)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_BRK)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_brk);
  struct slot slot = {};
  struct tapio_memory_brk *record = (void *)reserve(&slot, TAPIO_MEMORY_BRK, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = call->args[0];
  record->ret = call->ret;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* Bits of x86's page fault error code. */
#define FAULT_WRITE 2
#define FAULT_FETCH 16

SEC("tp_btf/page_fault_user")
int BPF_PROG(page_fault, unsigned long address, struct pt_regs *regs, unsigned long error_code) {
  if (!op_is_on(TAPIO_MEMORY_FAULT)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_FAULT)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_fault);
  struct slot slot = {};
  struct tapio_memory_fault *record = (void *)reserve(&slot, TAPIO_MEMORY_FAULT, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = address;
  record->call_site = code_address(regs);
  record->prot = error_code & FAULT_WRITE   ? PROT_WRITE
                 : error_code & FAULT_FETCH ? PROT_EXEC
                                            : PROT_READ;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

/*
 * Allocations. Interrupts allocate as well, and the row is of the task that they interrupted. What
 * runs from here on must not allocate: it would be told of itself, without end.
 */
static __always_inline int emit_alloc(__u64 address, __u64 length, __u64 call_site, __u32 order,
                                      __u32 gfp, __u32 nulls) {
  if (!op_is_on(TAPIO_MEMORY_ALLOC)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_ALLOC)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_alloc);
  struct slot slot = {};
  struct tapio_memory_alloc *record = (void *)reserve(&slot, TAPIO_MEMORY_ALLOC, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = address;
  record->length = length;
  record->call_site = call_site;
  record->order = order;
  record->gfp = gfp;
  record->nulls = nulls | (address ? 0 : TAPIO_NULL_MEMORY_ALLOC_ADDRESS);
  commit(&slot, &record->header, bytes);
  return 0;
}

static __always_inline int emit_object(__u64 call_site, const void *object, __u64 length,
                                       __u32 gfp) {
  return emit_alloc((__u64)object, length, call_site, 0, gfp, TAPIO_NULL_MEMORY_ALLOC_ORDER);
}

SEC("tp_btf/kmalloc")
int BPF_PROG(kmalloc_size, unsigned long call_site, const void *object, unsigned long asked,
             unsigned long given, unsigned int gfp) {
  return emit_object(call_site, object, asked, gfp);
}

/* 6.0 alone, commit b347aa7b5747 ("mm/tracing: add 'accounted' entry into output of allocation
 * tracepoints"). */
SEC("tp_btf/kmalloc")
int BPF_PROG(kmalloc_cache_size, unsigned long call_site, const void *object,
             struct kmem_cache *cache, unsigned long asked, unsigned long given, unsigned int gfp) {
  return emit_object(call_site, object, asked, gfp);
}

SEC("tp_btf/kmem_cache_alloc")
int BPF_PROG(cache_alloc_size, unsigned long call_site, const void *object, unsigned long asked,
             unsigned long given, unsigned int gfp) {
  return emit_object(call_site, object, asked, gfp);
}

SEC("tp_btf/kmem_cache_alloc")
int BPF_PROG(cache_alloc_cache_size, unsigned long call_site, const void *object,
             struct kmem_cache *cache, unsigned long asked, unsigned long given, unsigned int gfp) {
  return emit_object(call_site, object, asked, gfp);
}

/* Since commit 2c1d697fb8ba ("mm/slab_common: drop kmem_alloc & avoid dereferencing fields when not
 * using", 6.1). */
SEC("tp_btf/kmem_cache_alloc")
int BPF_PROG(cache_alloc_cache, unsigned long call_site, const void *object,
             struct kmem_cache *cache, unsigned int gfp) {
  return emit_object(call_site, object, cache->object_size, gfp);
}

SEC("tp_btf/mm_page_alloc")
int BPF_PROG(page_alloc, struct page *page, unsigned int order, unsigned int gfp) {
  return emit_alloc((__u64)page, 1ull << (page_shift + order), 0, order, gfp,
                    TAPIO_NULL_MEMORY_ALLOC_CALL_SITE);
}

static __always_inline int emit_free(__u64 address, __u64 call_site, __u32 order, __u32 nulls) {
  if (!op_is_on(TAPIO_MEMORY_FREE)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_FREE)) return 0;
  const __u32 bytes = sizeof(struct tapio_memory_free);
  struct slot slot = {};
  struct tapio_memory_free *record = (void *)reserve(&slot, TAPIO_MEMORY_FREE, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->address = address;
  record->call_site = call_site;
  record->order = order;
  record->nulls = nulls;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* What kmalloc(0) gives; freeing it, or null, frees nothing. */
#define ZERO_SIZE_PTR 16

SEC("tp_btf/kfree")
int BPF_PROG(kfreed, unsigned long call_site, const void *object) {
  if ((__u64)object <= ZERO_SIZE_PTR) return 0;
  return emit_free((__u64)object, call_site, 0, TAPIO_NULL_MEMORY_FREE_ORDER);
}

SEC("tp_btf/kmem_cache_free")
int BPF_PROG(cache_freed, unsigned long call_site, const void *object) {
  return emit_free((__u64)object, call_site, 0, TAPIO_NULL_MEMORY_FREE_ORDER);
}

SEC("tp_btf/mm_page_free")
int BPF_PROG(page_freed, struct page *page, unsigned int order) {
  return emit_free((__u64)page, 0, order, TAPIO_NULL_MEMORY_FREE_CALL_SITE);
}

/* Counters of an address space, in pages: what is swapped out is not resident. */
enum { PAGES_OF_FILES, PAGES_ANONYMOUS, PAGES_SWAPPED, PAGES_SHARED };

/* A counter that CPUs share in parts can be short of nothing and seem negative. */
static __always_inline __u64 pages_sum(__s64 files, __s64 anonymous, __s64 shared) {
  return (files > 0 ? files : 0) + (anonymous > 0 ? anonymous : 0) + (shared > 0 ? shared : 0);
}

static __always_inline int emit_rss(struct mm_struct *mm, __u64 pages) {
  struct task_struct *task = bpf_get_current_task_btf();
  if (rejects_current(task, TAPIO_MEMORY_RSS)) return 0;
  /* Fork and exec fill an address space that is nobody's yet, exit empties one that is no more. */
  struct task_struct *owner = task;
  if (task->mm != mm) {
    owner = bpf_core_field_exists(mm->owner) ? mm->owner : 0;
    if (owner && owner->mm != mm) owner = 0;
  }
  __u32 target = owner ? owner->tgid : 0;
  const __u32 bytes = sizeof(struct tapio_memory_rss);
  struct slot slot = {};
  struct tapio_memory_rss *record = (void *)reserve(&slot, TAPIO_MEMORY_RSS, bytes);
  if (!record) return 0;
  fill_task(&record->header, task);
  record->length = pages << page_shift;
  record->target_pid = target;
  record->nulls = owner ? 0 : TAPIO_NULL_MEMORY_RSS_TARGET_PID;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* Since commit f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter", 6.2). */
SEC("tp_btf/rss_stat")
int BPF_PROG(rss_changed, struct mm_struct *mm, int counter) {
  if (!op_is_on(TAPIO_MEMORY_RSS) || counter == PAGES_SWAPPED) return 0;
  return emit_rss(mm,
                  pages_sum(mm->rss_stat[PAGES_OF_FILES].count, mm->rss_stat[PAGES_ANONYMOUS].count,
                            mm->rss_stat[PAGES_SHARED].count));
}

SEC("tp_btf/rss_stat")
int BPF_PROG(rss_changed_count, struct mm_struct *mm, int counter) {
  if (!op_is_on(TAPIO_MEMORY_RSS) || counter == PAGES_SWAPPED) return 0;
  const atomic64_t *counts = ((struct mm_struct___atomic *)mm)->rss_stat.count;
  return emit_rss(mm, pages_sum(counts[PAGES_OF_FILES].counter, counts[PAGES_ANONYMOUS].counter,
                                counts[PAGES_SHARED].counter));
}
