// Reads one CPU's ring while it is being overwritten.
//
// Records are copied out word by word with relaxed atomic loads, up to a chunk at a time, and the
// ring's position is read again afterwards: where the writer may have come round meanwhile, the
// chunk is thrown away unread and the reader starts anew behind the oldest record. What leaves this
// class was therefore whole, and decoding never sees memory that changes (the copy costs about 5 ns
// a record against reading in place, and saves undoing half-decoded columns).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "raw_source.h"

namespace tapio {

// A record that was read and waits to be merged.
struct PendingRecord {
  uint64_t ktime;
  uint64_t position;
  uint32_t at;     // word in the reader's buffer
  uint16_t bytes;  // header included
  bool moved;      // goes out before records that lie at lower positions
  bool far;        // its op's sequence may have gone round since the last one that was read
};

class RingReader {
 public:
  // Bytes read and not yet merged that a reader holds at most, and copies at a time.
  static constexpr uint64_t kChunkBytes = 256 * 1024;

  RingReader(const Rings& rings, unsigned cpu)
      : ring_(reinterpret_cast<const uint64_t*>(rings.data + cpu * rings.ring_bytes)),
        control_(&rings.control[cpu]),
        ring_bytes_(rings.ring_bytes),
        secret_(rings.secret) {
    buffer_.resize((kChunkBytes + TAPIO_RECORD_BYTES_MAX) / 8);
  }

  // Goes on where another reader stood: its settled position, what it had given out beyond, and the
  // largest ktime that was given out.
  void resume(uint64_t position, std::vector<uint64_t> ahead, uint64_t newest) {
    cursor_ = position;
    skip_ = ahead;
    std::sort(skip_.begin(), skip_.end());
    ahead_ = std::move(ahead);
    newest_ = newest;
    far_ops_ = ~uint64_t{0};
  }

  // Reads what is committed, up to the chunk's room. Returns the ktime below which nothing more can
  // come out of this ring: `now` when it was read to its head, else that of the last record read.
  uint64_t refill(uint64_t now) {
    compact();
    const uint64_t head = position();
    if (behind(head)) resync(head);
    const size_t first_new = pending_.size();
    const uint32_t words_before = used_;
    const uint64_t start = cursor_;
    ops_read_ = 0;
    const Stop stop = copy_until(head);
    waits_ = stop == Stop::kUncommitted;
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint64_t after = position_relaxed();
    if (validates_ && after > start && after - start > ring_bytes_ - TAPIO_BLOCK_BYTES) {
      // The writer may have come round onto what was copied.
      pending_.resize(first_new);
      used_ = words_before;
      cursor_ = start;
      resync(after);
      return floor_;
    }
    far_ops_ &= ~ops_read_;
    settle(first_new);
    backlog_ = after > cursor_ ? after - cursor_ : 0;
    // A full buffer must not wait for itself: all in it may have been stamped after `now` was read.
    if (stop == Stop::kRoom && newest_ > floor_) floor_ = newest_;
    if (stop == Stop::kHead) floor_ = now;
    return floor_;
  }

  // Nobody writes any more: what is not committed never will be. Goes on at the next block if that
  // is what the reader waits for.
  void give_up() {
    if (waits_) skip_block();
  }

  bool empty() const { return next_ == pending_.size(); }
  const PendingRecord& front() const { return pending_[next_]; }
  // The record's bytes, valid until the next refill().
  unsigned char* bytes_of(const PendingRecord& record) {
    return reinterpret_cast<unsigned char*>(buffer_.data() + record.at);
  }
  void pop() {
    if (front().moved) ahead_.push_back(front().position);
    next_++;
  }

