// Going on where another reader stood: each record comes out exactly once, whatever had gone out
// ahead of others, whatever was overwritten meanwhile, and however often the 32-bit sequences went
// round.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "check.h"
#include "drain.h"
#include "merge.h"
#include "ring_writer.h"

using namespace tapio;

namespace {

constexpr unsigned kOuter = TAPIO_FILE_READ;
constexpr unsigned kNested = TAPIO_PROCESS_SIGNAL;

// Which record it is: the writer's own number, in a word that nobody interprets.
void write(RingWriter& writer, unsigned op, uint64_t ktime, uint64_t number, uint32_t pid = 1) {
  std::vector<unsigned char> bytes(sizeof(tapio_header) + 8 * (number % 9));
  auto* header = reinterpret_cast<tapio_header*>(bytes.data());
  header->op = static_cast<__u16>(op);
  header->pid = pid;
  header->cgroup_id = number;
  writer.write(bytes.data(), static_cast<uint32_t>(bytes.size()), [&] { return ktime; });
}

// What a cut of the drain says of a merge.
ResumePoint point_of(Merge& merge) {
  ResumePoint point;
  point.rings = "rings";
  for (unsigned cpu = 0; cpu < merge.cpus(); cpu++) {
    point.positions.push_back(merge.reader(cpu).settled_position());
    point.ahead.push_back(merge.reader(cpu).ahead());
    const auto lost = merge.lost_for_good(cpu);
    for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) {
      point.consumed.push_back(merge.counts(cpu, op).consumed);
      point.own.push_back(merge.counts(cpu, op).own);
      point.lost.push_back(lost[op]);
    }
  }
  point.malformed.resize(TAPIO_OPS_MAX);
  point.late = merge.late();
  point.newest = merge.newest();
  return point;
}

// The interrupt's record lies behind the one that it nested in, but is stamped earlier: it goes out
// first, the merge stops between the two, and the next reader begins at the lower of them.
void ahead_goes_out_once() {
  RingMemory memory(1, 1 << 20, 3);
  RingWriter writer(memory, 0);
  std::map<uint64_t, unsigned> taken;
  std::vector<uint64_t> order;
  write(writer, kOuter, 10, 1);
  write(writer, kOuter, 30, 2);   // reserved first,
  write(writer, kNested, 20, 3);  // stamped first
  write(writer, kOuter, 25, 4);   // and one of the same op that is passed by another
  write(writer, kOuter, 40, 5);
  ResumePoint point;
  {
    Merge merge(memory.rings());
    merge.refill_all();
    merge.release([&](tapio_header* header, uint32_t, unsigned) {
      if (order.size() == 3) return false;
      order.push_back(header->cgroup_id);
      taken[header->cgroup_id]++;
      return true;
    });
    CHECK((order == std::vector<uint64_t>{1, 3, 4}));
    point = point_of(merge);
    CHECK(point.ahead[0].size() == 2);
    CHECK(point.ahead[0][0] > point.positions[0]);
    // Record 2 is not lost although record 4, of the same op and emitted later, was read.
    CHECK(point.lost[kOuter] == 0);
  }
  CHECK(point.fits(memory.rings()));
  Merge merge(memory.rings());
  merge.resume(point);
  merge.refill_all();
  {
    // Cut again before anything is released: the point has not moved.
    const ResumePoint again = point_of(merge);
    CHECK(again.positions == point.positions && again.ahead == point.ahead);
    CHECK(again.consumed == point.consumed && again.lost == point.lost);
  }
  merge.release([&](tapio_header* header, uint32_t, unsigned) {
    taken[header->cgroup_id]++;
    CHECK(!(header->flags & TAPIO_FLAG_LATE));
    return true;
  });
  CHECK(merge.drained());
  CHECK(taken.size() == 5);
  for (const auto& [number, times] : taken) CHECK(times == 1);
  CHECK(merge.lost(0, kOuter) == 0 && merge.lost(0, kNested) == 0);
  CHECK(merge.counts(0, kOuter).consumed == 4 && merge.counts(0, kNested).consumed == 1);
  CHECK(merge.reader(0).ahead().empty());
}

