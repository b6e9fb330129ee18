// The drain with its thread: what it hands over, and that it comes to an end.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "decode.h"
#include "drain.h"
#include "ring_writer.h"

using namespace tapio;

namespace {

void write_fork(RingWriter& writer, uint64_t ktime, uint32_t pid) {
  tapio_process_fork record = {};
  record.header.op = TAPIO_PROCESS_FORK;
  record.header.pid = pid;
  std::snprintf(reinterpret_cast<char*>(record.header.comm), 16, "comm-%u", pid);
  writer.write(&record, sizeof(record), [&] { return ktime; });
}

// Takes items until the final cut, `seconds` at most.
template <class Look>
Cut drain_all(const Rings& rings, unsigned seconds, Look look) {
  Drain drain({{"rings", rings}}, {}, {}, [] {});
  drain.finish();
  drain.start();
  for (unsigned waited = 0; waited < seconds * 1000; waited++) {
    while (auto item = drain.take()) {
      look(drain, *item);
      if (auto* batch = std::get_if<Batch>(&*item)) drain.release(batch->slot);
      if (auto* cut = std::get_if<Cut>(&*item); cut && cut->final) return *cut;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(!"the final cut came");
  std::abort();
}

// More names than an index of 16 bits can tell apart, all within one reading of the rings: the
// dictionaries begin anew in time, and each row keeps its own.
void names_stay_apart() {
  constexpr unsigned cpus = 32, each = 2700;
  RingMemory memory(cpus, 1 << 19, 7);
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    RingWriter writer(memory, cpu);
    for (uint32_t i = 0; i < each; i++) write_fork(writer, 1 + i, cpu * each + i);
  }
  std::vector<std::string> comms;
  size_t rows = 0;
  drain_all(memory.rings(), 60, [&](Drain& drain, Item& item) {
    if (auto* cut = std::get_if<Cut>(&item)) {
      if (cut->rotated) comms.clear();
      return;
    }
    auto& batch = std::get<Batch>(item);
    for (auto& fresh : batch.fresh)
      if (fresh.column == k_comm) comms.insert(comms.end(), fresh.texts.begin(), fresh.texts.end());
    const Slot& slot = drain.slot(batch.slot);
    for (uint32_t row = 0; row < slot.rows; row++) {
      uint32_t pid;
      uint16_t comm;
      std::memcpy(&pid, slot.memory + slot.layout.regions[k_pid].data + row * 4, 4);
      std::memcpy(&comm, slot.memory + slot.layout.regions[k_comm].data + row * 2, 2);
      CHECK(comm < comms.size());
      CHECK(comms[comm] == "comm-" + std::to_string(pid));
    }
    rows += slot.rows;
  });
  CHECK(rows == size_t{cpus} * each);
}

// A record that will never be committed, as where a lapped writer wrote over it, does not keep a
// recording from ending. It, and what its block holds after it, is lost; other blocks are not.
void ends_in_spite_of_a_hole() {
  RingMemory memory(2, 1 << 19, 7);
  RingWriter writer(memory, 0), other(memory, 1);
  write_fork(writer, 1, 1);
  writer.reserve(TAPIO_PROCESS_FORK, sizeof(tapio_process_fork));
  const uint32_t each = 1000;  // 1.5 blocks
  for (uint32_t i = 0; i < each; i++) write_fork(writer, 2 + i, i);
  for (uint32_t i = 0; i < each; i++) write_fork(other, 2 + i, i);
  const Cut cut = drain_all(memory.rings(), 20, [](Drain&, Item&) {});
  const auto count = [](const std::vector<uint64_t>& counts, unsigned cpu) {
    return counts[cpu * TAPIO_OPS_MAX + TAPIO_PROCESS_FORK];
  };
  CHECK(count(cut.consumed, 1) == each && count(cut.lost, 1) == 0);
  CHECK(count(cut.consumed, 0) + count(cut.lost, 0) == each + 2);
  const uint64_t block = TAPIO_BLOCK_BYTES / sizeof(tapio_process_fork);
  CHECK(count(cut.lost, 0) >= 1 && count(cut.lost, 0) <= block);
}

}  // namespace

int main() {
  names_stay_apart();
  ends_in_spite_of_a_hole();
  return 0;
}
