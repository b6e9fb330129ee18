#include "alive.h"

#include <string.h>

#include <string>
#include <unordered_set>

#include "../bpf/config.h"
#include "iterate.h"
#include "names.h"
#include "text.h"
#include "tapio.skel.h"

namespace tapio {
namespace {

template <size_t Size>
std::string name_text(const __u8 (&comm)[Size]) {
  const auto* text = reinterpret_cast<const char*>(comm);
  return reversible_utf8({text, strnlen(text, Size)});
}

}  // namespace

// A socket is written for each of its descriptors: the first is its own.
void own_open_sockets(const tapio_programs& programs, std::vector<SocketSnapshot>* open) {
  std::unordered_set<uint64_t> seen;
  for (const auto& one : iterate<tapio_open_socket>(programs.progs.socket_owners)) {
    if (!seen.insert(one.inode).second) continue;
    open->push_back({one.inode, one.pid, one.pstart, one.uid, name_text(one.comm), one.family,
                     one.state, inet_text(one.family, one.saddr), one.sport,
                     inet_text(one.family, one.daddr), one.dport});
  }
}

void snapshot_processes(const tapio_programs& programs, std::vector<ProcessSnapshot>* alive) {
  for (const auto& one : iterate<tapio_alive>(programs.progs.alive_processes)) {
    const auto* comm = reinterpret_cast<const char*>(one.comm);
    alive->push_back({one.pid, one.pstart, one.ppid, one.uid, one.cgroup_id,
                      std::string(comm, strnlen(comm, sizeof(one.comm)))});
  }
}

}  // namespace tapio
