// The live kernel as a source: the BPF programs and what attaches them.
#pragma once

#include <memory>

#include "hooks.h"
#include "raw_source.h"

namespace tapio {

struct LiveOptions {
  uint64_t ring_bytes = 0;  // per CPU: a power of two, a multiple of TAPIO_BLOCK_BYTES
  // Where rings and hooks are pinned; without a directory they end with the process.
  std::string pin_directory, recording, store;
  uint64_t orphan_timeout_ns = 0;
};

std::unique_ptr<RawSource> make_live_source(const LiveOptions& options);

// Loads and attaches each hook that the programs need, one by one, and takes them off again.
std::vector<ProbeResult> probe_live();

}  // namespace tapio
