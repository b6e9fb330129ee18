#include "drain.h"

#include <time.h>

#include <algorithm>
#include <chrono>

#include "decode.h"
#include "text.h"

namespace tapio {
namespace {

using std::chrono::microseconds;
constexpr microseconds kBusySleep{500};
constexpr microseconds kIdleSleep{20'000};
// A cycle that released this many rows finds more soon.
constexpr size_t kBusyRows = 64;
// At a ring's end, after this long in vain, what is not committed is given up.
constexpr uint64_t kVainNs = 1'000'000'000;
// Dictionaries are looked at after this many rows: each may bring a value to any of them.
constexpr uint64_t kCheckRows = 4096;
static_assert(kDict16Values + kCheckRows <= 65536);

uint64_t thread_cpu_ns() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(used.tv_nsec);
}

Interval united(const Interval& a, const Interval& b) {
  if (a.last == 0) return b;
  if (b.last == 0) return a;
  return {std::min(a.first, b.first), std::max(a.last, b.last)};
}

}  // namespace

Drain::Drain(std::vector<RingSet> sets, DropReasons reasons, DrainOptions options,
             std::function<void()> wake, std::function<Interval(uint64_t)> beat)
    : reasons_(std::move(reasons)),
      self_(options.self),
      beat_ns_(options.beat_ns),
      wake_(std::move(wake)),
      beat_(std::move(beat)),
      ts_offset_(options.ts_offset),
      next_seq_(options.next_seq),
      filter_(options.filter),
      secrets_(options.secrets),
      values_(reasons_),
      handover_(options.handover),
      sets_(std::move(sets)),
      next_filter_(options.filter),
      next_secrets_(options.secrets) {
  for (unsigned type = 0; type <= kTypes; type++) tables_.emplace_back(table_layout(type));
  for (unsigned type = 1; type <= kTypes; type++) {
    for (unsigned i = 0; i < options.slots_per_type; i++) {
      const auto id = static_cast<unsigned>(slots_.size());
      slots_.push_back(std::make_unique<Slot>(id, type, table_layout(type)));
      free_[type].push_back(id);
    }
  }
  begin(options.point ? &*options.point : nullptr);
}

Drain::~Drain() { end_thread(); }

void Drain::end_thread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wakeup_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// Stands at the point in the rings that it names, or at the beginning of the first. No thread runs.
void Drain::begin(const ResumePoint* point) {
  at_ = 0;
  bool resumes = false;
  for (size_t i = 0; point && i < sets_.size(); i++) {
    if (sets_[i].id != point->rings) continue;
    at_ = i;
    resumes = point->fits(sets_[i].rings);
  }
  enter_set(at_);
  if (resumes) {
    merge_->resume(*point);
    undecodable_ = point->malformed;
  } else if (point) {
    merge_->set_newest(point->newest);
  }
}

// Stands at the beginning of a set.
void Drain::enter_set(size_t at) {
  at_ = at;
  rings_ = sets_[at].rings;
  transcoder_ = sets_[at].transcoder;
  merge_.emplace(rings_, self_);
  undecodable_.assign(TAPIO_OPS_MAX, 0);
}

void Drain::rewind(int64_t ts_offset, uint64_t next_seq, const ResumePoint* point) {
  end_thread();
  // What is told only once is told again where nobody has heard it.
  for (const Item& item : queue_) {
    const Cut* cut = std::get_if<Cut>(&item);
    if (!cut) continue;
    muted_ = united(muted_, cut->muted);
    handover_ = united(handover_, cut->handover);
  }
  queue_.clear();
  for (Table& table : tables_) {
    table.dictionaries.clear();
    table.open = nullptr;
  }
  for (auto& free : free_) free.clear();
  for (auto& slot : slots_) {
    slot->reset();
    free_[slot->type].push_back(slot->id);
  }
  ts_offset_ = ts_offset;
  next_seq_ = next_seq;
  filter_ = next_filter_;
  secrets_ = next_secrets_;
  masked_.clear();
  cut_wanted_ = false;
  rotate_to_.reset();
  begin(point);
  over_ = false;
  stopping_ = false;
  paused_ = true;
  start();
}

bool Drain::forget(const std::string& rings) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < sets_.size(); i++) {
    if (sets_[i].id != rings) continue;
    if (i + 1 == sets_.size()) return over_;
    if (i >= at_) return false;
    sets_.erase(sets_.begin() + static_cast<ptrdiff_t>(i));
    at_--;
    return true;
  }
  return true;
}

