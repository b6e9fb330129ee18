#include "syscalls.h"

#include <algorithm>
#include <iterator>

namespace tapio {

const SyscallEntry* syscall_by_number(unsigned number) {
  const auto* found =
      std::lower_bound(std::begin(syscall_table), std::end(syscall_table), number,
                       [](const SyscallEntry& entry, unsigned n) { return entry.number < n; });
  return found != std::end(syscall_table) && found->number == number ? found : nullptr;
}

const char* syscall_name(unsigned number) {
  const SyscallEntry* entry = syscall_by_number(number);
  return entry ? entry->name : "unknown";
}

unsigned syscall_arguments(unsigned number) {
  const SyscallEntry* entry = syscall_by_number(number);
  return entry ? entry->arguments : 6;
}

int syscall_number(std::string_view name) {
  for (const SyscallEntry& entry : syscall_table)
    if (name == entry.name) return entry.number;
  return -1;
}

}  // namespace tapio
