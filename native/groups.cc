#include "groups.h"

#include <string.h>

#include <algorithm>

namespace tapio {

unsigned bucket_of(uint64_t value) {
  if (value < (2u << kBucketBits)) return static_cast<unsigned>(value);
  const unsigned exponent = 63u - static_cast<unsigned>(__builtin_clzll(value)) - kBucketBits;
  return (exponent << kBucketBits) + static_cast<unsigned>(value >> exponent);
}

uint64_t bucket_low(unsigned bucket) {
  if (bucket < (2u << kBucketBits)) return bucket;
  const unsigned exponent = (bucket >> kBucketBits) - 1;
  return static_cast<uint64_t>(bucket - (exponent << kBucketBits)) << exponent;
}

namespace {

// splitmix64's finaliser (https://prng.di.unimi.it/splitmix64.c, public domain).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

int64_t raw_value(Kind kind, const ColumnData& column, uint32_t row) {
  switch (kind) {
    case Kind::kU16:
    case Kind::kDict16:
      return column.value<uint16_t>(row);
    case Kind::kU32:
    case Kind::kDict32:
      return column.value<uint32_t>(row);
    case Kind::kI32:
      return column.value<int32_t>(row);
    default:
      return column.value<int64_t>(row);
  }
}

Int number(Kind kind, const ColumnData& column, uint32_t row) {
  return kind == Kind::kU64 ? static_cast<Int>(column.value<uint64_t>(row))
                            : static_cast<Int>(raw_value(kind, column, row));
}

// Rounds towards the past: what is before the origin has buckets of its own.
int64_t bucket_key(const GroupKey& key, Int value) {
  const Int distance = value - key.origin;
  Int bucket = distance / key.width;
  if (distance < 0 && distance % key.width != 0) bucket--;
  return static_cast<int64_t>(bucket);
}

}  // namespace

void Groups::grow() {
  table_.assign(std::max<size_t>(64, table_.size() * 2), 0);
  const size_t mask = table_.size() - 1, count = spec_->keys.size();
  for (uint32_t group = 0; group < groups_.size(); group++) {
    uint64_t hash = nulls_[group];
    for (size_t k = 0; k < count; k++)
      hash = mix(hash ^ static_cast<uint64_t>(keys_[group * count + k]));
    size_t at = hash & mask;
    while (table_[at] != 0) at = (at + 1) & mask;
    table_[at] = group + 1;
  }
}

uint32_t Groups::find(const int64_t* keys, uint32_t nulls) {
  if (groups_.size() * 2 >= table_.size()) grow();
  const size_t mask = table_.size() - 1, count = spec_->keys.size();
  uint64_t hash = nulls;
  for (size_t k = 0; k < count; k++) hash = mix(hash ^ static_cast<uint64_t>(keys[k]));
  size_t at = hash & mask;
  for (; table_[at] != 0; at = (at + 1) & mask) {
    const uint32_t group = table_[at] - 1;
    if (nulls_[group] == nulls && std::equal(keys, keys + count, keys_.data() + group * count))
      return group;
  }
  const auto group = static_cast<uint32_t>(groups_.size());
  table_[at] = group + 1;
  groups_.emplace_back();
  keys_.insert(keys_.end(), keys, keys + count);
  nulls_.push_back(nulls);
  sums_.resize(sums_.size() + sums_per_group_, 0);
  return group;
}

void Groups::add(BatchReader& batch, const uint8_t* matched) {
  const uint32_t rows = batch.rows();
  const auto column = [&](int index) -> const ColumnData* {
    return index < 0 ? nullptr : &batch.column(static_cast<unsigned>(index));
  };
  const auto kind = [&](int index) { return batch.spec(static_cast<unsigned>(index)).kind; };
  of_row_.resize(rows);
  const auto& keys = spec_->keys;
  const ColumnData* const only = keys.size() == 1 ? column(keys[0].column) : nullptr;
  if (only != nullptr && only->data != nullptr && kind(keys[0].column) == Kind::kDict16) {
    // Groups by dictionary index need no hash.
    direct_.resize(1 << 16);
    const auto* values = reinterpret_cast<const uint16_t*>(only->data);
    for (uint32_t row = 0; row < rows; row++) {
      if (!matched[row]) continue;
      if (!only->present(row)) {
        const int64_t none = 0;
        of_row_[row] = find(&none, 1);
        continue;
      }
      uint32_t& known = direct_[values[row]];
      if (known == 0) {
        const int64_t key = values[row];
        known = find(&key, 0) + 1;
      }
      of_row_[row] = known - 1;
    }
  } else {
    std::vector<const ColumnData*> columns;
    for (const GroupKey& key : keys) columns.push_back(column(key.column));
    std::vector<int64_t> values(keys.size());
    for (uint32_t row = 0; row < rows; row++) {
      if (!matched[row]) continue;
      uint32_t nulls = 0;
      for (size_t k = 0; k < keys.size(); k++) {
        values[k] = 0;
        if (columns[k] == nullptr || !columns[k]->present(row))
          nulls |= 1u << k;
        else if (keys[k].width == 0)
          values[k] = raw_value(kind(keys[k].column), *columns[k], row);
        else
          values[k] = bucket_key(keys[k], number(kind(keys[k].column), *columns[k], row));
      }
      of_row_[row] = find(values.data(), nulls);
    }
  }
  const ColumnData* const weights = column(spec_->weight);
  const bool weighted = weights != nullptr && weights->data != nullptr;
  for (uint32_t row = 0; row < rows; row++) {
    if (!matched[row]) continue;
    Group& group = groups_[of_row_[row]];
    group.rows++;
    group.weight += weighted ? weights->value<uint32_t>(row) : 1;
  }
  for (size_t i = 0; i < spec_->sums.size(); i++) {
    const ColumnData* const values = column(spec_->sums[i]);
    if (values == nullptr || values->data == nullptr) continue;
    const Kind of = kind(spec_->sums[i]);
    for (uint32_t row = 0; row < rows; row++) {
      if (!matched[row] || !values->present(row)) continue;
      const Int weight = weighted ? weights->value<uint32_t>(row) : 1;
      sums_[of_row_[row] * sums_per_group_ + i] += number(of, *values, row) * weight;
    }
  }
  const ColumnData* const measured = column(spec_->distribution);
  if (measured == nullptr || measured->data == nullptr) return;
  const Kind of = kind(spec_->distribution);
  for (uint32_t row = 0; row < rows; row++) {
    if (!matched[row] || !measured->present(row)) continue;
    const Int value = number(of, *measured, row);
    const uint64_t size = value < 0 ? 0 : static_cast<uint64_t>(value);
    Group& group = groups_[of_row_[row]];
    const unsigned bucket = bucket_of(size);
    if (group.buckets.size() <= bucket) group.buckets.resize(bucket + 1);
    group.buckets[bucket] += weighted ? weights->value<uint32_t>(row) : 1;
    group.largest = std::max(group.largest, size);
    group.measured = true;
  }
}

void Groups::merge(const Groups& other) {
  for (size_t i = 0; i < other.size(); i++) {
    const uint32_t into = find(other.keys(i), other.nulls(i));
    Group& group = groups_[into];
    const Group& from = other.group(i);
    group.rows += from.rows;
    group.weight += from.weight;
    for (size_t k = 0; k < sums_per_group_; k++)
      sums_[into * sums_per_group_ + k] += other.sum(i, k);
    if (group.buckets.size() < from.buckets.size()) group.buckets.resize(from.buckets.size());
    for (size_t k = 0; k < from.buckets.size(); k++) group.buckets[k] += from.buckets[k];
    group.largest = std::max(group.largest, from.largest);
    group.measured |= from.measured;
  }
}

}  // namespace tapio
