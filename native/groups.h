// Sums by group: rows of a batch are added to the group that their keys name.
#pragma once

#include <cstdint>
#include <vector>

#include "predicate.h"
#include "stored_batch.h"

namespace tapio {

// A key is a column's value (its dictionary index where it is a string), or a bucket of it.
struct GroupKey {
  int column = -1;
  Int origin = 0;
  // Width of a bucket; 0: the value itself.
  Int width = 0;
};

struct GroupSpec {
  std::vector<GroupKey> keys;
  std::vector<int> sums;  // columns
  int distribution = -1;  // column whose percentiles are wanted
  int weight = -1;        // column of weights
};

// Values fall into buckets of a relative width of 1/128: below 256 each value has its own.
inline constexpr unsigned kBucketBits = 7;
unsigned bucket_of(uint64_t value);
// The smallest value of a bucket.
uint64_t bucket_low(unsigned bucket);

// The groups of one file. One per thread and file; they are merged when all is read.
class Groups {
 public:
  explicit Groups(const GroupSpec* spec) : spec_(spec), sums_per_group_(spec->sums.size()) {}

  // Adds the rows whose byte in `matched` is set.
  void add(BatchReader& batch, const uint8_t* matched);
  void merge(const Groups& other);

  struct Group {
    uint64_t rows = 0, weight = 0;
    std::vector<uint64_t> buckets;  // rows per bucket, up to the largest that was met
    uint64_t largest = 0;
    bool measured = false;
  };
  size_t size() const { return groups_.size(); }
  const Group& group(size_t i) const { return groups_[i]; }
  // One value per key, and one bit per key that is null.
  const int64_t* keys(size_t i) const { return keys_.data() + i * spec_->keys.size(); }
  uint32_t nulls(size_t i) const { return nulls_[i]; }
  Int sum(size_t group, size_t i) const { return sums_[group * sums_per_group_ + i]; }

 private:
  uint32_t find(const int64_t* keys, uint32_t nulls);
  void grow();

  const GroupSpec* spec_;
  size_t sums_per_group_;
  std::vector<Group> groups_;
  std::vector<int64_t> keys_;
  std::vector<uint32_t> nulls_;
  std::vector<Int> sums_;
  // Open addressing; number of the group + 1.
  std::vector<uint32_t> table_;
  // Number of the group + 1 by dictionary index, where there is one key of 16 bits.
  std::vector<uint32_t> direct_;
  std::vector<uint32_t> of_row_;
};

}  // namespace tapio
