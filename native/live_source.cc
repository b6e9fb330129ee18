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
#include <functional>
#include <set>

#include "../bpf/config.h"
#include "kernel_types.h"
#include "names.h"
#include "syscalls.h"
#include "tapio.skel.h"

namespace tapio {
namespace {

// A hook that can be attached: its program, the tracepoint that must exist, and the ops that need
// it.
struct Hook {
  bpf_program* program;
  const char* tracepoint;
  std::vector<unsigned> ops;
};

struct CallFamily {
  const char* name;
  tapio_call kind;
  std::vector<unsigned> ops;
};

// The syscalls of each family, by name; what an architecture lacks is left out.
const CallFamily call_families[] = {
    {"open", TAPIO_CALL_OPEN, {TAPIO_FILE_OPEN}},
    {"openat", TAPIO_CALL_OPENAT, {TAPIO_FILE_OPEN}},
    {"openat2", TAPIO_CALL_OPENAT2, {TAPIO_FILE_OPEN}},
    {"creat", TAPIO_CALL_CREAT, {TAPIO_FILE_OPEN}},
    {"read", TAPIO_CALL_READ, {TAPIO_FILE_READ}},
    {"readv", TAPIO_CALL_READ, {TAPIO_FILE_READ}},
    {"pread64", TAPIO_CALL_PREAD, {TAPIO_FILE_READ}},
    {"preadv", TAPIO_CALL_PREAD, {TAPIO_FILE_READ}},
    {"preadv2", TAPIO_CALL_PREAD, {TAPIO_FILE_READ}},
    {"write", TAPIO_CALL_WRITE, {TAPIO_FILE_WRITE}},
    {"writev", TAPIO_CALL_WRITE, {TAPIO_FILE_WRITE}},
    {"pwrite64", TAPIO_CALL_PWRITE, {TAPIO_FILE_WRITE}},
    {"pwritev", TAPIO_CALL_PWRITE, {TAPIO_FILE_WRITE}},
    {"pwritev2", TAPIO_CALL_PWRITE, {TAPIO_FILE_WRITE}},
    {"connect", TAPIO_CALL_CONNECT, {TAPIO_NETWORK_CONNECT}},
    {"accept", TAPIO_CALL_ACCEPT, {TAPIO_NETWORK_ACCEPT}},
    {"accept4", TAPIO_CALL_ACCEPT, {TAPIO_NETWORK_ACCEPT}},
    {"listen", TAPIO_CALL_LISTEN, {TAPIO_NETWORK_LISTEN}},
    {"execve", TAPIO_CALL_EXECVE, {TAPIO_PROCESS_EXEC}},
    {"execveat", TAPIO_CALL_EXECVEAT, {TAPIO_PROCESS_EXEC}},
};

// Ops whose rows are of a socket, and so need to know whose sockets are.
const std::vector<unsigned> socket_ops = {
    TAPIO_NETWORK_CONNECT,    TAPIO_NETWORK_ACCEPT, TAPIO_NETWORK_CLOSE, TAPIO_NETWORK_LISTEN,
    TAPIO_NETWORK_RETRANSMIT, TAPIO_NETWORK_RESET,  TAPIO_NETWORK_DROP};

uint64_t bits_of(const std::vector<unsigned>& ops) {
  uint64_t bits = 0;
  for (unsigned op : ops) bits |= 1ull << op;
  return bits;
}

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
  explicit LiveSource(uint64_t ring_bytes) { rings_.ring_bytes = ring_bytes; }
  ~LiveSource() override {
    stop();
    unmap();
    tapio_programs__destroy(skeleton_);
  }

  SourceError start(const SourceConfig& config, const ResumePoint* point,
                    StartResult* result) override;
  SourceError configure(const SourceConfig& config) override;
  void stop() override;
  std::vector<RingSet> sets() const override {
    if (!rings_.data) return {};
    return {{id_, rings_}};
  }
  std::map<unsigned, std::string> unattached() const override { return unattached_; }
  std::vector<ProbeResult> probe();
  DropReasons drop_reasons() const override {
    return types_.enum_names("skb_drop_reason", "SKB_DROP_REASON_");
  }

 private:
  SourceError load();
  SourceError map_rings();
  void unmap();
  void choose_variants();
  std::vector<Hook> hooks() const;
  void attach(uint64_t ops, bool latency);
  void write_config(const SourceConfig& config);
  void write_exclusions(const Exclusions& exclude);
  void snapshot(std::vector<ProcessSnapshot>* alive);
  void own_open_sockets();

