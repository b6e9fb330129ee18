#include "alive.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <unordered_set>

#include "../bpf/config.h"
#include "names.h"
#include "text.h"
#include "tapio.skel.h"

namespace tapio {
namespace {

// Runs an iterator program to its end; `take` gets what it wrote.
void read_iterator(bpf_program* program, const std::function<void(const char*, size_t)>& take) {
  bpf_link* link = bpf_program__attach_iter(program, nullptr);
  if (!link) return;
  const int fd = bpf_iter_create(bpf_link__fd(link));
  if (fd >= 0) {
    char buffer[sizeof(tapio_alive) * 128];
    for (ssize_t bytes; (bytes = read(fd, buffer, sizeof(buffer))) > 0;)
      take(buffer, static_cast<size_t>(bytes));
    close(fd);
  }
  bpf_link__destroy(link);
}

template <size_t Size>
std::string name_text(const __u8 (&comm)[Size]) {
  const auto* text = reinterpret_cast<const char*>(comm);
  return reversible_utf8({text, strnlen(text, Size)});
}

}  // namespace

// A socket is written for each of its descriptors: the first is its own.
void own_open_sockets(const tapio_programs& programs, std::vector<SocketSnapshot>* open) {
  std::string all;
  read_iterator(programs.progs.socket_owners,
                [&](const char* bytes, size_t count) { all.append(bytes, count); });
  std::unordered_set<uint64_t> seen;
  for (size_t at = 0; at + sizeof(tapio_open_socket) <= all.size();
       at += sizeof(tapio_open_socket)) {
    tapio_open_socket one;
    memcpy(&one, all.data() + at, sizeof(one));
    if (!seen.insert(one.inode).second) continue;
    open->push_back({one.inode, one.pid, one.pstart, one.uid, name_text(one.comm), one.family,
                     one.state, inet_text(one.family, one.saddr), one.sport,
                     inet_text(one.family, one.daddr), one.dport});
  }
}

void snapshot_processes(const tapio_programs& programs, std::vector<ProcessSnapshot>* alive) {
  std::string all;
  read_iterator(programs.progs.alive_processes,
                [&](const char* bytes, size_t count) { all.append(bytes, count); });
  for (size_t at = 0; at + sizeof(tapio_alive) <= all.size(); at += sizeof(tapio_alive)) {
    tapio_alive one;
    memcpy(&one, all.data() + at, sizeof(one));
    const auto* comm = reinterpret_cast<const char*>(one.comm);
    alive->push_back({one.pid, one.pstart, one.ppid, one.uid, one.cgroup_id,
                      std::string(comm, strnlen(comm, sizeof(one.comm)))});
  }
}

}  // namespace tapio
