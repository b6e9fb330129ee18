#include "stored_batch.h"

#include <errno.h>
#include <unistd.h>
#include <zstd.h>

#include "checksum.h"

namespace tapio {
namespace {

// No buffer of a batch is larger: a length beyond it is damage, not a reason to ask for memory.
constexpr int64_t kBufferMax = 1ll << 31;
constexpr unsigned kParts = 4;

// Flatbuffers (https://flatbuffers.dev/internals), as much of it as a record batch needs; every
// offset is held against the bytes there are.
class Table {
 public:
  Table(const uint8_t* bytes, size_t size, size_t at) : bytes_(bytes), size_(size), at_(at) {
    int32_t back;
    if (!get(at, &back)) return;
    const int64_t vtable = static_cast<int64_t>(at) - back;
    uint16_t length;
    if (vtable < 0 || !get(static_cast<size_t>(vtable), &length)) return;
    if (static_cast<size_t>(vtable) + length > size_) return;
    vtable_ = static_cast<size_t>(vtable);
    vtable_length_ = length;
  }
  bool ok() const { return vtable_length_ >= 4; }

  template <class T>
  bool get(size_t at, T* out) const {
    if (at > size_ || size_ - at < sizeof(T)) return false;
    memcpy(out, bytes_ + at, sizeof(T));
    return true;
  }
  // Place of a field, 0 where it is absent.
  size_t field(unsigned number) const {
    const size_t entry = 4 + 2 * number;
    uint16_t offset = 0;
    if (entry + 2 > vtable_length_ || !get(vtable_ + entry, &offset)) return 0;
    return offset == 0 ? 0 : at_ + offset;
  }
  // Place that an offset field points to, 0 where there is none.
  size_t target(unsigned number) const {
    const size_t at = field(number);
    uint32_t offset;
    if (at == 0 || !get(at, &offset) || offset > size_ - at) return 0;
    return at + offset;
  }
  // A vector of structs of `width` bytes: its first, and how many.
  bool vector(unsigned number, size_t width, const uint8_t** first, size_t* count) const {
    const size_t at = target(number);
    uint32_t length;
    if (at == 0 || !get(at, &length) || (size_ - at - 4) / width < length) return false;
    *first = bytes_ + at + 4;
    *count = length;
    return true;
  }

