// Columns of any content and of any length, each part in an allocation of its own: what is encoded
// is whole messages, what is not is told, and nothing outside is read.
//
// Input: rows, the rows that are wanted, then columns: field, kind, which parts it has, and the
// length and bytes of each.

#include <memory>
#include <vector>

#include "fuzz.h"
#include "raw_event.h"
// It wants a CHECK.
#include "../native/raw_message.h"

using namespace tapio;

namespace {

constexpr unsigned kRowsMax = 24;
constexpr unsigned kColumnsMax = 6;

// Memory of a block's columns.
struct Parts {
  std::vector<std::unique_ptr<uint8_t[]>> all;

  RawBytes take(Input& input) {
    const size_t size = input.byte();
    if (size == 0) return {};
    all.push_back(std::make_unique<uint8_t[]>(size));
    input.take_bytes(all.back().get(), size);
    return {all.back().get(), size};
  }
};

RawColumn column(Input& input, Parts& parts, unsigned rows) {
  RawColumn out;
  out.field = 1 + input.byte() % 40;
  out.kind = static_cast<RawKind>(input.byte() % kRawKinds);
  const uint8_t bits = input.byte();
  out.own = (bits & 1) != 0;
  out.first = bits >> 1 & 1;
  out.rows = rows - out.first + (bits >> 2 & 1);
  if ((bits & 8) != 0) out.validity = parts.take(input);
  out.data = parts.take(input);
  out.inner = parts.take(input);
  out.heap = parts.take(input);
#ifdef TAPIO_PLANTED_BUG
  if (out.heap.size > 0) out.heap.size += 40;
#endif
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* at, size_t size) {
  Input input(at, size);
  Parts parts;
  const unsigned rows = 1 + input.byte() % kRowsMax;
  const unsigned from = input.byte() % rows, to = from + input.byte() % (rows - from + 1);
  RawBlock block;
  block.event_field = kEventField;
  block.ts_offset = input.take<int64_t>();
  while (!input.empty() && block.columns.size() < kColumnsMax)
    block.columns.push_back(column(input, parts, rows));
  RawEvents events;
  if (events.open(block, from, to) != nullptr) return 0;
  const unsigned half = from + (to - from) / 2;
  if (events.append(block, from, half) != nullptr) return 0;
  check_messages(events, half - from);
  if (events.append(block, half, to) != nullptr) return 0;
  check_messages(events, to - from);
  return 0;
}
