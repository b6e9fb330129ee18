#include "raw_source.h"

#include <sys/random.h>

#include <atomic>
#include <cstdio>

namespace tapio {

std::string random_set_id() {
  uint64_t number = 0;
  // Does not fail for so few bytes once the host has booted; a clash of names would be refused.
  if (getrandom(&number, sizeof(number), 0) != sizeof(number)) number = 0;
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(number));
  return text;
}

bool ResumePoint::fits(const Rings& to) const {
  const size_t counters = to.cpus * TAPIO_OPS_MAX;
  if (positions.size() != to.cpus || ahead.size() != to.cpus || consumed.size() != counters ||
      lost.size() != counters || own.size() != counters || malformed.size() != TAPIO_OPS_MAX)
    return false;
  for (unsigned cpu = 0; cpu < to.cpus; cpu++) {
    const uint64_t head = std::atomic_ref<const __u64>(to.control[cpu].position).load();
    if (positions[cpu] % 8 != 0 || positions[cpu] > head) return false;
  }
  return true;
}

}  // namespace tapio
