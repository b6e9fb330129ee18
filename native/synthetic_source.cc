#include "synthetic_source.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "merge.h"
#include "ring_writer.h"

namespace tapio {
namespace {

// xoshiro256** by Blackman and Vigna (public domain): the sequence depends on the seed alone.
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15ull;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
      word = z ^ (z >> 31);
    }
  }
  uint64_t next() {
    const uint64_t result = rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotl(state_[3], 45);
    return result;
  }
  uint64_t below(uint64_t limit) {
    return static_cast<uint64_t>((static_cast<__uint128_t>(next()) * limit) >> 64);
  }
  // Small numbers far more often than large ones, as names and peers are met.
  uint64_t skewed(uint64_t limit) {
    const double u = static_cast<double>(next() >> 11) * 0x1p-53;
    return std::min<uint64_t>(limit - 1,
                              static_cast<uint64_t>(std::pow(static_cast<double>(limit), u)) - 1);
  }

 private:
  static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }
  uint64_t state_[4];
};

const char* const comms[] = {"nginx",   "redis-server", "node",    "python3", "postgres", "sshd",
                             "systemd", "containerd",   "kubelet", "cc1",     "make",     "bash",
                             "curl",    "java",         "etcd",    "git"};
const char* const directories[] = {
    "/usr/lib/x86_64-linux-gnu", "/etc",       "/var/lib/postgresql/data",
    "/srv/www/static",           "/proc/self", "/home/app/node_modules"};

struct Process {
  uint32_t pid;
  uint32_t ppid;
  uint64_t pstart;
  char comm[16];
};

