#include "live_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <set>
#include <utility>

#include "../bpf/config.h"
#include "alive.h"
#include "hooks.h"
#include "iterate.h"
#include "kernel_types.h"
#include "layouts.h"
#include "merge.h"
#include "names.h"
#include "pins.h"
#include "text.h"
#include "tapio.skel.h"

namespace tapio {
namespace {

SourceError failed(const char* code, std::string message) { return {code, std::move(message)}; }

// CapEff of this process, as /proc tells it.
uint64_t effective_capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("CapEff:")) return strtoull(line.c_str() + 7, nullptr, 16);
  return 0;
}

bool has_capability(uint64_t set, int capability) { return set >> capability & 1; }

// libbpf's own message would blame the memory limit whatever the cause: this says what it is.
SourceError explain_load(int error, const KernelTypes& types) {
  const uint64_t capabilities = effective_capabilities();
  const bool admin = has_capability(capabilities, CAP_SYS_ADMIN);
  if (!types.ok())
    return failed("unsupported_kernel",
                  "this kernel has no BTF (/sys/kernel/btf/vmlinux): use one built with "
                  "CONFIG_DEBUG_INFO_BTF, as current distributions do");
  if (error == EPERM && !(admin || (has_capability(capabilities, CAP_BPF) &&
                                    has_capability(capabilities, CAP_PERFMON))))
    return failed(
        "not_permitted",
        "recording needs root, or the capabilities CAP_BPF and CAP_PERFMON: run with sudo, "
        "or give them with setcap; --source synthetic works without");
  if (error == ENOMEM)
    return failed("not_permitted",
                  "the kernel has no memory for the rings: choose a smaller --ring-size");
  return failed("unsupported_kernel", std::string("the kernel refused the recorder's programs (") +
                                          strerror(error) +
                                          "): tapio-record doctor tells which hook and why");
}

class LiveSource final : public RawSource {
 public:
  explicit LiveSource(const LiveOptions& options) : options_(options) {}
  ~LiveSource() override;

  SourceError start(const SourceConfig& config, const ResumePoint* point,
                    StartResult* result) override;
  SourceError configure(const SourceConfig& config) override;
  void stop() override;
  std::vector<RingSet> sets() const override;
  void forget(const std::string& rings) override;
  Interval beat(uint64_t now) override;
  std::map<unsigned, std::string> unattached() const override { return unattached_; }
  std::string cgroup_path(uint64_t id, uint32_t pid, uint64_t pstart) const override;
  std::vector<ProbeResult> probe();
  DropReasons drop_reasons() const override {
    return types_.enum_names("skb_drop_reason", "SKB_DROP_REASON_");
  }

 private:
  SourceError load();
  SourceError open_skeleton();
  SourceError load_new();
  bool load_onto(const SetMemory& set);
  void close_skeleton();
  void find_sets(const ResumePoint* point, StartResult* result);
  bool can_continue(const SetMemory& set) const;
  void pin_maps(StartResult* result);
  void open_links();
  void take_over(uint64_t ops, StartResult* result);
  bpf_link* attach_hook(bpf_program* program);
  void detach_hook(bpf_link* link);
  void attach(uint64_t ops, bool latency);
  void write_config(const SourceConfig& config);
  void set_ops(uint64_t ops);
  void write_exclusions(const Exclusions& exclude);
  void write_caps(const std::vector<Cap>& caps);
  uint32_t write_filter(const RowFilter* filter);
  SetMemory& current() { return *sets_.back(); }

  const LiveOptions options_;
  const ProcessId self_ = this_process();
  KernelTypes types_;
  tapio_programs* skeleton_ = nullptr;
  // Oldest first; the last is the one that is written.
  std::vector<std::unique_ptr<SetMemory>> sets_;
  std::map<const bpf_program*, bpf_link*> links_;
  std::map<unsigned, std::string> unattached_;
  std::string pin_failure_;

  // Guards what the drain thread's beat and this thread both write of the programs' config.
  std::mutex config_mutex_;
  tapio_config* config_ = nullptr;  // of the current set
  uint64_t ops_ = 0;
  bool stopped_ = false;
  Interval muted_before_;  // ended by a replacement or by the stop; not told yet
};

