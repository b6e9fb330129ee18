// Columns of one event type: memory in which rows are built the way Arrow lays them out, so that
// nothing is copied again before it is compressed.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "format.h"
#include "interner.h"
#include "names.h"

namespace tapio {

inline constexpr uint32_t kBatchRows = 65536;
// Dictionaries of a segment are full at this; the drain then starts the next segment.
inline constexpr size_t kDict16Values = 60'000;
inline constexpr size_t kDict32Values = 1'000'000;
inline constexpr size_t kDictBytes = 64u << 20;

enum class Kind : uint8_t { kU16, kU32, kU64, kI32, kI64, kDict16, kDict32, kTexts, kU64s, kBytes };

struct ColumnSpec {
  const char* name;
  Kind kind;
  bool nullable;
};

// Where a column lies in a slot's memory; offsets in bytes, -1 where it has no such part.
struct ColumnRegion {
  int64_t validity, data, inner, heap;
};

// Placement of all columns of a type.
class TableLayout {
 public:
  TableLayout(const ColumnSpec* columns, unsigned count);
  const ColumnSpec* columns;
  unsigned count;
  std::vector<ColumnRegion> regions;
  size_t bytes = 0;
};

inline constexpr unsigned kTypes = 5;
// Placement of the columns of a type (1..kTypes).
const TableLayout& table_layout(unsigned type);

// Bytes of one value of a kind; for lists and strings of one offset.
unsigned width_of(Kind kind);
// Room of the variable part of texts, u64s and bytes columns, and strings of a texts column.
inline constexpr size_t kHeapBytes = 32u << 20;
inline constexpr size_t kInnerCount = 1u << 20;

// Memory for one batch. It is touched as rows are written and cleared where it was touched.
class Slot {
 public:
  Slot(unsigned id, unsigned type, const TableLayout& layout);
  ~Slot();
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  const unsigned id;
  const unsigned type;
  const TableLayout& layout;
  uint8_t* memory = nullptr;
  uint32_t rows = 0;
  uint64_t touched = 0;  // bit per column that was written
  // Per column: strings of texts or values of u64s; bytes of the heap; list offsets written.
  std::vector<uint32_t> inner, heap, closed;
  uint64_t first_seq = 0, last_seq = 0;
  int64_t first_ts = 0, last_ts = 0;

  // Makes it ready for new rows: only what was touched is cleared.
  void reset();
  // Nulls per column; `rows` for a column whose memory is all zero, which in one that is never null
  // means zeros.
  std::vector<uint32_t> nulls() const;
};

// One string of a record's tail.
struct TailString {
  const char* data = "";
  uint32_t stored = 0;
  uint32_t full = 0;
  bool cut() const { return full > stored; }
};

// Walks a record's tail; a string that does not fit makes it not ok.
class Tail {
 public:
  Tail(const unsigned char* at, unsigned bytes) : at_(at), end_(at + bytes) {}
  TailString next() {
    TailString out;
    if (end_ - at_ < static_cast<ptrdiff_t>(sizeof(tapio_string))) {
      ok_ = false;
      return out;
    }
    tapio_string head;
    std::memcpy(&head, at_, sizeof(head));
    at_ += sizeof(head);
    const unsigned rounded = (head.stored + 7u) & ~7u;
    if (end_ - at_ < static_cast<ptrdiff_t>(head.stored)) {
      ok_ = false;
      at_ = end_;
      return out;
    }
    out = {reinterpret_cast<const char*>(at_), head.stored, head.full};
    at_ = end_ - at_ < static_cast<ptrdiff_t>(rounded) ? end_ : at_ + rounded;
    return out;
  }
  bool ok() const { return ok_; }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
  bool ok_ = true;
};

// Where the directory of a path is not known, its name stands alone.
inline bool is_directory_known(const TailString& directory) {
  return directory.stored > 0 || directory.full != 0xffff;
}
inline bool is_path_cut(const TailString& given, const TailString& directory) {
  return given.cut() || (directory.stored > 0 && directory.cut());
}
// Calls `take` with each of the strings in one that are separated by NUL.
template <class Take>
void for_each_string(const TailString& all, Take take) {
  for (uint32_t at = 0; at < all.stored;) {
    const auto* end = static_cast<const char*>(std::memchr(all.data + at, 0, all.stored - at));
    const uint32_t length = end ? static_cast<uint32_t>(end - all.data) - at : all.stored - at;
    take(std::string_view(all.data + at, length));
    at += length + 1;
  }
}

// Wall-clock time of a record. Unsigned: a forged time wraps.
inline int64_t ts_of(const tapio_header& header, int64_t ts_offset) {
  return static_cast<int64_t>(header.ktime + static_cast<uint64_t>(ts_offset));
}

// The dictionaries of one type's columns; they live as long as a segment.
class Dictionaries {
 public:
  explicit Dictionaries(const TableLayout& layout);
  Interner& of(unsigned column) { return interners_[column]; }
  // Index of an enum value's name, looked up once per value.
  uint16_t name_index(unsigned column, Names set, unsigned value, const DropReasons& reasons);
  uint16_t syscall_index(unsigned column, unsigned number);
  uint16_t op_index(unsigned column, unsigned op, const char* name);
  void clear();
  bool full() const;
  struct Fresh {
    unsigned column;
    std::vector<std::string> texts;
  };
  // Texts that came in since the last call.
  std::vector<Fresh> take_fresh();

