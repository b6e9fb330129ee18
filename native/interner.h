// Gives each distinct byte string of a column its dictionary index, in order of first sight.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tapio {

class Interner {
 public:
  Interner() { clear(); }

  // Index of `key`. Where it is new, *is_new is set and the caller adds its text with add_text().
  uint32_t index_of(const char* key, uint32_t bytes, bool* is_new) {
    if (last_ < keys_.size() && same(last_, key, bytes)) return last_;
    const uint64_t hash = hash_of(key, bytes);
    uint64_t at = hash & mask_;
    while (table_[at].index != kEmpty) {
      if (table_[at].tag == static_cast<uint32_t>(hash >> 32) && same(table_[at].index, key, bytes))
        return last_ = table_[at].index;
      at = (at + 1) & mask_;
    }
    const auto index = static_cast<uint32_t>(keys_.size());
    keys_.push_back({static_cast<uint32_t>(arena_.size()), bytes});
    arena_.insert(arena_.end(), key, key + bytes);
    table_[at] = {static_cast<uint32_t>(hash >> 32), index};
    if (keys_.size() * 2 > table_.size()) grow();
    *is_new = true;
    return last_ = index;
  }
  void add_text(std::string text) { fresh_.push_back(std::move(text)); }

  // Texts added since the last call, in index order.
  std::vector<std::string> take_fresh() { return std::exchange(fresh_, {}); }
  size_t size() const { return keys_.size(); }
  size_t bytes() const { return arena_.size(); }

  void clear() {
    keys_.clear();
    arena_.clear();
    arena_.reserve(4096);  // an empty key, too, lies somewhere
    fresh_.clear();
    table_.assign(256, {0, kEmpty});
    mask_ = 255;
    last_ = kEmpty;
  }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  struct Key {
    uint32_t at;
    uint32_t bytes;
  };
  struct Entry {
    uint32_t tag;
    uint32_t index;
  };

  bool same(uint32_t index, const char* key, uint32_t bytes) const {
    const Key& known = keys_[index];
    // An arena that only the empty string is in has no memory to compare with.
    return known.bytes == bytes &&
           (bytes == 0 || std::memcmp(arena_.data() + known.at, key, bytes) == 0);
  }

  // Multiply and fold, eight bytes at a time (the construction of wyhash by Wang Yi, public
  // domain).
  static uint64_t mix(uint64_t a, uint64_t b) {
    const __uint128_t product = static_cast<__uint128_t>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static uint64_t hash_of(const char* key, uint32_t bytes) {
    uint64_t hash = 0x9e3779b97f4a7c15ull ^ bytes;
    uint32_t at = 0;
    for (; at + 8 <= bytes; at += 8) {
      uint64_t word;
      std::memcpy(&word, key + at, 8);
      hash = mix(hash ^ word, 0xe7037ed1a0b428dbull);
    }
    uint64_t rest = 0;
    std::memcpy(&rest, key + at, bytes - at);
    return mix(hash ^ rest, 0x8ebc6af09c88c6e3ull);
  }

  void grow() {
    std::vector<Entry> larger(table_.size() * 2, {0, kEmpty});
    mask_ = larger.size() - 1;
    for (uint32_t index = 0; index < keys_.size(); index++) {
      const uint64_t hash = hash_of(arena_.data() + keys_[index].at, keys_[index].bytes);
      uint64_t at = hash & mask_;
      while (larger[at].index != kEmpty) at = (at + 1) & mask_;
      larger[at] = {static_cast<uint32_t>(hash >> 32), index};
    }
    table_ = std::move(larger);
  }

  std::vector<Key> keys_;
  std::vector<char> arena_;
  std::vector<Entry> table_;
  std::vector<std::string> fresh_;
  uint64_t mask_ = 0;
  uint32_t last_ = kEmpty;
};

}  // namespace tapio
