#include "mask.h"

#include <string.h>

#include <algorithm>
#include <limits>

// The loops over rows are compiled for AVX2 as well, and chosen as the addon is loaded.
#if defined(__x86_64__)
#define TAPIO_LOOPS __attribute__((target_clones("avx2", "default")))
#else
#define TAPIO_LOOPS
#endif

namespace tapio {
namespace {

TAPIO_LOOPS void and_bytes(uint8_t* into, const uint8_t* from, uint32_t rows) {
  for (uint32_t i = 0; i < rows; i++) into[i] &= from[i];
}
TAPIO_LOOPS void or_bytes(uint8_t* into, const uint8_t* from, uint32_t rows) {
  for (uint32_t i = 0; i < rows; i++) into[i] |= from[i];
}
// What is valid and not `from`.
TAPIO_LOOPS void and_not(uint8_t* into, const uint8_t* valid, const uint8_t* from, uint32_t rows) {
  for (uint32_t i = 0; i < rows; i++) into[i] = valid[i] & (from[i] ^ 1);
}
TAPIO_LOOPS uint32_t sum_bytes(const uint8_t* from, uint32_t rows) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < rows; i++) sum += from[i];
  return sum;
}

void expand(const uint8_t* bits, uint8_t* out, uint32_t rows) {
  for (uint32_t i = 0; i < rows; i++) out[i] = (bits[i >> 3] >> (i & 7)) & 1;
}

#define TAPIO_IN_RANGE(T, NAME)                                                            \
  TAPIO_LOOPS void NAME(const T* values, T low, T span, uint8_t* out, uint32_t rows) {     \
    for (uint32_t i = 0; i < rows; i++) out[i] |= static_cast<T>(values[i] - low) <= span; \
  }
TAPIO_IN_RANGE(uint16_t, in_range16)
TAPIO_IN_RANGE(uint32_t, in_range32)
TAPIO_IN_RANGE(uint64_t, in_range64)

void in_range(const uint16_t* v, uint16_t low, uint16_t span, uint8_t* out, uint32_t rows) {
  in_range16(v, low, span, out, rows);
}
void in_range(const uint32_t* v, uint32_t low, uint32_t span, uint8_t* out, uint32_t rows) {
  in_range32(v, low, span, out, rows);
}
void in_range(const uint64_t* v, uint64_t low, uint64_t span, uint8_t* out, uint32_t rows) {
  in_range64(v, low, span, out, rows);
}

// More ranges than this are searched, not tried one by one.
constexpr size_t kRangesTried = 8;

// Signed values are compared as unsigned ones: a range's distance from its low end is the same.
template <class T, class U>
void ranges(const uint8_t* data, const std::vector<std::pair<Int, Int>>& wanted, uint8_t* out,
            uint32_t rows) {
  memset(out, 0, rows);
  const Int min = std::numeric_limits<T>::min(), max = std::numeric_limits<T>::max();
  const auto* values = reinterpret_cast<const U*>(data);
  if (wanted.size() > kRangesTried) {
    const auto* own = reinterpret_cast<const T*>(data);
    for (uint32_t i = 0; i < rows; i++) out[i] = is_within(wanted, own[i]);
    return;
  }
  for (const auto& [from, to] : wanted) {
    const Int low = std::max(from, min), high = std::min(to, max);
    if (low > high) continue;
    in_range(values, static_cast<U>(low), static_cast<U>(high - low), out, rows);
  }
}

void ranges_of(Kind kind, const uint8_t* data, const std::vector<std::pair<Int, Int>>& wanted,
               uint8_t* out, uint32_t rows) {
  switch (kind) {
    case Kind::kU16:
      return ranges<uint16_t, uint16_t>(data, wanted, out, rows);
    case Kind::kU32:
      return ranges<uint32_t, uint32_t>(data, wanted, out, rows);
    case Kind::kI32:
      return ranges<int32_t, uint32_t>(data, wanted, out, rows);
    case Kind::kU64:
      return ranges<uint64_t, uint64_t>(data, wanted, out, rows);
    default:
      return ranges<int64_t, uint64_t>(data, wanted, out, rows);
  }
}

bool is_integer(Kind kind) {
  return kind == Kind::kU16 || kind == Kind::kU32 || kind == Kind::kI32 || kind == Kind::kU64 ||
         kind == Kind::kI64;
}

Int integer_at(Kind kind, const ColumnData& column, uint32_t row) {
  switch (kind) {
    case Kind::kU16:
      return column.value<uint16_t>(row);
    case Kind::kU32:
      return column.value<uint32_t>(row);
    case Kind::kI32:
      return column.value<int32_t>(row);
    case Kind::kU64:
      return column.value<uint64_t>(row);
    default:
      return column.value<int64_t>(row);
  }
}

