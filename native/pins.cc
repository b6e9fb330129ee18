#include "pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace tapio {
namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool is_bpffs(const std::string& path) {
  struct statfs about;
  return statfs(path.c_str(), &about) == 0 &&
         static_cast<unsigned long>(about.f_type) == BPF_FS_MAGIC;
}

template <size_t Size>
std::string text_of(const __u8 (&bytes)[Size]) {
  const auto* text = reinterpret_cast<const char*>(bytes);
  return std::string(text, strnlen(text, Size));
}

// A pinned object's descriptor, closed with this.
class PinnedObject {
 public:
  explicit PinnedObject(const std::string& path) : fd_(bpf_obj_get(path.c_str())) {}
  ~PinnedObject() {
    if (fd_ >= 0) close(fd_);
  }
  PinnedObject(const PinnedObject&) = delete;
  PinnedObject& operator=(const PinnedObject&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// What makes the rings readable for this build; else why they are not.
std::string unreadable(const tapio_session& session) {
  if (session.version != TAPIO_SESSION_VERSION)
    return "another version of the recorder made them (" + std::to_string(session.version) + ")";
  const bool sizes = session.block_bytes == TAPIO_BLOCK_BYTES &&
                     session.header_bytes == sizeof(tapio_header) &&
                     session.control_bytes == sizeof(tapio_ring_control) &&
                     session.config_bytes >= offsetof(tapio_config, calls_32);
  const uint64_t bytes = session.ring_bytes;
  if (!sizes || session.cpus == 0 || session.cpus > 1u << 16 || bytes < 8 * TAPIO_BLOCK_BYTES ||
      bytes > uint64_t{1} << 40 || (bytes & (bytes - 1)) != 0)
    return "their format is not known";
  return "";
}

}  // namespace

// A name in bpffs has no dots.
std::string pin_name(const std::string& map) {
  std::string name = map;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
std::string link_pin_name(const std::string& program) { return kLinkPrefix + program; }

uint64_t process_start(uint32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  // The name, in parentheses, may hold anything.
  size_t at = text.rfind(')');
  if (at == std::string::npos || at + 2 >= text.size()) return 0;
  // One that was killed and not waited for yet lives no more.
  if (text[at + 2] == 'Z' || text[at + 2] == 'X') return 0;
  for (int field = 2; field < 22 && at != std::string::npos; field++) at = text.find(' ', at + 1);
  return at == std::string::npos ? 0 : strtoull(text.c_str() + at, nullptr, 10);
}

ProcessId this_process() {
  const auto pid = static_cast<uint32_t>(getpid());
  return {pid, process_start(pid), 1'000'000'000u / static_cast<uint64_t>(sysconf(_SC_CLK_TCK))};
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  DIR* open = opendir(directory.c_str());
  if (!open) return names;
  while (const dirent* entry = readdir(open))
    if (entry->d_name[0] != '.') names.push_back(entry->d_name);
  closedir(open);
  std::sort(names.begin(), names.end());
  return names;
}

std::string make_set_directory(const std::string& path) {
  std::string exists = path;
  while (!exists.empty() && access(exists.c_str(), F_OK) != 0) exists = parent_of(exists);
  if (!is_bpffs(exists)) return exists + " is not in a BPF file system (mount -t bpf)";
  for (size_t at = exists.size(); at != std::string::npos && at < path.size();) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      return "cannot make " + part + ": " + strerror(errno);
  }
  return "";
}

bool remove_links(const std::string& path) {
  bool any = false;
  for (const std::string& name : names_in(path))
    if (name.starts_with(kLinkPrefix)) any |= unlink((path + "/" + name).c_str()) == 0;
  return any;
}

void remove_set(const std::string& path) {
  remove_links(path);
  for (const std::string& name : names_in(path)) unlink((path + "/" + name).c_str());
  rmdir(path.c_str());
  // Each fails where others have something there.
  rmdir(parent_of(path).c_str());
  rmdir(parent_of(parent_of(path)).c_str());
}

MapMemory::MapMemory(int map, size_t bytes, bool writable) : bytes_(bytes) {
  void* made =
      mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, map, 0);
  memory_ = made == MAP_FAILED ? nullptr : made;
}

MapMemory::~MapMemory() {
  if (memory_) munmap(memory_, bytes_);
}

std::unique_ptr<SetMemory> SetMemory::open(const std::string& path, std::string* why) {
  auto set = std::make_unique<SetMemory>();
  set->path = path;
  set->id = path.substr(path.rfind('/') + 1);
  const PinnedObject session(path + "/session"), config(path + "/_data_config");
  set->session_ = MapMemory(session.fd(), sizeof(tapio_session), true);
  *why = set->session_ ? unreadable(*set->session()) : "they are not complete";
  if (!why->empty()) return nullptr;
  set->config_ = MapMemory(config.fd(), sizeof(tapio_config), true);
  if (!set->config_) *why = "they are not complete";
  return set->config_ ? std::move(set) : nullptr;
}

std::unique_ptr<SetMemory> SetMemory::of_maps(int rings, int control, int config,
                                              const tapio_session& session, int session_map) {
  auto set = std::make_unique<SetMemory>();
  set->session_ = MapMemory(session_map, sizeof(tapio_session), true);
  set->config_ = MapMemory(config, sizeof(tapio_config), true);
  if (!set->session_ || !set->config_) return nullptr;
  *set->session() = session;
  return set->map_rings(rings, control) ? std::move(set) : nullptr;
}

bool SetMemory::open_rings() {
  const PinnedObject data(path + "/rings"), control(path + "/control");
  return map_rings(data.fd(), control.fd());
}

bool SetMemory::map_rings(int data, int control) {
  rings.cpus = session()->cpus;
  rings.ring_bytes = session()->ring_bytes;
  rings.secret = session()->secret;
  data_ = MapMemory(data, rings.ring_bytes * rings.cpus, false);
  control_ = MapMemory(control, sizeof(tapio_ring_control) * rings.cpus, false);
  rings.data = static_cast<const uint8_t*>(data_.get());
  rings.control = static_cast<const tapio_ring_control*>(control_.get());
  return data_ && control_;
}

std::string SetMemory::recording() const { return text_of(session()->recording); }
std::string SetMemory::fingerprint() const { return text_of(session()->fingerprint); }

std::vector<PinnedSet> pinned_sets(const std::string& directory) {
  std::vector<PinnedSet> out;
  for (const std::string& store : names_in(directory)) {
    for (const std::string& id : names_in(directory + "/" + store)) {
      PinnedSet one;
      one.path = directory + "/" + store + "/" + id;
      one.rings = id;
      std::string why;
      if (const auto set = SetMemory::open(one.path, &why)) {
        const tapio_session& session = *set->session();
        one.readable = true;
        one.store = text_of(session.store);
        one.recording = set->recording();
        one.pid = session.holder_pid;
        one.alive = one.pid != 0 && process_start(one.pid) == session.holder_start;
        one.ring_bytes = session.ring_bytes * session.cpus;
        one.muted_since = __atomic_load_n(&set->config()->muted_since, __ATOMIC_RELAXED);
      }
      out.push_back(one);
    }
  }
  return out;
}

bool unpin(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return true;
  if (!is_bpffs(path)) return false;
  remove_set(path);
  return true;
}

}  // namespace tapio
