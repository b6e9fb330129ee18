// What of a filter is decided before a record is made (bpf/filter.h), for the kernel and for
// sources that take its place.
#pragma once

#include <cstdint>

#include "format.h"
#include "../bpf/filter.h"

namespace tapio {

// Everything passes.
tapio_filter passing_filter();
// Whether the tests end, wherever they begin, and look at words that there are; false where they
// came from nowhere good. Notes which ops' tests look at their own words.
bool complete_filter(tapio_filter* filter, unsigned tests);
// What the kernel would say of the event that became this record.
bool rejects_record(const tapio_filter& filter, const tapio_header* header, uint32_t bytes);

}  // namespace tapio