void Drain::start() {
  thread_ = std::thread([this] { run(); });
}

std::optional<Item> Drain::take() {
  std::lock_guard lock(mutex_);
  if (queue_.empty()) return std::nullopt;
  Item item = std::move(queue_.front());
  queue_.pop_front();
  return item;
}

void Drain::release(unsigned id) {
  slots_[id]->reset();
  std::lock_guard lock(mutex_);
  free_[slots_[id]->type].push_back(id);
}

void Drain::request_cut(std::optional<int64_t> rotate_to) {
  {
    std::lock_guard lock(mutex_);
    cut_wanted_ = true;
    if (rotate_to) rotate_to_ = rotate_to;
  }
  wakeup_.notify_all();
}

void Drain::set_filter(std::shared_ptr<const RowFilter> filter,
                       std::shared_ptr<const Secrets> secrets) {
  std::lock_guard lock(mutex_);
  next_filter_ = std::move(filter);
  next_secrets_ = std::move(secrets);
}

void Drain::pause(bool paused) {
  {
    std::lock_guard lock(mutex_);
    paused_ = paused;
  }
  wakeup_.notify_all();
}

void Drain::finish() {
  {
    std::lock_guard lock(mutex_);
    finishing_ = true;
    paused_ = false;
  }
  wakeup_.notify_all();
}

DrainStats Drain::stats() {
  std::lock_guard lock(mutex_);
  DrainStats out = stats_;
  stats_.backlog = 0;
  return out;
}

void Drain::copy_to(std::shared_ptr<LiveRing> ring) {
  const std::lock_guard lock(mutex_);
  live_wanted_ = std::move(ring);
}

// Between two readings of the rings.
void Drain::take_live() {
  std::shared_ptr<LiveRing> wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted = live_wanted_;
  }
  if (wanted == live_) return;
  live_ = std::move(wanted);
  if (live_) live_->begin(next_seq_);
}

void Drain::run() {
  microseconds sleep = kBusySleep;
  uint64_t progress_at = monotonic_ns();
  for (;;) {
    bool cut_wanted, finishing, paused, last;
    std::optional<int64_t> rotate_to;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      paused = paused_;
      finishing = finishing_;
      last = is_last();
      cut_wanted = !paused && std::exchange(cut_wanted_, false);
      if (cut_wanted) rotate_to = std::exchange(rotate_to_, std::nullopt);
    }
    note_beat();
    take_live();
    const uint64_t before = taken_;
    // Nobody writes these rings any more: they are drained to their end.
    const bool over = finishing || !last;
    const bool more = !paused && cycle(over);
    const size_t released = taken_ - before;
    if (cut_wanted) cut(false, false, rotate_to);
    if (over && !paused && !more && merge_->drained()) {
      if (last) {
        next_beat_ = 0;  // what it has to tell has no later cut
        note_beat();
        cut(true, true, std::nullopt);
        return;
      }
      end_set();
      progress_at = monotonic_ns();
      continue;
    }
    const uint64_t now = monotonic_ns();
    if (!over || paused || released > 0) progress_at = now;
    if (now - progress_at > kVainNs) merge_->give_up();
    note_stats(released);
    if (more && released > 0) continue;
    sleep = released > kBusyRows ? kBusySleep : std::min(sleep * 2, kIdleSleep);
    std::unique_lock lock(mutex_);
    wakeup_.wait_for(lock, sleep, [this] {
      return stopping_ || (cut_wanted_ && !paused_) || (finishing_ && !paused_);
    });
    if (finishing_ && !stopping_) {
      // A slot must come back before the rest can be drained: wait for that rather than spin.
      lock.unlock();
      std::this_thread::sleep_for(kBusySleep);
    }
  }
}

