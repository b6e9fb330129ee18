/*
 * A host at work: mixed RATE SECONDS. RATE events a second: of a hundred, 99 are opens of a file;
 * the others are of processes that run a program, and of connects that are refused. Prints how many
 * it made of each.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run_program(void) {
  const pid_t pid = vfork();
  if (pid == 0) {
    execl("/bin/true", "true", (char *)0);
    _exit(127);
  }
  waitpid(pid, 0, 0);
}

static void connect_in_vain(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(fd, (struct sockaddr *)&to, sizeof(to));
  close(fd);
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  const double rate = atof(argv[1]), seconds = atof(argv[2]), began = now();
  long opens = 0, programs = 0, connects = 0;
  for (double at = 0; at < seconds; at = now() - began) {
    const double due = at * rate;
    for (; opens < due * 0.99; opens++) close(open("/dev/null", O_RDONLY));
    /* A program makes four events, a connect two. */
    for (; programs < due * 0.002; programs++) run_program();
    for (; connects < due * 0.001; connects++) connect_in_vain();
    usleep(1000);
  }
  printf("{\"opens\":%ld,\"programs\":%ld,\"connects\":%ld}\n", opens, programs, connects);
  return 0;
}