int ignore_libbpf(enum libbpf_print_level, const char*, va_list) { return 0; }

// FNV-1a, 64 bits: which programs these are.
uint64_t program_hash() {
  size_t bytes = 0;
  const auto* elf = static_cast<const unsigned char*>(tapio_programs::elf_bytes(&bytes));
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ elf[i]) * 0x100000001b3ull;
  return hash;
}

template <size_t Size>
void put_text(__u8 (&to)[Size], const std::string& text) {
  memcpy(to, text.data(), std::min(text.size(), Size - 1));
}

static_assert(sizeof(record_layouts) < TAPIO_LAYOUTS_BYTES / 2, "room for many more ops");
static_assert(sizeof(TAPIO_SCHEMA_FINGERPRINT) <= sizeof(tapio_session::fingerprint));

LiveSource::~LiveSource() {
  if (config_ && !current().path.empty() && !stopped_) {
    // What is pinned goes on: only our hold on it ends.
    current().session()->holder_pid = 0;
    for (const auto& [program, link] : links_) bpf_link__destroy(link);
  } else {
    stop();
  }
  close_skeleton();
}

void LiveSource::close_skeleton() {
  tapio_programs__destroy(skeleton_);
  skeleton_ = nullptr;
}

SourceError LiveSource::open_skeleton() {
  libbpf_set_print(ignore_libbpf);
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  skeleton_ = tapio_programs__open();
  return skeleton_ ? SourceError{} : explain_load(errno, types_);
}

// Loads the programs with maps of their own.
SourceError LiveSource::load() {
  if (SourceError error = open_skeleton()) return error;
  const auto cpus = static_cast<unsigned>(libbpf_num_possible_cpus());
  const auto blocks = static_cast<uint32_t>(options_.ring_bytes / TAPIO_BLOCK_BYTES);
  bpf_map__set_max_entries(skeleton_->maps.rings, blocks * cpus);
  bpf_map__set_max_entries(skeleton_->maps.control, cpus);
  skeleton_->rodata->blocks_per_cpu = blocks;
  uint64_t secret;
  if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret))
    return failed("internal", "no random number for the rings");
  skeleton_->rodata->ring_secret = secret;
  skeleton_->rodata->has_typed_loads = types_.has_function("bpf_rdonly_cast");
  skeleton_->rodata->page_shift = static_cast<uint32_t>(__builtin_ctzl(sysconf(_SC_PAGESIZE)));
  choose_variants(*skeleton_, types_);
  if (const int error = tapio_programs__load(skeleton_)) return explain_load(-error, types_);
  return {};
}

SourceError LiveSource::load_new() {
  if (SourceError error = load()) return error;
  tapio_session session = {};
  session.version = TAPIO_SESSION_VERSION;
  session.cpus = bpf_map__max_entries(skeleton_->maps.control);
  session.ring_bytes = options_.ring_bytes;
  session.secret = skeleton_->rodata->ring_secret;
  session.made_at = monotonic_ns();
  session.program_hash = program_hash();
  session.block_bytes = TAPIO_BLOCK_BYTES;
  session.header_bytes = sizeof(tapio_header);
  session.control_bytes = sizeof(tapio_ring_control);
  session.config_bytes = sizeof(tapio_config);
  put_text(session.fingerprint, TAPIO_SCHEMA_FINGERPRINT);
  put_text(session.recording, options_.recording);
  put_text(session.store, options_.store);
  put_text(session.layouts, record_layouts);
  const auto& maps = skeleton_->maps;
  auto set = SetMemory::of_maps(bpf_map__fd(maps.rings), bpf_map__fd(maps.control),
                                bpf_map__fd(maps.data_config), session, bpf_map__fd(maps.session));
  if (!set) return failed("internal", std::string("cannot map the rings: ") + strerror(errno));
  set->id = random_set_id();
  sets_.push_back(std::move(set));
  return {};
}

