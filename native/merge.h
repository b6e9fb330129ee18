// Merges the CPUs' rings by kernel time.
#pragma once

#include <time.h>

#include <array>
#include <memory>
#include <vector>

#include "ring_reader.h"

namespace tapio {

inline uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// Counts per CPU and op, and what is late. `lost` is exact: each record carries how many of its op
// its CPU had emitted before.
struct OpCounts {
  uint64_t consumed = 0;
  uint64_t own = 0;            // made by this process itself, or not wanted: not handed out
  uint64_t next_sequence = 0;  // one past the highest seen
};

class Merge {
 public:
  explicit Merge(const Rings& rings, const ProcessId& self = {})
      : control_(rings.control), self_(self), counts_(rings.cpus * TAPIO_OPS_MAX) {
    for (unsigned cpu = 0; cpu < rings.cpus; cpu++)
      readers_.push_back(std::make_unique<RingReader>(rings, cpu));
  }

  // Goes on from a point that fits these rings, before anything is read.
  void resume(const ResumePoint& point) {
    for (unsigned cpu = 0; cpu < cpus(); cpu++)
      readers_[cpu]->resume(point.positions[cpu], point.ahead[cpu], point.newest);
    for (size_t i = 0; i < counts_.size(); i++) {
      counts_[i].consumed = point.consumed[i];
      counts_[i].own = point.own[i];
      counts_[i].next_sequence = point.consumed[i] + point.own[i] + point.lost[i];
    }
    late_ = point.late;
    newest_ = point.newest;
  }
  // What is older than this comes late.
  void set_newest(uint64_t ktime) { newest_ = ktime; }

  // Reads the rings and sets the watermark: a record with a later ktime may still be overtaken. The
  // clock is read before any ring's position, so what is reserved after that is later than the
  // clock.
  void refill() { refill_to(monotonic_ns()); }
  // For rings that nobody writes any more: what was read to its end holds nothing back.
  void refill_all() { refill_to(UINT64_MAX); }
  // Then records that are still not committed are passed over.
  void give_up() {
    for (auto& reader : readers_) reader->give_up();
  }

  // Hands every releasable record to `take(header, bytes, cpu)` in order of ktime; `take` returns
  // false to stop before that record. What `wants(header, bytes, cpu)` rejects is counted as own.
  // Returns how many records went, one way or the other.
  template <class Take>
  size_t release(Take take) {
    return release(take, [](const tapio_header*, uint32_t, unsigned) { return true; });
  }
  template <class Take, class Wants>
  size_t release(Take take, Wants wants) {
    size_t released = 0;
    for (;;) {
      const int cpu = oldest();
      if (cpu < 0) return released;
      RingReader& reader = *readers_[static_cast<unsigned>(cpu)];
      const uint64_t until = runner_up(cpu);
      // One ring often has a run of records: take them without looking at the others again.
      while (!reader.empty() && reader.front().ktime <= until) {
        const PendingRecord& record = reader.front();
        auto* header = reinterpret_cast<tapio_header*>(reader.bytes_of(record));
        const bool late = record.ktime < newest_;
        if (late) header->flags |= TAPIO_FLAG_LATE;
        if (self_.is(header->pid, header->pstart) ||
            !wants(header, record.bytes, static_cast<unsigned>(cpu))) {
          count(static_cast<unsigned>(cpu), record, header, &OpCounts::own);
          reader.pop();
          released++;
          continue;
        }
        if (!take(header, record.bytes, static_cast<unsigned>(cpu))) return released;
        if (late)
          late_++;
        else
          newest_ = record.ktime;
        count(static_cast<unsigned>(cpu), record, header, &OpCounts::consumed);
        reader.pop();
        released++;
      }
    }
  }

