// Runs a plan: its batches are read, tested and gathered on threads of their own, and come out in
// order.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "groups.h"
#include "predicate.h"
#include "stored_batch.h"

namespace tapio {

// What is asked of the rows of one event type.
struct ScanTable {
  std::vector<TableColumn> columns;
  std::unique_ptr<Predicate> predicate;
  // The predicate and the window, for batches that reach beyond it.
  std::unique_ptr<Predicate> windowed;
  // Columns that are gathered, in this order; none: rows are counted.
  std::vector<unsigned> output;
  GroupSpec groups;
};

struct ScanRequest {
  unsigned threads = 1;
  // Batches whose rows may wait to be taken.
  unsigned window = 4;
  bool grouped = false;
  // Of each batch only so many matching rows are gathered: the first, or the last; 0: all.
  uint32_t first = 0, last = 0;
  std::vector<ScanTable> tables;
  std::vector<std::unique_ptr<StoredFile>> files;
  std::vector<StoredBatch> batches;
};

// What came of a batch. Its columns hold the matching rows alone, laid out as Arrow has them.
struct ScanResult {
  uint32_t batch = 0;
  // That were gathered, or counted.
  uint32_t rows = 0;
  Damage damage;
  std::vector<uint8_t> memory;
  // Offset and length in `memory` of each buffer of each output column, in Arrow's order.
  std::vector<uint32_t> regions;
};

class Scan {
 public:
  // `ready` is called on a scanning thread when a result can be taken that could not before.
  Scan(std::unique_ptr<ScanRequest> request, std::function<void()> ready);
  ~Scan();
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  enum class Take { kResult, kNotYet, kEnd };
  // Results come in the order of the batches.
  Take take(ScanResult* out);
  // Ends early: what is not taken is forgotten, and groups are of what was read so far.
  void cancel();
  // After the end: groups by file, null for those without.
  const Groups* groups(size_t file) const { return merged_[file].get(); }
  const ScanRequest& request() const { return *request_; }
  const ReadCounts& counts() const { return counts_; }

 private:
  void work();
  void merge_groups(std::vector<std::unique_ptr<Groups>>& own);

  std::unique_ptr<ScanRequest> request_;
  std::function<void()> ready_;
  std::vector<const std::vector<TableColumn>*> tables_;
  ReadCounts counts_;
  std::mutex mutex_;
  std::condition_variable room_;
  size_t next_ = 0, taken_ = 0;
  unsigned working_ = 0;
  bool cancelled_ = false;
  std::vector<std::unique_ptr<ScanResult>> results_;
  std::vector<std::unique_ptr<Groups>> merged_;
  std::vector<std::thread> threads_;
};

}  // namespace tapio
