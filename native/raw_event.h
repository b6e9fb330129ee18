// Rows as messages of tapio.ebpf.v1.RawEvent (schemas/generated/events.proto), each behind the head
// that gRPC gives a message: a zero, and its length in four bytes, the highest first. Nothing that
// is said of columns is believed: they are held against their buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tapio {

class RecordValues;

// How a column lies in memory, and how it is written; src/source/raw-events.ts has the same
// numbers.
enum class RawKind : uint8_t {
  kU16,
  kU32,
  kU64,
  kI32,
  kI64,
  kFixed64,
  kKtime,  // fixed as well: the column's value less the block's offset
  kDict16,
  kDict32,
  kTexts,
  kU64s,
  kBytes,
};
inline constexpr unsigned kRawKinds = 12;
// Tags of fields up to this one have two bytes at most.
inline constexpr uint32_t kRawFieldMax = 2047;

struct RawBytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

struct RawColumn {
  uint32_t field = 0;
  RawKind kind = RawKind::kU16;
  bool own = false;    // of the type: it is there when it is not null, even where it is 0
  uint32_t first = 0;  // the block's row whose value comes first
  uint32_t rows = 0;
  RawBytes validity;  // empty: no value is null
  RawBytes data;      // values, indices, or offsets of lists and bytes
  RawBytes inner;     // offsets of a list's or a dictionary's strings, values of a list
  RawBytes heap;      // bytes

  // Made by RawEvents::open().
  uint16_t tag = 0;
  uint8_t tag_size = 0;
  uint32_t inner_count = 0;
};

// Fields that are written of a raw record, without columns in between: what is common first, each
// part by its numbers.
struct RecordField {
  RawColumn column;
  int source = 0;  // column of the type's table
};
struct RecordLayout {
  uint32_t event_field = 0;  // of the oneof
  std::vector<RecordField> fields;
  RawColumn event;  // made by RawEvents::prepare_record()
};

struct RawBlock {
  uint32_t event_field = 0;  // of the oneof
  int64_t ts_offset = 0;
  std::vector<RawColumn> columns;
};

// Messages one behind another. Nobody else links to it, so that calls of its own are calls, or
// inlined.
class __attribute__((visibility("hidden"))) RawEvents {
 public:
  RawEvents() = default;
  ~RawEvents();
  RawEvents(const RawEvents&) = delete;
  RawEvents& operator=(const RawEvents&) = delete;

  // Makes room for so many bytes at first.
  void expect(size_t bytes);

  // Makes a block ready for runs of rows from `from` up to, but without, `to`: columns that are
  // null there are taken out of it. Null, or what is wrong with it.
  const char* open(RawBlock& block, uint32_t from, uint32_t to);

  // Appends the messages of these rows of a block that is open for them. Null, or what is wrong
  // with it: then nothing may be taken.
  const char* append(const RawBlock& block, uint32_t from, uint32_t to);

  // Makes a layout ready. Null, or what is wrong with it.
  static const char* prepare_record(RecordLayout& layout);

  // Appends the message of a record's row: the same as of the columns that it would be decoded to.
  // Null, or what is wrong; then it has appended nothing.
  const char* append(const RecordLayout& layout, const RecordValues& values);

  // Where each message ends.
  const std::vector<uint32_t>& ends() const { return ends_; }
  size_t size() const { return size_; }
  const uint8_t* data() const { return memory_; }

 private:
  uint8_t* grow(uint8_t* at, size_t more);
  // Makes sure that `bytes` and what a row has of bounded length fit behind `at`. Null where they
  // never will.
  uint8_t* room(uint8_t* at, size_t bytes);
  uint8_t* field(const RawBlock& block, const RawColumn& column, uint32_t row, uint8_t* at);
  uint8_t* text(const RawColumn& column, std::string_view bytes, uint8_t* at);
  uint8_t* replaced_text(const RawColumn& column, std::string_view bytes, uint8_t* at);
  uint8_t* entry(const RawColumn& column, uint32_t index, uint8_t* at);
  uint8_t* texts(const RawColumn& column, uint32_t row, uint8_t* at);
  uint8_t* u64s(const RawColumn& column, uint32_t row, uint8_t* at);
  uint8_t* bytes(const RawColumn& column, uint32_t row, uint8_t* at);
  uint8_t* bytes_field(const RawColumn& column, std::string_view bytes, uint8_t* at);
  uint8_t* record_field(const RecordField& field, const RecordValues& values, uint8_t* at);
  template <class Common, class Own>
  uint8_t* message(const RawColumn& event, Common common, Own own);
  uint8_t* fail(const char* why) {
    error_ = why;
    return nullptr;
  }

  uint8_t* memory_ = nullptr;
  uint8_t* limit_ = nullptr;
  size_t size_ = 0;
  size_t budget_ = 0;  // most bytes of a row without those of its strings and lists
  // Lengths are written with as many bytes as the row before needed: where that is wrong, the row
  // moves.
  size_t length_size_ = 1;
  // Memory that is used again for each record.
  std::vector<std::string_view> texts_;
  std::vector<uint64_t> numbers_;
  const char* error_ = nullptr;
  std::vector<uint32_t> ends_;
};

}  // namespace tapio