  uint64_t late() const { return late_; }
  // Largest ktime that was handed out.
  uint64_t newest() const { return newest_; }
  uint64_t malformed() const {
    uint64_t sum = 0;
    for (const auto& reader : readers_) sum += reader->malformed();
    return sum;
  }
  unsigned cpus() const { return static_cast<unsigned>(readers_.size()); }
  RingReader& reader(unsigned cpu) { return *readers_[cpu]; }
  const OpCounts& counts(unsigned cpu, unsigned op) const {
    return counts_[cpu * TAPIO_OPS_MAX + op];
  }
  uint64_t lost(unsigned cpu, unsigned op) const {
    const OpCounts& one = counts(cpu, op);
    const uint64_t read = one.consumed + one.own;
    return one.next_sequence > read ? one.next_sequence - read : 0;
  }
  // Lost per op of a CPU, at a moment when a record may have gone out before one of the same op
  // that was emitted earlier: that one waits, and is not lost.
  std::array<uint64_t, TAPIO_OPS_MAX> lost_for_good(unsigned cpu) {
    std::array<uint64_t, TAPIO_OPS_MAX> out;
    for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) out[op] = lost(cpu, op);
    RingReader& reader = *readers_[cpu];
    for (size_t i = 0; i < reader.waiting_count(); i++) {
      const auto* header = reinterpret_cast<tapio_header*>(reader.bytes_of(reader.waiting()[i]));
      if (header->op >= TAPIO_OPS_MAX || out[header->op] == 0) continue;
      const auto next = static_cast<uint32_t>(counts(cpu, header->op).next_sequence);
      if (static_cast<int32_t>(header->op_sequence - next) < 0) out[header->op]--;
    }
    return out;
  }
  bool drained() const {
    for (const auto& reader : readers_)
      if (!reader->empty() || !reader->at_head()) return false;
    return true;
  }

 private:
  void refill_to(uint64_t now) {
    watermark_ = UINT64_MAX;
    for (auto& reader : readers_) {
      const uint64_t floor = reader->refill(now);
      if (floor < watermark_) watermark_ = floor;
    }
  }

  // CPU whose next record is the oldest that may go, or -1.
  int oldest() const {
    int best = -1;
    uint64_t best_time = watermark_;
    for (size_t cpu = 0; cpu < readers_.size(); cpu++) {
      if (readers_[cpu]->empty()) continue;
      const uint64_t time = readers_[cpu]->front().ktime;
      if (time < best_time || (best < 0 && time <= best_time)) {
        best = static_cast<int>(cpu);
        best_time = time;
      }
    }
    return best;
  }
  // Up to which ktime `cpu` may go on alone.
  uint64_t runner_up(int cpu) const {
    uint64_t until = watermark_;
    for (size_t other = 0; other < readers_.size(); other++) {
      if (static_cast<int>(other) == cpu || readers_[other]->empty()) continue;
      const uint64_t time = readers_[other]->front().ktime;
      if (time < until) until = time;
    }
    return until;
  }

  void count(unsigned cpu, const PendingRecord& record, const tapio_header* header,
             uint64_t OpCounts::*counter) {
    if (header->op >= TAPIO_OPS_MAX) return;
    OpCounts& one = counts_[cpu * TAPIO_OPS_MAX + header->op];
    one.*counter += 1;
    if (record.far) {
      // 32 bits do not tell how many were missed; with the whole counter, which is less than a
      // round further on, they do.
      const uint64_t emitted = std::atomic_ref<const __u64>(control_[cpu].emitted[header->op])
                                   .load(std::memory_order_relaxed);
      const uint64_t sequence =
          emitted - static_cast<uint32_t>(static_cast<uint32_t>(emitted) - header->op_sequence);
      if (sequence >= one.next_sequence) one.next_sequence = sequence + 1;
      return;
    }
    const auto ahead =
        static_cast<int32_t>(header->op_sequence - static_cast<uint32_t>(one.next_sequence));
    const uint64_t sequence =
        one.next_sequence + static_cast<uint64_t>(static_cast<int64_t>(ahead));
    if (ahead >= 0) one.next_sequence = sequence + 1;
  }

  const tapio_ring_control* control_;
  const ProcessId self_;
  std::vector<std::unique_ptr<RingReader>> readers_;
  std::vector<OpCounts> counts_;
  uint64_t watermark_ = 0;
  uint64_t newest_ = 0;
  uint64_t late_ = 0;
};

}  // namespace tapio
