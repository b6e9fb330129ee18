/* Does each thing to its own memory once and prints what it was. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void print_number(const char *name, unsigned long value) {
  printf("\"%s\":\"%lu\",", name, value);
}

static void *mapped(size_t length, int prot, int flags) {
  void *at = mmap(0, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (at == MAP_FAILED) exit(1);
  return at;
}

static void drive_calls(void) {
  char *at = mapped(3 * 4096, PROT_READ | PROT_WRITE, 0);
  print_number("mapped", (unsigned long)at);
  if (mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) exit(2);
  if (mprotect(at, 4096, PROT_READ)) exit(3);
  if (syscall(SYS_pkey_mprotect, at + 4096, 4096, PROT_NONE, -1)) exit(4);
  if (!mprotect(at + 1, 4096, PROT_READ)) exit(5);
  if (munmap(at, 3 * 4096)) exit(6);
  if (!munmap(at + 1, 4096)) exit(7);
  unsigned long end = syscall(SYS_brk, 0);
  print_number("brk", end);
  print_number("moved", syscall(SYS_brk, end + 65536));
}

static void drive_fault(void) {
  volatile char *at = mapped(2 * 4096, PROT_READ | PROT_WRITE, 0);
  at[5] = 1;
  print_number("written", (unsigned long)&at[5]);
  char seen = at[4096 + 7];
  print_number("read", (unsigned long)&at[4096 + 7] + seen);
}

#define RSS_BYTES (64ul << 20)
static void drive_rss(void) {
  char *at = mapped(RSS_BYTES, PROT_READ | PROT_WRITE, 0);
  madvise(at, RSS_BYTES, MADV_NOHUGEPAGE);
  memset(at, 1, RSS_BYTES);
  print_number("filled", RSS_BYTES);
}

/* Each pipe takes kernel objects and pages and gives them back. */
static void drive_alloc(void) {
  for (int i = 0; i < 200; i++) {
    int ends[2];
    if (pipe(ends) || write(ends[1], "x", 1) != 1) exit(8);
    close(ends[0]);
    close(ends[1]);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 64;
  printf("{");
  if (!strcmp(argv[1], "calls"))
    drive_calls();
  else if (!strcmp(argv[1], "fault"))
    drive_fault();
  else if (!strcmp(argv[1], "rss"))
    drive_rss();
  else if (!strcmp(argv[1], "alloc"))
    drive_alloc();
  else
    return 64;
  printf("\"pid\":%d}\n", getpid());
  return 0;
}
