// What any run of encoded rows holds to, for tests and the fuzzer: each includes a CHECK of its own
// first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "raw_event.h"

// Field of the event in every message that is checked.
inline constexpr uint32_t kEventField = 101;

// Length of a message's varint, which must end within it.
inline const uint8_t* varint(const uint8_t* at, const uint8_t* end, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0;; shift += 7) {
    CHECK(at < end && shift < 70);
    *value |= static_cast<uint64_t>(*at & 0x7f) << (shift & 63);
    if (*at++ < 0x80) return at;
  }
}

// Fields up to the end, of which the last is the event.
inline void check_message(const uint8_t* at, const uint8_t* end) {
  uint64_t tag = 0;
  while (at < end) {
    uint64_t value;
    at = varint(at, end, &tag);
    switch (tag & 7) {
      case 0:
        at = varint(at, end, &value);
        break;
      case 1:
        CHECK(end - at >= 8);
        at += 8;
        break;
      case 2:
        at = varint(at, end, &value);
        CHECK(value <= static_cast<uint64_t>(end - at));
        at += value;
        break;
      default:
        CHECK(false);
    }
  }
  CHECK(tag == (kEventField << 3 | 2));
}

// So many whole messages, each behind its head, and nothing else.
inline void check_messages(const tapio::RawEvents& events, size_t rows) {
  CHECK(events.ends().size() == rows);
  uint32_t begun = 0;
  for (const uint32_t end : events.ends()) {
    const uint8_t* const head = events.data() + begun;
    CHECK(end >= begun + 5 && head[0] == 0);
    const uint32_t size =
        static_cast<uint32_t>(head[1]) << 24 | head[2] << 16 | head[3] << 8 | head[4];
    CHECK(begun + 5 + size == end);
    check_message(head + 5, head + 5 + size);
    begun = end;
  }
  CHECK(begun == events.size());
}
