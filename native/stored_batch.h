// A record batch of an event file, read column by column: only the buffers that are asked for are
// read, held against their checksums and decompressed. The layout is that of Arrow's IPC format
// with body compression (https://arrow.apache.org/docs/format/Columnar.html), zstd.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "columns.h"

struct ZSTD_DCtx_s;

namespace tapio {

// Strings of a dictionary column. The memory is JS's, which keeps it for as long as the scan lives.
struct DictionaryView {
  const int32_t* offsets = nullptr;
  const char* data = nullptr;
  uint32_t count = 0;
  std::string_view at(uint32_t index) const {
    return {data + offsets[index], static_cast<size_t>(offsets[index + 1] - offsets[index])};
  }
};

// A column of a table; a file may lack it.
struct TableColumn {
  std::string name;
  Kind kind;
  bool nullable;
};

// Where a column lies in each record batch of a file; -1 where the file has no such column.
struct ColumnPlace {
  int node = -1;
  int buffer = -1;
};

// Results of text tests, per dictionary entry: a Truth each.
struct Verdicts {
  std::vector<uint8_t> of;
  bool any_true = false, any_false = false;
};

struct StoredFile {
  ~StoredFile();
  int fd = -1;
  uint64_t size = 0;
  unsigned table = 0;
  int nodes = 0, buffers = 0;  // of a whole record batch
  std::vector<ColumnPlace> places;
  std::vector<DictionaryView> dictionaries;
  // By number of the predicate's node.
  std::mutex mutex;
  std::unordered_map<unsigned, std::unique_ptr<Verdicts>> verdicts;
};

struct StoredBatch {
  uint32_t file = 0;
  uint64_t offset = 0;
  uint32_t metadata_length = 0;
  uint64_t body_length = 0;
  uint32_t rows = 0;
  // CRC-32C of the metadata and of each buffer, or one of the whole; none: not to be checked here.
  std::vector<uint32_t> checksums;
  bool windowed = false;
};

// Why a batch could not be read.
struct Damage {
  bool is = false;
  bool checksum = false;  // bytes from `from` to `to` of the file are not what was committed
  uint64_t from = 0, to = 0;
  std::string text;
};

// A column as it was read. Without `validity` no value is null; without `data` all are.
struct ColumnData {
  bool loaded = false;
  const uint8_t* validity = nullptr;
  const uint8_t* data = nullptr;  // values, indices, or list and string offsets
  const uint8_t* inner =
      nullptr;  // offsets of a list's strings, values of a list, bytes of a string
  const uint8_t* heap = nullptr;  // bytes of a list's strings
  bool present(uint32_t row) const {
    return data != nullptr && (validity == nullptr || (validity[row >> 3] >> (row & 7) & 1) != 0);
  }
  template <class T>
  T value(uint32_t row) const {
    T out;
    memcpy(&out, data + row * sizeof(T), sizeof(T));
    return out;
  }
  int32_t offset(uint32_t i) const { return value<int32_t>(i); }
};

// What was really read, over all threads.
struct ReadCounts {
  std::atomic<uint64_t> batches{0}, buffers{0}, bytes{0}, unpacked{0};
};

// Reads one batch after another; its memory is used again. One per thread.
class BatchReader {
 public:
  BatchReader(const std::vector<TableColumn>* const* tables, ReadCounts& counts);
  ~BatchReader();
  BatchReader(const BatchReader&) = delete;
  BatchReader& operator=(const BatchReader&) = delete;

  void open(StoredFile& file, const StoredBatch& batch);
  // A batch whose columns, all of them, are in memory already.
  void hold(StoredFile& file, const StoredBatch& batch, const std::vector<ColumnData>& columns);
  // Reads it now if it was not; of a damaged one all values are null.
  const ColumnData& column(unsigned index);
  const TableColumn& spec(unsigned index) const { return (*table_)[index]; }
  const DictionaryView& dictionary(unsigned index) const { return file_->dictionaries[index]; }
  StoredFile& file() const { return *file_; }
  uint32_t rows() const { return batch_->rows; }
  const Damage& damage() const { return damage_; }

 private:
  struct Region {
    int64_t offset, length;
  };
  void fail(const std::string& text);
  void fail_checksum(uint64_t from, uint64_t to);
  bool read_header();
  bool parse_header(const uint8_t* at, size_t bytes);
  bool pread_all(uint64_t at, size_t bytes, std::vector<uint8_t>* into);
  // The plain bytes of a buffer; at least `least` of them. Empty ones give null.
  bool buffer(unsigned index, size_t least, std::vector<uint8_t>* into, const uint8_t** out,
              size_t* bytes);
  bool load(unsigned index, ColumnData* out);
  bool check_offsets(const uint8_t* at, uint32_t count, uint64_t limit);
  bool check_indices(unsigned index, const ColumnData& column, size_t width);

  const std::vector<TableColumn>* const* tables_;
  const std::vector<TableColumn>* table_ = nullptr;
  ReadCounts& counts_;
  StoredFile* file_ = nullptr;
  const StoredBatch* batch_ = nullptr;
  bool has_header_ = false;
  Damage damage_;
  std::vector<Region> regions_;
  std::vector<int64_t> lengths_;
  std::vector<uint8_t> metadata_, whole_, packed_;
  std::vector<ColumnData> columns_;
  // Four parts a column at most.
  std::vector<std::vector<uint8_t>> memory_;
  ZSTD_DCtx_s* zstd_;
};

}  // namespace tapio