// Readers that die at any moment, while rings are written and lapped: stored + lost + own = issued,
// and nothing twice. A filter leaves some out as they are read.
void dies_anywhere(unsigned seed) {
  std::mt19937_64 random(seed);
  const unsigned cpus = 1 + random() % 3;
  const uint64_t ring_bytes = random() % 2 ? 1 << 19 : 32 << 20;
  RingMemory memory(cpus, ring_bytes, random());
  std::vector<RingWriter> writers;
  for (unsigned cpu = 0; cpu < cpus; cpu++) writers.emplace_back(memory, cpu);
  const ProcessId self = {.pid = 77, .start = 0, .ns_per_tick = 10};
  std::map<uint64_t, unsigned> taken;
  uint64_t clock = 100, number = 0;
  const unsigned unwanted = random() % 2 ? 5 : 1'000'000'000;
  const auto wants = [&](const tapio_header* header, uint32_t, unsigned) {
    return header->cgroup_id % unwanted != 0;
  };
  auto merge = std::make_unique<Merge>(memory.rings(), self);
  for (int life = 0; life < 30; life++) {
    const unsigned burst = random() % 10 == 0 ? 20'000 : 300;
    for (unsigned i = random() % burst; i > 0; i--) {
      clock += random() % 3;
      const uint64_t ktime = random() % 10 == 0 ? clock - random() % 20 : clock;
      write(writers[random() % cpus], random() % 4 ? kOuter : kNested, ktime, ++number,
            random() % 8 ? 1 : 77);
    }
    size_t room = random() % 600;
    for (unsigned reads = random() % 4; reads > 0; reads--) {
      merge->refill_all();
      const auto take = [&](tapio_header* header, uint32_t, unsigned) {
        if (room == 0) return false;
        room--;
        CHECK(header->pid != 77);
        taken[header->cgroup_id]++;
        return true;
      };
      merge->release(take, wants);
    }
    const ResumePoint point = point_of(*merge);
    CHECK(point.fits(memory.rings()));
    merge = std::make_unique<Merge>(memory.rings(), self);
    merge->resume(point);
  }
  while (!merge->drained()) {
    merge->refill_all();
    const auto take = [&](tapio_header* header, uint32_t, unsigned) {
      taken[header->cgroup_id]++;
      return true;
    };
    merge->release(take, wants);
  }
  uint64_t issued = 0, consumed = 0, own = 0, lost = 0;
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    for (unsigned op : {kOuter, kNested}) {
      const uint64_t emitted = memory.control(cpu).emitted[op];
      issued += emitted;
      consumed += merge->counts(cpu, op).consumed;
      own += merge->counts(cpu, op).own;
      lost += emitted - merge->counts(cpu, op).consumed - merge->counts(cpu, op).own;
      CHECK(merge->lost(cpu, op) <=
            emitted - merge->counts(cpu, op).consumed - merge->counts(cpu, op).own);
    }
  }
  CHECK(issued == number);
  CHECK(consumed == taken.size());
  CHECK(consumed + own + lost == issued);
  if (ring_bytes > 1 << 20) CHECK(lost == 0);
  for (const auto& [one, times] : taken) CHECK(times == 1 && one % unwanted != 0);
}

