// What the drain needs of whatever fills the rings: the live kernel or the synthetic generator.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "format.h"
#include "names.h"

namespace tapio {

// The rings of one source, as mapped: read-only memory that others write while we read. CPU c's
// ring is data + c * ring_bytes.
struct Rings {
  unsigned cpus = 0;
  uint64_t ring_bytes = 0;  // per CPU, a power of two, a multiple of TAPIO_BLOCK_BYTES
  uint64_t secret = 0;
  const uint8_t* data = nullptr;
  const tapio_ring_control* control = nullptr;  // one per CPU
};

struct Exclusions {
  std::vector<uint32_t> pids;
  std::vector<uint32_t> uids;
  std::vector<std::string> comms;
  std::vector<uint64_t> cgroups;
};

// What can be changed while a source runs.
struct SourceConfig {
  std::vector<uint32_t> ops;
  std::vector<uint32_t> syscalls;
  bool latency = true;
  Exclusions exclude;
};

// A process that was alive when the source started.
struct ProcessSnapshot {
  uint32_t pid;
  uint64_t pstart;
  uint32_t ppid;
  uint32_t uid;
  uint64_t cgroup_id;
  std::string comm;
};

// An empty code means success. Codes are those of src/errors.ts; the message is for the user.
struct SourceError {
  std::string code;
  std::string message;
  explicit operator bool() const { return !code.empty(); }
};

// All calls come from the JS thread that owns the source; only the ring memory is shared.
class RawSource {
 public:
  virtual ~RawSource() = default;
  // Makes the rings and lets events flow. `rings()` is valid from here to destruction.
  virtual SourceError start(const SourceConfig& config, std::vector<ProcessSnapshot>* alive) = 0;
  virtual SourceError configure(const SourceConfig& config) = 0;
  // Nothing is written to the rings after this returns.
  virtual void stop() = 0;
  virtual const Rings& rings() const = 0;
  // Ops that cannot be recorded here, by op id, each with the reason in our words.
  virtual std::map<unsigned, std::string> unattached() const { return {}; }
  // What this kernel calls its reasons for dropping a packet.
  virtual DropReasons drop_reasons() const { return {}; }
};

}  // namespace tapio
