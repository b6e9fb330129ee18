// The live kernel as a source: the BPF programs and what attaches them.
#pragma once

#include <memory>

#include "raw_source.h"

namespace tapio {

// `ring_bytes` per CPU: a power of two, a multiple of TAPIO_BLOCK_BYTES.
std::unique_ptr<RawSource> make_live_source(uint64_t ring_bytes);

struct ProbeResult {
  std::string name;
  bool ok;
  std::string detail;  // why not, in our words
};

// Loads and attaches each hook that the programs need, one by one, and takes them off again.
std::vector<ProbeResult> probe_live();

}  // namespace tapio
