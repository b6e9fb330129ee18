// The live ring: while anybody follows, the drain writes each row's record here once more, in the
// order of seq. The memory is a memfd, sealed so that its size stays and nobody else can map it
// for writing; readers of this host open it by the path of the descriptor in /proc and map it
// read-only. One page says what it is, one is the ring's control page, then come the kernel's drop
// reasons as text, then the ring in the format of bpf/ring.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "raw_source.h"
#include "ring_writer.h"

namespace tapio {

inline constexpr char kLiveMagic[8] = {'T', 'A', 'P', 'I', 'O', 'L', 'V', '1'};
inline constexpr uint64_t kLivePage = 4096;

// The first page.
struct LiveHeader {
  char magic[8];
  char fingerprint[64];
  char recording[64];
  __u64 ring_bytes;
  __u64 secret;
  __u64 reasons_bytes;  // "number name\n" each, from the third page on
  __u64 data_offset;
  // Seq of the next row; 0 until the drain writes here.
  __u64 next_seq;
};
static_assert(sizeof(LiveHeader) <= kLivePage);

// What stands before the copy of a record. A record and this may not be larger than any record may
// be: one that is, is left out, and followers find it in the store.
struct LivePrefix {
  __u64 commit;
  __u64 seq;  // where a record has its ktime: readers put records in this order
  __u64 cpu;
  __u64 ts_offset;
};
static_assert(sizeof(LivePrefix) + sizeof(tapio_header) <= TAPIO_RECORD_BYTES_MAX);

class LiveRing {
 public:
  // Null where the memory cannot be had; errno says why.
  static std::shared_ptr<LiveRing> create(uint64_t ring_bytes, const std::string& recording,
                                          const DropReasons& reasons);
  ~LiveRing();
  LiveRing(const LiveRing&) = delete;
  LiveRing& operator=(const LiveRing&) = delete;

  int fd() const { return fd_; }

  // On the drain thread: rows from `next_seq` on will come.
  void begin(uint64_t next_seq) { publish_next(next_seq); }
  void write(const tapio_header* record, uint32_t bytes, unsigned cpu, uint64_t seq,
             int64_t ts_offset) {
    const uint32_t whole = bytes + sizeof(LivePrefix);
    if (whole <= TAPIO_RECORD_BYTES_MAX) {
      const RingWriter::Slot slot = writer_->reserve(record->op, whole);
      writer_->put(slot, 1, seq);
      writer_->put(slot, 2, cpu);
      writer_->put(slot, 3, static_cast<uint64_t>(ts_offset));
      const auto* from = reinterpret_cast<const unsigned char*>(record);
      for (uint32_t i = 0; i < bytes / 8; i++) {
        uint64_t word;
        std::memcpy(&word, from + i * 8, 8);
        writer_->put(slot, sizeof(LivePrefix) / 8 + i, word);
      }
      writer_->commit(slot, whole);
    }
    publish_next(seq + 1);
    loudness_.count(record->pid);
  }

  // The process that made most of the last rows, and its part of them in thousandths; any thread.
  std::pair<uint32_t, uint32_t> loudest() const { return loudness_.last(); }

 private:
  // Finds who makes more than a fifth of the rows, if anybody does: of so many candidates none is
  // missed (Misra and Gries, 1982). It is told at the end of each window of rows.
  class Loudness {
   public:
    static constexpr unsigned kWindow = 8192, kCandidates = 16;
    void count(uint32_t pid) {
      add(pid);
      if (++rows_ < kWindow) return;
      const Candidate* best = &candidates_[0];
      for (const Candidate& one : candidates_)
        if (one.count > best->count) best = &one;
      const uint64_t share = uint64_t{best->count} * 1000 / kWindow;
      last_.store(uint64_t{best->pid} << 32 | share, std::memory_order_relaxed);
      rows_ = 0;
      for (Candidate& one : candidates_) one = {};
    }
    std::pair<uint32_t, uint32_t> last() const {
      const uint64_t both = last_.load(std::memory_order_relaxed);
      return {static_cast<uint32_t>(both >> 32), static_cast<uint32_t>(both)};
    }

   private:
    struct Candidate {
      uint32_t pid = 0, count = 0;
    };
    void add(uint32_t pid) {
      Candidate* free = nullptr;
      for (Candidate& one : candidates_) {
        if (one.count > 0 && one.pid == pid) {
          one.count++;
          return;
        }
        if (one.count == 0) free = &one;
      }
      if (free != nullptr) {
        *free = {pid, 1};
        return;
      }
      for (Candidate& one : candidates_) one.count--;
    }
    Candidate candidates_[kCandidates];
    unsigned rows_ = 0;
    std::atomic<uint64_t> last_{0};
  };

  LiveRing() = default;
  void publish_next(uint64_t next_seq) {
    std::atomic_ref<__u64>(header_->next_seq).store(next_seq, std::memory_order_release);
  }

  int fd_ = -1;
  uint8_t* memory_ = nullptr;
  size_t bytes_ = 0;
  LiveHeader* header_ = nullptr;
  std::unique_ptr<RingWriter> writer_;
  Loudness loudness_;
};

}  // namespace tapio