  // Everything before this position was handed on or is lost.
  uint64_t settled_position() const {
    uint64_t lowest = cursor_;
    for (size_t i = next_; i < pending_.size(); i++)
      if (pending_[i].position < lowest) lowest = pending_[i].position;
    return lowest;
  }
  // Records beyond the settled position that were handed on already.
  std::vector<uint64_t> ahead() {
    forget_ahead_below(settled_position());
    return ahead_;
  }
  // Records that were read and wait, in the order of handing on.
  const PendingRecord* waiting() const { return pending_.data() + next_; }
  size_t waiting_count() const { return pending_.size() - next_; }
  // Bytes that waited behind the cursor at the last refill.
  uint64_t backlog() const { return backlog_; }
  bool at_head() const { return cursor_ >= position(); }
  uint64_t malformed() const { return malformed_; }

  // ktime range of what was overwritten since the last call; both 0 without loss.
  void take_loss(uint64_t* first, uint64_t* last) {
    *first = loss_first_;
    *last = loss_last_;
    loss_first_ = loss_last_ = 0;
  }

  // Test aid: without validation, a lapped reader hands on torn records.
  void set_validates(bool validates) { validates_ = validates; }

 private:
  enum class Stop { kHead, kRoom, kUncommitted };

  uint64_t position() const {
    return std::atomic_ref<const __u64>(control_->position).load(std::memory_order_acquire);
  }
  uint64_t position_relaxed() const {
    return std::atomic_ref<const __u64>(control_->position).load(std::memory_order_relaxed);
  }
  uint64_t word(uint64_t position) const {
    return std::atomic_ref<const uint64_t>(ring_[(position & (ring_bytes_ - 1)) / 8])
        .load(std::memory_order_relaxed);
  }
  bool behind(uint64_t head) const {
    return validates_ && head > cursor_ && head - cursor_ > ring_bytes_ - TAPIO_BLOCK_BYTES;
  }

  // Starts anew at a block, far enough from the writer not to be lapped again at once.
  void resync(uint64_t head) {
    const uint64_t margin =
        ring_bytes_ / 8 > TAPIO_BLOCK_BYTES ? ring_bytes_ / 8 : TAPIO_BLOCK_BYTES;
    const uint64_t oldest = head - ring_bytes_ + TAPIO_BLOCK_BYTES + margin;
    cursor_ = (oldest + TAPIO_BLOCK_MASK) & ~uint64_t{TAPIO_BLOCK_MASK};
    resynced_ = true;
    far_ops_ = ~uint64_t{0};
    skip_next_ = 0;
  }

  Stop copy_until(uint64_t head) {
    while (cursor_ < head) {
      const uint64_t commit = word(cursor_) ^ secret_;
      const uint64_t words = commit & TAPIO_WORDS_MASK;
      const bool pad = commit & TAPIO_PAD_BIT;
      const bool ours = commit >> 16 == (cursor_ & 0xffffffffffff);
      const bool fits = words > 0 && (cursor_ & TAPIO_BLOCK_MASK) + words * 8 <= TAPIO_BLOCK_BYTES;
      if (!ours || !fits || (!pad && !plausible(words))) {
        // A writer commits within microseconds of reserving. What stays odd while the ring has
        // moved on by blocks will never be a record.
        if (head - cursor_ <= 2 * TAPIO_BLOCK_BYTES) return Stop::kUncommitted;
        skip_block();
        continue;
      }
      if (!pad && !is_skipped()) {
        if ((used_ + words) * 8 > kChunkBytes + TAPIO_RECORD_BYTES_MAX - 8) return Stop::kRoom;
        if (used_ * 8 >= kChunkBytes) return Stop::kRoom;
        copy_record(static_cast<uint32_t>(words));
      }
      cursor_ += words * 8;
    }
    return Stop::kHead;
  }

  void skip_block() {
    malformed_++;
    cursor_ = (cursor_ | TAPIO_BLOCK_MASK) + 1;
    waits_ = false;
  }

  static bool plausible(uint64_t words) {
    return words * 8 >= sizeof(tapio_header) && words * 8 <= TAPIO_RECORD_BYTES_MAX;
  }

