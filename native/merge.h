// Merges the CPUs' rings by kernel time.
#pragma once

#include <time.h>

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
  uint64_t next_sequence = 0;  // one past the highest seen
};

class Merge {
 public:
  explicit Merge(const Rings& rings) : counts_(rings.cpus * TAPIO_OPS_MAX) {
    for (unsigned cpu = 0; cpu < rings.cpus; cpu++)
      readers_.push_back(std::make_unique<RingReader>(rings, cpu));
  }

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
  // false to stop before that record. Returns how many were taken.
  template <class Take>
  size_t release(Take take) {
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
        if (!take(header, record.bytes, static_cast<unsigned>(cpu))) return released;
        if (late)
          late_++;
        else
          newest_ = record.ktime;
        count(static_cast<unsigned>(cpu), header);
        reader.pop();
        released++;
      }
    }
  }

  uint64_t late() const { return late_; }
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
    return one.next_sequence > one.consumed ? one.next_sequence - one.consumed : 0;
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

  void count(unsigned cpu, const tapio_header* header) {
    if (header->op >= TAPIO_OPS_MAX) return;
    OpCounts& one = counts_[cpu * TAPIO_OPS_MAX + header->op];
    one.consumed++;
    const auto ahead =
        static_cast<int32_t>(header->op_sequence - static_cast<uint32_t>(one.next_sequence));
    const uint64_t sequence =
        one.next_sequence + static_cast<uint64_t>(static_cast<int64_t>(ahead));
    if (ahead >= 0) one.next_sequence = sequence + 1;
  }

  std::vector<std::unique_ptr<RingReader>> readers_;
  std::vector<OpCounts> counts_;
  uint64_t watermark_ = 0;
  uint64_t newest_ = 0;
  uint64_t late_ = 0;
};

}  // namespace tapio
