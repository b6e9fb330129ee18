/*
 * Processes that end at once, with pids that come again: reuse COUNT FIRST-PID SPAN. Each SPAN
 * processes the kernel is told to go on behind FIRST-PID. Every tenth executes /bin/true. Prints
 * how many pids there were.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char seen[1 << 22];

int main(int argc, char **argv) {
  if (argc != 4) return 64;
  const long count = atol(argv[1]), span = atol(argv[3]);
  const int last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
  long pids = 0;
  if (last < 0) return 1;
  for (long i = 0; i < count; i++) {
    if (i % span == 0 && pwrite(last, argv[2], strlen(argv[2]), 0) < 0) return 1;
    const pid_t pid = vfork();
    if (pid < 0) return 1;
    if (pid == 0) {
      if (i % 10 == 0) execl("/bin/true", "true", (char *)0);
      _exit(0);
    }
    waitpid(pid, 0, 0);
    if (!seen[pid & 0x3fffff]++) pids++;
  }
  printf("%ld\n", pids);
  return 0;
}