// Loads the programs on the maps of a set that goes on. Its own programs stay as they are: these
// are for the iterators, and for hooks that are wanted from now on.
bool LiveSource::load_onto(const SetMemory& set) {
  if (open_skeleton()) return false;
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton_->obj) {
    const int fd = bpf_obj_get((set.path + "/" + pin_name(bpf_map__name(map))).c_str());
    if (fd < 0) return false;
    const int error = bpf_map__reuse_fd(map, fd);
    close(fd);
    if (error) return false;
  }
  choose_variants(*skeleton_, types_);
  return tapio_programs__load(skeleton_) == 0;
}

bool LiveSource::can_continue(const SetMemory& set) const {
  const tapio_session& session = *set.session();
  return session.cpus == static_cast<unsigned>(libbpf_num_possible_cpus()) &&
         session.ring_bytes == options_.ring_bytes && session.program_hash == program_hash() &&
         set.fingerprint() == TAPIO_SCHEMA_FINGERPRINT;
}

// What an earlier process of this recording left, from the resume point on. All else that lies in
// the directory is of no use any more.
void LiveSource::find_sets(const ResumePoint* point, StartResult* result) {
  const std::string& directory = options_.pin_directory;
  for (const std::string& id : names_in(directory)) {
    const std::string path = directory + "/" + id;
    std::string why;
    std::unique_ptr<SetMemory> set = SetMemory::open(path, &why);
    if (set && set->recording() != options_.recording) {
      why = "they are of another recording (" + set->recording() + ")";
    } else if (set && !set->open_rings()) {
      why = std::string("they cannot be mapped: ") + strerror(errno);
    } else if (set && set->fingerprint() != TAPIO_SCHEMA_FINGERPRINT) {
      const auto* layouts = reinterpret_cast<const char*>(set->session()->layouts);
      set->transcoder = Transcoder::parse({layouts, strnlen(layouts, TAPIO_LAYOUTS_BYTES)});
      if (!set->transcoder) why = "their records cannot be read";
    }
    if (why.empty()) {
      sets_.push_back(std::move(set));
      continue;
    }
    set.reset();
    remove_set(path);
    result->notes.push_back("rings " + id + " were there and are removed: " + why);
  }
  std::sort(sets_.begin(), sets_.end(), [](const auto& a, const auto& b) {
    return a->session()->made_at < b->session()->made_at;
  });
  if (!point) return;
  const auto at = std::find_if(sets_.begin(), sets_.end(),
                               [&](const auto& set) { return set->id == point->rings; });
  if (at == sets_.end()) return;
  result->resumed = point->fits((*at)->rings);
  // What was drained to its end and only not let go of.
  for (auto one = sets_.begin(); one != at; one++) remove_set((*one)->path);
  sets_.erase(sets_.begin(), at);
}

// The session comes last: a set that has one is complete.
void LiveSource::pin_maps(StartResult* result) {
  if (options_.pin_directory.empty()) return;
  SetMemory& set = current();
  const std::string path = options_.pin_directory + "/" + set.id;
  std::string why = make_set_directory(path);
  const auto pin = [&](bpf_map* map) {
    const std::string file = path + "/" + pin_name(bpf_map__name(map));
    if (why.empty() && bpf_obj_pin(bpf_map__fd(map), file.c_str()) != 0)
      why = "cannot pin " + file + ": " + strerror(errno);
  };
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (map != skeleton_->maps.session) pin(map);
  }
  pin(skeleton_->maps.session);
  if (why.empty()) {
    set.path = path;
    return;
  }
  remove_set(path);
  result->notes.push_back("recording ends with this process, and a restart leaves a gap: " + why);
}

// The hooks that go on by themselves.
void LiveSource::open_links() {
  const std::string& path = current().path;
  for (const std::string& name : names_in(path)) {
    if (!name.starts_with(kLinkPrefix)) continue;
    const std::string file = path + "/" + name;
    const char* program_name = name.c_str() + strlen(kLinkPrefix);
    const bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, program_name);
    bpf_link* link = program ? bpf_link__open(file.c_str()) : nullptr;
    if (link)
      links_.emplace(program, link);
    else
      unlink(file.c_str());
  }
}

bpf_link* LiveSource::attach_hook(bpf_program* program) {
  bpf_link* link = bpf_program__attach(program);
  if (!link || current().path.empty()) return link;
  const std::string file = current().path + "/" + link_pin_name(bpf_program__name(program));
  if (bpf_link__pin(link, file.c_str()) != 0 && pin_failure_.empty())
    pin_failure_ = "cannot pin " + file + ": " + strerror(errno);
  return link;
}

