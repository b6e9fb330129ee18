// What the programs hang on: the tracepoints and syscalls that each op needs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel_types.h"
#include "raw_source.h"

struct bpf_program;
struct tapio_config;
struct tapio_programs;

namespace tapio {

// A hook that can be attached: its program, the tracepoint that must exist, and the ops that need
// it.
struct Hook {
  bpf_program* program;
  const char* tracepoint;
  std::vector<unsigned> ops;
  bool is_aid = false;  // its ops are recorded without it too
};

// One bit per op id.
uint64_t bits_of(const std::vector<unsigned>& ops);

// Every hook there is; without `latency` none needs the starts of calls.
std::vector<Hook> hooks_of(const tapio_programs& programs, bool latency);

// Before the load: of several programs for a tracepoint whose arguments changed over time, the one
// that fits this kernel; none where it has no such tracepoint.
void choose_variants(tapio_programs& programs, const KernelTypes& types);

// What is to be done at the exit of each syscall.
void write_calls(const SourceConfig& config, tapio_config* to);

struct ProbeResult {
  std::string name;
  bool ok;
  std::string detail;         // why not, in our words
  std::vector<unsigned> ops;  // that need it
};

// Which hooks a kernel has, by its type information alone; empty where the file holds none.
std::vector<ProbeResult> probe_types(const std::string& path);

}  // namespace tapio