  KernelTypes types_;
  tapio_programs* skeleton_ = nullptr;
  const std::string id_ = random_set_id();
  Rings rings_;
  std::map<const bpf_program*, bpf_link*> links_;
  std::map<unsigned, std::string> unattached_;
  Exclusions excluded_;
};

int ignore_libbpf(enum libbpf_print_level, const char*, va_list) { return 0; }

SourceError LiveSource::load() {
  libbpf_set_print(ignore_libbpf);
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  skeleton_ = tapio_programs__open();
  if (!skeleton_) return explain_load(errno, types_);
  rings_.cpus = static_cast<unsigned>(libbpf_num_possible_cpus());
  const auto blocks = static_cast<uint32_t>(rings_.ring_bytes / TAPIO_BLOCK_BYTES);
  bpf_map__set_max_entries(skeleton_->maps.rings, blocks * rings_.cpus);
  bpf_map__set_max_entries(skeleton_->maps.control, rings_.cpus);
  skeleton_->rodata->blocks_per_cpu = blocks;
  if (getrandom(&rings_.secret, sizeof(rings_.secret), 0) != sizeof(rings_.secret))
    return failed("internal", "no random number for the rings");
  skeleton_->rodata->ring_secret = rings_.secret;
  skeleton_->rodata->has_typed_loads = types_.has_function("bpf_rdonly_cast");
  choose_variants();
  if (const int error = tapio_programs__load(skeleton_)) return explain_load(-error, types_);
  return {};
}

// One of several programs for a tracepoint whose arguments changed over time.
void LiveSource::choose_variants() {
  auto& programs = skeleton_->progs;
  const int drop_arguments = types_.tracepoint_arguments("kfree_skb");
  bpf_program__set_autoload(programs.packet_dropped_rx_sk, drop_arguments >= 4);
  bpf_program__set_autoload(programs.packet_dropped_reason, drop_arguments == 3);
  const bool victim_is_task = types_.tracepoint_argument_is_pointer("mark_victim", 0);
  const bool victim_exists = types_.tracepoint_arguments("mark_victim") > 0;
  bpf_program__set_autoload(programs.oom_victim_task, victim_exists && victim_is_task);
  bpf_program__set_autoload(programs.oom_victim_pid, victim_exists && !victim_is_task);
  // A tracepoint that this kernel lacks costs its ops, not the recording.
  for (const Hook& hook : hooks())
    if (types_.tracepoint_arguments(hook.tracepoint) < 0)
      bpf_program__set_autoload(hook.program, false);
}

std::vector<Hook> LiveSource::hooks() const {
  const auto& programs = skeleton_->progs;
  std::vector<unsigned> call_ops = {TAPIO_SYSCALL_CALL};
  for (const CallFamily& family : call_families)
    call_ops.insert(call_ops.end(), family.ops.begin(), family.ops.end());
  std::vector<Hook> all = {
      {programs.process_fork, "sched_process_fork", {TAPIO_PROCESS_FORK}},
      {programs.process_exec, "sched_process_exec", {TAPIO_PROCESS_EXEC}},
      {programs.process_exit, "sched_process_exit", {TAPIO_PROCESS_EXIT}},
      {programs.signal_generate, "signal_generate", {TAPIO_PROCESS_SIGNAL}},
      {programs.socket_state, "inet_sock_set_state", socket_ops},
      {programs.socket_destroyed, "tcp_destroy_sock", socket_ops},
      {programs.retransmit, "tcp_retransmit_skb", {TAPIO_NETWORK_RETRANSMIT}},
      {programs.reset_sent, "tcp_send_reset", {TAPIO_NETWORK_RESET}},
      {programs.reset_received, "tcp_receive_reset", {TAPIO_NETWORK_RESET}},
      {programs.packet_dropped_rx_sk, "kfree_skb", {TAPIO_NETWORK_DROP}},
      {programs.packet_dropped_reason, "kfree_skb", {TAPIO_NETWORK_DROP}},
      {programs.oom_victim_task, "mark_victim", {TAPIO_MEMORY_OOM}},
      {programs.oom_victim_pid, "mark_victim", {TAPIO_MEMORY_OOM}},
      {programs.call_exit, "sys_exit", call_ops},
  };
  return all;
}

SourceError LiveSource::map_rings() {
  const size_t data_bytes = rings_.ring_bytes * rings_.cpus;
  const size_t control_bytes = sizeof(tapio_ring_control) * rings_.cpus;
  void* data =
      mmap(nullptr, data_bytes, PROT_READ, MAP_SHARED, bpf_map__fd(skeleton_->maps.rings), 0);
  if (data == MAP_FAILED)
    return failed("internal", std::string("cannot map the rings: ") + strerror(errno));
  rings_.data = static_cast<const uint8_t*>(data);
  void* control =
      mmap(nullptr, control_bytes, PROT_READ, MAP_SHARED, bpf_map__fd(skeleton_->maps.control), 0);
  if (control == MAP_FAILED)
    return failed("internal", std::string("cannot map the ring counters: ") + strerror(errno));
  rings_.control = static_cast<const tapio_ring_control*>(control);
  return {};
}

void LiveSource::unmap() {
  if (rings_.data) munmap(const_cast<uint8_t*>(rings_.data), rings_.ring_bytes * rings_.cpus);
  if (rings_.control)
    munmap(const_cast<tapio_ring_control*>(rings_.control),
           sizeof(tapio_ring_control) * rings_.cpus);
  rings_.data = nullptr;
  rings_.control = nullptr;
}

SourceError LiveSource::start(const SourceConfig& config, const ResumePoint*, StartResult* result) {
  if (SourceError error = load()) return error;
  if (SourceError error = map_rings()) return error;
  write_config(config);
  attach(bits_of(config.ops), config.latency);
  // Sockets and processes are read after attaching: what starts in between is seen twice, never
  // missed.
  own_open_sockets();
  snapshot(&result->alive);
  return {};
}

SourceError LiveSource::configure(const SourceConfig& config) {
  // Hooks come first when ops are added and last when they are taken away: no row in between is
  // odd.
  attach(bits_of(config.ops), config.latency);
  write_config(config);
  return {};
}

void LiveSource::write_config(const SourceConfig& config) {
  write_exclusions(config.exclude);
  auto* live = reinterpret_cast<tapio_config*>(
      const_cast<std::remove_const_t<decltype(skeleton_->data_config->config)>*>(
          &skeleton_->data_config->config));
  const uint64_t ops = bits_of(config.ops);
  uint8_t calls[TAPIO_SYSCALLS_MAX] = {};
  const uint8_t timed = config.latency ? TAPIO_CALL_TIMED : 0;
  for (const CallFamily& family : call_families) {
    const int number = syscall_number(family.name);
    if (number >= 0 && number < TAPIO_SYSCALLS_MAX && (bits_of(family.ops) & ops))
      calls[number] = static_cast<uint8_t>(family.kind | timed);
  }
  if (ops >> TAPIO_SYSCALL_CALL & 1) {
    for (uint32_t number : config.syscalls) {
      if (number >= TAPIO_SYSCALLS_MAX) continue;
      if (!calls[number]) calls[number] = static_cast<uint8_t>(TAPIO_CALL_PLAIN | timed);
      calls[number] |= TAPIO_CALL_ROW;
    }
  }
  uint32_t excludes = 0;
  if (!config.exclude.pids.empty()) excludes |= TAPIO_EXCLUDE_PID;
  if (!config.exclude.uids.empty()) excludes |= TAPIO_EXCLUDE_UID;
  if (!config.exclude.comms.empty()) excludes |= TAPIO_EXCLUDE_COMM;
  if (!config.exclude.cgroups.empty()) excludes |= TAPIO_EXCLUDE_CGROUP;
  live->self = static_cast<uint32_t>(getpid());
  live->excludes = excludes;
  memcpy(live->calls, calls, sizeof(calls));
  __atomic_store_n(&live->ops, ops, __ATOMIC_RELEASE);
}

template <class Key, class List, class MakeKey>
void replace_set(int map, const List& before, const List& after, MakeKey make_key) {
  const uint8_t present = 1;
  for (const auto& item : before) {
    if (std::find(after.begin(), after.end(), item) != after.end()) continue;
    const Key key = make_key(item);
    bpf_map_delete_elem(map, &key);
  }
  for (const auto& item : after) {
    const Key key = make_key(item);
    bpf_map_update_elem(map, &key, &present, BPF_ANY);
  }
}

void LiveSource::write_exclusions(const Exclusions& exclude) {
  struct Comm {
    char bytes[16];
  };
  const auto& maps = skeleton_->maps;
  const auto same = [](auto value) { return value; };
  replace_set<uint32_t>(bpf_map__fd(maps.excluded_pids), excluded_.pids, exclude.pids, same);
  replace_set<uint32_t>(bpf_map__fd(maps.excluded_uids), excluded_.uids, exclude.uids, same);
  replace_set<uint64_t>(bpf_map__fd(maps.excluded_cgroups), excluded_.cgroups, exclude.cgroups,
                        same);
  replace_set<Comm>(bpf_map__fd(maps.excluded_comms), excluded_.comms, exclude.comms,
                    [](const std::string& name) {
                      Comm comm = {};
                      memcpy(comm.bytes, name.data(), std::min<size_t>(name.size(), 15));
                      return comm;
                    });
  excluded_ = exclude;
}

// Attaches what the ops need and takes off what nothing needs any more.
void LiveSource::attach(uint64_t ops, bool latency) {
  unattached_.clear();
  std::vector<Hook> wanted = hooks();
  std::vector<unsigned> timed;
  for (const CallFamily& family : call_families)
    timed.insert(timed.end(), family.ops.begin(), family.ops.end());
  timed.push_back(TAPIO_SYSCALL_CALL);
  // Starts are noted for latencies only; a connection's latency is known without.
  wanted.push_back(
      {skeleton_->progs.call_enter, "sys_enter", latency ? timed : std::vector<unsigned>{}});
  std::map<unsigned, std::string> reasons;
  std::set<unsigned> served;
  for (const Hook& hook : wanted) {
    const bool needed = bits_of(hook.ops) & ops;
    auto found = links_.find(hook.program);
    if (!needed && found != links_.end()) {
      bpf_link__destroy(found->second);
      links_.erase(found);
    }
    if (!needed) continue;
    std::string why;
    if (found == links_.end() && bpf_program__autoload(hook.program)) {
      bpf_link* link = bpf_program__attach(hook.program);
      if (link)
        links_.emplace(hook.program, link);
      else
        why = std::string("tracepoint ") + hook.tracepoint + ": " + strerror(errno);
    } else if (found == links_.end()) {
      why = std::string("this kernel has no tracepoint ") + hook.tracepoint + " that fits";
    }
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

// Runs an iterator program to its end; `take` gets what it wrote.
void read_iterator(bpf_program* program, const std::function<void(const char*, size_t)>& take) {
  bpf_link* link = bpf_program__attach_iter(program, nullptr);
  if (!link) return;
  const int fd = bpf_iter_create(bpf_link__fd(link));
  if (fd >= 0) {
    char buffer[sizeof(tapio_alive) * 128];
    for (ssize_t bytes; (bytes = read(fd, buffer, sizeof(buffer))) > 0;)
      take(buffer, static_cast<size_t>(bytes));
    close(fd);
  }
  bpf_link__destroy(link);
}

void LiveSource::own_open_sockets() {
  read_iterator(skeleton_->progs.socket_owners, [](const char*, size_t) {});
}

void LiveSource::snapshot(std::vector<ProcessSnapshot>* alive) {
  std::string all;
  read_iterator(skeleton_->progs.alive_processes,
                [&](const char* bytes, size_t count) { all.append(bytes, count); });
  for (size_t at = 0; at + sizeof(tapio_alive) <= all.size(); at += sizeof(tapio_alive)) {
    tapio_alive one;
    memcpy(&one, all.data() + at, sizeof(one));
    const auto* comm = reinterpret_cast<const char*>(one.comm);
    alive->push_back({one.pid, one.pstart, one.ppid, one.uid, one.cgroup_id,
                      std::string(comm, strnlen(comm, sizeof(one.comm)))});
  }
}

void LiveSource::stop() {
  if (links_.empty()) return;
  for (const auto& [program, link] : links_) bpf_link__destroy(link);
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
  std::vector<Hook> wanted = hooks();
  wanted.push_back({skeleton_->progs.call_enter, "sys_enter", {}});
  for (const Hook& hook : wanted) {
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

std::unique_ptr<RawSource> make_live_source(uint64_t ring_bytes) {
  return std::make_unique<LiveSource>(ring_bytes);
}

std::vector<ProbeResult> probe_live() { return LiveSource(8 * TAPIO_BLOCK_BYTES).probe(); }

}  // namespace tapio
