/*
 * A disk that stops between two reads: LD_PRELOAD=held-reads.so, HELD_DIRECTORY=DIR, HELD_AFTER=N,
 * HELD_GATE=FILE. Threads other than the main one read N times under DIR; then FILE.reached is
 * made, and reads wait until FILE is there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long reads;

static int is_below(int fd, const char *directory) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t bytes = readlink(link, path, sizeof(path) - 1);
  if (bytes < 0) return 0;
  path[bytes] = 0;
  return !strncmp(path, directory, strlen(directory));
}

static void hold(int fd) {
  const char *directory = getenv("HELD_DIRECTORY"), *after = getenv("HELD_AFTER"),
             *gate = getenv("HELD_GATE");
  if (!directory || !after || !gate || gettid() == getpid() || !is_below(fd, directory)) return;
  if (__atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED) <= atol(after)) return;
  char reached[PATH_MAX];
  snprintf(reached, sizeof(reached), "%s.reached", gate);
  const int made = open(reached, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (made >= 0) close(made);
  /* Where all of it was removed, nobody is there any more who would let it go on. */
  while (access(gate, F_OK) != 0 && access(reached, F_OK) == 0) usleep(1000);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t at) {
  hold(fd);
  return REAL(pread)(fd, bytes, count, at);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) {
  hold(fd);
  return REAL(pread64)(fd, bytes, count, at);
}