// More than 2^31 and more than 2^32 records were missed: 32 bits of a sequence do not say so, the
// whole counter does.
void sequences_go_round(uint64_t missed) {
  RingMemory memory(1, 1 << 19, 11);
  RingWriter writer(memory, 0);
  const auto take = [](tapio_header*, uint32_t, unsigned) { return true; };
  Merge first(memory.rings());
  for (uint64_t i = 0; i < 5; i++) write(writer, kOuter, 10 + i, i);
  first.refill_all();
  first.release(take);
  const ResumePoint point = point_of(first);
  // What the ring looks like after a long time without a reader.
  memory.control(0).emitted[kOuter] += missed;
  memory.control(0).position += 64 << 20;
  for (uint64_t i = 0; i < 5'000; i++) write(writer, kOuter, 1000 + i, i);
  write(writer, kNested, 10'000, 1);
  for (const bool resumed : {true, false}) {
    Merge second(memory.rings());
    Merge& merge = resumed ? second : first;
    if (resumed) merge.resume(point);
    while (!merge.drained()) {
      merge.refill_all();
      merge.release(take);
    }
    const OpCounts& counts = merge.counts(0, kOuter);
    CHECK(counts.next_sequence == memory.control(0).emitted[kOuter]);
    CHECK(merge.lost(0, kOuter) == memory.control(0).emitted[kOuter] - counts.consumed);
    CHECK(merge.lost(0, kNested) == 0 && merge.counts(0, kNested).consumed == 1);
    uint64_t from, to;
    merge.reader(0).take_loss(&from, &to);
    CHECK(from == 14 && to > 14);
  }
}

void points_that_do_not_fit() {
  RingMemory memory(2, 1 << 19, 5);
  Merge merge(memory.rings());
  ResumePoint good = point_of(merge);
  CHECK(good.fits(memory.rings()));
  CHECK(!ResumePoint{}.fits(memory.rings()));
  ResumePoint beyond = good;
  beyond.positions[1] = 8;
  CHECK(!beyond.fits(memory.rings()));
  ResumePoint shorter = good;
  shorter.lost.pop_back();
  CHECK(!shorter.fits(memory.rings()));
  ResumePoint other = good;
  other.ahead.pop_back();
  CHECK(!other.fits(memory.rings()));
}

struct Taken {
  std::vector<Cut> cuts;
  uint64_t rows = 0, last_seq = 0;
};

// Empties the drain's queue until `until` says enough.
template <class Until>
void take_until(Drain& drain, Taken* out, Until until) {
  while (!until()) {
    std::optional<Item> item = drain.take();
    if (!item) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (auto* batch = std::get_if<Batch>(&*item)) {
      const Slot& slot = drain.slot(batch->slot);
      out->rows += slot.rows;
      out->last_seq = std::max(out->last_seq, slot.last_seq);
      drain.release(batch->slot);
    } else {
      out->cuts.push_back(std::get<Cut>(*item));
    }
  }
}

void write_oom(RingWriter& writer, uint64_t count, uint64_t* clock) {
  tapio_memory_oom record = {};
  record.header.op = TAPIO_MEMORY_OOM;
  for (; count > 0; count--) writer.write(&record, sizeof(record), [&] { return ++*clock; });
}

// Two sets of rings: the first is drained to its end and says so, then comes the second from zero;
// one may go back into either, and let go of what was drained.
void sets_follow_one_another() {
  RingMemory old_memory(1, 1 << 20, 1), memory(1, 1 << 20, 2);
  RingWriter old_writer(old_memory, 0), writer(memory, 0);
  uint64_t clock = 1;
  write_oom(old_writer, 700, &clock);
  write_oom(writer, 300, &clock);
  DrainOptions options;
  options.handover = {5, 6};
  options.beat_ns = 1'000'000;
  std::atomic<unsigned> beats{0};
  Drain drain(
      {{"old", old_memory.rings()}, {"new", memory.rings()}}, {}, options, [] {},
      [&](uint64_t) {
        return beats++ == 0 ? Interval{3, 4} : Interval{};
      });
  CHECK(!drain.forget("old"));
  drain.start();
  Taken first;
  take_until(drain, &first, [&] { return first.cuts.size() == 1; });
  const Cut ended = first.cuts[0];
  CHECK(ended.rings == "old" && ended.ended && !ended.final);
  CHECK(ended.consumed[TAPIO_MEMORY_OOM] == 700 && ended.emitted[TAPIO_MEMORY_OOM] == 700);
  CHECK(ended.lost[TAPIO_MEMORY_OOM] == 0 && ended.through_seq == 700 && first.rows == 700);
  CHECK(ended.handover.first == 5 && ended.handover.last == 6);
  CHECK(ended.muted.first == 3 && ended.muted.last == 4);
  CHECK(!drain.forget("new"));
  // Back into the old rings, somewhere in the middle.
  ResumePoint point;
  point.rings = "old";
  point.positions = {uint64_t{100} * sizeof(tapio_memory_oom)};
  point.ahead.resize(1);
  point.consumed.resize(TAPIO_OPS_MAX);
  point.consumed[TAPIO_MEMORY_OOM] = 100;
  point.lost.resize(TAPIO_OPS_MAX);
  point.own.resize(TAPIO_OPS_MAX);
  point.malformed.resize(TAPIO_OPS_MAX);
  drain.rewind(0, 101, &point);
  const unsigned before = beats;
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  CHECK(!drain.take());   // paused: nothing is read,
  CHECK(beats > before);  // but somebody is there
  drain.pause(false);
  Taken second;
  take_until(drain, &second, [&] { return second.cuts.size() == 1; });
  CHECK(second.rows == 600 && second.last_seq == 700);
  CHECK(second.cuts[0].rings == "old" && second.cuts[0].ended);
  CHECK(second.cuts[0].consumed == ended.consumed);
  CHECK(drain.forget("old"));
  drain.finish();
  take_until(drain, &second, [&] { return second.cuts.back().final; });
  const Cut& last = second.cuts.back();
  CHECK(last.rings == "new" && last.ended && last.consumed[TAPIO_MEMORY_OOM] == 300);
  CHECK(second.rows == 900 && last.through_seq == 1000);
  CHECK(last.handover.last == 0 && last.muted.last == 0);
  // A point in rings that are gone: the beginning of those that are left, and the end once more.
  drain.rewind(0, 701, &point);
  drain.pause(false);
  Taken third;
  take_until(drain, &third, [&] { return third.cuts.size() > 0 && third.cuts.back().final; });
  CHECK(third.rows == 300 && third.cuts.back().through_seq == 1000);
  CHECK(drain.forget("new"));
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1;
  const unsigned rounds = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 200;
  std::printf("seed %u\n", seed);
  ahead_goes_out_once();
  for (unsigned i = 0; i < rounds; i++) dies_anywhere(seed + i);
  for (const uint64_t missed : {1ull << 20, 3ull << 30, 1ull << 32, 5ull << 33})
    sequences_go_round(missed);
  points_that_do_not_fit();
  sets_follow_one_another();
  return 0;
}
