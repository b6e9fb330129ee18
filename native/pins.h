// Sets of rings in bpffs: what one load of the programs leaves there, so that it outlives the
// process. A set is a directory with a file per map and per link (`link_` and the program's name);
// its name is the set's id. Sets of one store lie in one directory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "format.h"
#include "../bpf/config.h"
#include "raw_source.h"

namespace tapio {

// The file of a map or link.
std::string pin_name(const std::string& map);
std::string link_pin_name(const std::string& program);
inline constexpr char kLinkPrefix[] = "link_";

// Start of a process that lives, as /proc/PID/stat has it; 0 without such a process.
uint64_t process_start(uint32_t pid);
ProcessId this_process();

// Names in a directory, sorted; none where it is missing.
std::vector<std::string> names_in(const std::string& directory);
// Makes a set's directory and those above it, 0700 each. Empty when that worked, else why not.
std::string make_set_directory(const std::string& path);
// Takes the hooks off, then lets go of the maps and of the directories that are empty then.
void remove_set(const std::string& path);
// Takes the hooks off. True where there were any.
bool remove_links(const std::string& path);

// The memory of a BPF map, for as long as this lives. Its bytes are those that were asked for.
class MapMemory {
 public:
  MapMemory() = default;
  MapMemory(int map, size_t bytes, bool writable);
  ~MapMemory();
  MapMemory(const MapMemory&) = delete;
  MapMemory& operator=(const MapMemory&) = delete;
  MapMemory(MapMemory&& other) noexcept { *this = std::move(other); }
  MapMemory& operator=(MapMemory&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  explicit operator bool() const { return memory_ != nullptr; }
  void* get() const { return memory_; }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

// What user space reads and writes of a set.
class SetMemory {
 public:
  // Session and config of a pinned set; without them where *why is set.
  static std::unique_ptr<SetMemory> open(const std::string& path, std::string* why);
  // Of maps that were just made; `session` says how large they are. Null with errno set.
  static std::unique_ptr<SetMemory> of_maps(int rings, int control, int config,
                                            const tapio_session& session, int session_map);

  // The rings of a pinned set; false where they cannot be mapped.
  bool open_rings();

  std::string id;
  std::string path;  // of its pins; empty without
  Rings rings;
  std::shared_ptr<const Transcoder> transcoder;
  tapio_session* session() const { return static_cast<tapio_session*>(session_.get()); }
  tapio_config* config() const { return static_cast<tapio_config*>(config_.get()); }
  std::string recording() const;
  std::string fingerprint() const;

 private:
  bool map_rings(int rings, int control);
  MapMemory session_, config_, data_, control_;
};

// A set as `pinned` tells of it. Numbers are 0 and texts empty where it cannot be read.
struct PinnedSet {
  bool readable = false;
  std::string path, rings, store, recording;
  uint32_t pid = 0;
  bool alive = false;
  uint64_t ring_bytes = 0;
  uint64_t muted_since = 0;
};
// Every set of every store below a directory.
std::vector<PinnedSet> pinned_sets(const std::string& directory);
// Removes a set that somebody named. False where the path is nothing of bpffs.
bool unpin(const std::string& path);

}  // namespace tapio