 private:
  const uint8_t* bytes_;
  size_t size_, at_;
  size_t vtable_ = 0, vtable_length_ = 0;
};

constexpr uint8_t kRecordBatch = 3;
constexpr int8_t kZstd = 1;

}  // namespace

StoredFile::~StoredFile() {
  if (fd >= 0) close(fd);
}

BatchReader::BatchReader(const std::vector<TableColumn>* const* tables, ReadCounts& counts)
    : tables_(tables), counts_(counts), zstd_(ZSTD_createDCtx()) {}
BatchReader::~BatchReader() { ZSTD_freeDCtx(zstd_); }

void BatchReader::open(StoredFile& file, const StoredBatch& batch) {
  file_ = &file;
  batch_ = &batch;
  table_ = tables_[file.table];
  has_header_ = false;
  damage_ = {};
  columns_.assign(table_->size(), {});
  if (memory_.size() < table_->size() * kParts) memory_.resize(table_->size() * kParts);
}

void BatchReader::hold(StoredFile& file, const StoredBatch& batch,
                       const std::vector<ColumnData>& columns) {
  file_ = &file;
  batch_ = &batch;
  table_ = tables_[file.table];
  damage_ = {};
  columns_ = columns;
  for (ColumnData& column : columns_) column.loaded = true;
}

void BatchReader::fail(const std::string& text) {
  if (damage_.is) return;
  damage_.is = true;
  damage_.text = text;
}

void BatchReader::fail_checksum(uint64_t from, uint64_t to) {
  if (damage_.is) return;
  damage_ = {true, true, from, to, ""};
}

bool BatchReader::pread_all(uint64_t at, size_t bytes, std::vector<uint8_t>* into) {
  if (into->size() < bytes) into->resize(bytes);
  if (at > file_->size || bytes > file_->size - at) {
    fail("it points outside the file");
    return false;
  }
  for (size_t got = 0; got < bytes;) {
    const ssize_t n =
        pread(file_->fd, into->data() + got, bytes - got, static_cast<off_t>(at + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      fail(n == 0 ? "ends before byte " + std::to_string(at + bytes) : strerror(errno));
      return false;
    }
    got += static_cast<size_t>(n);
  }
  counts_.bytes += bytes;
  return true;
}

bool BatchReader::parse_header(const uint8_t* at, size_t bytes) {
  if (bytes < 8 + 8) return false;
  const uint8_t* const message = at + 8;
  const size_t size = bytes - 8;
  uint32_t root;
  memcpy(&root, message, 4);
  const Table outer(message, size, root);
  if (!outer.ok()) return false;
  uint8_t type = 0;
  if (!outer.get(outer.field(1), &type) || type != kRecordBatch) return false;
  const Table header(message, size, outer.target(2));
  if (!header.ok()) return false;
  int64_t rows = 0;
  const size_t rows_at = header.field(0);
  if (rows_at != 0 && !header.get(rows_at, &rows)) return false;
  const Table compression(message, size, header.target(3));
  int8_t codec = 0;
  if (header.target(3) == 0 || !compression.ok()) return false;
  if (const size_t codec_at = compression.field(0); codec_at != 0)
    compression.get(codec_at, &codec);
  const uint8_t *nodes, *buffers;
  size_t node_count, buffer_count;
  if (codec != kZstd || !header.vector(1, 16, &nodes, &node_count) ||
      !header.vector(2, 16, &buffers, &buffer_count)) {
    return false;
  }
  if (rows != batch_->rows || node_count != static_cast<size_t>(file_->nodes) ||
      buffer_count != static_cast<size_t>(file_->buffers)) {
    fail("it is another batch");
    return false;
  }
  lengths_.resize(node_count);
  for (size_t i = 0; i < node_count; i++) memcpy(&lengths_[i], nodes + 16 * i, 8);
  regions_.resize(buffer_count);
  for (size_t i = 0; i < buffer_count; i++) memcpy(&regions_[i], buffers + 16 * i, 16);
  return true;
}

bool BatchReader::read_header() {
  if (has_header_) return true;
  const auto& checksums = batch_->checksums;
  const bool all = checksums.size() == 1;
  const size_t bytes = batch_->metadata_length + (all ? batch_->body_length : 0);
  auto& into = all ? whole_ : metadata_;
  if (!pread_all(batch_->offset, bytes, &into)) return false;
  if (!checksums.empty() && crc32c(into.data(), bytes) != checksums[0]) {
    fail_checksum(batch_->offset, batch_->offset + bytes);
    return false;
  }
  counts_.batches++;
  has_header_ = parse_header(into.data(), batch_->metadata_length);
  if (!has_header_) fail("it is no record batch");
  return has_header_;
}

bool BatchReader::buffer(unsigned index, size_t least, std::vector<uint8_t>* into,
                         const uint8_t** out, size_t* bytes) {
  *out = nullptr;
  *bytes = 0;
  const Region& region = regions_[index];
  if (region.length == 0) {
    if (least > 0) fail("a buffer is too short for its rows");
    return least == 0;
  }
  const auto body = static_cast<int64_t>(batch_->body_length);
  if (region.length < 8 || region.offset < 0 || region.offset > body ||
      region.length > body - region.offset) {
    fail("a buffer lies outside its batch");
    return false;
  }
  const auto length = static_cast<size_t>(region.length);
  const size_t in_batch = batch_->metadata_length + static_cast<size_t>(region.offset);
  const uint8_t* packed;
  if (batch_->checksums.size() == 1) {
    packed = whole_.data() + in_batch;
  } else {
    const uint64_t at = batch_->offset + in_batch;
    if (!pread_all(at, length, &packed_)) return false;
    packed = packed_.data();
    if (!batch_->checksums.empty()) {
      if (index + 1 >= batch_->checksums.size() ||
          crc32c(packed, length) != batch_->checksums[index + 1]) {
        fail_checksum(at, at + length);
        return false;
      }
    }
  }
  counts_.buffers++;
  int64_t plain;
  memcpy(&plain, packed, 8);
  const size_t stored = length - 8;
  const size_t size = plain == -1 ? stored : static_cast<size_t>(plain);
  if (plain < -1 || plain > kBufferMax) {
    fail("a buffer has another length");
    return false;
  }
  if (size < least) {
    fail("a buffer is too short for its rows");
    return false;
  }
  if (into->size() < size + 8) into->resize(size + 8);
  if (plain == -1) {
    memcpy(into->data(), packed + 8, size);
  } else {
    const size_t got = ZSTD_decompressDCtx(zstd_, into->data(), size, packed + 8, stored);
    if (ZSTD_isError(got) || got != size) {
      fail(ZSTD_isError(got) ? ZSTD_getErrorName(got) : "a buffer has another length");
      return false;
    }
  }
  counts_.unpacked += size;
  *out = into->data();
  *bytes = size;
  return true;
}

bool BatchReader::check_offsets(const uint8_t* at, uint32_t count, uint64_t limit) {
  int32_t before = 0;
  for (uint32_t i = 0; i <= count; i++) {
    int32_t offset;
    memcpy(&offset, at + 4ul * i, 4);
    if (offset < before || static_cast<uint64_t>(offset) > limit) {
      fail("a value lies outside its buffer");
      return false;
    }
    before = offset;
  }
  return true;
}

// An index beyond its dictionary would read whatever stands there. Null values may hold anything.
bool BatchReader::check_indices(unsigned index, const ColumnData& column, size_t width) {
  const uint32_t rows = batch_->rows, count = file_->dictionaries[index].count;
  uint32_t largest = 0;
  if (width == 2) {
    const auto* values = reinterpret_cast<const uint16_t*>(column.data);
    uint16_t most = 0;
    for (uint32_t i = 0; i < rows; i++) most = values[i] > most ? values[i] : most;
    largest = most;
  } else {
    const auto* values = reinterpret_cast<const uint32_t*>(column.data);
    for (uint32_t i = 0; i < rows; i++) largest = values[i] > largest ? values[i] : largest;
  }
  if (largest < count) return true;
  for (uint32_t row = 0; row < rows; row++) {
    if (!column.present(row)) continue;
    const uint32_t value = width == 2 ? column.value<uint16_t>(row) : column.value<uint32_t>(row);
    if (value >= count) {
      fail("a string's index lies outside its dictionary");
      return false;
    }
  }
  return true;
}

bool BatchReader::load(unsigned index, ColumnData* out) {
  const ColumnPlace& place = file_->places[index];
  if (place.buffer < 0) return true;  // the file has no such column: null in each row
  if (!read_header()) return false;
  const uint32_t rows = batch_->rows;
  const auto part = [&](unsigned i) { return &memory_[index * kParts + i]; };
  const auto first = static_cast<unsigned>(place.buffer);
  if (lengths_[static_cast<size_t>(place.node)] != rows) {
    fail("it is another batch");
    return false;
  }
  size_t bytes;
  const size_t bitmap = regions_[first].length == 0 ? 0 : (rows + 7) / 8;
  if (!buffer(first, bitmap, part(0), &out->validity, &bytes)) return false;
  const Kind kind = spec(index).kind;
  const bool is_list = kind == Kind::kTexts || kind == Kind::kU64s || kind == Kind::kBytes;
  const size_t width = width_of(kind);
  const size_t least = rows == 0 ? 0 : (rows + (is_list ? 1 : 0)) * width;
  if (!buffer(first + 1, least, part(1), &out->data, &bytes)) return false;
  if (kind == Kind::kDict16 || kind == Kind::kDict32) return check_indices(index, *out, width);
  if (!is_list || rows == 0) return true;
  const auto total = static_cast<uint32_t>(out->offset(rows));
  if (kind == Kind::kBytes) {
    if (!buffer(first + 2, 0, part(2), &out->inner, &bytes)) return false;
    return check_offsets(out->data, rows, bytes);
  }
  if (!check_offsets(out->data, rows, total)) return false;
  // The elements of a list are never null: their bitmap is empty.
  if (kind == Kind::kU64s) {
    return buffer(first + 3, total * 8ul, part(2), &out->inner, &bytes);
  }
  if (total == 0) return true;
  if (!buffer(first + 3, (total + 1ul) * 4, part(2), &out->inner, &bytes)) return false;
  if (!buffer(first + 4, 0, part(3), &out->heap, &bytes)) return false;
  return check_offsets(out->inner, total, bytes);
}

const ColumnData& BatchReader::column(unsigned index) {
  ColumnData& column = columns_[index];
  if (column.loaded) return column;
  if (damage_.is || !load(index, &column)) column = {};
  column.loaded = true;
  return column;
}

}  // namespace tapio
