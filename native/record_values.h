// One raw record as the row that decoding would make of it, for predicates: nothing is made but
// what is asked for.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "columns.h"
#include "predicate.h"

namespace tapio {

class RecordValues final : public RowValues {
 public:
  explicit RecordValues(const DropReasons& reasons) : reasons_(reasons) {}

  // Stands at a record, which must stay where it is. Its op must be one of the table.
  // `seq`: 0 where it has none yet.
  void set(const tapio_header* header, uint32_t bytes, unsigned cpu, int64_t ts_offset,
           uint64_t seq = 0);
  // True where a field was asked for and the record is not what it claims: no row would come of it.
  bool malformed() const { return read_ && !whole_; }

  bool integer(int column, Int* out) const override;
  bool text(int column, std::string_view* out) const override;
  bool present(int column) const override;
  bool texts(int column, std::vector<std::string_view>* out) const override;
  bool integers(int column, std::vector<uint64_t>* out) const override;
  bool is_texts(int column) const override;
  bool bytes(int column, std::string_view* out) const;
  // False where the record is not what it claims.
  bool is_whole() const {
    read();
    return whole_;
  }

  // Number of the column `ktime`, which is behind those of the type's table.
  static int ktime_column(unsigned type);

 private:
  friend class FieldSink;
  static constexpr unsigned kColumnsMax = 64;
  enum class As : uint8_t { kInteger, kName, kSyscall, kInet, kPath, kStrings, kBytes, kArgs };
  // A field as the record has it.
  struct Field {
    As as;
    Names names;
    unsigned number;  // of a name, a family or a system call
    Int integer;
    const unsigned char* address;
    const __u64* args;
    TailString first, second;  // of a path: the name given, its directory
  };

  // The op's own field of a column; null where it has none.
  const Field* field(int column) const;
  void read() const;
  std::string_view name(Names set, unsigned value) const;
  std::string_view comm() const;

  const DropReasons& reasons_;
  const tapio_header* header_ = nullptr;
  uint32_t bytes_ = 0;
  unsigned cpu_ = 0;
  unsigned type_ = 0;
  int64_t ts_offset_ = 0;
  uint64_t seq_ = 0;

  // What was made of the record so far.
  mutable bool read_ = false, whole_ = false, truncated_ = false;
  mutable uint64_t present_ = 0, made_ = 0;  // bit per column
  mutable std::array<Field, kColumnsMax> fields_;
  // Memory that is used again for each record.
  mutable std::array<std::string, kColumnsMax> texts_;
  mutable std::array<std::vector<std::string>, kColumnsMax> lists_;
  mutable std::unordered_map<unsigned, std::string> names_;
};

}  // namespace tapio
