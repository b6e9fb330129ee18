/*
 * Drives numbered events until SIGTERM: numbered RATE FIRST PROGRESS-FILE. Number N is the open of
 * a file /numbered/N, which there is not, and a kcmp(0, 0, 0, N, 0), which nobody else makes; RATE
 * of them come a second. The file holds at any time how many are done (8 bytes); in the end it
 * prints the same.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;
static void end(int signal) { ended = signal; }

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static void event(uint64_t number) {
  char name[64];
  snprintf(name, sizeof(name), "/numbered/%llu", (unsigned long long)number);
  open(name, O_RDONLY);
  syscall(SYS_kcmp, 0, 0, 0, number, 0);
}

int main(int argc, char **argv) {
  if (argc != 4) return 64;
  const double rate = atof(argv[1]);
  const uint64_t first = strtoull(argv[2], 0, 10);
  const int fd = open(argv[3], O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, 8)) return 1;
  volatile uint64_t *done = mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (done == MAP_FAILED) return 1;
  signal(SIGTERM, end);
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* nobody is to be left alone with it */
  const uint64_t began = now_ns();
  while (!ended) {
    const uint64_t due = (uint64_t)((double)(now_ns() - began) * rate / 1e9);
    for (; *done < due && !ended; ++*done) event(first + *done);
    usleep(2000);
  }
  printf("{\"pid\":%d,\"count\":%llu}\n", getpid(), (unsigned long long)*done);
  return 0;
}
