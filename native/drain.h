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
#include "merge.h"

namespace tapio {

inline constexpr unsigned kTypes = 5;

// Placement of the columns of a type (1..kTypes).
const TableLayout& table_layout(unsigned type);

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
  uint64_t through_seq = 0;
  bool rotated = false;
  int64_t ts_offset = 0;  // from here on
  bool final = false;
  std::vector<uint64_t> positions;
  std::vector<uint64_t> consumed, lost, filtered, refused;
  std::vector<uint64_t> loss_first, loss_last;
  uint64_t late = 0;
  uint64_t malformed = 0;
};

using Item = std::variant<Batch, Cut>;

struct DrainOptions {
  int64_t ts_offset = 0;
  uint64_t next_seq = 1;
  unsigned slots_per_type = 4;
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
  // `wake` is called from the drain thread when take() may have something.
  Drain(const Rings& rings, DropReasons reasons, DrainOptions options, std::function<void()> wake);
  ~Drain();

  void start();
  std::optional<Item> take();
  Slot& slot(unsigned id) { return *slots_[id]; }
  unsigned slot_count() const { return static_cast<unsigned>(slots_.size()); }
  void release(unsigned slot);
  // Asks for a cut; with an offset also for new dictionaries and that offset from there on.
  void request_cut(std::optional<int64_t> rotate_to);
  void pause(bool paused);
  // Nobody writes the rings any more: everything in them is drained, then comes the final cut.
  void finish();
  DrainStats stats();

 private:
  struct Table {
    explicit Table(const TableLayout& layout) : dictionaries(layout) {}
    Dictionaries dictionaries;
    Slot* open = nullptr;
  };

  void run();
  bool cycle(bool finishing);
  bool take_record(tapio_header* header, uint32_t bytes, unsigned cpu);
  Slot* free_slot(unsigned type);
  void hand_over(unsigned type);
  void cut(bool final, std::optional<int64_t> rotate_to);
  void push(Item item);
  void note_stats(size_t released);
  bool dictionaries_full() const;

  const Rings rings_;
  const DropReasons reasons_;
  Merge merge_;
  std::function<void()> wake_;

  // Owned by the drain thread.
  std::vector<Table> tables_;
  int64_t ts_offset_;
  uint64_t next_seq_;
  uint64_t undecodable_ = 0;
  uint64_t rows_since_check_ = 0;
  std::array<uint64_t, TAPIO_OPS_MAX> events_{};

  // Slots are made once; which are free, and everything below, is guarded by mutex_.
  std::vector<std::unique_ptr<Slot>> slots_;
  std::mutex mutex_;
  std::condition_variable wakeup_;
  std::array<std::vector<unsigned>, kTypes + 1> free_;
  std::deque<Item> queue_;
  bool cut_wanted_ = false;
  std::optional<int64_t> rotate_to_;
  bool paused_ = false;
  bool finishing_ = false;
  bool stopping_ = false;
  DrainStats stats_;
  std::thread thread_;
};

}  // namespace tapio
