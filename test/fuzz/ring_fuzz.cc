// The ring reader and the merge against a script: two CPUs' rings are written, overwritten, forged
// and read in the order that the input says.
//
// As long as only what the kernel side does was done (records, nested and open reservations, laps,
// reservations that are never committed), the case is strict: every word of every record that comes
// out is compared with what was written, none comes out twice, and the counts add up. After a
// forgery it is relaxed: then only what the reader itself promises is looked at. A writer that goes
// on in the middle of a copy is played by a page that cannot be read: the fault runs the writer.
//
// Rings lie between pages that nobody may touch.

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include <memory>
#include <utility>
#include <vector>

#include "fuzz.h"

// The merge asks the script for the time, so that a case always goes the same way.
static int script_clock(clockid_t, timespec* now);
#define clock_gettime script_clock
#include "merge.h"
#undef clock_gettime

using namespace tapio;

namespace {

constexpr unsigned kCpus = 2;
constexpr uint64_t kSecret = 0x5ec2e7b17e5ull;
constexpr uint64_t kPage = 4096;
constexpr unsigned kSteps = 96;
// What a case writes at most, so that it stays quick.
constexpr uint64_t kBudgetBytes = 3 << 20;
constexpr uint64_t kBlock = TAPIO_BLOCK_BYTES;

uint8_t* map_guarded(size_t bytes) {
  void* made = mmap(nullptr, bytes + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(made != MAP_FAILED);
  uint8_t* inside = static_cast<uint8_t*>(made) + kPage;
  CHECK(mprotect(inside, bytes, PROT_READ | PROT_WRITE) == 0);
  return inside;
}

struct Memory {
  explicit Memory(uint64_t ring_bytes)
      : ring_bytes(ring_bytes),
        data(map_guarded(kCpus * ring_bytes)),
        control(reinterpret_cast<tapio_ring_control*>(map_guarded(kCpus * kPage))) {}
  void clear() {
    std::memset(data, 0, kCpus * ring_bytes);
    std::memset(control, 0, kCpus * kPage);
  }
  const uint64_t ring_bytes;
  uint8_t* const data;
  tapio_ring_control* const control;
};

// A record that was reserved, as it must come out if it does.
struct Written {
  uint64_t position;
  uint64_t ktime;
  uint32_t sequence;
  uint32_t words;
  unsigned op;
  bool committed = false;
  bool taken = false;
};

// Words 3 and up of a record at `position`. Not looked at by the sanitizers: `to` has the room, and
// this is most of what a case does.
__attribute__((no_sanitize("address", "undefined", "coverage"))) void fill_body(uint64_t* to,
                                                                                uint64_t position,
                                                                                uint32_t words) {
  for (uint32_t i = 3; i < words; i++)
    to[i] = (position + 1) * 0x9e3779b97f4a7c15ull ^ i * 0xbf58476d1ce4e5b9ull;
}

class Writer {
 public:
  Writer(Memory& memory, unsigned cpu)
      : ring_(reinterpret_cast<uint64_t*>(memory.data + cpu * memory.ring_bytes)),
        ring_bytes_(memory.ring_bytes),
        control_(memory.control[cpu]),
        from_(control_.position) {}

  void put(uint64_t position, uint64_t word) { ring_[(position & (ring_bytes_ - 1)) / 8] = word; }
  uint64_t position() const { return control_.position; }
  uint64_t written() const { return control_.position - from_; }
  uint64_t emitted(unsigned op) const { return control_.emitted[op]; }
  static uint64_t commit_word(uint64_t position, uint64_t words, bool pad) {
    return (position << 16 | (pad ? TAPIO_PAD_BIT : 0) | words) ^ kSecret;
  }

  size_t reserve(unsigned op, uint32_t words, uint64_t ktime) {
    const uint64_t bytes = words * 8;
    for (;;) {
      const uint64_t at = control_.position;
      control_.position += bytes;
      const uint64_t left = kBlock - (at & TAPIO_BLOCK_MASK);
      if (bytes <= left) {
        put(at, 0);
        const auto sequence = static_cast<uint32_t>(control_.emitted[op]++);
        records.push_back({at, ktime, sequence, words, op});
        put(at + 8, ktime);
        put(at + 16, sequence | uint64_t{op} << 32);
        return records.size() - 1;
      }
      put(at, commit_word(at, left / 8, true));
      put(at + left, commit_word(at + left, (bytes - left) / 8, true));
    }
  }

  void commit(size_t index, uint32_t used) {
    Written& record = records[index];
    const uint64_t end = record.position + record.words * 8;
    if (used < record.words) {
      const uint64_t rest = record.position + used * 8;
      if (control_.position == end)
        control_.position = rest;
      else
        put(rest, commit_word(rest, record.words - used, true));
      record.words = used;
    }
    fill_body(ring_ + (record.position & (ring_bytes_ - 1)) / 8, record.position, used);
    put(record.position, commit_word(record.position, used, false));
    record.committed = true;
  }

  // True when what lay at `at` has not been written over.
  bool holds(uint64_t at) const {
    return control_.position >= at && control_.position - at <= ring_bytes_;
  }

  std::vector<Written> records;  // by position

 private:
  uint64_t* ring_;
  const uint64_t ring_bytes_;
  tapio_ring_control& control_;
  const uint64_t from_;
};

struct Emission {
  unsigned cpu, op;
  uint32_t words, times;
  int ktime_step;
};

class Case {
 public:
  Case(Memory& memory, uint64_t from) : memory_(memory), from_(from), holes_(from != 0) {
    memory.clear();
    now = 1'000'000;
    for (unsigned cpu = 0; cpu < kCpus; cpu++) memory.control[cpu].position = from;
    rings_.cpus = kCpus;
    rings_.ring_bytes = memory.ring_bytes;
    rings_.secret = kSecret;
    rings_.data = memory.data;
    rings_.control = memory.control;
    merge_ = std::make_unique<Merge>(rings_);
    for (unsigned cpu = 0; cpu < kCpus; cpu++) {
      writers_.emplace_back(memory, cpu);
#ifdef TAPIO_PLANTED_BUG
      merge_->reader(cpu).set_validates(false);  // a reader that does not see that it was lapped
#endif
    }
  }

  void step(Input& input) {
    const uint8_t what = input.byte();
#ifdef TAPIO_PLANTED_BUG
    if ((what & 15) == 12) return;  // see LLVMFuzzerTestOneInput
#endif
    const unsigned cpu = what >> 4 & 1;
    const unsigned choice = what >> 5;
    Writer& writer = writers_[cpu];
    switch (what & 15) {
      case 0:
        emit(emission(input, cpu, choice));
        break;
      case 1:
        open(cpu, choice, input);
        break;
      case 2:
        close(input);
        break;
      case 3:
        merge_->refill();
        break;
      case 4:
        merge_->refill_all();
        hasty_ = true;
        break;
      case 5:
        release(input.byte());
        break;
      case 6:
        refill_while_written(cpu, choice, input);
        break;
      case 7:
        merge_->reader(cpu).refill(now);
        break;
      case 8:
        // A reservation that is never committed.
        memory_.control[cpu].position += input.take<uint16_t>() / 8 * 8;
        holes_ = true;
        break;
      case 9:
        damage_commit(writer, input.byte());
        break;
      case 10:
        writer.put(input.take<uint32_t>() * uint64_t{8}, input.take<uint64_t>());
        relax();
        break;
      case 11:
        forge_commit(writer, choice, input);
        break;
      case 12:
        // Far ahead or back; a position never comes near 2^64.
        memory_.control[cpu].position = input.take<uint64_t>() >> (1 + input.byte() % 62) & ~7ull;
        relax();
        break;
      case 13:
        look_at_loss(cpu);
        break;
      case 14:
        forge_header(writer, input);
        break;
      case 15:
        // Nested writers: a record in the middle of one that gives space back.
        open(cpu, choice, input);
        emit(emission(input, cpu, choice));
        close(input);
        break;
    }
    check_settled();
  }

  // Nobody writes any more: everything comes out in a few rounds, or is given up.
  void finish() {
    while (!opened_.empty()) close_at(opened_.size() - 1, UINT32_MAX);
    for (unsigned round = 0; !merge_->drained(); round++) {
      CHECK(round < 64);
      if (round > 8) {
        CHECK(!strict_ || holes_);
        merge_->give_up();
      }
      merge_->refill_all();
      release(0);
      check_settled();
    }
    if (!strict_ || holes_) return;
    for (unsigned cpu = 0; cpu < kCpus; cpu++) check_complete(cpu);
  }

  void run_trapped_writer() { emit(trapped_); }
  bool owns(const void* address) const {
    return address >= memory_.data && address < memory_.data + kCpus * memory_.ring_bytes;
  }
  void open_memory() {
    CHECK(mprotect(memory_.data, kCpus * memory_.ring_bytes, PROT_READ | PROT_WRITE) == 0);
  }

 private:
  void relax() { strict_ = false; }

  static uint32_t record_words(Input& input) {
    constexpr uint32_t least = sizeof(tapio_header) / 8, most = TAPIO_RECORD_BYTES_MAX / 8;
    return least + input.take<uint16_t>() % (most - least + 1);
  }
  static Emission emission(Input& input, unsigned cpu, unsigned choice) {
    Emission out = {cpu, 1 + choice % 4, record_words(input), 1, 1};
    out.times += input.byte();
    // Now and then stamped before what was reserved earlier, as an interrupt's record is.
    out.ktime_step = choice & 4 ? static_cast<int8_t>(input.byte()) : 1;
    return out;
  }

  uint64_t stamp(int by) {
    if (by < 0) monotone_ = false;
    now += static_cast<uint64_t>(static_cast<int64_t>(by));
    return now;
  }
  bool spend(uint64_t bytes) {
    if (spent_ + bytes > kBudgetBytes) return false;
    spent_ += bytes;
    return true;
  }

  void emit(const Emission& what) {
    Writer& writer = writers_[what.cpu];
    for (uint32_t i = 0; i < what.times && spend(what.words * 8); i++) {
      const size_t index = writer.reserve(what.op, what.words, stamp(what.ktime_step));
      writer.commit(index, what.words);
    }
  }

  void open(unsigned cpu, unsigned choice, Input& input) {
    const uint32_t words = record_words(input);
    if (opened_.size() == 8 || !spend(words * 8)) return;
    opened_.push_back({cpu, writers_[cpu].reserve(1 + choice % 4, words, stamp(1))});
  }
  void close(Input& input) {
    const uint8_t which = input.byte();
    const uint32_t used = record_words(input);
    if (!opened_.empty()) close_at(which % opened_.size(), used);
  }
  void close_at(size_t which, uint32_t used) {
    const Opened one = opened_[which];
    opened_.erase(opened_.begin() + static_cast<ptrdiff_t>(which));
    Writer& writer = writers_[one.cpu];
    Written& record = writer.records[one.index];
    if (!writer.holds(record.position)) {
      // Was lapped: what it wrote now would lie over newer records. It is left.
      holes_ = true;
      return;
    }
    // The reader gives up on what is open while the ring moves on by two blocks.
    if (writer.position() - record.position > 2 * kBlock) holes_ = true;
    writer.commit(one.index, std::min(used, record.words));
  }

  // The writer goes on when the reader comes to a page of the ring.
  void refill_while_written(unsigned cpu, unsigned choice, Input& input) {
    const uint8_t page = input.byte();
    trapped_ = emission(input, choice & 1 ? 1 - cpu : cpu, choice);
    if (!strict_) return;
    const uint64_t at =
        (merge_->reader(cpu).settled_position() + page * kPage) & (memory_.ring_bytes - 1);
    uint8_t* trap = memory_.data + cpu * memory_.ring_bytes + at / kPage * kPage;
    armed = this;
    CHECK(mprotect(trap, kPage, PROT_NONE) == 0);
    if (choice & 2)
      merge_->refill_all();
    else
      merge_->refill();
    if (choice & 2) hasty_ = true;
    armed = nullptr;
    open_memory();
  }

  void damage_commit(Writer& writer, uint8_t back) {
    if (back >= writer.records.size()) return;
    const uint64_t at = writer.records[writer.records.size() - 1 - back].position;
    if (!writer.holds(at)) return;
    writer.put(at, 0);
    holes_ = true;
  }
  // A commit word that is right for its place, where a record lies or anywhere, with any length or
  // one about the block's end.
  void forge_commit(Writer& writer, unsigned choice, Input& input) {
    const auto back = input.take<uint16_t>();
    uint64_t at = writer.position() - back * uint64_t{8};
    if (choice & 2 && back < writer.records.size())
      at = writer.records[writer.records.size() - 1 - back].position;
    uint64_t words = input.take<uint16_t>();
    if (choice & 4) words = (kBlock - (at & TAPIO_BLOCK_MASK)) / 8 + words % 8;
    writer.put(at, Writer::commit_word(at, words & TAPIO_WORDS_MASK, choice & 1));
    relax();
  }
  void forge_header(Writer& writer, Input& input) {
    const uint8_t back = input.byte();
    const uint64_t word = 1 + input.byte() % 9;
    const auto value = input.take<uint64_t>();
    if (back >= writer.records.size()) return;
    writer.put(writer.records[writer.records.size() - 1 - back].position + word * 8, value);
    relax();
  }

  void release(uint8_t most) {
    unsigned taken = 0;
    merge_->release([&](tapio_header* header, uint32_t bytes, unsigned cpu) {
      if (most != 0 && taken == most) return false;
      taken++;
      take(header, bytes, cpu);
      return true;
    });
    CHECK(merge_->late() == late_);
  }

  void take(const tapio_header* header, uint32_t bytes, unsigned cpu) {
    CHECK(cpu < kCpus);
    CHECK(bytes >= sizeof(tapio_header) && bytes <= TAPIO_RECORD_BYTES_MAX && bytes % 8 == 0);
    const uint64_t commit = header->commit ^ kSecret;
    CHECK(!(commit & TAPIO_PAD_BIT) && (commit & TAPIO_WORDS_MASK) * 8 == bytes);
    CHECK((commit >> 16 & TAPIO_BLOCK_MASK) + bytes <= kBlock);
    const bool late = header->ktime < newest_;
    if (late)
      CHECK(header->flags & TAPIO_FLAG_LATE);
    else
      newest_ = header->ktime;
    late_ += late;
    if (strict_) check_written(header, bytes, cpu, late);
  }

  void check_written(const tapio_header* header, uint32_t bytes, unsigned cpu, bool late) {
    auto& records = writers_[cpu].records;
    // The commit word has the position's low 48 bits.
    const uint64_t high = from_ & ~0xffffffffffffull;
    uint64_t position = (header->commit ^ kSecret) >> 16 | high;
    if (position < from_) position += uint64_t{1} << 48;
    const auto found = std::lower_bound(
        records.begin(), records.end(), position,
        [](const Written& record, uint64_t wanted) { return record.position < wanted; });
    CHECK(found != records.end() && found->position == position);
    CHECK(found->committed && !found->taken);
    found->taken = true;
    CHECK(bytes == found->words * 8);
    CHECK(header->ktime == found->ktime && header->op == found->op);
    CHECK(header->op_sequence == found->sequence);
    // No flag but the merge's own.
    CHECK((header->flags & ~TAPIO_FLAG_LATE) == 0);
    CHECK(!late || !monotone_ || hasty_);
    uint64_t body[TAPIO_RECORD_BYTES_MAX / 8];
    fill_body(body, position, found->words);
    CHECK(std::memcmp(reinterpret_cast<const uint64_t*>(header) + 3, body + 3, bytes - 24) == 0);
    taken_[cpu][found->op]++;
    const OpCounts& counts = merge_->counts(cpu, found->op);
    CHECK(counts.consumed + merge_->lost(cpu, found->op) <= writers_[cpu].emitted(found->op));
  }

  void check_settled() {
    for (unsigned cpu = 0; cpu < kCpus; cpu++) {
      const uint64_t settled = merge_->reader(cpu).settled_position();
      CHECK(settled >= settled_[cpu]);
      settled_[cpu] = settled;
    }
  }

  void look_at_loss(unsigned cpu) {
    uint64_t first, last;
    merge_->reader(cpu).take_loss(&first, &last);
    if (strict_ && monotone_) CHECK(first <= last);
    if (strict_ && from_ == 0 && writers_[cpu].written() <= memory_.ring_bytes - kBlock)
      CHECK(first == 0 && last == 0);
  }

  void check_complete(unsigned cpu) {
    const Writer& writer = writers_[cpu];
    const bool never_lapped = from_ == 0 && most_written(cpu) <= memory_.ring_bytes - kBlock;
    // What no reader of this ring may have passed over when it was lapped.
    const uint64_t certain = 3 * kBlock + memory_.ring_bytes / 8;
    for (const Written& record : writer.records) {
      const bool last_part = certain < memory_.ring_bytes &&
                             writer.position() - record.position <= memory_.ring_bytes - certain;
      if (never_lapped || last_part) CHECK(record.taken);
    }
    if (never_lapped) CHECK(merge_->reader(cpu).malformed() == 0);
    for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) {
      const uint64_t consumed = merge_->counts(cpu, op).consumed;
      CHECK(consumed == taken_[cpu][op]);
      CHECK(consumed + merge_->lost(cpu, op) <= writer.emitted(op));
      if (never_lapped) CHECK(consumed == writer.emitted(op));
    }
  }
  // Space given back was reserved before: up to one record per reservation open at a time.
  uint64_t most_written(unsigned cpu) const {
    return writers_[cpu].written() + TAPIO_RECORD_BYTES_MAX;
  }

  struct Opened {
    unsigned cpu;
    size_t index;
  };

  Memory& memory_;
  const uint64_t from_;
  Rings rings_;
  std::unique_ptr<Merge> merge_;
  std::vector<Writer> writers_;
  std::vector<Opened> opened_;
  Emission trapped_ = {};
  uint64_t spent_ = 0;
  uint64_t newest_ = 0, late_ = 0;
  uint64_t settled_[kCpus] = {};
  uint64_t taken_[kCpus][TAPIO_OPS_MAX] = {};
  bool strict_ = true;
  bool holes_ = false;    // something was reserved that will never be a record
  bool monotone_ = true;  // every record is stamped later than the one before
  bool hasty_ = false;    // the merge was told that nobody writes any more, and somebody may have

 public:
  static Case* armed;
  static uint64_t now;  // the clock of writers and merge, ns
};

Case* Case::armed = nullptr;
uint64_t Case::now = 0;

struct sigaction others;

void on_fault(int, siginfo_t* info, void*) {
  Case* armed = std::exchange(Case::armed, nullptr);
  if (!armed || !armed->owns(info->si_addr)) {
    // Not ours: it happens again and is reported.
    sigaction(SIGSEGV, &others, nullptr);
    return;
  }
  armed->open_memory();
  armed->run_trapped_writer();
}

}  // namespace

static int script_clock(clockid_t, timespec* now) {
  *now = {0, static_cast<long>(Case::now)};
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  struct sigaction ours = {};
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_NODEFER;
  return sigaction(SIGSEGV, &ours, &others);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Memory memories[] = {Memory(2 * kBlock), Memory(4 * kBlock), Memory(8 * kBlock)};
  static constexpr uint64_t begins[] = {0, (uint64_t{1} << 48) - 2 * kBlock, uint64_t{1} << 62};
  Input input(data, size);
  const uint8_t how = input.byte();
  unsigned begin = how / 3 % 8 < 3 ? how / 3 % 8 : 0;
#ifdef TAPIO_PLANTED_BUG
  // The planted reader would walk to a far position block by block.
  begin = 0;
#endif
  Case one(memories[how % 3], begins[begin]);
  for (unsigned i = 0; i < kSteps && !input.empty(); i++) one.step(input);
  one.finish();
  return 0;
}
