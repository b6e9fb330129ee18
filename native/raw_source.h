// What the drain needs of whatever fills the rings: the live kernel or the synthetic generator.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "format.h"
#include "names.h"
#include "row_filter.h"
#include "secrets.h"
#include "transcode.h"

namespace tapio {

// The rings of one set, as mapped: read-only memory that others write while we read. CPU c's ring
// is data + c * ring_bytes.
struct Rings {
  unsigned cpus = 0;
  uint64_t ring_bytes = 0;  // per CPU, a power of two, a multiple of TAPIO_BLOCK_BYTES
  uint64_t secret = 0;
  const uint8_t* data = nullptr;
  const tapio_ring_control* control = nullptr;  // one per CPU
};

// Rings that are drained as one: those of one load of the programs. A source that goes on where an
// earlier one ended may have several, oldest first; only the last is still written.
struct RingSet {
  std::string id;
  Rings rings;
  std::shared_ptr<const Transcoder> transcoder = nullptr;  // where another table laid them out
};
// 16 random hex digits: a name, not the secret of the rings.
std::string random_set_id();

// A range of ktime; 0, 0 where there is none.
struct Interval {
  uint64_t first = 0;
  uint64_t last = 0;
};

// Where a recording stood at a cut: src/source/binding.ts says what is what. Counters are since the
// rings were made; empty vectors mean their beginning.
struct ResumePoint {
  std::string rings;
  std::vector<uint64_t> positions;
  std::vector<std::vector<uint64_t>> ahead;
  std::vector<uint64_t> consumed, lost, own;
  std::vector<uint64_t> malformed;
  uint64_t late = 0;
  uint64_t newest = 0;

  // True when it can be a point in these rings: what is handed in from outside is not trusted.
  bool fits(const Rings& rings) const;
};

// A process by id and start, the latter in clock ticks since boot as /proc/PID/stat has it.
struct ProcessId {
  uint32_t pid = 0;
  uint64_t start = 0;
  uint64_t ns_per_tick = 1;
  bool is(uint32_t other, uint64_t pstart) const {
    return pid != 0 && other == pid && pstart / ns_per_tick == start;
  }
};

struct Exclusions {
  std::vector<uint32_t> pids;
  std::vector<uint32_t> uids;
  std::vector<std::string> comms;
  std::vector<uint64_t> cgroups;
};

// How many events of an op become rows.
struct Cap {
  uint32_t op = 0;
  uint32_t every = 1;       // one of so many, at random
  uint64_t per_second = 0;  // at most so many of these; 0: as many as there are
};

// What can be changed while a source runs.
struct SourceConfig {
  std::vector<uint32_t> ops;
  std::vector<uint32_t> syscalls;
  bool latency = true;
  uint32_t snaplen = 128;
  Exclusions exclude;
  std::vector<Cap> caps;                    // of ops that have one
  std::shared_ptr<const RowFilter> filter;  // null: all is wanted
  std::shared_ptr<const Secrets> secrets;   // null: nothing is hidden
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

// A TCP socket that a process held when the source started; `state` as the kernel numbers it.
struct SocketSnapshot {
  uint64_t inode;
  uint32_t pid;
  uint64_t pstart;
  uint32_t uid;
  std::string comm;
  unsigned family;
  unsigned state;
  std::string saddr;
  uint16_t sport;
  std::string daddr;
  uint16_t dport;
};

// An empty code means success. Codes are those of src/errors.ts; the message is for the user.
struct SourceError {
  std::string code;
  std::string message;
  explicit operator bool() const { return !code.empty(); }
};

struct StartResult {
  std::vector<ProcessSnapshot> alive;
  std::vector<SocketSnapshot> sockets;
  const char* how = "new";
  bool resumed = false;
  std::vector<std::string> notes;  // sentences for the user
  Interval handover;               // in which new programs took over from old ones
  ProcessId self;                  // whose records in the rings are none of the recording's
};

// All calls come from the JS thread that owns the source, but for beat(); only the ring memory is
// shared.
class RawSource {
 public:
  virtual ~RawSource() = default;
  // Lets events flow, into rings that are new or those that were found. `point` may be null.
  virtual SourceError start(const SourceConfig& config, const ResumePoint* point,
                            StartResult* result) = 0;
  virtual SourceError configure(const SourceConfig& config) = 0;
  // Nothing is written to the rings after this returns.
  virtual void stop() = 0;
  // What there is to drain, in this order; valid from the start until forgotten or destroyed.
  virtual std::vector<RingSet> sets() const = 0;
  // Takes away rings that were drained to their end and whose rows are safe.
  virtual void forget(const std::string&) {}
  // Called by the drain thread about once a second, whatever state it is in: says that somebody
  // still reads. Returns the range in which the programs had given up on us, if they had.
  virtual Interval beat(uint64_t) { return {}; }
  // Ops that cannot be recorded here, by op id, each with the reason in our words.
  virtual std::map<unsigned, std::string> unattached() const { return {}; }
  // Path of the cgroup of this id, or of the one that the process was put into, below the root of
  // its hierarchy; empty where the source has not seen it being made.
  virtual std::string cgroup_path(uint64_t /* id */, uint32_t /* pid */,
                                  uint64_t /* pstart */) const {
    return {};
  }
  // What this kernel calls its reasons for dropping a packet.
  virtual DropReasons drop_reasons() const { return {}; }
};

}  // namespace tapio
