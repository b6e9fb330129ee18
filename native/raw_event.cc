#include "raw_event.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "record_values.h"
#include "text.h"

namespace tapio {
namespace {

constexpr size_t kHeadBytes = 5;
constexpr size_t kTagBytes = 2;
constexpr size_t kVarintBytes = 10;
// More than any run of rows has, and less than an offset of 32 bits holds.
constexpr size_t kBytesMax = 1u << 30;
constexpr unsigned kVarint = 0, kFixed = 1, kDelimited = 2;

constexpr const char* kTooShort = "a buffer is too short for its rows";
constexpr const char* kOutside = "a value lies outside its buffer";

template <class T>
T load(const uint8_t* at, size_t index) {
  T value;
  memcpy(&value, at + index * sizeof(T), sizeof(T));
  return value;
}

size_t varint_size(uint64_t value) {
  return static_cast<size_t>((63 - __builtin_clzll(value | 1)) / 7 + 1);
}

// Writes no byte beyond the number's own.
uint8_t* exact_varint(uint8_t* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *at = static_cast<uint8_t>(value);
  return at + 1;
}

// There must be room for ten bytes, whatever the number takes.
inline uint8_t* varint(uint8_t* at, uint64_t value) {
  if (value < 0x80) {
    *at = static_cast<uint8_t>(value);
    return at + 1;
  }
  if (value >> 56 == 0) [[likely]] {
    // Eight groups of seven bits, each brought to a byte of its own: no branch depends on how many
    // there are.
    uint64_t x = (value & 0xfffffff) | (value & 0xfffffff0000000) << 4;
    x = (x & 0x3fff00003fff) | (x & 0xfffc0000fffc000) << 2;
    x = (x & 0x7f007f007f007f) | (x & 0x3f803f803f803f80) << 1;
    const size_t size = varint_size(value);
    x |= 0x8080808080808080 >> (72 - 8 * size);
    memcpy(at, &x, 8);
    return at + size;
  }
  return exact_varint(at, value);
}

uint8_t* put_tag(const RawColumn& column, uint8_t* at) {
  // There is always room for both of its bytes.
  memcpy(at, &column.tag, kTagBytes);
  return at + column.tag_size;
}

uint8_t* fixed(uint8_t* at, uint64_t value) {
  memcpy(at, &value, 8);
  return at + 8;
}

bool present(const RawColumn& column, uint32_t at) {
  return column.validity.size == 0 || (column.validity.data[at >> 3] >> (at & 7) & 1) != 0;
}

bool any_present(const RawColumn& column, uint32_t from, uint32_t to) {
  if (column.validity.size == 0) return true;
  while (from < to) {
    if ((from & 7) == 0 && to - from >= 8) {
      if (column.validity.data[from >> 3] != 0) return true;
      from += 8;
    } else if (present(column, from++)) {
      return true;
    }
  }
  return false;
}

unsigned wire_of(RawKind kind) {
  switch (kind) {
    case RawKind::kFixed64:
    case RawKind::kKtime:
      return kFixed;
    case RawKind::kDict16:
    case RawKind::kDict32:
    case RawKind::kTexts:
    case RawKind::kU64s:
    case RawKind::kBytes:
      return kDelimited;
    default:
      return kVarint;
  }
}

bool is_list(RawKind kind) {
  return kind == RawKind::kTexts || kind == RawKind::kU64s || kind == RawKind::kBytes;
}

size_t width_of(RawKind kind) {
  switch (kind) {
    case RawKind::kU16:
    case RawKind::kDict16:
      return 2;
    case RawKind::kU32:
    case RawKind::kI32:
    case RawKind::kDict32:
    case RawKind::kTexts:
    case RawKind::kU64s:
    case RawKind::kBytes:
      return 4;
    default:
      return 8;
  }
}

// What can be said of a column once; what its offsets and indices say is looked at as they are
// used.
const char* prepare(RawColumn& column) {
  if (column.field == 0 || column.field > kRawFieldMax) return "no number of a field";
  const uint32_t tag = column.field << 3 | wire_of(column.kind);
  column.tag_size = tag < 0x80 ? 1 : 2;
  column.tag = static_cast<uint16_t>(tag < 0x80 ? tag : (tag & 0x7f) | 0x80 | tag >> 7 << 8);
  const size_t values = size_t{column.rows} + (is_list(column.kind) && column.rows > 0 ? 1 : 0);
  if (column.data.size < values * width_of(column.kind)) return kTooShort;
  if (column.validity.size > 0 && column.validity.size < (size_t{column.rows} + 7) / 8)
    return kTooShort;
  const size_t inner = column.inner.size / (column.kind == RawKind::kU64s ? 8 : 4);
  column.inner_count = static_cast<uint32_t>(std::min<size_t>(inner, INT32_MAX));
  return nullptr;
}

// Copies bytes; whether all of them are ASCII.
bool copy_ascii(uint8_t* to, const char* from, size_t size) {
  constexpr uint64_t kHigh = 0x8080808080808080;
  uint64_t seen = 0;
  if (size >= 8) {
    size_t i = 0;
    for (uint64_t word; i + 8 <= size; i += 8) {
      memcpy(&word, from + i, 8);
      memcpy(to + i, &word, 8);
      seen |= word;
    }
    uint64_t last;
    memcpy(&last, from + size - 8, 8);
    memcpy(to + size - 8, &last, 8);
    return ((seen | last) & kHigh) == 0;
  }
  if (size >= 4) {
    uint32_t first, last;
    memcpy(&first, from, 4);
    memcpy(&last, from + size - 4, 4);
    memcpy(to, &first, 4);
    memcpy(to + size - 4, &last, 4);
    return ((first | last) & kHigh) == 0;
  }
  for (size_t i = 0; i < size; i++) {
    to[i] = static_cast<uint8_t>(from[i]);
    seen |= to[i];
  }
  return (seen & kHigh) == 0;
}

}  // namespace

RawEvents::~RawEvents() { free(memory_); }

void RawEvents::expect(size_t bytes) { grow(memory_, std::min(bytes, kBytesMax)); }

uint8_t* RawEvents::grow(uint8_t* at, size_t more) {
  const auto used = static_cast<size_t>(at - memory_);
  if (more > kBytesMax || used > kBytesMax - more) return fail("the messages are too large");
  const size_t size = std::max(used + more, (used + more) / 2 * 3);
  auto* const memory = static_cast<uint8_t*>(realloc(memory_, size));
  if (memory == nullptr) return fail("no memory");
  memory_ = memory;
  limit_ = memory + size;
  return memory + used;
}

inline uint8_t* RawEvents::room(uint8_t* at, size_t bytes) {
  if (static_cast<size_t>(limit_ - at) >= bytes + budget_) [[likely]]
    return at;
  return grow(at, bytes + budget_);
}

const char* RawEvents::open(RawBlock& block, uint32_t from, uint32_t to) {
  if (block.event_field == 0 || block.event_field > kRawFieldMax) return "no number of a field";
  for (RawColumn& column : block.columns) {
    if (const char* const why = prepare(column)) return why;
    if (from < column.first || to - column.first > column.rows || from > to)
      return "rows that a column does not have";
  }
  // Of most own columns a run has nothing, as other ops set them.
  std::erase_if(block.columns, [&](const RawColumn& column) {
    return !any_present(column, from - column.first, to - column.first);
  });
  // What is common comes before the event of the oneof.
  const auto before = [](const RawColumn& a, const RawColumn& b) {
    return a.own != b.own ? b.own : a.field < b.field;
  };
  if (!std::is_sorted(block.columns.begin(), block.columns.end(), before))
    std::stable_sort(block.columns.begin(), block.columns.end(), before);
  return nullptr;
}

inline uint8_t* RawEvents::text(const RawColumn& column, std::string_view bytes, uint8_t* at) {
  uint8_t* const begun = room(at, kTagBytes + kVarintBytes + bytes.size());
  if (begun == nullptr) return nullptr;
  uint8_t* const to = varint(put_tag(column, begun), bytes.size());
  if (copy_ascii(to, bytes.data(), bytes.size()) || is_utf8(bytes)) [[likely]]
    return to + bytes.size();
  return replaced_text(column, bytes, begun);
}

// A string of a dictionary.
inline uint8_t* RawEvents::entry(const RawColumn& column, uint32_t index, uint8_t* at) {
  if (index + uint64_t{1} >= column.inner_count) [[unlikely]]
    return fail("a row names a string that is lost");
  const auto from = load<int32_t>(column.inner.data, index);
  const auto to = load<int32_t>(column.inner.data, index + 1);
  if (from < 0 || to < from || static_cast<size_t>(to) > column.heap.size) [[unlikely]]
    return fail(kOutside);
  if (from == to && !column.own) return at;
  const char* const heap = reinterpret_cast<const char*>(column.heap.data);
  return text(column, {heap + from, static_cast<size_t>(to - from)}, at);
}

// Readers refuse a message whose strings are no UTF-8: what is damaged is marked, as it is in JSON.
uint8_t* RawEvents::replaced_text(const RawColumn& column, std::string_view bytes, uint8_t* at) {
  const std::string valid = replaced_utf8(bytes);
  if ((at = room(at, kTagBytes + kVarintBytes + valid.size())) == nullptr) return nullptr;
  at = varint(put_tag(column, at), valid.size());
  memcpy(at, valid.data(), valid.size());
  return at + valid.size();
}

uint8_t* RawEvents::texts(const RawColumn& column, uint32_t row, uint8_t* at) {
  const auto from = load<int32_t>(column.data.data, row);
  const auto to = load<int32_t>(column.data.data, row + 1);
  if (from < 0 || to < from || (to > from && static_cast<uint32_t>(to) >= column.inner_count))
    return fail(kOutside);
  for (int32_t i = from; i < to; i++) {
    const auto text_from = load<int32_t>(column.inner.data, static_cast<uint32_t>(i));
    const auto text_to = load<int32_t>(column.inner.data, static_cast<uint32_t>(i) + 1);
    if (text_from < 0 || text_to < text_from || static_cast<size_t>(text_to) > column.heap.size)
      return fail(kOutside);
    const char* const heap = reinterpret_cast<const char*>(column.heap.data);
    at = text(column, {heap + text_from, static_cast<size_t>(text_to - text_from)}, at);
    if (at == nullptr) return nullptr;
  }
  return at;
}

uint8_t* RawEvents::u64s(const RawColumn& column, uint32_t row, uint8_t* at) {
  const auto from = load<int32_t>(column.data.data, row);
  const auto to = load<int32_t>(column.data.data, row + 1);
  if (from < 0 || to < from || static_cast<uint32_t>(to) > column.inner_count)
    return fail(kOutside);
  // A packed list of no elements is read as an empty one, and tells that it was there.
  if (from == to && !column.own) return at;
  size_t size = 0;
  for (int32_t i = from; i < to; i++)
    size += varint_size(load<uint64_t>(column.inner.data, static_cast<uint32_t>(i)));
  if ((at = room(at, kTagBytes + kVarintBytes + size)) == nullptr) return nullptr;
  at = varint(put_tag(column, at), size);
  for (int32_t i = from; i < to; i++)
    at = varint(at, load<uint64_t>(column.inner.data, static_cast<uint32_t>(i)));
  return at;
}

uint8_t* RawEvents::bytes(const RawColumn& column, uint32_t row, uint8_t* at) {
  const auto from = load<int32_t>(column.data.data, row);
  const auto to = load<int32_t>(column.data.data, row + 1);
  if (from < 0 || to < from || static_cast<size_t>(to) > column.heap.size) return fail(kOutside);
  const char* const heap = reinterpret_cast<const char*>(column.heap.data);
  return bytes_field(column, {heap + from, static_cast<size_t>(to - from)}, at);
}

uint8_t* RawEvents::bytes_field(const RawColumn& column, std::string_view bytes, uint8_t* at) {
  if (bytes.empty() && !column.own) return at;
  if ((at = room(at, kTagBytes + kVarintBytes + bytes.size())) == nullptr) return nullptr;
  at = varint(put_tag(column, at), bytes.size());
  if (!bytes.empty()) memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

// A field of a row; one that is common is left out where it says nothing.
inline uint8_t* RawEvents::field(const RawBlock& block, const RawColumn& column, uint32_t row,
                                 uint8_t* at) {
  const uint8_t* const data = column.data.data;
  uint64_t value = 0;
  switch (column.kind) {
    case RawKind::kU16:
      value = load<uint16_t>(data, row);
      break;
    case RawKind::kU32:
      value = load<uint32_t>(data, row);
      break;
    case RawKind::kI32:
      // Negative numbers have ten bytes, whatever their width.
      value = static_cast<uint64_t>(int64_t{load<int32_t>(data, row)});
      break;
    case RawKind::kU64:
    case RawKind::kI64:
      value = load<uint64_t>(data, row);
      break;
    case RawKind::kFixed64:
    case RawKind::kKtime: {
      value = load<uint64_t>(data, row);
      if (!column.own && !present(column, row)) return at;
      if (column.kind == RawKind::kKtime) value -= static_cast<uint64_t>(block.ts_offset);
      if (value == 0 && !column.own) return at;
      return fixed(put_tag(column, at), value);
    }
    case RawKind::kDict16:
      if (!column.own && !present(column, row)) return at;
      return entry(column, load<uint16_t>(data, row), at);
    case RawKind::kDict32:
      if (!column.own && !present(column, row)) return at;
      return entry(column, load<uint32_t>(data, row), at);
    case RawKind::kTexts:
      return present(column, row) ? texts(column, row, at) : at;
    case RawKind::kU64s:
      return present(column, row) ? u64s(column, row, at) : at;
    case RawKind::kBytes:
      return present(column, row) ? bytes(column, row, at) : at;
  }
  if (!column.own && (value == 0 || !present(column, row))) return at;
  return varint(put_tag(column, at), value);
}

// One message: what is common, and the type's own within the field of the event. Null where one of
// them fails.
template <class Common, class Own>
inline uint8_t* RawEvents::message(const RawColumn& event, Common common, Own own) {
  uint8_t* at = room(memory_ + size_, 0);
  if (at == nullptr) return nullptr;
  // Offsets: the memory may move with each string.
  const auto begun = static_cast<size_t>(at - memory_);
  if ((at = common(at + kHeadBytes)) == nullptr) return nullptr;
  at = put_tag(event, at);
  const auto length_at = static_cast<size_t>(at - memory_);
  if ((at = own(at + length_size_)) == nullptr) return nullptr;
  uint8_t* const body = memory_ + length_at + length_size_;
  const auto length = static_cast<size_t>(at - body);
  const size_t needed = varint_size(length);
  if (needed != length_size_) {
    memmove(memory_ + length_at + needed, body, length);
    at = memory_ + length_at + needed + length;
    length_size_ = needed;
  }
  exact_varint(memory_ + length_at, length);
  const auto ended = static_cast<size_t>(at - memory_);
  if (ended > kBytesMax) return fail("the messages are too large");
  uint8_t* const head = memory_ + begun;
  head[0] = 0;
  const uint32_t size = __builtin_bswap32(static_cast<uint32_t>(ended - begun - kHeadBytes));
  memcpy(head + 1, &size, 4);
  ends_.push_back(static_cast<uint32_t>(ended));
  size_ = ended;
  return at;
}

const char* RawEvents::append(const RawBlock& block, uint32_t from, uint32_t to) {
  RawColumn event;
  event.field = block.event_field;
  event.kind = RawKind::kBytes;
  if (const char* const why = prepare(event)) return why;
  budget_ = (block.columns.size() + 3) * (kTagBytes + kVarintBytes) + kHeadBytes;
  const RawColumn* const columns = block.columns.data();
  const RawColumn* const end = columns + block.columns.size();
  const RawColumn* const own =
      std::find_if(columns, end, [](const RawColumn& column) { return column.own; });
  for (uint32_t row = from; row < to; row++) {
    const auto common = [&](uint8_t* at) {
      for (const RawColumn* column = columns; column < own && at != nullptr; column++)
        at = field(block, *column, row - column->first, at);
      return at;
    };
    const auto rest = [&](uint8_t* at) {
      for (const RawColumn* column = own; column < end && at != nullptr; column++) {
        const uint32_t place = row - column->first;
        if (present(*column, place)) at = field(block, *column, place, at);
      }
      return at;
    };
    if (message(event, common, rest) == nullptr) return error_;
  }
  return nullptr;
}

const char* RawEvents::prepare_record(RecordLayout& layout) {
  layout.event = {};
  layout.event.field = layout.event_field;
  layout.event.kind = RawKind::kBytes;
  if (const char* const why = prepare(layout.event)) return why;
  for (RecordField& one : layout.fields)
    if (const char* const why = prepare(one.column)) return why;
  const auto before = [](const RecordField& a, const RecordField& b) {
    return a.column.own != b.column.own ? b.column.own : a.column.field < b.column.field;
  };
  std::stable_sort(layout.fields.begin(), layout.fields.end(), before);
  return nullptr;
}

// A field of a record; one that is common is left out where it says nothing, one of its own where
// the record does not have it.
inline uint8_t* RawEvents::record_field(const RecordField& one, const RecordValues& values,
                                        uint8_t* at) {
  const RawColumn& column = one.column;
  switch (column.kind) {
    case RawKind::kDict16:
    case RawKind::kDict32: {
      std::string_view bytes;
      if (!values.text(one.source, &bytes) || (bytes.empty() && !column.own)) return at;
      return text(column, bytes, at);
    }
    case RawKind::kTexts:
      if (!values.texts(one.source, &texts_)) return at;
      for (const std::string_view bytes : texts_)
        if ((at = text(column, bytes, at)) == nullptr) return nullptr;
      return at;
    case RawKind::kU64s: {
      if (!values.integers(one.source, &numbers_) || (numbers_.empty() && !column.own)) return at;
      size_t size = 0;
      for (const uint64_t number : numbers_) size += varint_size(number);
      if ((at = room(at, kTagBytes + kVarintBytes + size)) == nullptr) return nullptr;
      at = varint(put_tag(column, at), size);
      for (const uint64_t number : numbers_) at = varint(at, number);
      return at;
    }
    case RawKind::kBytes: {
      std::string_view bytes;
      return values.bytes(one.source, &bytes) ? bytes_field(column, bytes, at) : at;
    }
    default: {
      Int number;
      if (!values.integer(one.source, &number)) return at;
      const auto value = static_cast<uint64_t>(number);
      if (value == 0 && !column.own) return at;
      at = put_tag(column, at);
      return wire_of(column.kind) == kFixed ? fixed(at, value) : varint(at, value);
    }
  }
}

const char* RawEvents::append(const RecordLayout& layout, const RecordValues& values) {
  budget_ = (layout.fields.size() + 3) * (kTagBytes + kVarintBytes) + kHeadBytes;
  const RecordField* const fields = layout.fields.data();
  const RecordField* const end = fields + layout.fields.size();
  const RecordField* const own =
      std::find_if(fields, end, [](const RecordField& one) { return one.column.own; });
  const auto some = [&](const RecordField* from, const RecordField* to, uint8_t* at) {
    for (; from < to && at != nullptr; from++) at = record_field(*from, values, at);
    return at;
  };
  const auto common = [&](uint8_t* at) { return some(fields, own, at); };
  const auto rest = [&](uint8_t* at) { return some(own, end, at); };
  return message(layout.event, common, rest) == nullptr ? error_ : nullptr;
}

}  // namespace tapio