void LiveSource::detach_hook(bpf_link* link) {
  if (bpf_link__pin_path(link)) bpf_link__unpin(link);
  bpf_link__destroy(link);
}

SourceError LiveSource::start(const SourceConfig& config, const ResumePoint* point,
                              StartResult* result) {
  result->self = self_;
  if (!options_.pin_directory.empty()) find_sets(point, result);
  const bool found = !sets_.empty();
  const bool continues = found && can_continue(current()) && load_onto(current());
  if (!continues) {
    close_skeleton();
    if (SourceError error = load_new()) return error;
    pin_maps(result);
  }
  result->how = continues ? "continued" : found ? "replaced" : "new";
  tapio_session* session = current().session();
  session->holder_start = self_.start;
  session->holder_pid = self_.pid;
  config_ = current().config();
  // Before all else: what we do from here on is not to be recorded.
  config_->self = self_.pid;
  if (continues) open_links();
  attach(bits_of(config.ops), config.latency);
  write_config(config);
  take_over(bits_of(config.ops), result);
  if (!pin_failure_.empty()) result->notes.push_back("not all goes on by itself: " + pin_failure_);
  // Sockets and processes are read after attaching: what starts in between is seen twice, never
  // missed.
  own_open_sockets(*skeleton_, &result->sockets);
  snapshot_processes(*skeleton_, &result->alive);
  return {};
}

