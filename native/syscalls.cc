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

int syscall_number_32([[maybe_unused]] std::string_view name) {
#if defined(__x86_64__)
  for (const Syscall32Entry& entry : syscall_table_32)
    if (name == entry.name) return entry.number;
#endif
  return -1;
}

}  // namespace tapio
