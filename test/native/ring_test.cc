// The ring under a writer that laps it: every word of every record that comes out is checked, what
// is missed is counted exactly, by one writer and by writers nested like interrupts. The control
// takes the validation away and must see torn records, or the test proves nothing.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "check.h"
#include "merge.h"
#include "ring_writer.h"

using namespace tapio;

namespace {

constexpr uint64_t kSecret = 0x5ec2e7b17e5ull;
constexpr unsigned kOuter = TAPIO_FILE_READ;
constexpr unsigned kNested = TAPIO_PROCESS_SIGNAL;

uint64_t mix(uint64_t sequence, uint64_t i) {
  uint64_t z = sequence * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull + 1;
  z = (z ^ (z >> 31)) * 0x94d049bb133111ebull;
  return z ^ (z >> 29);
}

// Records of one op carry, in every word after the second, a function of their sequence number.
uint32_t words_of(uint64_t sequence) { return 10 + static_cast<uint32_t>(mix(sequence, 77) % 40); }

struct Writer {
  explicit Writer(RingMemory& memory) : ring(memory, 0) {}

  void fill(const RingWriter::Slot& slot, unsigned op, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
      if (i == 1)
        ring.put(slot, 1, ++clock);
      else if (i == 2)
        ring.put(slot, 2, slot.sequence | uint64_t{op} << 32);
      else
        ring.put(slot, i, mix(slot.sequence, i));
    }
  }

  // `nest` writes another record in the middle of this one, or as space is given back.
  void write(unsigned op, uint64_t sequence, bool nest) {
    const uint32_t words = words_of(sequence);
    const auto slot = ring.reserve(op, (words + 40) * 8);
    CHECK(slot.sequence == static_cast<uint32_t>(sequence));
    fill(slot, op, 1, words / 2);
    if (nest) write_nested();
    fill(slot, op, words / 2, words);
    ring.commit(slot, words * 8);
  }

  void write_nested() {
    const uint32_t words = words_of(nested);
    const auto slot = ring.reserve(kNested, words * 8);
    fill(slot, kNested, 1, words);
    ring.commit(slot, words * 8);
    nested++;
  }

  RingWriter ring;
  uint64_t clock = 0;
  uint64_t nested = 0;
  uint64_t ring_sequence = 0;
};

// Looks at what came out; counts bad words instead of stopping, for the control.
struct Checker {
  uint64_t bad = 0;
  uint64_t records = 0;

  void look(const tapio_header* header, uint32_t bytes) {
    const auto* words = reinterpret_cast<const uint64_t*>(header);
    const uint64_t sequence = header->op_sequence;
    records++;
    if ((header->op != kOuter && header->op != kNested) || bytes != words_of(sequence) * 8) {
      bad++;
      return;
    }
    for (uint32_t i = 3; i < bytes / 8; i++) {
      if (words[i] != mix(sequence, i)) {
        bad++;
        return;
      }
    }
  }
};

struct Outcome {
  uint64_t bad, taken, lost, issued;
};

// One writer thread laps the ring; the reader falls asleep now and then.
Outcome lap(uint64_t ring_bytes, uint64_t records, bool nest, bool validate, unsigned sleep_us) {
  RingMemory memory(1, ring_bytes, kSecret);
  Merge merge(memory.rings());
  merge.reader(0).set_validates(validate);
  std::atomic<bool> done{false};
  Writer writer(memory);
  std::thread producer([&] {
    for (uint64_t i = 0; i < records; i++) writer.write(kOuter, i, nest && i % 7 == 0);
    done = true;
  });
  Checker checker;
  const auto take = [&](tapio_header* header, uint32_t bytes, unsigned) {
    checker.look(header, bytes);
    return true;
  };
  uint64_t rounds = 0;
  while (!done) {
    merge.refill_all();
    merge.release(take);
    if (sleep_us && ++rounds % 50 == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(sleep_us));
  }
  producer.join();
  do {
    merge.refill_all();
    merge.release(take);
  } while (validate && !merge.drained());
  Outcome out = {checker.bad, checker.records, 0, 0};
  for (unsigned op : {kOuter, kNested}) {
    const uint64_t emitted = memory.control(0).emitted[op];
    out.issued += emitted;
    out.lost += emitted - merge.counts(0, op).consumed;
    // Known while it runs, from sequence numbers alone; the newest may still be ahead of the
    // reader.
    if (validate) CHECK(merge.lost(0, op) <= emitted - merge.counts(0, op).consumed);
  }
  return out;
}

void laps_and_counts(uint64_t records, bool nest) {
  for (const uint64_t ring_bytes : {uint64_t{1} << 19, uint64_t{1} << 21}) {
    const Outcome out = lap(ring_bytes, records, nest, true, 3000);
    std::printf(
        "ring %llu KiB, nested %d: %llu issued, %llu taken, %llu lost, %llu bad\n",
        static_cast<unsigned long long>(ring_bytes >> 10), nest,
        static_cast<unsigned long long>(out.issued), static_cast<unsigned long long>(out.taken),
        static_cast<unsigned long long>(out.lost), static_cast<unsigned long long>(out.bad));
    CHECK(out.bad == 0);
    CHECK(out.taken + out.lost == out.issued);
    if (ring_bytes == 1 << 19) CHECK(out.lost > 0);
  }
}

// Without validation a reader that is lapped hands on torn records: the checker can see them.
void control_tears(uint64_t records) {
  for (int attempt = 0; attempt < 100; attempt++) {
    const Outcome out = lap(1 << 19, records, false, false, 3000);
    std::printf("control: %llu taken, %llu bad\n", static_cast<unsigned long long>(out.taken),
                static_cast<unsigned long long>(out.bad));
    if (out.bad > 0) return;
  }
  CHECK(!"the control sees torn records");
}

// A commit word that claims nonsense never stops or misleads the reader for good.
void survives_forged_words() {
  RingMemory memory(1, 1 << 19, kSecret);
  Writer writer(memory);
  Merge merge(memory.rings());
  uint64_t state = 42;
  for (int round = 0; round < 200; round++) {
    for (uint64_t i = 0; i < 100; i++) writer.write(kOuter, writer.ring_sequence++, false);
    // Overwrites a word of the ring with something else.
    state = mix(state, 3);
    auto* words = reinterpret_cast<uint64_t*>(memory.data(0));
    words[state % ((1 << 19) / 8)] = mix(state, 5);
    merge.refill_all();
    Checker checker;
    merge.release([&](tapio_header* header, uint32_t bytes, unsigned) {
      checker.look(header, bytes);
      CHECK(bytes >= sizeof(tapio_header) && bytes <= TAPIO_RECORD_BYTES_MAX);
      return true;
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
  const bool tears = argc > 2 && std::strcmp(argv[2], "control") == 0;
  laps_and_counts(records, false);
  laps_and_counts(records, true);
  survives_forged_words();
  // Under a sanitizer the control's torn reads are what it is for; it runs in the plain build only.
  if (tears) control_tears(records);
  return 0;
}
