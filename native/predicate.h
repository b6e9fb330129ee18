// A filter's predicate over the columns of a batch: the tree of src/query/predicate.ts, evaluated
// for all rows of a batch at once. It has three values: a row whose operand is absent is neither
// true nor false.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace re2 {
class RE2;
}

namespace tapio {

using Int = __int128;

// Bounds of integers; beyond them lies CEL's overflow error.
inline constexpr Int kIntMin = -(static_cast<Int>(1) << 63);
inline constexpr Int kIntMax = (static_cast<Int>(1) << 64) - 1;

struct Network {
  unsigned char address[16];
  unsigned bits;
  bool v6;
};

enum class Node : uint8_t {
  // of integers
  kInt,
  kIntField,
  kArith,
  kNegate,
  kSize,
  kLength,
  kIntElement,
  kIntItem,
  // of texts
  kText,
  kTextField,
  kTextElement,
  kTextItem,
  // of truth
  kTrue,
  kFalse,
  kError,
  kAnd,
  kOr,
  kNot,
  kUntrue,
  kChoose,
  kWithin,
  kCompare,
  kCompareText,
  kOneOf,
  kStartsWith,
  kEndsWith,
  kContains,
  kMatches,
  kInNetworks,
  kHas,
  kAny,
  kEvery,
  kOne,
};

// A node and what is below it. Which members mean something follows from the kind.
struct Predicate {
  Node kind = Node::kError;
  // '+', '-', '*', '/', '%'; '=' , '<' or 'l' (<=).
  char op = 0;
  // Column of the table that a field names; -1 where the table has none: it is null in each row.
  int column = -1;
  uint32_t index = 0;
  // Number among all nodes of a table's predicates: results per dictionary entry are kept by it.
  unsigned id = 0;
  Int value = 0;
  std::string text;
  std::vector<std::unique_ptr<Predicate>> args;
  std::vector<std::pair<Int, Int>> ranges;
  std::vector<std::string> texts;
  std::vector<Network> networks;
  std::unique_ptr<re2::RE2> regex;

  Predicate();
  ~Predicate();
};

// What came of a test.
enum class Truth : uint8_t { kFalse, kTrue, kError };

// Parses 10.0.0.0/8 or fe80::/10.
bool parse_network(const std::string& text, Network* out);
// Whether RE2 takes the pattern; else why not.
bool check_pattern(const std::string& pattern, std::string* why);

// Where the values of one row are found: a row of a batch, or a raw record.
class RowValues {
 public:
  virtual ~RowValues() = default;
  // False where it is null.
  virtual bool integer(int column, Int* out) const = 0;
  virtual bool text(int column, std::string_view* out) const = 0;
  virtual bool present(int column) const = 0;
  // Elements of a list; false where it is null.
  virtual bool texts(int column, std::vector<std::string_view>* out) const = 0;
  virtual bool integers(int column, std::vector<uint64_t>* out) const = 0;
  // Whether the column is one of texts (else of u64s).
  virtual bool is_texts(int column) const = 0;
};

// The predicate for one row: the plain way, and the only one for lists.
Truth test_row(const Predicate& predicate, const RowValues& row);
// The value of an integer node for one row; false where it is an error.
bool integer_of_row(const Predicate& predicate, const RowValues& row, Int* out);
// A test of one text against constants, whatever field it comes from.
Truth test_text(const Predicate& predicate, std::string_view text);
// True for tests whose only operand that is not constant is one text field.
bool is_text_test(const Predicate& predicate);
// Code points.
size_t count_points(std::string_view text);
bool is_within(const std::vector<std::pair<Int, Int>>& ranges, Int value);
// Result of an operation; false on overflow or division by zero.
bool arith(char op, Int left, Int right, Int* out);

}  // namespace tapio