uint32_t index_at(Kind kind, const ColumnData& column, uint32_t row) {
  return kind == Kind::kDict16 ? column.value<uint16_t>(row) : column.value<uint32_t>(row);
}

// The column of the one text field of a text test.
int text_column(const Predicate& p) {
  if (p.kind == Node::kTextField) return p.column;
  for (const auto& arg : p.args) {
    const int column = text_column(*arg);
    if (column != -2) return column;
  }
  return -2;
}

}  // namespace

bool BatchRow::integer(int column, Int* out) const {
  const auto index = static_cast<unsigned>(column);
  const ColumnData& data = batch_.column(index);
  if (!data.present(row) || !is_integer(batch_.spec(index).kind)) return false;
  *out = integer_at(batch_.spec(index).kind, data, row);
  return true;
}

bool BatchRow::text(int column, std::string_view* out) const {
  const auto index = static_cast<unsigned>(column);
  const Kind kind = batch_.spec(index).kind;
  const ColumnData& data = batch_.column(index);
  if ((kind != Kind::kDict16 && kind != Kind::kDict32) || !data.present(row)) return false;
  *out = batch_.dictionary(index).at(index_at(kind, data, row));
  return true;
}

bool BatchRow::present(int column) const {
  return batch_.column(static_cast<unsigned>(column)).present(row);
}

bool BatchRow::is_texts(int column) const {
  return batch_.spec(static_cast<unsigned>(column)).kind == Kind::kTexts;
}

bool BatchRow::texts(int column, std::vector<std::string_view>* out) const {
  const ColumnData& data = batch_.column(static_cast<unsigned>(column));
  if (!data.present(row)) return false;
  for (int32_t i = data.offset(row); i < data.offset(row + 1); i++) {
    int32_t ends[2];
    memcpy(ends, data.inner + 4l * i, 8);
    out->emplace_back(reinterpret_cast<const char*>(data.heap) + ends[0],
                      static_cast<size_t>(ends[1] - ends[0]));
  }
  return true;
}

bool BatchRow::integers(int column, std::vector<uint64_t>* out) const {
  const ColumnData& data = batch_.column(static_cast<unsigned>(column));
  if (!data.present(row)) return false;
  for (int32_t i = data.offset(row); i < data.offset(row + 1); i++) {
    uint64_t value;
    memcpy(&value, data.inner + 8l * i, 8);
    out->push_back(value);
  }
  return true;
}

std::unique_ptr<Masks::Bytes> Masks::borrow() {
  auto bytes = spare_.empty() ? std::make_unique<Bytes>(kBatchRows) : std::move(spare_.back());
  if (!spare_.empty()) spare_.pop_back();
  if (bytes->size() < rows_) bytes->resize(rows_);
  return bytes;
}

uint32_t Masks::matches(const Predicate& predicate, BatchReader& batch, Bytes* out) {
  batch_ = &batch;
  rows_ = batch.rows();
  if (rows_ == 0) return 0;
  if (out->size() < rows_) out->resize(rows_);
  test(predicate, out->data(), nullptr, nullptr);
  return sum_bytes(out->data(), rows_);
}

void Masks::test(const Predicate& p, uint8_t* is_true, uint8_t* is_false, const uint8_t* active) {
  const auto fill = [&](bool truth, bool falsehood) {
    if (is_true != nullptr) memset(is_true, truth, rows_);
    if (is_false != nullptr) memset(is_false, falsehood, rows_);
  };
  switch (p.kind) {
    case Node::kTrue:
      return fill(true, false);
    case Node::kFalse:
      return fill(false, true);
    case Node::kAnd:
      return all(p, is_false, is_true, active, true);
    case Node::kOr:
      return all(p, is_true, is_false, active, false);
    case Node::kNot:
      return test(*p.args[0], is_false, is_true, active);
    case Node::kUntrue: {
      auto met = borrow();
      test(*p.args[0], met->data(), nullptr, nullptr);
      for (uint32_t i = 0; i < rows_; i++) {
        if (is_true != nullptr) is_true[i] = (*met)[i] ^ 1;
        if (is_false != nullptr) is_false[i] = (*met)[i];
      }
      return give_back(std::move(met));
    }
    case Node::kChoose:
      return choose(p, is_true, is_false);
    case Node::kHas: {
      auto valid = borrow();
      present(p.column, valid->data());
      if (is_true != nullptr) memcpy(is_true, valid->data(), rows_);
      if (is_false != nullptr) {
        for (uint32_t i = 0; i < rows_; i++) is_false[i] = (*valid)[i] ^ 1;
      }
      return give_back(std::move(valid));
    }
    default:
      break;
  }
  if (is_text_test(p)) return text_test(p, text_column(p), is_true, is_false);
  if (p.kind == Node::kWithin) return within(p, is_true, is_false);
  if (p.kind == Node::kCompare) return compare(p, is_true, is_false);
  if (p.kind == Node::kError) return fill(false, false);
  row_by_row(p, is_true, is_false, active);
}

