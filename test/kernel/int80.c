/* Calls through the 32-bit entry, as 32-bit programs make them. 64-bit code can take it as well,
 * where all that it points to lies below 4 GiB. Prints what came of them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Numbers of asm/unistd_32.h. */
enum {
  WRITE_32 = 4,
  OPEN_32 = 5,
  MMAP_32 = 90,
  MUNMAP_32 = 91,
  SOCKETCALL_32 = 102,
  PREAD64_32 = 180,
  MMAP2_32 = 192,
  OPENAT_32 = 295,
  CONNECT_32 = 362
};

static long call_32(long number, long a, long b, long c, long d, long e) {
  long ret;
  __asm__ volatile("int $0x80"
                   : "=a"(ret)
                   : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                   : "r8", "r9", "r10", "r11", "memory");
  return (int)ret;
}

#define TELL(name, value) printf("\"%s\":%ld,", name, (long)(value))

int main(int argc, char **argv) {
  if (argc != 2) return 64;
  char *low = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) return 1;
  const long at = (long)low;
  char *path = low, *missing = low + 2048, *text = low + 4096;
  snprintf(path, 2048, "%s/made-by-int80", argv[1]);
  snprintf(missing, 2048, "%s/missing", argv[1]);
  strcpy(text, "thirty-two");
  printf("{");
  TELL("probe", call_32(20, 0, 0, 0, 0, 0)); /* getpid */
  const long fd = call_32(OPENAT_32, AT_FDCWD, at, O_CREAT | O_RDWR, 0640, 0);
  TELL("fd", fd);
  TELL("missing", call_32(OPEN_32, (long)missing, O_RDONLY, 0, 0, 0));
  TELL("written", call_32(WRITE_32, fd, (long)text, 10, 0, 0));
  /* The offset is in two halves. */
  TELL("beyond", call_32(PREAD64_32, fd, (long)text, 16, 4, 3));

  const int server = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in *to = (struct sockaddr_in *)(low + 6144);
  socklen_t size = sizeof(*to);
  to->sin_family = AF_INET;
  to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(server, (struct sockaddr *)to, size)) return 2;
  if (getsockname(server, (struct sockaddr *)to, &size)) return 3;
  TELL("port", ntohs(to->sin_port));
  const int early = socket(AF_INET, SOCK_STREAM, 0);
  TELL("refused", call_32(CONNECT_32, early, (long)to, size, 0, 0));
  unsigned *args = (unsigned *)(low + 7168);
  args[0] = server;
  args[1] = 4;
  TELL("listening", call_32(SOCKETCALL_32, 4, (long)args, 0, 0, 0));
  args[0] = socket(AF_INET, SOCK_STREAM, 0);
  args[1] = (long)to;
  args[2] = size;
  TELL("connected", call_32(SOCKETCALL_32, 3, (long)args, 0, 0, 0));
  args[0] = server;
  args[1] = args[2] = 0;
  TELL("accepted", call_32(SOCKETCALL_32, 5, (long)args, 0, 0, 0) >= 0);

  const unsigned block[] = {0, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0};
  memcpy(args, block, sizeof(block));
  printf("\"block\":%u,", (unsigned)call_32(MMAP_32, (long)args, 0, 0, 0, 0));
  const unsigned second =
      call_32(MMAP2_32, 0, 20480, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  printf("\"second\":%u,", second);
  TELL("unmapped", call_32(MUNMAP_32, second, 20480, 0, 0, 0));
  printf("\"pid\":%d}\n", getpid());
  return 0;
}
