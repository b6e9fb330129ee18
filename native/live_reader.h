// Reads a live ring that another thread or process writes: records that match are decoded as the
// drain decodes them, and gathered as a scan does. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "drain.h"
#include "live_ring.h"
#include "raw_event.h"
#include "record_values.h"
#include "scan.h"

namespace tapio {

// The matching rows of one type.
struct LiveBlock {
  unsigned type = 0;
  uint32_t rows = 0;
  std::vector<uint8_t> memory;
  // As in ScanResult.
  std::vector<uint32_t> regions;
  // Per output column: offset and length in `memory` of the offsets, then of the bytes, of the
  // strings that it names; zeros where it names none.
  std::vector<uint32_t> strings;
};

// Rows that follow one another.
struct __attribute__((visibility("hidden"))) LiveChunk {
  // Of the last row read; the seq that was given where there was none.
  uint64_t through = 0;
  // Where rows are missing from the ring: seq of the next that is there, else 0.
  uint64_t gap_until = 0;
  int64_t ts_offset = 0;
  uint64_t newest = 0;  // largest ktime of what was read, 0 where nothing was
  std::vector<LiveBlock> blocks;
  // In the place of blocks, where rows are wanted as messages.
  std::unique_ptr<RawEvents> events;
};

// What a reader had before: where a recorder goes on behind it, rows come again under the same seq,
// or others take their place.
struct LiveSeen {
  uint64_t seq = 0;
  uint64_t ktime = 0;
  bool has(uint64_t other_seq, uint64_t other_ktime) const {
    return other_seq <= seq && other_ktime <= ktime;
  }
};

// The mapping of a ring, for as long as it lives.
class LiveMapping {
 public:
  // Null where this is no live ring of this version; *why says so.
  static std::unique_ptr<LiveMapping> open(int fd, std::string* why);
  ~LiveMapping();
  LiveMapping(const LiveMapping&) = delete;
  LiveMapping& operator=(const LiveMapping&) = delete;
  Rings rings() const;
  std::string recording() const;
  DropReasons reasons() const;
  uint64_t next_seq() const;
  uint64_t position() const;

 private:
  LiveMapping() = default;
  const uint8_t* memory_ = nullptr;
  size_t bytes_ = 0;
  LiveHeader header_;
};

class LiveReader {
 public:
  // Reads from where the ring is now. `tables` by type id; types without one are passed over. The
  // columns of a table are those of its type, with `ktime` after them.
  // What was `seen` is passed over. With `layouts`, by type id, rows are not decoded: messages are
  // made straight from the records.
  LiveReader(std::unique_ptr<LiveMapping> mapping, std::vector<std::unique_ptr<ScanTable>> tables,
             LiveSeen seen, std::vector<RecordLayout> layouts);

  // True once the drain writes here: every row that gets its seq from then on will come.
  bool attached() const { return mapping_->next_seq() != 0; }
  // Rows after a seq, as far as they are there and have one offset; up to a gap, which is told when
  // no row is left before it.
  LiveChunk read(uint64_t after);
  const LiveMapping& mapping() const { return *mapping_; }

 private:
  // Of one type: where its rows are decoded, and what they are then to the scanner's parts.
  struct Decoder {
    Decoder(unsigned type, std::unique_ptr<ScanTable> asked);
    std::unique_ptr<ScanTable> table;
    Slot slot;
    Dictionaries dictionaries;
    std::vector<uint64_t> ktimes;
    std::vector<std::string> texts;
    std::vector<std::vector<int32_t>> ends;
    const std::vector<TableColumn>* columns;
    ReadCounts counts;
    BatchReader reader;
  };

  bool take_all(LiveChunk* chunk, bool* any);
  bool take(const PendingRecord& record, LiveChunk* chunk);
  void finish(Decoder& decoder, LiveChunk* chunk);
  std::vector<ColumnData> columns_of(Decoder& decoder);
  void add_strings(Decoder& decoder, unsigned column, LiveBlock* block);

  std::unique_ptr<LiveMapping> mapping_;
  const DropReasons reasons_;
  const LiveSeen seen_;
  RingReader ring_;
  std::vector<std::unique_ptr<Decoder>> decoders_;
  RecordValues values_;
  const std::vector<RecordLayout> layouts_;
  std::vector<uint32_t> rows_;
  std::vector<uint64_t> record_ = std::vector<uint64_t>(TAPIO_RECORD_BYTES_MAX / 8);
};

}  // namespace tapio