 private:
  uint16_t intern_name(unsigned column, const std::string& name);
  const TableLayout& layout_;
  std::vector<Interner> interners_;
  // Dictionary index + 1 of small values, by column; 0 = not met yet.
  std::vector<std::vector<uint32_t>> known_;
};

// Writes one row. generated/decode.h calls it for each field that the record has.
class RowSink {
 public:
  RowSink(Slot& slot, Dictionaries& dictionaries, const DropReasons& reasons)
      : slot_(slot), dictionaries_(dictionaries), reasons_(reasons), row_(slot.rows) {}

  template <class T>
  void value(unsigned column, T v) {
    set(column, v);
    mark(column);
  }
  void name(unsigned column, Names set_, unsigned v) {
    set(column, dictionaries_.name_index(column, set_, v, reasons_));
    mark(column);
  }
  void syscall_name(unsigned column, unsigned number) {
    set(column, dictionaries_.syscall_index(column, number));
    mark(column);
  }
  void inet(unsigned column, unsigned family, const unsigned char* address);
  void path(unsigned column, const TailString& given, const TailString& directory);
  void strings(unsigned column, const TailString& all);
  void bytes(unsigned column, const TailString& all);
  void args(unsigned column, unsigned number, const __u64* values);

  // A column that is never null, whose validity is not kept.
  template <class T>
  void common(unsigned column, T v) {
    set(column, v);
  }

  bool truncated() const { return truncated_; }

  // A row that must not stay: takes back what it set.
  void undo();

 private:
  template <class T>
  void set(unsigned column, T v) {
    std::memcpy(slot_.memory + slot_.layout.regions[column].data + row_ * sizeof(T), &v, sizeof(T));
  }
  void mark(unsigned column) {
    slot_.touched |= 1ull << column;
    slot_.memory[slot_.layout.regions[column].validity + row_ / 8] |=
        static_cast<uint8_t>(1u << (row_ % 8));
  }
  void end_list(unsigned column, uint32_t total);

  Slot& slot_;
  Dictionaries& dictionaries_;
  const DropReasons& reasons_;
  const uint32_t row_;
  bool truncated_ = false;
};

// True when the next row of this type may need more room than the slot's heaps still have.
bool heaps_full(const Slot& slot);
// Before a slot is handed over: list offsets of the rows since the last list that was set.
void close_lists(Slot& slot);

}  // namespace tapio