// `and` is decided by one that is false, `or` by one that is true: the same with the two exchanged.
void Masks::all(const Predicate& p, uint8_t* decided, uint8_t* other, const uint8_t* active,
                bool of_and) {
  auto a = borrow(), b = borrow();
  if (decided != nullptr) memset(decided, 0, rows_);
  if (other != nullptr) memset(other, 1, rows_);
  const bool prune = decided == nullptr;
  for (const auto& arg : p.args) {
    uint8_t* const one = decided != nullptr ? a->data() : nullptr;
    uint8_t* const rest = other != nullptr ? b->data() : nullptr;
    const uint8_t* const left = prune ? other : active;
    if (of_and)
      test(*arg, rest, one, left);
    else
      test(*arg, one, rest, left);
    if (decided != nullptr) or_bytes(decided, one, rows_);
    if (other != nullptr) and_bytes(other, rest, rows_);
    // Nothing is left to be decided, and the columns of what follows need not be read.
    if (prune && memchr(other, 1, rows_) == nullptr) break;
  }
  give_back(std::move(a));
  give_back(std::move(b));
}

void Masks::choose(const Predicate& p, uint8_t* is_true, uint8_t* is_false) {
  auto yes = borrow(), no = borrow(), first = borrow(), second = borrow();
  test(*p.args[0], yes->data(), no->data(), nullptr);
  for (uint8_t* const out : {is_true, is_false}) {
    if (out == nullptr) continue;
    const bool truth = out == is_true;
    test(*p.args[1], truth ? first->data() : nullptr, truth ? nullptr : first->data(), yes->data());
    test(*p.args[2], truth ? second->data() : nullptr, truth ? nullptr : second->data(),
         no->data());
    for (uint32_t i = 0; i < rows_; i++)
      out[i] = ((*yes)[i] & (*first)[i]) | ((*no)[i] & (*second)[i]);
  }
  for (auto* one : {&yes, &no, &first, &second}) give_back(std::move(*one));
}

void Masks::present(int column, uint8_t* out) {
  if (column < 0) {
    memset(out, 0, rows_);
    return;
  }
  const ColumnData& data = batch_->column(static_cast<unsigned>(column));
  if (data.data == nullptr)
    memset(out, 0, rows_);
  else if (data.validity == nullptr)
    memset(out, 1, rows_);
  else
    expand(data.validity, out, rows_);
}

const Verdicts& Masks::verdicts(const Predicate& p, int column) {
  StoredFile& file = batch_->file();
  const std::lock_guard lock(file.mutex);
  auto& found = file.verdicts[p.id];
  if (found != nullptr) return *found;
  found = std::make_unique<Verdicts>();
  const DictionaryView& dictionary = file.dictionaries[static_cast<unsigned>(column)];
  found->of.reserve(dictionary.count);
  for (uint32_t i = 0; i < dictionary.count; i++) {
    const Truth truth = test_text(p, dictionary.at(i));
    found->of.push_back(static_cast<uint8_t>(truth));
    found->any_true |= truth == Truth::kTrue;
    found->any_false |= truth == Truth::kFalse;
  }
  return *found;
}

void Masks::text_test(const Predicate& p, int column, uint8_t* is_true, uint8_t* is_false) {
  if (is_true != nullptr) memset(is_true, 0, rows_);
  if (is_false != nullptr) memset(is_false, 0, rows_);
  if (column < 0) return;
  const Verdicts& known = verdicts(p, column);
  // Where no string of the file is of that kind the column need not be read.
  if (!(is_true != nullptr && known.any_true) && !(is_false != nullptr && known.any_false)) return;
  const auto index = static_cast<unsigned>(column);
  const ColumnData& data = batch_->column(index);
  if (data.data == nullptr) return;
  const Kind kind = batch_->spec(index).kind;
  const auto count = static_cast<uint32_t>(known.of.size());
  for (uint8_t* const out : {is_true, is_false}) {
    if (out == nullptr) continue;
    const auto wanted = static_cast<uint8_t>(out == is_true ? Truth::kTrue : Truth::kFalse);
    if (kind == Kind::kDict16) {
      uint8_t table[1 << 16];
      memset(table, 0, sizeof(table));
      for (uint32_t i = 0; i < count; i++) table[i] = known.of[i] == wanted;
      const auto* values = reinterpret_cast<const uint16_t*>(data.data);
      for (uint32_t i = 0; i < rows_; i++) out[i] = table[values[i]];
    } else {
      const auto* values = reinterpret_cast<const uint32_t*>(data.data);
      for (uint32_t i = 0; i < rows_; i++) {
        out[i] = values[i] < count && known.of[values[i]] == wanted;
      }
    }
    if (data.validity != nullptr) {
      auto valid = borrow();
      expand(data.validity, valid->data(), rows_);
      and_bytes(out, valid->data(), rows_);
      give_back(std::move(valid));
    }
  }
}

