// The merge against a sort: random writers on several CPUs, read in chunks.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "check.h"
#include "merge.h"
#include "ring_writer.h"

using namespace tapio;

namespace {

struct Made {
  uint64_t ktime;
  unsigned cpu;
  uint32_t sequence;
  bool operator<(const Made& other) const {
    return std::tie(ktime, cpu, sequence) < std::tie(other.ktime, other.cpu, other.sequence);
  }
  bool operator==(const Made&) const = default;
};

void write(RingWriter& writer, uint64_t ktime, unsigned bytes) {
  std::vector<unsigned char> record(bytes);
  reinterpret_cast<tapio_header*>(record.data())->op = TAPIO_FILE_OPEN;
  writer.write(record.data(), bytes, [&] { return ktime; });
}

// Everything comes out once, in the order of a sort by ktime, however reading and writing
// alternate.
void equals_a_sort(unsigned seed) {
  std::mt19937_64 random(seed);
  const unsigned cpus = 1 + random() % 4;
  RingMemory memory(cpus, 8 << 20, random());
  Merge merge(memory.rings());
  std::vector<RingWriter> writers;
  for (unsigned cpu = 0; cpu < cpus; cpu++) writers.emplace_back(memory, cpu);
  std::vector<uint32_t> sequences(cpus);
  std::vector<Made> made, taken;
  uint64_t clock = 1;
  uint64_t newest = 0, late = 0;
  const auto take = [&](tapio_header* header, uint32_t, unsigned cpu) {
    taken.push_back({header->ktime, cpu, header->op_sequence});
    // Back only where it says so: a nested record whose neighbours had gone with the chunk before.
    if (header->flags & TAPIO_FLAG_LATE)
      late++;
    else
      CHECK(header->ktime >= newest);
    newest = std::max<uint64_t>(newest, header->ktime);
    return true;
  };
  for (int round = 0; round < 50; round++) {
    for (unsigned i = random() % 200; i > 0; i--) {
      const unsigned cpu = random() % cpus;
      clock += random() % 3;
      // Within one CPU a nested record may be stamped a little before the one it interrupted.
      const uint64_t ktime = clock > 5 && random() % 20 == 0 ? clock - random() % 4 : clock;
      made.push_back({ktime, cpu, sequences[cpu]++});
      write(writers[cpu], ktime, 80 + 8 * (random() % 30));
    }
  }
  while (!merge.drained()) {
    merge.refill_all();
    merge.release(take);
  }
  CHECK(taken.size() == made.size());
  std::sort(taken.begin(), taken.end());
  std::sort(made.begin(), made.end());
  CHECK(taken == made);
  CHECK(merge.late() == late);
  CHECK(late * 100 <= made.size());
}

// A record that comes to light after later ones went out is flagged and counted.
void late_is_flagged() {
  RingMemory memory(2, 1 << 20, 7);
  Merge merge(memory.rings());
  RingWriter first(memory, 0), second(memory, 1);
  std::vector<bool> late;
  const auto take = [&](tapio_header* header, uint32_t, unsigned) {
    late.push_back(header->flags & TAPIO_FLAG_LATE);
    return true;
  };
  write(first, 100, 80);
  merge.refill_all();
  merge.release(take);
  write(second, 50, 80);
  write(second, 120, 80);
  merge.refill_all();
  merge.release(take);
  CHECK((late == std::vector<bool>{false, true, false}));
  CHECK(merge.late() == 1);
}

// A ring whose head is still being written holds back what may come after it.
void waits_for_the_writer() {
  RingMemory memory(2, 1 << 20, 7);
  Merge merge(memory.rings());
  RingWriter first(memory, 0), second(memory, 1);
  write(first, 10, 80);
  const auto open = first.reserve(TAPIO_FILE_OPEN, 80);
  write(second, 5, 80);
  write(second, 40, 80);
  size_t taken = 0;
  uint64_t newest = 0;
  const auto take = [&](tapio_header* header, uint32_t, unsigned) {
    taken++;
    CHECK(header->ktime >= newest);
    newest = header->ktime;
    return true;
  };
  merge.refill();
  merge.release(take);
  CHECK(taken == 2);
  first.put(open, 1, 20);
  first.put(open, 2, open.sequence | uint64_t{TAPIO_FILE_OPEN} << 32);
  first.commit(open, 80);
  merge.refill();
  merge.release(take);
  CHECK(taken == 4);
}

// A reader whose buffer was filled to its brim by records later than the clock was, as when the
// thread lost its CPU between reading the clock and the ring, still lets them go.
void a_full_buffer_is_released() {
  RingMemory memory(2, 1 << 20, 7);
  Merge merge(memory.rings());
  RingWriter writer(memory, 0);
  const size_t records = RingReader::kChunkBytes / TAPIO_RECORD_BYTES_MAX;
  const uint64_t later = monotonic_ns() + 1'000'000'000'000;
  for (size_t i = 0; i < records; i++) write(writer, later + i, TAPIO_RECORD_BYTES_MAX);
  size_t taken = 0;
  const auto take = [&](tapio_header*, uint32_t, unsigned) {
    taken++;
    return true;
  };
  merge.refill();
  merge.release(take);
  CHECK(taken == 0);
  write(writer, later + records, 80);
  for (int round = 0; round < 3; round++) {
    merge.refill_all();
    merge.release(take);
  }
  CHECK(taken == records + 1);
  CHECK(merge.drained());
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1;
  const unsigned rounds = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 200;
  std::printf("seed %u\n", seed);
  for (unsigned i = 0; i < rounds; i++) equals_a_sort(seed + i);
  late_is_flagged();
  waits_for_the_writer();
  a_full_buffer_is_released();
  return 0;
}
