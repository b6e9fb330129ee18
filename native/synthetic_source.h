// A source without a kernel: deterministic, realistic records at a given rate, through the same
// rings.
#pragma once

#include <memory>

#include "raw_source.h"

namespace tapio {

struct SyntheticOptions {
  uint64_t ring_bytes = 0;
  unsigned cpus = 2;
  double rate = 0;  // events/s over all CPUs; 0 = as fast as it goes
  uint64_t seed = 1;
  uint64_t events = 0;  // stop after so many over all CPUs; 0 = never
};

// The same seed and number of events give the same records, but for their ktime.
std::unique_ptr<RawSource> make_synthetic_source(const SyntheticOptions& options);

}  // namespace tapio
