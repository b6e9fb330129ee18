/*
 * Stands between a program and the disk: LD_PRELOAD=shim.so, SHIM_DIRECTORY=DIR, SHIM_CONTROL=FILE.
 * Each call that writes under DIR first reads FILE, which may say error N           the call fails
 * with errno N stall             the call waits until FILE says something else slow MS the call
 * takes that much longer kill N PATTERN    the Nth call from now on whose "name path" matches dies
 * halfway, and the process with it; FILE.fate tells which call it was Without FILE all goes
 * through.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char ordered[512]; /* the order that is being counted for */
static long counted;

static int read_control(char *text, size_t size) {
  const char *path = getenv("SHIM_CONTROL");
  const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  const ssize_t bytes = read(fd, text, size - 1);
  close(fd);
  text[bytes > 0 ? bytes : 0] = 0;
  return bytes > 0;
}

/* What an order makes of a call: 0 = goes on, 1 = is to die halfway, −1 = fails with errno. */
static int obey(const char *call, const char *path) {
  char text[512], said[PATH_MAX + 32];
  while (read_control(text, sizeof(text))) {
    char pattern[256];
    long number = 0;
    if (!strncmp(text, "stall", 5)) {
      usleep(5000);
      continue;
    }
    if (sscanf(text, "error %ld", &number) == 1) {
      errno = (int)number;
      return -1;
    }
    if (sscanf(text, "slow %ld", &number) == 1) usleep((useconds_t)number * 1000);
    if (sscanf(text, "kill %ld %255[^\n]", &number, pattern) == 2) {
      snprintf(said, sizeof(said), "%s %s", call, path);
      if (fnmatch(pattern, said, 0)) return 0;
      pthread_mutex_lock(&mutex);
      if (strcmp(ordered, text)) counted = 0;
      strcpy(ordered, text);
      const int hit = ++counted == number;
      pthread_mutex_unlock(&mutex);
      return hit;
    }
    return 0;
  }
  return 0;
}

static void die(const char *call, const char *path) {
  char fate[PATH_MAX], said[PATH_MAX + 32];
  snprintf(fate, sizeof(fate), "%s.fate", getenv("SHIM_CONTROL"));
  const int fd = open(fate, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int size = snprintf(said, sizeof(said), "%s %s", call, path);
  syscall(SYS_write, fd, said, size);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int is_ours(const char *path) {
  const char *directory = getenv("SHIM_DIRECTORY");
  return directory && path && !strncmp(path, directory, strlen(directory));
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size > 0 ? size : 0] = 0;
  return is_ours(path);
}

/* A write that is to die has written half of its bytes. */
#define ON_FD(call, fd, half)           \
  do {                                  \
    char path[PATH_MAX];                \
    if (!path_of(fd, path)) break;      \
    const int order = obey(call, path); \
    if (order < 0) return -1;           \
    if (order > 0) {                    \
      half;                             \
      die(call, path);                  \
    }                                   \
  } while (0)

#define ON_PATH(call, path)             \
  do {                                  \
    if (!is_ours(path)) break;          \
    const int order = obey(call, path); \
    if (order < 0) return -1;           \
    if (order > 0) die(call, path);     \
  } while (0)

ssize_t write(int fd, const void *data, size_t size) {
  ON_FD("write", fd, syscall(SYS_write, fd, data, size / 2));
  return REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  ON_FD("write", fd, syscall(SYS_write, fd, parts->iov_base, parts->iov_len / 2));
  return REAL(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  ON_FD("write", fd, syscall(SYS_pwrite64, fd, data, size / 2, at));
  return REAL(pwrite64)(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  ON_FD("write", fd, syscall(SYS_pwrite64, fd, data, size / 2, at));
  return REAL(pwrite)(fd, data, size, at);
}

int fsync(int fd) {
  ON_FD("sync", fd, );
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  ON_FD("sync", fd, );
  return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
  ON_PATH("rename", from);
  return REAL(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
  ON_PATH("mkdir", path);
  return REAL(mkdir)(path, mode);
}

int unlink(const char *path) {
  ON_PATH("remove", path);
  return REAL(unlink)(path);
}

int rmdir(const char *path) {
  ON_PATH("remove", path);
  return REAL(rmdir)(path);
}

int remove(const char *path) {
  ON_PATH("remove", path);
  return REAL(remove)(path);
}

int unlinkat(int directory, const char *name, int flags) {
  char path[PATH_MAX] = "";
  if (name[0] != '/' && directory != AT_FDCWD && path_of(directory, path)) {
    strncat(path, "/", PATH_MAX - strlen(path) - 1);
    strncat(path, name, PATH_MAX - strlen(path) - 1);
  }
  ON_PATH("remove", path[0] ? path : name);
  return REAL(unlinkat)(directory, name, flags);
}
