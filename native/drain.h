// The drain: a thread that reads the rings, merges them, gives each row its seq and decodes it into
// columns. Batches and cuts go to a queue that JS empties; nothing here blocks the kernel, and when
// JS is slow the rings overwrite their oldest records, which is counted.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "columns.h"
#include "live_ring.h"
#include "merge.h"
#include "record_values.h"
#include "row_filter.h"
#include "secrets.h"

namespace tapio {

// Makes a record the slot's next row. False where it is not what it claims; the slot is then as
// before. The record's op must be one of the slot's type.
bool decode_row(Slot& slot, Dictionaries& dictionaries, const DropReasons& reasons,
                const tapio_header* header, uint32_t bytes, unsigned cpu, uint64_t seq,
                int64_t ts_offset);

struct Batch {
  unsigned slot;
  std::vector<Dictionaries::Fresh> fresh;
};

struct Cut {
  std::string rings;
  bool ended = false;  // nothing more will come from these rings
  uint64_t through_seq = 0;
  bool rotated = false;
  int64_t ts_offset = 0;                                   // from here on
  std::optional<std::string> filter;                       // from here on
  std::shared_ptr<const Secrets> secrets, secrets_before;  // from here on, and up to here
  std::vector<uint64_t> masked;  // by pattern of those before, since they were chosen or a rewind
  bool final = false;
  std::vector<uint64_t> positions;
  std::vector<std::vector<uint64_t>> ahead;
  std::vector<uint64_t> emitted, consumed, own, lost, filtered, sampled, refused;
  std::vector<uint64_t> loss_first, loss_last;
  uint64_t late = 0;
  uint64_t newest = 0;
  std::vector<uint64_t> malformed;  // per op
  Interval muted, handover;
};

using Item = std::variant<Batch, Cut>;

struct DrainOptions {
  int64_t ts_offset = 0;
  uint64_t next_seq = 1;
  unsigned slots_per_type = 4;
  std::optional<ResumePoint> point;
  ProcessId self;  // whose records are not handed over
  std::shared_ptr<const RowFilter> filter;
  std::shared_ptr<const Secrets> secrets;
  Interval handover;  // told by the first cut
  uint64_t beat_ns = 1'000'000'000;
};

struct DrainStats {
  std::array<uint64_t, TAPIO_OPS_MAX> events{};
  std::array<uint64_t, TAPIO_OPS_MAX> lost{};
  uint64_t late = 0;
  uint64_t cpu_ns = 0;
  double backlog = 0;  // largest share of a ring that waited since the last call
};

class Drain {
 public:
  // `wake` is called from the drain thread when take() may have something, `beat` about every
  // beat_ns whatever the drain waits for; see RawSource::beat().
  Drain(std::vector<RingSet> sets, DropReasons reasons, DrainOptions options,
        std::function<void()> wake, std::function<Interval(uint64_t)> beat = {});
  ~Drain();

  void start();
  // Takes back what was handed over and goes on from a point, paused. Rings that are gone were
  // drained: without them it begins with the first that there are.
  void rewind(int64_t ts_offset, uint64_t next_seq, const ResumePoint* point);
  // True when nothing will read these rings any more; false while they are being drained.
  bool forget(const std::string& rings);
  std::optional<Item> take();
  Slot& slot(unsigned id) { return *slots_[id]; }
  unsigned slot_count() const { return static_cast<unsigned>(slots_.size()); }
  void release(unsigned slot);
  // Asks for a cut; with an offset also for new dictionaries and that offset from there on.
  void request_cut(std::optional<int64_t> rotate_to);
  // Decide from the next cut with an offset, or the next rewind, on; null: all is wanted, nothing
  // is hidden.
  void set_filter(std::shared_ptr<const RowFilter> filter, std::shared_ptr<const Secrets> secrets);
  void pause(bool paused);
  // Nobody writes the rings any more: everything in them is drained, then comes the final cut.
  void finish();
  DrainStats stats();
  // From soon on each row's record goes to `ring` as well; null: no more.
  void copy_to(std::shared_ptr<LiveRing> ring);

 private:
  struct Table {
    explicit Table(const TableLayout& layout) : dictionaries(layout) {}
    Dictionaries dictionaries;
    Slot* open = nullptr;
  };

  void begin(const ResumePoint* point);
  void enter_set(size_t at);
  void end_thread();
  void run();
  bool is_last() const { return at_ + 1 == sets_.size(); }
  bool cycle(bool over);
  void end_set();
  bool as_ours(const tapio_header** header, uint32_t* bytes);
  void hide(const tapio_header** header, uint32_t* bytes, std::vector<uint64_t>* counts);
  void count_masked();
  bool wants(const tapio_header* header, uint32_t bytes, unsigned cpu);
  bool take_record(const tapio_header* header, uint32_t bytes, unsigned cpu);
  Slot* free_slot(unsigned type);
  void hand_over(unsigned type);
  void cut(bool ended, bool final, std::optional<int64_t> rotate_to);
  Cut make_cut(bool ended);
  void push(Item item);
  void note_beat();
  void note_stats(size_t released);
  void take_live();
  bool dictionaries_full() const;

  const DropReasons reasons_;
  const ProcessId self_;
  const uint64_t beat_ns_;
  std::function<void()> wake_;
  std::function<Interval(uint64_t)> beat_;

  // Owned by the drain thread.
  Rings rings_;  // of the set that is being drained
  std::shared_ptr<const Transcoder> transcoder_;
  // Room for a record as transcoder_ makes it.
  std::vector<uint64_t> rewritten_ = std::vector<uint64_t>(TAPIO_RECORD_BYTES_MAX / 8);
  std::optional<Merge> merge_;
  std::vector<Table> tables_;
  int64_t ts_offset_;
  uint64_t next_seq_;
  uint64_t taken_ = 0;  // out of the rings, whatever became of it
  std::shared_ptr<const RowFilter> filter_;
  std::shared_ptr<const Secrets> secrets_;
  // Room for a record without its secrets, and how many there were in rows.
  std::vector<uint64_t> hidden_ = std::vector<uint64_t>(TAPIO_RECORD_BYTES_MAX / 8);
  std::vector<uint64_t> masked_, masked_here_;
  RecordValues values_;
  std::vector<uint64_t> undecodable_;
  std::array<uint64_t, TAPIO_OPS_MAX> events_{};
  uint64_t rows_since_check_ = 0;  // of the dictionaries
  uint64_t next_beat_ = 0;
  Interval muted_, handover_;  // not told yet
  std::shared_ptr<LiveRing> live_;

  // Slots are made once; which are free, and everything below, is guarded by mutex_.
  std::vector<std::unique_ptr<Slot>> slots_;
  std::mutex mutex_;
  std::vector<RingSet> sets_;
  size_t at_ = 0;      // of the set that is being drained
  bool over_ = false;  // the final cut was made
  std::condition_variable wakeup_;
  std::array<std::vector<unsigned>, kTypes + 1> free_;
  std::deque<Item> queue_;
  bool cut_wanted_ = false;
  std::optional<int64_t> rotate_to_;
  std::shared_ptr<const RowFilter> next_filter_;
  std::shared_ptr<const Secrets> next_secrets_;
  bool paused_ = false;
  bool finishing_ = false;
  bool stopping_ = false;
  DrainStats stats_;
  std::shared_ptr<LiveRing> live_wanted_;
  std::thread thread_;
};

}  // namespace tapio
