// Names of system calls by number, and back.
#pragma once

#include <string_view>

#include "syscall_table.h"
#include "syscall_table_32.h"

namespace tapio {

// The call of that number, or null where this architecture has none that we know.
const SyscallEntry* syscall_by_number(unsigned number);
// Its name; "unknown" without one.
const char* syscall_name(unsigned number);
// How many arguments it takes; all six where that is not known.
unsigned syscall_arguments(unsigned number);
// The number of a call, or -1.
int syscall_number(std::string_view name);
// Its number where it comes through a 32-bit entry, or -1.
int syscall_number_32(std::string_view name);

}  // namespace tapio