// Reads and decodes once. True when the rings held more than was taken.
bool Drain::cycle(bool over) {
  if (over)
    merge_->refill_all();
  else
    merge_->refill();
  bool stalled = false;
  taken_ += merge_->release(
      [&](tapio_header* header, uint32_t bytes, unsigned cpu) {
        stalled = !take_record(header, bytes, cpu);
        return !stalled;
      },
      [&](const tapio_header* header, uint32_t bytes, unsigned cpu) {
        return !filter_ || wants(header, bytes, cpu);
      });
  if (stalled) return false;
  for (unsigned cpu = 0; cpu < merge_->cpus(); cpu++)
    if (merge_->reader(cpu).backlog() > RingReader::kChunkBytes / 4) return true;
  return over && !merge_->drained();
}

// Goes on with the next rings. Whoever has the cut may let go of the old ones, so nothing touches
// them after it is handed over.
void Drain::end_set() {
  for (unsigned type = 1; type <= kTypes; type++) hand_over(type);
  Cut cut = make_cut(true);
  const uint64_t newest = merge_->newest();
  {
    std::lock_guard lock(mutex_);
    enter_set(at_ + 1);
  }
  merge_->set_newest(newest);
  push(std::move(cut));
}

namespace {
bool is_known(const tapio_header* header) { return header->op > 0 && header->op < TAPIO_OPS; }
}  // namespace

// The record as this table lays it out; false where it cannot be had.
bool Drain::as_ours(const tapio_header** header, uint32_t* bytes) {
  if (!transcoder_) return true;
  auto* rewritten = reinterpret_cast<unsigned char*>(rewritten_.data());
  *bytes = transcoder_->rewrite(reinterpret_cast<const unsigned char*>(*header), *bytes, rewritten);
  *header = reinterpret_cast<tapio_header*>(rewritten);
  return *bytes > 0;
}

// The record without its secrets: nothing behind this sees them.
void Drain::hide(const tapio_header** header, uint32_t* bytes, std::vector<uint64_t>* counts) {
  if ((*header)->op != TAPIO_PROCESS_EXEC || !secrets_) return;
  auto* hidden = reinterpret_cast<unsigned char*>(hidden_.data());
  const uint32_t now = secrets_->hide_in_exec(*header, *bytes, hidden, counts);
  if (now == 0) return;
  *header = reinterpret_cast<tapio_header*>(hidden);
  *bytes = now;
}

// Whether the filter wants the record. What cannot be decoded is wanted, so that it is counted.
bool Drain::wants(const tapio_header* header, uint32_t bytes, unsigned cpu) {
  if (!is_known(header)) return true;
  const Predicate* predicate = filter_->predicates[type_of_op[header->op]].get();
  if (!predicate || !as_ours(&header, &bytes)) return true;
  // A filter cannot tell what is hidden either.
  hide(&header, &bytes, &masked_here_);
  values_.set(header, bytes, cpu, ts_offset_);
  return test_row(*predicate, values_) == Truth::kTrue || values_.malformed();
}

