#include "scan.h"

#include <algorithm>

#include "gather.h"
#include "mask.h"

namespace tapio {

Scan::Scan(std::unique_ptr<ScanRequest> request, std::function<void()> ready)
    : request_(std::move(request)), ready_(std::move(ready)) {
  for (const ScanTable& table : request_->tables) tables_.push_back(&table.columns);
  results_.resize(request_->batches.size());
  merged_.resize(request_->files.size());
  const auto count =
      std::max<size_t>(1, std::min<size_t>(request_->threads, request_->batches.size()));
  working_ = static_cast<unsigned>(count);
  for (size_t i = 0; i < count; i++) threads_.emplace_back([this] { work(); });
}

Scan::~Scan() {
  cancel();
  for (std::thread& thread : threads_) thread.join();
}

void Scan::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  room_.notify_all();
}

void Scan::work() {
  BatchReader reader(tables_.data(), counts_);
  Masks masks;
  std::vector<uint8_t> matched;
  std::vector<uint32_t> rows;
  std::vector<std::unique_ptr<Groups>> own(request_->files.size());
  for (;;) {
    size_t number;
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [this] {
        return cancelled_ || next_ == request_->batches.size() || next_ < taken_ + request_->window;
      });
      if (cancelled_ || next_ == request_->batches.size()) break;
      number = next_++;
    }
    const StoredBatch& batch = request_->batches[number];
    StoredFile& file = *request_->files[batch.file];
    const ScanTable& table = request_->tables[file.table];
    auto result = std::make_unique<ScanResult>();
    result->batch = static_cast<uint32_t>(number);
    reader.open(file, batch);
    result->rows =
        masks.matches(batch.windowed ? *table.windowed : *table.predicate, reader, &matched);
    if (result->rows > 0 && !reader.damage().is && request_->grouped) {
      // The columns of the groups are read first: a damaged batch is left out whole.
      for (const GroupKey& key : table.groups.keys) {
        if (key.column >= 0) reader.column(static_cast<unsigned>(key.column));
      }
      for (const int column : table.groups.sums) {
        if (column >= 0) reader.column(static_cast<unsigned>(column));
      }
      for (const int column : {table.groups.distribution, table.groups.weight}) {
        if (column >= 0) reader.column(static_cast<unsigned>(column));
      }
      if (!reader.damage().is) {
        auto& groups = own[batch.file];
        if (groups == nullptr) groups = std::make_unique<Groups>(&table.groups);
        groups->add(reader, matched.data());
      }
    } else if (result->rows > 0 && !table.output.empty()) {
      rows.clear();
      const uint32_t skipped =
          request_->last > 0 && result->rows > request_->last ? result->rows - request_->last : 0;
      const uint32_t wanted =
          request_->first > 0 ? std::min(request_->first, result->rows) : result->rows;
      uint32_t met = 0;
      for (uint32_t row = 0; row < batch.rows && met < wanted; row++) {
        if (matched[row] && met++ >= skipped) rows.push_back(row);
      }
      result->rows = static_cast<uint32_t>(rows.size());
      for (const unsigned column : table.output) reader.column(column);
      result->memory.reserve(rows.size() * 8 * table.output.size());
      Gatherer gatherer(result->memory, result->regions, rows);
      for (const unsigned column : table.output)
        gatherer.column(table.columns[column], reader.column(column));
    }
    if (reader.damage().is) {
      result->damage = reader.damage();
      result->rows = 0;
      result->memory.clear();
      result->regions.clear();
    }
    bool first;
    {
      const std::lock_guard lock(mutex_);
      first = number == taken_;
      results_[number] = std::move(result);
    }
    if (first) ready_();
  }
  {
    const std::lock_guard lock(mutex_);
    merge_groups(own);
    working_--;
  }
  ready_();
}

void Scan::merge_groups(std::vector<std::unique_ptr<Groups>>& own) {
  for (size_t i = 0; i < own.size(); i++) {
    if (own[i] == nullptr) continue;
    if (merged_[i] == nullptr)
      merged_[i] = std::move(own[i]);
    else
      merged_[i]->merge(*own[i]);
  }
}

Scan::Take Scan::take(ScanResult* out) {
  const std::lock_guard lock(mutex_);
  if (cancelled_ || taken_ == results_.size()) return working_ == 0 ? Take::kEnd : Take::kNotYet;
  if (results_[taken_] == nullptr) return Take::kNotYet;
  *out = std::move(*results_[taken_]);
  results_[taken_++].reset();
  room_.notify_all();
  return Take::kResult;
}

}  // namespace tapio
