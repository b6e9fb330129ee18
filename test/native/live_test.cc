// The live ring and its reader: rows that come out are those that went in, whole, in order, each
// once; what a slow reader misses is a gap that it is told of. The control takes the validation
// away and must see torn rows.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

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
#include "live_reader.h"
#include "ring_writer.h"

using namespace tapio;

namespace {

constexpr uint64_t kRingBytes = 8 * TAPIO_BLOCK_BYTES;

uint64_t mix(uint64_t n) {
  n = (n ^ (n >> 31)) * 0x94d049bb133111ebull;
  return n ^ (n >> 29);
}

Kind kind_of(unsigned type, unsigned column) { return table_layout(type).columns[column].kind; }

// All rows of process ops for which `predicate` is true, with these columns.
std::vector<std::unique_ptr<ScanTable>> process_table(std::vector<unsigned> output,
                                                      std::unique_ptr<Predicate> predicate) {
  std::vector<std::unique_ptr<ScanTable>> tables(kTypes + 1);
  const unsigned type = type_of_op[TAPIO_PROCESS_FORK];
  auto table = std::make_unique<ScanTable>();
  const TableLayout& layout = table_layout(type);
  for (unsigned i = 0; i < layout.count; i++)
    table->columns.push_back(
        {layout.columns[i].name, kind_of(type, i), layout.columns[i].nullable});
  table->columns.push_back({"ktime", Kind::kU64, false});
  table->predicate = std::move(predicate);
  table->output = std::move(output);
  tables[type] = std::move(table);
  return tables;
}

std::unique_ptr<Predicate> always() {
  auto out = std::make_unique<Predicate>();
  out->kind = Node::kTrue;
  return out;
}

std::unique_ptr<LiveMapping> mapping_of(const LiveRing& ring) {
  std::string why;
  auto out = LiveMapping::open(ring.fd(), &why);
  CHECK(out != nullptr && why.empty());
  return out;
}

LiveReader reader_of(const LiveRing& ring, std::vector<unsigned> output,
                     std::unique_ptr<Predicate> predicate = always(), LiveSeen seen = {}) {
  return LiveReader(mapping_of(ring), process_table(std::move(output), std::move(predicate)), seen,
                    {});
}

// A record whose every field follows from its seq.
tapio_process_fork fork_of(uint64_t seq) {
  tapio_process_fork record = {};
  record.header.op = TAPIO_PROCESS_FORK;
  record.header.ktime = 1000 + seq;
  record.header.pid = static_cast<uint32_t>(mix(seq));
  record.header.tid = static_cast<uint32_t>(mix(seq) >> 32);
  record.header.cgroup_id = mix(seq + 1);
  std::snprintf(reinterpret_cast<char*>(record.header.comm), 16, "c-%u",
                static_cast<unsigned>(seq % 1000));
  return record;
}

void write(LiveRing& ring, uint64_t seq) {
  const tapio_process_fork record = fork_of(seq);
  ring.write(&record.header, sizeof(record), 3, seq, 500);
}

template <class T>
T value(const LiveBlock& block, unsigned column, uint32_t row) {
  // Validity, then values, of each column.
  T out;
  std::memcpy(&out, block.memory.data() + block.regions[column * 4 + 2] + row * sizeof(T),
              sizeof(T));
  return out;
}

std::string text(const LiveBlock& block, unsigned column, uint32_t index) {
  int32_t ends[2];
  const uint32_t* at = &block.strings[column * 4];
  CHECK((index + 2) * 4 <= at[1]);
  std::memcpy(ends, block.memory.data() + at[0] + index * 4, 8);
  CHECK(ends[0] <= ends[1] && static_cast<uint32_t>(ends[1]) <= at[3]);
  return {reinterpret_cast<const char*>(block.memory.data()) + at[2] + ends[0],
          static_cast<size_t>(ends[1] - ends[0])};
}

const std::vector<unsigned> kWanted = {k_seq, k_ts, k_cpu, k_pid, k_tid, k_comm, k_cgroup_id};

// True where a row is what was written under its seq.
bool is_whole(const LiveBlock& block, uint32_t row) {
  const auto seq = value<uint64_t>(block, 0, row);
  const tapio_process_fork record = fork_of(seq);
  return value<uint64_t>(block, 1, row) == record.header.ktime + 500 &&
         value<uint16_t>(block, 2, row) == 3 &&
         value<uint32_t>(block, 3, row) == record.header.pid &&
         value<uint32_t>(block, 4, row) == record.header.tid &&
         text(block, 5, value<uint16_t>(block, 5, row)) ==
             reinterpret_cast<const char*>(record.header.comm) &&
         value<uint64_t>(block, 6, row) == record.header.cgroup_id;
}

struct Seen {
  uint64_t rows = 0, missed = 0, gaps = 0;
};

// Reads what a writer at full speed writes; `lazy` sleeps at times, so that it is lapped.
Seen under_load(uint64_t count, bool lazy) {
  const auto ring = LiveRing::create(kRingBytes, "r", {});
  CHECK(ring != nullptr);
  LiveReader reader = reader_of(*ring, kWanted);
  CHECK(!reader.attached());
  ring->begin(1);
  CHECK(reader.attached());
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (uint64_t seq = 1; seq <= count; seq++) write(*ring, seq);
    done = true;
  });
  Seen seen;
  uint64_t after = 0, reads = 0;
  for (;;) {
    const bool last = done;
    const LiveChunk chunk = reader.read(after);
    uint64_t next = after + 1;
    CHECK(chunk.blocks.size() <= 1);
    for (const LiveBlock& block : chunk.blocks) {
      for (uint32_t row = 0; row < block.rows; row++) {
        CHECK(is_whole(block, row));
        CHECK(value<uint64_t>(block, 0, row) == next++);
      }
      seen.rows += block.rows;
    }
    CHECK(chunk.through == next - 1);
    if (chunk.gap_until != 0) {
      CHECK(chunk.blocks.empty() && chunk.gap_until > after + 1);
      seen.missed += chunk.gap_until - 1 - after;
      seen.gaps++;
      after = chunk.gap_until - 1;
    } else if (chunk.through == after) {
      if (last) break;
    } else {
      after = chunk.through;
    }
    if (lazy && ++reads % 8 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  writer.join();
  CHECK(after == count && seen.rows + seen.missed == count);
  return seen;
}

// Rows that are given anew, as after the store could not be written, are told apart.
void goes_back() {
  const auto ring = LiveRing::create(kRingBytes, "r", {});
  LiveReader plain = reader_of(*ring, kWanted);
  // Has had everything up to 80, which then begins again with the same records.
  LiveReader again = reader_of(*ring, kWanted, always(), {80, 1080});
  ring->begin(1);
  for (uint64_t seq = 1; seq <= 100; seq++) write(*ring, seq);
  for (uint64_t seq = 50; seq <= 120; seq++) write(*ring, seq);
  const auto seqs = [](LiveReader& reader, uint64_t after) {
    std::vector<uint64_t> out;
    for (;;) {
      const LiveChunk chunk = reader.read(after);
      CHECK(chunk.gap_until == 0);
      if (chunk.through == after) return out;
      after = chunk.through;
      for (const LiveBlock& block : chunk.blocks)
        for (uint32_t row = 0; row < block.rows; row++)
          out.push_back(value<uint64_t>(block, 0, row));
    }
  };
  std::vector<uint64_t> expected;
  for (uint64_t seq = 1; seq <= 120; seq++) expected.push_back(seq);
  CHECK(seqs(plain, 0) == expected);
  expected.erase(expected.begin(), expected.begin() + 80);
  CHECK(seqs(again, 49) == expected);
}

// Rows that the store has given already are passed over, however many they are: nothing at all is
// said only where nothing is left.
void passes_over() {
  const auto ring = LiveRing::create(kRingBytes, "r", {});
  LiveReader reader = reader_of(*ring, kWanted);
  ring->begin(1);
  // All but a block of the ring, more than one refill.
  const uint64_t count = (kRingBytes - 2 * TAPIO_BLOCK_BYTES) / 136;
  for (uint64_t seq = 1; seq <= count; seq++) write(*ring, seq);
  const LiveChunk chunk = reader.read(count - 1);
  CHECK(chunk.through == count && chunk.blocks.size() == 1 && chunk.blocks[0].rows == 1);
}

// What the drain gives to JS and what it gives to followers are the same rows; a filter sees a
// record's ktime, and strings by their text.
void as_the_drain_gives() {
  constexpr unsigned cpus = 2, each = 5000;
  RingMemory memory(cpus, 1 << 21, 7);
  const auto ring = LiveRing::create(1 << 22, "a recording", {{2, "NO_SOCKET"}, {3, "A B"}});
  LiveReader all = reader_of(*ring, kWanted);
  CHECK(all.mapping().recording() == "a recording");
  CHECK((all.mapping().reasons() == DropReasons{{2, "NO_SOCKET"}, {3, "A B"}}));
  auto ktime = std::make_unique<Predicate>();
  ktime->kind = Node::kWithin;
  ktime->ranges = {{2000, 2999}};
  ktime->args.push_back(std::make_unique<Predicate>());
  ktime->args[0]->kind = Node::kIntField;
  ktime->args[0]->column = static_cast<int>(table_layout(1).count);
  LiveReader some = reader_of(*ring, kWanted, std::move(ktime));
  auto comm = std::make_unique<Predicate>();
  comm->kind = Node::kOneOf;
  comm->texts = {"c-7"};
  comm->args.push_back(std::make_unique<Predicate>());
  comm->args[0]->kind = Node::kTextField;
  comm->args[0]->column = k_comm;
  comm->id = 1;
  LiveReader named = reader_of(*ring, kWanted, std::move(comm));
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    RingWriter writer(memory, cpu);
    for (uint32_t i = 0; i < each; i++) {
      const tapio_process_fork record = fork_of(i);
      writer.write(&record, sizeof(record), [&] { return 1000 + i; });
    }
  }
  std::vector<uint32_t> drained;
  Drain drain({{"rings", memory.rings()}}, {}, {}, [] {});
  drain.copy_to(ring);
  drain.finish();
  drain.start();
  for (bool ended = false; !ended;) {
    const auto item = drain.take();
    if (!item) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (const auto* batch = std::get_if<Batch>(&*item)) {
      const Slot& slot = drain.slot(batch->slot);
      for (uint32_t row = 0; row < slot.rows; row++) {
        uint32_t pid;
        std::memcpy(&pid, slot.memory + slot.layout.regions[k_pid].data + row * 4, 4);
        drained.push_back(pid);
      }
      drain.release(batch->slot);
    } else {
      ended = std::get<Cut>(*item).final;
    }
  }
  CHECK(drained.size() == size_t{cpus} * each);
  const auto rows = [](LiveReader& reader, auto look) {
    uint64_t after = 0;
    for (LiveChunk chunk = reader.read(after); chunk.through != after; chunk = reader.read(after)) {
      after = chunk.through;
      for (const LiveBlock& block : chunk.blocks)
        for (uint32_t row = 0; row < block.rows; row++) look(block, row);
    }
    CHECK(after == size_t{cpus} * each);
  };
  std::vector<uint32_t> live;
  rows(all, [&](const LiveBlock& block, uint32_t row) {
    live.push_back(value<uint32_t>(block, 3, row));
  });
  CHECK(live == drained);
  size_t count = 0;
  rows(some, [&](const LiveBlock& block, uint32_t row) {
    const auto ts = value<int64_t>(block, 1, row);
    CHECK(ts >= 2000 && ts <= 2999);
    count++;
  });
  CHECK(count == size_t{cpus} * 1000);
  count = 0;
  rows(named, [&](const LiveBlock& block, uint32_t row) {
    CHECK(text(block, 5, value<uint16_t>(block, 5, row)) == "c-7");
    count++;
  });
  CHECK(count == size_t{cpus} * each / 1000);
}

