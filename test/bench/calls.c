/* What recording costs a program: ns per iteration of one workload. calls KIND ITERATIONS */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  const long count = atol(argv[2]);
  const char *kind = argv[1];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(at);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  struct linger none = {1, 0};
  if (bind(server, (struct sockaddr *)&at, size) || listen(server, 16) ||
      getsockname(server, (struct sockaddr *)&at, &size))
    return 1;
  const double start = now();
  for (long i = 0; i < count; i++) {
    if (!strcmp(kind, "getppid")) {
      syscall(SYS_getppid);
    } else if (!strcmp(kind, "open")) {
      close(open("/dev/null", O_RDONLY));
    } else if (!strcmp(kind, "exec")) {
      pid_t pid = vfork();
      if (pid == 0) {
        execl("/bin/true", "true", (char *)0);
        _exit(127);
      }
      waitpid(pid, 0, 0);
    } else if (!strcmp(kind, "tcp")) {
      int client = socket(AF_INET, SOCK_STREAM, 0);
      setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
      if (connect(client, (struct sockaddr *)&at, sizeof(at))) return 2;
      int peer = accept(server, 0, 0);
      close(client);
      close(peer);
    } else {
      return 64;
    }
  }
  printf("%.2f\n", (now() - start) / count);
  return 0;
}
