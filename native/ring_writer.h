// The user-space producer of the ring that bpf/emit.bpf.h writes in the kernel: same format, same
// order of steps. For the synthetic source and for tests.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstring>

#include "raw_source.h"

namespace tapio {

// Ring memory that this process makes itself.
class RingMemory {
 public:
  RingMemory(unsigned cpus, uint64_t ring_bytes, uint64_t secret) : data_bytes_(cpus * ring_bytes) {
    rings_.cpus = cpus;
    rings_.ring_bytes = ring_bytes;
    rings_.secret = secret;
    data_ = allocate(data_bytes_);
    control_ = reinterpret_cast<tapio_ring_control*>(allocate(cpus * sizeof(tapio_ring_control)));
    rings_.data = data_;
    rings_.control = control_;
  }
  ~RingMemory() {
    munmap(data_, data_bytes_);
    munmap(control_, rings_.cpus * sizeof(tapio_ring_control));
  }
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  const Rings& rings() const { return rings_; }
  uint8_t* data(unsigned cpu) { return data_ + cpu * rings_.ring_bytes; }
  tapio_ring_control& control(unsigned cpu) { return control_[cpu]; }

 private:
  static uint8_t* allocate(size_t bytes) {
    void* made = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return made == MAP_FAILED ? nullptr : static_cast<uint8_t*>(made);
  }
  Rings rings_;
  size_t data_bytes_;
  uint8_t* data_;
  tapio_ring_control* control_;
};

// Writes one CPU's ring. One thread at a time; a signal handler on that thread may nest.
class RingWriter {
 public:
  RingWriter(RingMemory& memory, unsigned cpu)
      : data_(memory.data(cpu)),
        control_(memory.control(cpu)),
        ring_bytes_(memory.rings().ring_bytes),
        secret_(memory.rings().secret) {}
  RingWriter(uint8_t* data, tapio_ring_control& control, uint64_t ring_bytes, uint64_t secret)
      : data_(data), control_(control), ring_bytes_(ring_bytes), secret_(secret) {}

  // An open reservation. All words of the ring are written as relaxed atomics, as a reader may be
  // copying them.
  struct Slot {
    uint64_t position;
    uint32_t reserved;
    uint32_t sequence;
  };

  Slot reserve(unsigned op, uint32_t bytes) {
    for (;;) {
      const uint64_t position =
          atomic(control_.position).fetch_add(bytes, std::memory_order_acq_rel);
      const uint64_t offset = position & TAPIO_BLOCK_MASK;
      if (offset + bytes <= TAPIO_BLOCK_BYTES) {
        put(position, 0, 0);
        const auto sequence = static_cast<uint32_t>(
            atomic(control_.emitted[op]).fetch_add(1, std::memory_order_relaxed));
        return {position, bytes, sequence};
      }
      const auto here = static_cast<uint32_t>(TAPIO_BLOCK_BYTES - offset);
      pad(position, here);
      if (bytes > here) pad(position + here, bytes - here);
    }
  }

  // Writes a word of the record (index 1.. : word 0 is the commit word).
  void put(const Slot& slot, uint32_t index, uint64_t value) { put(slot.position, index, value); }

  // Publishes; what was not used of the reservation is given back, or padded where it cannot be.
  void commit(const Slot& slot, uint32_t used) {
    if (used < slot.reserved) {
      __u64 end = slot.position + slot.reserved;
      if (!atomic(control_.position)
               .compare_exchange_strong(end, slot.position + used, std::memory_order_acq_rel))
        pad(slot.position + used, slot.reserved - used);
    }
    publish(slot.position, (slot.position << 16 | used / 8) ^ secret_);
  }

  // A whole record at once. `clock` is asked for the ktime after the space is reserved, as the
  // kernel side does: what is reserved later is then never earlier.
  template <class Clock>
  void write(const void* record, uint32_t bytes, Clock clock) {
    const auto* header = static_cast<const tapio_header*>(record);
    const Slot slot = reserve(header->op, bytes);
    const auto* words = static_cast<const unsigned char*>(record);
    put(slot, 1, clock());
    uint64_t third;
    std::memcpy(&third, words + 16, 8);
    put(slot, 2, (third & ~0xffffffffull) | slot.sequence);
    for (uint32_t i = 3; i < bytes / 8; i++) {
      uint64_t word;
      std::memcpy(&word, words + i * 8, 8);
      put(slot, i, word);
    }
    commit(slot, bytes);
  }

  void count_filtered(unsigned op) {
    atomic(control_.filtered[op]).fetch_add(1, std::memory_order_relaxed);
  }

 private:
  static std::atomic_ref<__u64> atomic(__u64& word) { return std::atomic_ref<__u64>(word); }
  __u64& word_at(uint64_t position, uint32_t index) {
    return reinterpret_cast<__u64*>(data_)[(position & (ring_bytes_ - 1)) / 8 + index];
  }
  void put(uint64_t position, uint32_t index, uint64_t value) {
    atomic(word_at(position, index)).store(value, std::memory_order_relaxed);
  }
  void publish(uint64_t position, uint64_t commit) {
    atomic(word_at(position, 0)).store(commit, std::memory_order_release);
  }
  void pad(uint64_t position, uint32_t bytes) {
    publish(position, (position << 16 | TAPIO_PAD_BIT | bytes / 8) ^ secret_);
  }

  uint8_t* data_;
  tapio_ring_control& control_;
  const uint64_t ring_bytes_;
  const uint64_t secret_;
};

}  // namespace tapio