  void copy_record(uint32_t words) {
    uint64_t* to = buffer_.data() + used_;
    const uint64_t* from = ring_ + (cursor_ & (ring_bytes_ - 1)) / 8;
    for (uint32_t i = 0; i < words; i++)
      to[i] = std::atomic_ref<const uint64_t>(from[i]).load(std::memory_order_relaxed);
    const unsigned op = reinterpret_cast<const tapio_header*>(to)->op % TAPIO_OPS_MAX;
    ops_read_ |= uint64_t{1} << op;
    pending_.push_back({to[1], cursor_, used_, static_cast<uint16_t>(words * 8), false,
                        (far_ops_ >> op & 1) != 0});
    used_ += words;
  }

  // True for a record that was handed on before this reader took over.
  bool is_skipped() {
    while (skip_next_ < skip_.size() && skip_[skip_next_] < cursor_) skip_next_++;
    return skip_next_ < skip_.size() && skip_[skip_next_] == cursor_;
  }

  void forget_ahead_below(uint64_t position) {
    std::erase_if(ahead_, [position](uint64_t one) { return one < position; });
  }

  // The chunk is whole: puts nested records in their place and notes what was lost before it.
  void settle(size_t first_new) {
    if (first_new == pending_.size()) return;
    if (resynced_) {
      if (loss_first_ == 0) loss_first_ = newest_;
      loss_last_ = pending_[first_new].ktime;
      resynced_ = false;
    }
    for (size_t i = first_new; i < pending_.size(); i++) {
      PendingRecord record = pending_[i];
      if (record.ktime >= newest_) {
        newest_ = record.ktime;
        continue;
      }
      // An interrupt's record reserved later but stamped earlier than the one it nested in.
      size_t to = i;
      while (to > next_ && pending_[to - 1].ktime > record.ktime) {
        pending_[to] = pending_[to - 1];
        to--;
      }
      record.moved = to < i;
      pending_[to] = record;
    }
    floor_ = newest_;
  }

  // Moves what still waits to the buffer's start.
  void compact() {
    if (next_ == 0) return;
    if (next_ == pending_.size()) {
      pending_.clear();
      next_ = 0;
      used_ = 0;
      if (!ahead_.empty()) forget_ahead_below(cursor_);
      return;
    }
    // Sorting may have put a record behind one that lies after it: find the lowest word in use.
    uint32_t lowest = std::numeric_limits<uint32_t>::max();
    for (size_t i = next_; i < pending_.size(); i++)
      if (pending_[i].at < lowest) lowest = pending_[i].at;
    std::memmove(buffer_.data(), buffer_.data() + lowest, (used_ - lowest) * 8);
    used_ -= lowest;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(next_));
    for (PendingRecord& record : pending_) record.at -= lowest;
    next_ = 0;
  }

  const uint64_t* ring_;
  const tapio_ring_control* control_;
  const uint64_t ring_bytes_;
  const uint64_t secret_;
  std::vector<uint64_t> buffer_;
  std::vector<PendingRecord> pending_;
  size_t next_ = 0;
  uint32_t used_ = 0;  // words of buffer_
  uint64_t cursor_ = 0;
  uint64_t floor_ = 0;   // nothing older can come any more
  uint64_t newest_ = 0;  // largest ktime read
  uint64_t backlog_ = 0;
  uint64_t malformed_ = 0;
  uint64_t loss_first_ = 0, loss_last_ = 0;
  uint64_t far_ops_ = 0;   // bit per op of which nothing was read since reading began anew
  uint64_t ops_read_ = 0;  // in the chunk under way
  // Positions, rising, of records that were handed on before this reader took over.
  std::vector<uint64_t> skip_;
  size_t skip_next_ = 0;
  std::vector<uint64_t> ahead_;  // of records handed on before others that lie lower
  bool resynced_ = false;
  bool waits_ = false;  // for a record to be committed
  bool validates_ = true;
};

}  // namespace tapio