// From here on the current programs record, and none of older rings does. An event in between may
// be in both or in neither: the interval is told.
void LiveSource::take_over(uint64_t ops, StartResult* result) {
  Interval handover;
  bool recorded = false;
  handover.first = monotonic_ns();
  for (size_t i = 0; i + 1 < sets_.size(); i++) {
    tapio_config* config = sets_[i]->config();
    if (const uint64_t since = std::exchange(config->muted_since, 0))
      muted_before_ = {since, handover.first};
    recorded |= __atomic_exchange_n(&config->ops, 0, __ATOMIC_ACQ_REL) != 0;
  }
  set_ops(ops);
  handover.last = monotonic_ns();
  if (recorded) result->handover = handover;
  bool detached = false;
  for (size_t i = 0; i + 1 < sets_.size(); i++) detached |= remove_links(sets_[i]->path);
  // A program that had begun on another CPU when it was muted is given time to commit.
  if (detached) usleep(20'000);
}

std::vector<RingSet> LiveSource::sets() const {
  std::vector<RingSet> out;
  for (const auto& set : sets_) out.push_back({set->id, set->rings, set->transcoder});
  return out;
}

// The rings that were written last stay mapped: only their pins go.
void LiveSource::forget(const std::string& rings) {
  for (auto set = sets_.begin(); set != sets_.end(); set++) {
    if ((*set)->id != rings) continue;
    if (!(*set)->path.empty()) remove_set((*set)->path);
    (*set)->path.clear();
    if (set + 1 != sets_.end()) sets_.erase(set);
    return;
  }
}

// The deadline comes first: a program that sees the old one has muted_since or ops written after
// what is read here, and the next beat finds it.
Interval LiveSource::beat(uint64_t now) {
  std::lock_guard lock(config_mutex_);
  if (stopped_) return std::exchange(muted_before_, {});
  __atomic_store_n(&config_->deadline, now + options_.orphan_timeout_ns, __ATOMIC_RELEASE);
  Interval muted = std::exchange(muted_before_, {});
  if (const uint64_t since = __atomic_exchange_n(&config_->muted_since, 0, __ATOMIC_ACQ_REL)) {
    __atomic_store_n(&config_->ops, ops_, __ATOMIC_RELEASE);
    muted = {muted.last ? muted.first : since, monotonic_ns()};
  }
  return muted;
}

void LiveSource::set_ops(uint64_t ops) {
  std::lock_guard lock(config_mutex_);
  ops_ = ops;
  __atomic_store_n(&config_->deadline, monotonic_ns() + options_.orphan_timeout_ns,
                   __ATOMIC_RELEASE);
  __atomic_store_n(&config_->ops, ops, __ATOMIC_RELEASE);
}

SourceError LiveSource::configure(const SourceConfig& config) {
  // Hooks come first when ops are added and last when they are taken away: no row in between is
  // odd.
  attach(bits_of(config.ops), config.latency);
  write_config(config);
  set_ops(bits_of(config.ops));
  return {};
}

// All but `ops`, which set_ops() writes last.
void LiveSource::write_config(const SourceConfig& config) {
  write_exclusions(config.exclude);
  uint32_t excludes = 0;
  if (!config.exclude.pids.empty()) excludes |= TAPIO_EXCLUDE_PID;
  if (!config.exclude.uids.empty()) excludes |= TAPIO_EXCLUDE_UID;
  if (!config.exclude.comms.empty()) excludes |= TAPIO_EXCLUDE_COMM;
  if (!config.exclude.cgroups.empty()) excludes |= TAPIO_EXCLUDE_CGROUP;
  config_->excludes = excludes | write_filter(config.filter.get());
  config_->snaplen = config.snaplen;
  write_calls(config, config_);
  write_caps(config.caps);
}

// Windows are short, so that rows of a second lie all over it, and long enough to hold some.
void LiveSource::write_caps(const std::vector<Cap>& caps) {
  constexpr uint64_t kSecondNs = 1'000'000'000, kWindows = 10, kWindowRows = 100;
  uint64_t capped = 0;
  for (const Cap& cap : caps) {
    if (cap.op >= TAPIO_CAPS) continue;
    const uint64_t windows = cap.per_second >= kWindows * kWindowRows ? kWindows : 1;
    tapio_cap& to = config_->caps[cap.op];
    to.window_ns = kSecondNs / windows;
    to.every = cap.every;
    to.rows = static_cast<uint32_t>(cap.per_second / windows);
    capped |= uint64_t{1} << cap.op;
  }
  // An op whose cap goes is not asked about it any more: what it was may stay.
  __atomic_store_n(&config_->capped, capped, __ATOMIC_RELEASE);
}

// Makes a map's keys those of the list, whoever put in what is there.
template <class Key, class List, class MakeKey>
void replace_keys(int map, const List& list, MakeKey make_key) {
  const uint8_t present = 1;
  std::vector<Key> wanted, gone;
  for (const auto& item : list) wanted.push_back(make_key(item));
  Key key;
  for (const Key* last = nullptr; bpf_map_get_next_key(map, last, &key) == 0; last = &key) {
    const auto same = [&](const Key& one) { return memcmp(&one, &key, sizeof(Key)) == 0; };
    if (std::none_of(wanted.begin(), wanted.end(), same)) gone.push_back(key);
  }
  for (const Key& one : gone) bpf_map_delete_elem(map, &one);
  for (const Key& one : wanted) bpf_map_update_elem(map, &one, &present, BPF_ANY);
}

void LiveSource::write_exclusions(const Exclusions& exclude) {
  struct Comm {
    char bytes[16];
  };
  const auto& maps = skeleton_->maps;
  const auto same = [](auto value) { return value; };
  replace_keys<uint32_t>(bpf_map__fd(maps.excluded_pids), exclude.pids, same);
  replace_keys<uint32_t>(bpf_map__fd(maps.excluded_uids), exclude.uids, same);
  replace_keys<uint64_t>(bpf_map__fd(maps.excluded_cgroups), exclude.cgroups, same);
  replace_keys<Comm>(bpf_map__fd(maps.excluded_comms), exclude.comms, [](const std::string& name) {
    Comm comm = {};
    memcpy(comm.bytes, name.data(), std::min<size_t>(name.size(), 15));
    return comm;
  });
}

// Gives what makes it hold. Programs that run now may still look at the one that held.
uint32_t LiveSource::write_filter(const RowFilter* filter) {
  if (!filter || !filter->pushed) return 0;
  const bool is_first = config_->excludes & TAPIO_FILTER_FIRST;
  const uint32_t which = is_first ? 1 : 0;
  const int map = bpf_map__fd(skeleton_->maps.filters);
  // Without it in the kernel, all is decided on what was recorded.
  if (bpf_map_update_elem(map, &which, filter->pushed.get(), BPF_ANY) != 0) return 0;
  return is_first ? TAPIO_FILTER_SECOND : TAPIO_FILTER_FIRST;
}

// Attaches what the ops need and takes off what nothing needs any more.
void LiveSource::attach(uint64_t ops, bool latency) {
  unattached_.clear();
  std::map<unsigned, std::string> reasons;
  std::set<unsigned> served;
  for (const Hook& hook : hooks_of(*skeleton_, latency)) {
    const bool needed = bits_of(hook.ops) & ops;
    auto found = links_.find(hook.program);
    if (!needed && found != links_.end()) {
      detach_hook(found->second);
      links_.erase(found);
    }
    if (!needed) continue;
    std::string why;
    if (found == links_.end() && bpf_program__autoload(hook.program)) {
      bpf_link* link = attach_hook(hook.program);
      if (link)
        links_.emplace(hook.program, link);
      else
        why = std::string("tracepoint ") + hook.tracepoint + ": " + strerror(errno);
    } else if (found == links_.end()) {
      why = std::string("this kernel has no tracepoint ") + hook.tracepoint + " that fits";
    }
    if (hook.is_aid) continue;
    for (unsigned op : hook.ops) {
      if (why.empty())
        served.insert(op);
      else
        reasons.emplace(op, why);
    }
  }
  for (const auto& [op, why] : reasons)
    if (!served.contains(op) && (ops >> op & 1)) unattached_[op] = why;
}

// A process that was put into a cgroup of the first version's has its row under another's id.
std::string LiveSource::cgroup_path(uint64_t id, uint32_t pid, uint64_t pstart) const {
  if (!skeleton_) return {};
  tapio_cgroup_path path = {};
  const tapio_process_key process = {pid, 0, pstart};
  const auto& maps = skeleton_->maps;
  if (bpf_map_lookup_elem(bpf_map__fd(maps.process_cgroups), &process, &path) != 0 &&
      bpf_map_lookup_elem(bpf_map__fd(maps.cgroup_paths), &id, &path) != 0)
    return {};
  return reversible_utf8({path.text, strnlen(path.text, sizeof(path.text))});
}

void LiveSource::stop() {
  if (!config_ || stopped_) return;
  // Calls that have not returned are rows of their own, the last ones.
  iterate<char>(skeleton_->progs.pending_calls);
  {
    std::lock_guard lock(config_mutex_);
    stopped_ = true;
    __atomic_store_n(&config_->ops, 0, __ATOMIC_RELEASE);
    // Told by whoever goes on from these rings, should we not come to let go of them.
    const uint64_t now = monotonic_ns();
    if (const uint64_t since = __atomic_exchange_n(&config_->muted_since, now, __ATOMIC_ACQ_REL))
      muted_before_ = {since, now};
  }
  for (const auto& [program, link] : links_) detach_hook(link);
  links_.clear();
  // A program that had begun on another CPU when its hook went is given time to commit.
  usleep(20'000);
}

std::vector<ProbeResult> LiveSource::probe() {
  std::vector<ProbeResult> results;
  results.push_back({"kernel type information (BTF)", types_.ok(),
                     types_.ok() ? "" : "no /sys/kernel/btf/vmlinux"});
  const SourceError error = load();
  results.push_back({"load the programs", !error, error.message});
  if (error) return results;
  for (const Hook& hook : hooks_of(*skeleton_, true)) {
    if (!bpf_program__autoload(hook.program)) {
      if (types_.tracepoint_arguments(hook.tracepoint) < 0)
        results.push_back({hook.tracepoint, false, "this kernel has no such tracepoint"});
      continue;
    }
    bpf_link* link = bpf_program__attach(hook.program);
    results.push_back({hook.tracepoint, link != nullptr, link ? "" : strerror(errno)});
    bpf_link__destroy(link);
  }
  return results;
}

}  // namespace

std::unique_ptr<RawSource> make_live_source(const LiveOptions& options) {
  return std::make_unique<LiveSource>(options);
}

std::vector<ProbeResult> probe_live() {
  LiveOptions options;
  options.ring_bytes = 8 * TAPIO_BLOCK_BYTES;
  return LiveSource(options).probe();
}

}  // namespace tapio
