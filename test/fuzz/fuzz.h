// What both targets need: a check that stops the fuzzer, and an input that is read bit by bit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (0)

// The input as a sequence of values; past its end come zeros.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  template <class T>
  T take() {
    T value = 0;
    take_bytes(&value, sizeof(value));
    return value;
  }
  uint8_t byte() { return take<uint8_t>(); }
  void take_bytes(void* to, size_t count) {
    const size_t there = std::min(count, static_cast<size_t>(end_ - at_));
    if (there > 0) std::memcpy(to, at_, there);
    at_ += there;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};