// False when there is no memory for its row now.
bool Drain::take_record(const tapio_header* header, uint32_t bytes, unsigned cpu) {
  if (!is_known(header)) {
    undecodable_[0]++;
    return true;
  }
  if (++rows_since_check_ >= kCheckRows) {
    rows_since_check_ = 0;
    if (dictionaries_full()) cut(false, false, ts_offset_);
  }
  const unsigned op = header->op;
  const unsigned type = type_of_op[op];
  Table& table = tables_[type];
  if (!as_ours(&header, &bytes)) {
    undecodable_[op]++;
    return true;
  }
  if (!table.open && !(table.open = free_slot(type))) return false;
  masked_here_.clear();
  hide(&header, &bytes, &masked_here_);
  if (!decode_row(*table.open, table.dictionaries, reasons_, header, bytes, cpu, next_seq_,
                  ts_offset_)) {
    undecodable_[op]++;
    return true;
  }
  if (live_) live_->write(header, bytes, cpu, next_seq_, ts_offset_);
  next_seq_++;
  events_[op]++;
  if (!masked_here_.empty()) count_masked();
  if (table.open->rows == kBatchRows || heaps_full(*table.open)) hand_over(type);
  return true;
}

void Drain::count_masked() {
  masked_.resize(std::max(masked_.size(), masked_here_.size()));
  for (size_t i = 0; i < masked_here_.size(); i++) masked_[i] += masked_here_[i];
}

bool decode_row(Slot& slot, Dictionaries& dictionaries, const DropReasons& reasons,
                const tapio_header* header, uint32_t bytes, unsigned cpu, uint64_t seq,
                int64_t ts_offset) {
  RowSink sink(slot, dictionaries, reasons);
  const auto* record = reinterpret_cast<const unsigned char*>(header);
  if (!decode_fields(sink, header->op, record, bytes)) {
    sink.undo();
    return false;
  }
  const int64_t ts = ts_of(*header, ts_offset);
  bool is_new = false;
  Interner& comms = dictionaries.of(k_comm);
  const auto* comm = reinterpret_cast<const char*>(header->comm);
  const auto comm_bytes = static_cast<uint32_t>(strnlen(comm, sizeof(header->comm)));
  const uint32_t comm_index = comms.index_of(comm, comm_bytes, &is_new);
  if (is_new) comms.add_text(reversible_utf8({comm, comm_bytes}));
  const uint16_t flags = header->flags | (sink.truncated() ? TAPIO_FLAG_TRUNCATED : 0);
  sink.common(k_seq, seq);
  sink.common(k_ts, ts);
  sink.common(k_cpu, static_cast<uint16_t>(cpu));
  sink.common(k_op, dictionaries.op_index(k_op, header->op, name_of_op[header->op]));
  sink.common(k_pid, header->pid);
  sink.common(k_pstart, header->pstart);
  sink.common(k_tid, header->tid);
  sink.common(k_ppid, header->ppid);
  sink.common(k_uid, header->uid);
  sink.common(k_gid, header->gid);
  sink.common(k_comm, static_cast<uint16_t>(comm_index));
  sink.common(k_cgroup_id, header->cgroup_id);
  sink.common(k_weight, header->weight);
  sink.common(k_flags, flags);
  if (slot.rows == 0) {
    slot.first_seq = seq;
    slot.first_ts = slot.last_ts = ts;
  }
  slot.last_seq = seq;
  slot.first_ts = std::min(slot.first_ts, ts);
  slot.last_ts = std::max(slot.last_ts, ts);
  slot.rows++;
  return true;
}

Slot* Drain::free_slot(unsigned type) {
  std::lock_guard lock(mutex_);
  if (free_[type].empty()) return nullptr;
  const unsigned id = free_[type].back();
  free_[type].pop_back();
  return slots_[id].get();
}

void Drain::hand_over(unsigned type) {
  Table& table = tables_[type];
  if (!table.open || table.open->rows == 0) return;
  close_lists(*table.open);
  push(Batch{table.open->id, table.dictionaries.take_fresh()});
  table.open = nullptr;
}

