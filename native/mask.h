// A predicate over all rows of a batch: two bytes a row say whether it is true and whether it is
// false; neither is an error. Tests of dictionary columns are made once per string.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "predicate.h"
#include "stored_batch.h"

namespace tapio {

// One row of a batch, for what cannot be done column by column.
class BatchRow final : public RowValues {
 public:
  explicit BatchRow(BatchReader& batch) : batch_(batch) {}
  uint32_t row = 0;
  bool integer(int column, Int* out) const override;
  bool text(int column, std::string_view* out) const override;
  bool present(int column) const override;
  bool texts(int column, std::vector<std::string_view>* out) const override;
  bool integers(int column, std::vector<uint64_t>* out) const override;
  bool is_texts(int column) const override;

 private:
  BatchReader& batch_;
};

// Evaluates predicates over batches. One per thread; its memory is used again.
class Masks {
 public:
  // Sets a byte per row of `out` to 1 where the predicate is true; gives how many. What a column's
  // damage hides is neither true nor false: ask the reader.
  uint32_t matches(const Predicate& predicate, BatchReader& batch, std::vector<uint8_t>* out);

 private:
  using Bytes = std::vector<uint8_t>;
  // Either of the two may be null where nobody asks. `active`: only these rows matter; null: all.
  void test(const Predicate& p, uint8_t* is_true, uint8_t* is_false, const uint8_t* active);
  void all(const Predicate& p, uint8_t* decided, uint8_t* other, const uint8_t* active,
           bool of_and);
  void choose(const Predicate& p, uint8_t* is_true, uint8_t* is_false);
  void within(const Predicate& p, uint8_t* is_true, uint8_t* is_false);
  void text_test(const Predicate& p, int column, uint8_t* is_true, uint8_t* is_false);
  void compare(const Predicate& p, uint8_t* is_true, uint8_t* is_false);
  void row_by_row(const Predicate& p, uint8_t* is_true, uint8_t* is_false, const uint8_t* active);
  void integers(const Predicate& p, std::vector<Int>* out, Bytes* valid);
  void present(int column, uint8_t* out);
  const Verdicts& verdicts(const Predicate& p, int column);
  std::unique_ptr<Bytes> borrow();
  void give_back(std::unique_ptr<Bytes> bytes) { spare_.push_back(std::move(bytes)); }

  BatchReader* batch_ = nullptr;
  uint32_t rows_ = 0;
  std::vector<std::unique_ptr<Bytes>> spare_;
};

}  // namespace tapio