void Masks::within(const Predicate& p, uint8_t* is_true, uint8_t* is_false) {
  auto valid = borrow(), in = borrow();
  const Predicate& of = *p.args[0];
  if (of.kind == Node::kIntField) {
    present(of.column, valid->data());
    memset(in->data(), 0, rows_);
    const auto index = static_cast<unsigned>(of.column);
    if (of.column >= 0 && batch_->column(index).data != nullptr) {
      ranges_of(batch_->spec(index).kind, batch_->column(index).data, p.ranges, in->data(), rows_);
    }
  } else {
    std::vector<Int> values;
    integers(of, &values, valid.get());
    for (uint32_t i = 0; i < rows_; i++) (*in)[i] = is_within(p.ranges, values[i]);
  }
  if (is_true != nullptr) {
    memcpy(is_true, in->data(), rows_);
    and_bytes(is_true, valid->data(), rows_);
  }
  if (is_false != nullptr) and_not(is_false, valid->data(), in->data(), rows_);
  give_back(std::move(valid));
  give_back(std::move(in));
}

void Masks::integers(const Predicate& p, std::vector<Int>* out, Bytes* valid) {
  out->assign(rows_, 0);
  if (valid->size() < rows_) valid->resize(rows_);
  switch (p.kind) {
    case Node::kInt:
      out->assign(rows_, p.value);
      memset(valid->data(), 1, rows_);
      return;
    case Node::kIntField: {
      present(p.column, valid->data());
      if (p.column < 0) return;
      const auto index = static_cast<unsigned>(p.column);
      const ColumnData& data = batch_->column(index);
      if (data.data == nullptr) return;
      const Kind kind = batch_->spec(index).kind;
      for (uint32_t i = 0; i < rows_; i++) (*out)[i] = integer_at(kind, data, i);
      return;
    }
    case Node::kArith: {
      std::vector<Int> right;
      auto right_valid = borrow();
      integers(*p.args[0], out, valid);
      integers(*p.args[1], &right, right_valid.get());
      for (uint32_t i = 0; i < rows_; i++) {
        (*valid)[i] &= (*right_valid)[i];
        if ((*valid)[i] && !arith(p.op, (*out)[i], right[i], &(*out)[i])) (*valid)[i] = 0;
      }
      return give_back(std::move(right_valid));
    }
    case Node::kNegate:
      integers(*p.args[0], out, valid);
      for (uint32_t i = 0; i < rows_; i++) {
        if ((*valid)[i] && !arith('-', 0, (*out)[i], &(*out)[i])) (*valid)[i] = 0;
      }
      return;
    default: {
      // Sizes and elements of lists: row by row, as a comparison of the value with itself would.
      BatchRow row(*batch_);
      for (uint32_t i = 0; i < rows_; i++) {
        row.row = i;
        (*valid)[i] = integer_of_row(p, row, &(*out)[i]);
      }
    }
  }
}

void Masks::compare(const Predicate& p, uint8_t* is_true, uint8_t* is_false) {
  std::vector<Int> left, right;
  auto valid = borrow(), right_valid = borrow();
  integers(*p.args[0], &left, valid.get());
  integers(*p.args[1], &right, right_valid.get());
  and_bytes(valid->data(), right_valid->data(), rows_);
  for (uint32_t i = 0; i < rows_; i++) {
    const bool equal = left[i] == right[i], less = left[i] < right[i];
    const bool is = p.op == '=' ? equal : less || (p.op == 'l' && equal);
    if (is_true != nullptr) is_true[i] = (*valid)[i] & is;
    if (is_false != nullptr) is_false[i] = (*valid)[i] & !is;
  }
  give_back(std::move(valid));
  give_back(std::move(right_valid));
}

void Masks::row_by_row(const Predicate& p, uint8_t* is_true, uint8_t* is_false,
                       const uint8_t* active) {
  BatchRow row(*batch_);
  for (uint32_t i = 0; i < rows_; i++) {
    // An error serves as well for a row that does not matter.
    Truth truth = Truth::kError;
    if (active == nullptr || active[i] != 0) {
      row.row = i;
      truth = test_row(p, row);
    }
    if (is_true != nullptr) is_true[i] = truth == Truth::kTrue;
    if (is_false != nullptr) is_false[i] = truth == Truth::kFalse;
  }
}

}  // namespace tapio
