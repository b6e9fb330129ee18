// Brings the rows of a batch that are wanted together, laid out as Arrow has them.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "stored_batch.h"

namespace tapio {

// Gathers the matching rows of columns into one piece of memory.
class Gatherer {
 public:
  // Buffers go to the end of `memory`; offset and length of each, in Arrow's order, to `regions`.
  Gatherer(std::vector<uint8_t>& memory, std::vector<uint32_t>& regions,
           const std::vector<uint32_t>& rows)
      : memory_(memory), regions_(regions), rows_(rows) {}

  void column(const TableColumn& spec, const ColumnData& data) {
    validity(data);
    switch (spec.kind) {
      case Kind::kTexts:
      case Kind::kU64s:
      case Kind::kBytes:
        return list(spec.kind, data);
      default:
        return values(width_of(spec.kind), data);
    }
  }

 private:
  uint8_t* begin(size_t bytes) {
    const size_t at = (memory_.size() + 7) & ~size_t{7};
    memory_.resize(at + bytes);
    regions_.push_back(static_cast<uint32_t>(at));
    regions_.push_back(static_cast<uint32_t>(bytes));
    return memory_.data() + at;
  }

  void validity(const ColumnData& data) {
    if (data.data != nullptr && data.validity == nullptr) {
      begin(0);
      return;
    }
    uint8_t* const bits = begin((rows_.size() + 7) / 8);
    for (size_t i = 0; i < rows_.size(); i++) {
      if (data.present(rows_[i])) bits[i >> 3] |= static_cast<uint8_t>(1u << (i & 7));
    }
  }

  template <class T>
  void typed(const uint8_t* from, uint8_t* to) {
    for (size_t i = 0; i < rows_.size(); i++)
      memcpy(to + i * sizeof(T), from + rows_[i] * sizeof(T), sizeof(T));
  }

  void values(unsigned width, const ColumnData& data) {
    uint8_t* const to = begin(rows_.size() * width);
    if (data.data == nullptr) return;
    if (width == 2)
      typed<uint16_t>(data.data, to);
    else if (width == 4)
      typed<uint32_t>(data.data, to);
    else
      typed<uint64_t>(data.data, to);
  }

  // Lists in three passes: their offsets, their elements, and the bytes of these.
  void list(Kind kind, const ColumnData& data) {
    std::vector<int32_t> ends(rows_.size() + 1, 0);
    const auto span = [&](size_t i, int32_t* from) {
      *from = data.data == nullptr ? 0 : data.offset(rows_[i]);
      return data.present(rows_[i]) ? data.offset(rows_[i] + 1) - *from : 0;
    };
    int32_t from;
    for (size_t i = 0; i < rows_.size(); i++) ends[i + 1] = ends[i] + span(i, &from);
    memcpy(begin(ends.size() * 4), ends.data(), ends.size() * 4);
    const auto total = static_cast<size_t>(ends.back());
    if (kind != Kind::kBytes) begin(0);  // elements are never null
    if (kind != Kind::kTexts) {
      const size_t width = kind == Kind::kU64s ? 8 : 1;
      uint8_t* to = begin(total * width);
      for (size_t i = 0; i < rows_.size(); i++) {
        const auto bytes = static_cast<size_t>(span(i, &from)) * width;
        if (bytes > 0) memcpy(to, data.inner + static_cast<size_t>(from) * width, bytes);
        to += bytes;
      }
      return;
    }
    const auto text_at = [&](int32_t i) {
      int32_t at;
      memcpy(&at, data.inner + 4l * i, 4);
      return at;
    };
    std::vector<int32_t> text_ends(total + 1, 0);
    size_t n = 0;
    for (size_t i = 0; i < rows_.size(); i++) {
      const int32_t count = span(i, &from);
      for (int32_t k = 0; k < count; k++, n++) {
        text_ends[n + 1] = text_ends[n] + text_at(from + k + 1) - text_at(from + k);
      }
    }
    memcpy(begin(text_ends.size() * 4), text_ends.data(), text_ends.size() * 4);
    uint8_t* to = begin(static_cast<size_t>(text_ends.back()));
    for (size_t i = 0; i < rows_.size(); i++) {
      const int32_t count = span(i, &from);
      if (count == 0) continue;
      const auto bytes = static_cast<size_t>(text_at(from + count) - text_at(from));
      if (bytes > 0) memcpy(to, data.heap + text_at(from), bytes);
      to += bytes;
    }
  }

  std::vector<uint8_t>& memory_;
  std::vector<uint32_t>& regions_;
  const std::vector<uint32_t>& rows_;
};

}  // namespace tapio
