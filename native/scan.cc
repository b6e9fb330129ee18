#include "scan.h"

#include <string.h>

#include <algorithm>

#include "mask.h"

namespace tapio {
namespace {

// Gathers the matching rows of columns into one piece of memory.
class Gatherer {
 public:
  Gatherer(ScanResult& result, const std::vector<uint32_t>& rows) : result_(result), rows_(rows) {}

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
    const size_t at = (result_.memory.size() + 7) & ~size_t{7};
    result_.memory.resize(at + bytes);
    result_.regions.push_back(static_cast<uint32_t>(at));
    result_.regions.push_back(static_cast<uint32_t>(bytes));
    return result_.memory.data() + at;
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

  ScanResult& result_;
  const std::vector<uint32_t>& rows_;
};

}  // namespace

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
      Gatherer gatherer(*result, rows);
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
