/* Drives many events of one kind and prints how many: drive KIND COUNT [FIRST NUMBER]. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void drive_getppid(long count) {
  for (long i = 0; i < count; i++) syscall(SYS_getppid);
}

static void drive_open(long count) {
  for (long i = 0; i < count; i++) close(open("/dev/null", O_RDONLY));
}

/* Each names a file of its own, which there is not. */
static void drive_numbered(long count, long first) {
  char name[64];
  for (long i = 0; i < count; i++) {
    snprintf(name, sizeof(name), "/numbered/%ld", first + i);
    open(name, O_RDONLY);
  }
}

static void drive_exec(long count) {
  for (long i = 0; i < count; i++) {
    pid_t pid = vfork();
    if (pid == 0) {
      execl("/bin/true", "true", (char *)0);
      _exit(127);
    }
    waitpid(pid, 0, 0);
  }
}

static void drive_accept(long count) {
  int server = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(at);
  if (bind(server, (struct sockaddr *)&at, size) || listen(server, 16) ||
      getsockname(server, (struct sockaddr *)&at, &size))
    exit(1);
  /* No TIME_WAIT: ports come free at once. */
  struct linger none = {1, 0};
  for (long i = 0; i < count; i++) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    if (connect(client, (struct sockaddr *)&at, sizeof(at))) exit(2);
    int peer = accept(server, 0, 0);
    if (peer < 0) exit(3);
    close(client);
    close(peer);
  }
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) return 64;
  const long count = atol(argv[2]);
  if (!strcmp(argv[1], "getppid"))
    drive_getppid(count);
  else if (!strcmp(argv[1], "open"))
    drive_open(count);
  else if (!strcmp(argv[1], "numbered"))
    drive_numbered(count, argc == 4 ? atol(argv[3]) : 0);
  else if (!strcmp(argv[1], "exec"))
    drive_exec(count);
  else if (!strcmp(argv[1], "accept"))
    drive_accept(count);
  else
    return 64;
  printf("{\"pid\":%d,\"count\":%ld}\n", getpid(), count);
  return 0;
}
