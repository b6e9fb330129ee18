/* getppid in a loop for so many seconds; prints calls and ns per call. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 1;
  const double start = now();
  long calls = 0;
  do {
    for (int i = 0; i < 10000; i++) syscall(SYS_getppid);
    calls += 10000;
  } while (now() - start < seconds);
  printf("%ld %.2f\n", calls, (now() - start) * 1e9 / calls);
  return 0;
}