void finds_the_loud() {
  const auto ring = LiveRing::create(kRingBytes, "r", {});
  tapio_process_fork record = fork_of(1);
  // A quarter is one process's; the others are all different.
  for (uint64_t seq = 1; seq <= 8192; seq++) {
    CHECK(ring->loudest().second == 0);
    record.header.pid = static_cast<uint32_t>(seq % 4 == 0 ? 7 : 100'000 + seq);
    ring->write(&record.header, sizeof(record), 0, seq, 0);
  }
  const auto [pid, share] = ring->loudest();
  CHECK(pid == 7);
  CHECK(share > 180 && share <= 250);  // at most rows / candidates are not counted
}

// Nobody but the drain can change it, and what is not one is refused.
void is_only_read() {
  const auto ring = LiveRing::create(kRingBytes, "r", {});
  const std::string path = "/proc/self/fd/" + std::to_string(ring->fd());
  const int fd = open(path.c_str(), O_RDWR);
  CHECK(fd >= 0);
  CHECK(ftruncate(fd, 4096) != 0);
  CHECK(::write(fd, "x", 1) < 0);
  CHECK(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  close(fd);
  const int other = memfd_create("other", MFD_CLOEXEC);
  std::string why;
  CHECK(LiveMapping::open(other, &why) == nullptr && !why.empty());
  std::vector<unsigned char> copy(2 * kLivePage + kRingBytes);
  CHECK(pread(ring->fd(), copy.data(), copy.size(), 0) == static_cast<ssize_t>(copy.size()));
  const auto refused = [&](size_t at, unsigned char flip) {
    copy[at] ^= flip;
    CHECK(pwrite(other, copy.data(), copy.size(), 0) == static_cast<ssize_t>(copy.size()));
    copy[at] ^= flip;
    return LiveMapping::open(other, &why) == nullptr;
  };
  CHECK(refused(0, 1));
  CHECK(refused(offsetof(LiveHeader, fingerprint), 1));
  CHECK(why.find("version") != std::string::npos);
  for (const size_t field : {offsetof(LiveHeader, ring_bytes), offsetof(LiveHeader, reasons_bytes),
                             offsetof(LiveHeader, data_offset)})
    for (size_t byte = 0; byte < 8; byte++) CHECK(refused(field + byte, 0x80));
  CHECK(!refused(0, 0));
  close(other);
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const Seen quick = under_load(count, false);
  const Seen lazy = under_load(count, true);
  CHECK(lazy.gaps > 0);
  goes_back();
  passes_over();
  as_the_drain_gives();
  finds_the_loud();
  is_only_read();
  std::printf(
      "live: %llu rows, %llu missed; lazy: %llu missed in %llu gaps\n",
      static_cast<unsigned long long>(quick.rows), static_cast<unsigned long long>(quick.missed),
      static_cast<unsigned long long>(lazy.missed), static_cast<unsigned long long>(lazy.gaps));
}