// Makes one CPU's records, one after another.
class Generator {
 public:
  Generator(uint64_t seed, unsigned cpu) : random_(seed * 1000003 + cpu), cpu_(cpu) {
    for (auto& process : processes_) process = spawn(1, 1'000'000'000);
  }

  // Fills `record_` with the next one; returns its bytes.
  uint32_t next() {
    std::memset(record_, 0, sizeof(tapio_header) + 256);
    const uint64_t dice = random_.below(1000);
    Process& process = processes_[random_.skewed(processes_.size())];
    if (dice < 550) return network(process, dice);
    if (dice < 840) return file(process, dice);
    if (dice < 841) return oom(process);
    if (dice < 880) return call(process);
    return lifecycle(process);
  }
  const unsigned char* record() const { return record_; }
  tapio_header* header() { return reinterpret_cast<tapio_header*>(record_); }

 private:
  Process spawn(uint32_t ppid, uint64_t at) {
    Process process = {};
    process.pid = 1000 + cpu_ * 2'000'000 + next_pid_++;
    process.ppid = ppid;
    process.pstart = at;
    const char* name = comms[random_.skewed(std::size(comms))];
    std::memcpy(process.comm, name, strlen(name));
    return process;
  }

  template <class Record>
  Record* begin(const Process& process, unsigned op) {
    auto* record = reinterpret_cast<Record*>(record_);
    tapio_header& header = record->header;
    header.op = static_cast<__u16>(op);
    header.pid = header.tid = process.pid;
    header.ppid = process.ppid;
    header.weight = 1;
    header.uid = header.gid = process.pid % 5 ? 1000 : 0;
    header.cgroup_id = 1 + process.pid % 40;
    header.pstart = process.pstart;
    std::memcpy(header.comm, process.comm, 16);
    return record;
  }

  uint32_t put(uint32_t used, std::string_view text, bool unknown = false) {
    const tapio_string head = {static_cast<__u16>(text.size()),
                               static_cast<__u16>(unknown ? 0xffff : text.size()), 0};
    std::memcpy(record_ + used, &head, sizeof(head));
    std::memcpy(record_ + used + sizeof(head), text.data(), text.size());
    return static_cast<uint32_t>((used + sizeof(head) + text.size() + 7) & ~7ull);
  }

  std::string path() {
    // Compilers and editors make files that are met a few times and never again.
    if (random_.below(1000) == 0) {
      return "/tmp/cc" + std::to_string(random_.below(1u << 24)) + ".o";
    }
    const uint64_t which = random_.skewed(5000);
    std::string out = directories[which % std::size(directories)];
    out += "/file-" + std::to_string(which);
    // File names are bytes: some are in an old encoding.
    if (which % 97 == 13) out += "-\xe9t\xe9";
    return out;
  }

  void endpoints(unsigned char* saddr, unsigned char* daddr, __u8* family, __u8* protocol,
                 __u16* sport, __u16* dport) {
    static constexpr __u16 ports[] = {443, 80, 5432, 6379, 53, 8080, 9092, 2379};
    const uint64_t peer = random_.skewed(400);
    *protocol = IPPROTO_TCP;
    *sport = static_cast<__u16>(32768 + random_.below(28000));
    *dport = ports[random_.skewed(std::size(ports))];
    if (peer % 8 == 7) {
      *family = AF_INET6;
      saddr[0] = daddr[0] = 0xfd;
      saddr[15] = 1;
      daddr[14] = static_cast<unsigned char>(peer >> 8);
      daddr[15] = static_cast<unsigned char>(peer);
    } else {
      *family = AF_INET;
      const unsigned char local[4] = {10, 0, 0, 5};
      const unsigned char remote[4] = {10, 1, static_cast<unsigned char>(peer >> 8),
                                       static_cast<unsigned char>(peer)};
      std::memcpy(saddr, local, 4);
      std::memcpy(daddr, remote, 4);
    }
  }

  uint64_t latency(uint64_t typical) { return typical / 2 + random_.skewed(typical * 100); }

  uint32_t network(const Process& process, uint64_t dice) {
    if (dice < 200) {
      auto* r = begin<tapio_network_connect>(process, TAPIO_NETWORK_CONNECT);
      endpoints(r->saddr, r->daddr, &r->family, &r->protocol, &r->sport, &r->dport);
      r->latency_ns = latency(200'000);
      r->error = random_.below(20) ? 0 : ECONNREFUSED;
      r->old_state = 2;
      r->new_state = r->error ? 7 : 1;
      return sizeof(*r);
    }
    if (dice < 300) {
      auto* r = begin<tapio_network_accept>(process, TAPIO_NETWORK_ACCEPT);
      endpoints(r->saddr, r->daddr, &r->family, &r->protocol, &r->sport, &r->dport);
      r->latency_ns = latency(1'000'000);
      return sizeof(*r);
    }
    if (dice < 530) {
      auto* r = begin<tapio_network_close>(process, TAPIO_NETWORK_CLOSE);
      endpoints(r->saddr, r->daddr, &r->family, &r->protocol, &r->sport, &r->dport);
      r->bytes_sent = random_.skewed(1 << 20);
      r->bytes_received = random_.skewed(1 << 24);
      r->srtt_us = static_cast<__u32>(random_.skewed(200'000));
      r->retransmits = static_cast<__u32>(random_.skewed(20));
      r->old_state = 9;
      r->new_state = 7;
      return sizeof(*r);
    }
    auto* r = begin<tapio_network_retransmit>(process, TAPIO_NETWORK_RETRANSMIT);
    endpoints(r->saddr, r->daddr, &r->family, &r->protocol, &r->sport, &r->dport);
    r->old_state = 1;
    r->srtt_us = static_cast<__u32>(random_.skewed(200'000));
    r->retransmits = static_cast<__u32>(1 + random_.skewed(20));
    return sizeof(*r);
  }

  uint32_t file(const Process& process, uint64_t dice) {
    if (dice < 620) {
      auto* r = begin<tapio_file_open>(process, TAPIO_FILE_OPEN);
      const bool missing = random_.below(5) == 0;
      r->inode = missing ? 0 : 100'000 + random_.skewed(50'000);
      r->device = 0xfe00;
      r->fd = missing ? 0 : static_cast<__s32>(3 + random_.skewed(60));
      r->ret = missing ? -ENOENT : r->fd;
      r->open_flags = 0x80000;
      r->latency_ns = latency(2'000);
      if (missing)
        r->nulls =
            TAPIO_NULL_FILE_OPEN_INODE | TAPIO_NULL_FILE_OPEN_DEVICE | TAPIO_NULL_FILE_OPEN_FD;
      return put(put(sizeof(*r), path()), "", true);
    }
    const bool reads = dice < 750;
    auto* r = begin<tapio_file_read>(process, reads ? TAPIO_FILE_READ : TAPIO_FILE_WRITE);
    r->inode = 100'000 + random_.skewed(50'000);
    r->device = 0xfe00;
    r->bytes = random_.skewed(65536);
    r->ret = static_cast<__s64>(r->bytes);
    r->latency_ns = latency(1'000);
    r->fd = static_cast<__s32>(3 + random_.skewed(60));
    r->nulls = TAPIO_NULL_FILE_READ_OFFSET;
    return put(put(sizeof(*r), path()), "", true);
  }

  uint32_t oom(const Process& process) {
    auto* r = begin<tapio_memory_oom>(process, TAPIO_MEMORY_OOM);
    r->target_pid = processes_[random_.below(processes_.size())].pid;
    return sizeof(*r);
  }

  uint32_t call(const Process& process) {
    auto* r = begin<tapio_syscall_call>(process, TAPIO_SYSCALL_CALL);
    r->nr = static_cast<__u32>(random_.skewed(300));
    for (auto& argument : r->args) argument = random_.skewed(1 << 20);
    r->ret = static_cast<__s64>(random_.skewed(4096));
    r->latency_ns = latency(500);
    return sizeof(*r);
  }

  // Processes are born, run a program, and end, each step of one in its turn.
  uint32_t lifecycle(Process& parent) {
    const uint64_t step = lifecycle_++ % 4;
    if (step == 0) {
      child_ = spawn(parent.pid, 1'000'000'000 + lifecycle_ * 1000);
      auto* r = begin<tapio_process_fork>(parent, TAPIO_PROCESS_FORK);
      r->child_pid = child_.pid;
      r->child_pstart = child_.pstart;
      return sizeof(*r);
    }
    if (step == 1) return exec(child_);
    if (step == 2) {
      auto* r = begin<tapio_process_signal>(child_, TAPIO_PROCESS_SIGNAL);
      r->signal = 17;
      r->target_pid = child_.ppid;
      return sizeof(*r);
    }
    auto* r = begin<tapio_process_exit>(child_, TAPIO_PROCESS_EXIT);
    const bool killed = random_.below(30) == 0;
    r->exit_code = killed ? 0 : static_cast<__s32>(random_.skewed(128));
    r->signal = killed ? 9 : 0;
    r->duration_ns = latency(5'000'000);
    r->cpu_ns = r->duration_ns / 3;
    r->nulls = killed ? TAPIO_NULL_PROCESS_EXIT_EXIT_CODE : TAPIO_NULL_PROCESS_EXIT_SIGNAL;
    return sizeof(*r);
  }

  uint32_t exec(const Process& process) {
    auto* r = begin<tapio_process_exec>(process, TAPIO_PROCESS_EXEC);
    const std::string program = std::string("/usr/bin/") + process.comm;
    std::string args = program;
    for (uint64_t i = random_.below(6); i > 0; i--) {
      args += '\0';
      args += "--option-" + std::to_string(random_.skewed(50)) + "=" + path();
    }
    args += '\0';
    r->args_length = static_cast<__u32>(args.size());
    uint32_t used = put(put(sizeof(*r), program), "", true);
    using namespace std::string_view_literals;
    used = put(put(used, ""), "app\0srv\0"sv);
    return put(used, args);
  }

  Random random_;
  const unsigned cpu_;
  uint32_t next_pid_ = 0;
  uint64_t lifecycle_ = 0;
  Process child_ = {};
  std::array<Process, 64> processes_;
  alignas(8) unsigned char record_[TAPIO_RECORD_BYTES_MAX];
};

class SyntheticSource final : public RawSource {
 public:
  explicit SyntheticSource(const SyntheticOptions& options)
      : options_(options),
        memory_(options.cpus, options.ring_bytes, options.seed * 0x9e3779b97f4a7c15ull) {}
  ~SyntheticSource() override { stop(); }

  SourceError start(const SourceConfig& config, const ResumePoint*, StartResult*) override {
    configure(config);
    started_ = monotonic_ns();
    for (unsigned cpu = 0; cpu < options_.cpus; cpu++)
      threads_.emplace_back([this, cpu] { run(cpu); });
    return {};
  }
  SourceError configure(const SourceConfig& config) override {
    uint64_t ops = 0;
    for (unsigned op : config.ops) ops |= 1ull << op;
    {
      std::lock_guard lock(exclude_mutex_);
      exclude_ = config.exclude;
      filter_ = config.filter;
      excludes_ = !exclude_.pids.empty() || !exclude_.uids.empty() || !exclude_.comms.empty() ||
                  !exclude_.cgroups.empty() || (filter_ && filter_->pushed);
    }
    ops_ = ops;
    return {};
  }
  void stop() override {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  std::vector<RingSet> sets() const override { return {{id_, memory_.rings()}}; }

 private:
  void run(unsigned cpu) {
    Generator generator(options_.seed, cpu);
    RingWriter writer(memory_, cpu);
    const uint64_t share =
        options_.events / options_.cpus + (cpu < options_.events % options_.cpus ? 1 : 0);
    const double step_ns = options_.rate > 0 ? 1e9 * options_.cpus / options_.rate : 0;
    uint64_t written = 0;
    for (uint64_t made = 0; !stopping_ && (options_.events == 0 || written < share);) {
      const uint64_t now = monotonic_ns();
      const uint64_t due =
          step_ns > 0 ? static_cast<uint64_t>(static_cast<double>(now - started_) / step_ns)
                      : made + 64;
      if (made >= due) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        continue;
      }
      for (; made < due && (options_.events == 0 || written < share) && !stopping_;) {
        if (emit(generator, writer)) {
          written++;
          made++;
        }
      }
    }
  }

  // Counts as made only what is of an op that is on.
  bool emit(Generator& generator, RingWriter& writer) {
    const uint32_t bytes = generator.next();
    const tapio_header* header = generator.header();
    const uint64_t ops = ops_.load(std::memory_order_relaxed);
    if (!(ops >> header->op & 1)) return ops == 0;
    if (excludes_.load(std::memory_order_relaxed) && is_excluded(*header, bytes))
      writer.count_filtered(header->op);
    else
      writer.write(generator.record(), bytes, monotonic_ns);
    return true;
  }

  bool is_excluded(const tapio_header& header, uint32_t bytes) {
    std::lock_guard lock(exclude_mutex_);
    const auto has = [](const auto& list, const auto& value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    const auto* comm = reinterpret_cast<const char*>(header.comm);
    if (filter_ && filter_->pushed && rejects_record(*filter_->pushed, &header, bytes)) return true;
    return has(exclude_.pids, header.pid) || has(exclude_.uids, header.uid) ||
           has(exclude_.cgroups, header.cgroup_id) ||
           has(exclude_.comms, std::string(comm, strnlen(comm, 16)));
  }

  const SyntheticOptions options_;
  const std::string id_ = random_set_id();
  RingMemory memory_;
  uint64_t started_ = 0;
  std::atomic<uint64_t> ops_{0};
  std::atomic<bool> excludes_{false};
  std::atomic<bool> stopping_{false};
  std::mutex exclude_mutex_;
  Exclusions exclude_;
  std::shared_ptr<const RowFilter> filter_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<RawSource> make_synthetic_source(const SyntheticOptions& options) {
  return std::make_unique<SyntheticSource>(options);
}

}  // namespace tapio
