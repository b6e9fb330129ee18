// Columns of any content, each part in an allocation of its own size: what is encoded is whole
// messages, what is not is told, and nothing outside is read, which the sanitizers see.

#include "raw_event.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "raw_message.h"

using namespace tapio;

namespace {

using Random = std::mt19937_64;

unsigned below(Random& random, unsigned count) { return static_cast<unsigned>(random() % count); }

// Memory of a block's columns.
struct Parts {
  std::vector<std::unique_ptr<uint8_t[]>> all;

  RawBytes make(size_t size) {
    if (size == 0) return {};
    all.push_back(std::make_unique<uint8_t[]>(size));
    return {all.back().get(), size};
  }
  uint8_t* last() { return all.back().get(); }
};

// Offsets that go up to about `most`; now and then one that is wrong.
RawBytes offsets(Random& random, Parts& parts, size_t count, unsigned most) {
  const RawBytes out = parts.make(count * 4);
  if (count == 0) return out;
  std::vector<int32_t> values(count);
  for (int32_t& value : values) value = static_cast<int32_t>(below(random, most + 1));
  std::sort(values.begin(), values.end());
  if (below(random, 12) == 0)
    values[below(random, static_cast<unsigned>(count))] = static_cast<int32_t>(random());
  memcpy(parts.last(), values.data(), count * 4);
  return out;
}

RawBytes noise(Random& random, Parts& parts, size_t size) {
  const RawBytes out = parts.make(size);
  const bool is_text = below(random, 3) > 0;
  for (size_t i = 0; i < size; i++)
    parts.last()[i] = static_cast<uint8_t>(is_text ? 'a' + random() % 26 : random());
  return out;
}

// A size, now and then too small.
size_t about(Random& random, size_t size) {
  return size > 0 && below(random, 25) == 0 ? below(random, static_cast<unsigned>(size)) : size;
}

RawColumn column(Random& random, Parts& parts, unsigned rows) {
  RawColumn out;
  out.field = 1 + below(random, 40);
  out.kind = static_cast<RawKind>(below(random, kRawKinds));
  out.own = below(random, 2) != 0;
  out.first = below(random, 10) == 0 ? 1 : 0;
  out.rows = below(random, 12) == 0 ? rows - 1 + below(random, 3) : rows;
  rows = out.rows;
  if (below(random, 2) != 0) out.validity = noise(random, parts, about(random, (rows + 7) / 8));
  const unsigned strings = below(random, 6), bytes = below(random, 200);
  switch (out.kind) {
    case RawKind::kDict16:
    case RawKind::kDict32: {
      const size_t width = out.kind == RawKind::kDict16 ? 2 : 4;
      const size_t size = about(random, rows * width);
      out.data = parts.make(size);
      for (size_t i = 0; i + width <= size; i += width)
        parts.last()[i] = static_cast<uint8_t>(below(random, strings + 1));
      out.inner = offsets(random, parts, strings + 1, bytes);
      out.heap = noise(random, parts, about(random, bytes));
      break;
    }
    case RawKind::kTexts:
      out.data = offsets(random, parts, about(random, rows + 1), strings);
      out.inner = offsets(random, parts, about(random, strings + 1), bytes);
      out.heap = noise(random, parts, about(random, bytes));
      break;
    case RawKind::kU64s:
      out.data = offsets(random, parts, about(random, rows + 1), strings);
      out.inner = noise(random, parts, about(random, strings * 8));
      break;
    case RawKind::kBytes:
      out.data = offsets(random, parts, about(random, rows + 1), bytes);
      out.heap = noise(random, parts, about(random, bytes));
      break;
    default:
      out.data = noise(random, parts, about(random, rows * 8));
  }
  return out;
}

bool once(Random& random) {
  Parts parts;
  const unsigned rows = 1 + below(random, 20);
  RawBlock block;
  block.event_field = kEventField;
  block.ts_offset = static_cast<int64_t>(random());
  for (unsigned i = below(random, 4); i > 0; i--)
    block.columns.push_back(column(random, parts, rows));
  RawEvents events;
  if (below(random, 2) != 0) events.expect(below(random, 300));
  const unsigned from = below(random, rows), to = from + below(random, rows - from + 1);
  if (events.open(block, from, to) != nullptr) return false;
  for (unsigned row = from; row < to;) {
    const unsigned next = row + 1 + below(random, to - row);
    if (events.append(block, row, next) != nullptr) return false;
    row = next;
  }
  check_messages(events, to - from);
  return true;
}

}  // namespace

int main(int count, char** args) {
  Random random(count > 1 ? strtoull(args[1], nullptr, 10) : 1);
  const long rounds = count > 2 ? atol(args[2]) : 20000;
  long encoded = 0;
  for (long i = 0; i < rounds; i++) encoded += once(random) ? 1 : 0;
  CHECK(encoded > rounds / 4 && encoded < rounds);
  std::printf("raw events: %ld of %ld encoded, the rest told\n", encoded, rounds);
  return 0;
}