void Drain::cut(bool ended, bool final, std::optional<int64_t> rotate_to) {
  for (unsigned type = 1; type <= kTypes; type++) hand_over(type);
  Cut cut = make_cut(ended);
  cut.final = final;
  if (rotate_to) {
    cut.rotated = true;
    ts_offset_ = *rotate_to;
    for (Table& table : tables_) table.dictionaries.clear();
    std::lock_guard lock(mutex_);
    filter_ = next_filter_;
    secrets_ = next_secrets_;
    masked_.clear();
  }
  cut.secrets = secrets_;
  cut.ts_offset = ts_offset_;
  cut.filter = filter_ ? std::optional(filter_->text) : std::nullopt;
  if (final) {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  push(std::move(cut));
}

Cut Drain::make_cut(bool ended) {
  Cut cut;
  {
    std::lock_guard lock(mutex_);
    cut.rings = sets_[at_].id;
  }
  cut.ended = ended;
  cut.through_seq = next_seq_ - 1;
  cut.ts_offset = ts_offset_;
  cut.filter = filter_ ? std::optional(filter_->text) : std::nullopt;
  cut.secrets = cut.secrets_before = secrets_;
  cut.masked = masked_;
  const unsigned cpus = rings_.cpus;
  cut.refused.resize(TAPIO_REFUSALS * cpus * TAPIO_OPS_MAX);
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    RingReader& reader = merge_->reader(cpu);
    const tapio_ring_control& control = rings_.control[cpu];
    cut.positions.push_back(reader.settled_position());
    cut.ahead.push_back(reader.ahead());
    const auto lost = merge_->lost_for_good(cpu);
    uint64_t first, last;
    reader.take_loss(&first, &last);
    cut.loss_first.push_back(first);
    cut.loss_last.push_back(last);
    for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) {
      const auto read = [](const __u64& counter) {
        return std::atomic_ref<const __u64>(counter).load(std::memory_order_relaxed);
      };
      const OpCounts& counts = merge_->counts(cpu, op);
      const uint64_t emitted = read(control.emitted[op]);
      cut.emitted.push_back(emitted);
      cut.consumed.push_back(counts.consumed);
      cut.own.push_back(counts.own);
      // At the end nothing is under way, and what was emitted and not read is lost.
      cut.lost.push_back(ended ? emitted - counts.consumed - counts.own : lost[op]);
      cut.filtered.push_back(read(control.filtered[op]));
      cut.sampled.push_back(read(control.sampled[op]));
      for (unsigned cause = 0; cause < TAPIO_REFUSALS; cause++)
        cut.refused[(cause * cpus + cpu) * TAPIO_OPS_MAX + op] = read(control.refused[cause][op]);
    }
  }
  cut.late = merge_->late();
  cut.newest = merge_->newest();
  cut.malformed = undecodable_;  // what the readers skipped is among the lost
  cut.muted = std::exchange(muted_, {});
  cut.handover = std::exchange(handover_, {});
  return cut;
}

void Drain::push(Item item) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(item));
  }
  wake_();
}

void Drain::note_beat() {
  const uint64_t now = monotonic_ns();
  if (!beat_ || now < next_beat_) return;
  next_beat_ = now + beat_ns_;
  muted_ = united(muted_, beat_(now));
}

void Drain::note_stats(size_t released) {
  double backlog = 0;
  for (unsigned cpu = 0; cpu < merge_->cpus(); cpu++)
    backlog = std::max(backlog, static_cast<double>(merge_->reader(cpu).backlog()) /
                                    static_cast<double>(rings_.ring_bytes));
  std::lock_guard lock(mutex_);
  stats_.backlog = std::max(stats_.backlog, backlog);
  stats_.cpu_ns = thread_cpu_ns();
  if (released == 0) return;
  stats_.events = events_;
  stats_.late = merge_->late();
  for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) {
    stats_.lost[op] = 0;
    for (unsigned cpu = 0; cpu < merge_->cpus(); cpu++) stats_.lost[op] += merge_->lost(cpu, op);
  }
}

bool Drain::dictionaries_full() const {
  for (const Table& table : tables_)
    if (table.dictionaries.full()) return true;
  return false;
}

}  // namespace tapio
