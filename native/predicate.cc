#include "predicate.h"

#include <arpa/inet.h>
#include <re2/re2.h>
#include <string.h>

#include <algorithm>

namespace tapio {

Predicate::Predicate() = default;
Predicate::~Predicate() = default;

bool parse_network(const std::string& text, Network* out) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return false;
  const std::string address = text.substr(0, slash);
  out->v6 = address.find(':') != std::string::npos;
  if (inet_pton(out->v6 ? AF_INET6 : AF_INET, address.c_str(), out->address) != 1) return false;
  const std::string bits = text.substr(slash + 1);
  if (bits.empty() || bits.size() > 3 ||
      bits.find_first_not_of("0123456789") != std::string::npos) {
    return false;
  }
  out->bits = static_cast<unsigned>(atoi(bits.c_str()));
  return out->bits <= (out->v6 ? 128u : 32u);
}

bool check_pattern(const std::string& pattern, std::string* why) {
  const RE2 regex(pattern, RE2::Quiet);
  *why = regex.error();
  return regex.ok();
}

size_t count_points(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool is_within(const std::vector<std::pair<Int, Int>>& ranges, Int value) {
  const auto after = std::upper_bound(
      ranges.begin(), ranges.end(), value,
      [](Int wanted, const std::pair<Int, Int>& range) { return wanted < range.first; });
  return after != ranges.begin() && value <= std::prev(after)->second;
}

bool arith(char op, Int left, Int right, Int* out) {
  // Operands are of 65 bits at most: sums and products of them fit 128 bits or nearly, and what
  // does not is caught as it is made.
  switch (op) {
    case '+':
      *out = left + right;
      break;
    case '-':
      *out = left - right;
      break;
    case '*':
      if (__builtin_mul_overflow(left, right, out)) return false;
      break;
    default:
      if (right == 0) return false;
      *out = op == '/' ? left / right : left % right;
  }
  return *out >= kIntMin && *out <= kIntMax;
}

namespace {

bool in_network(const Network& network, const unsigned char* address, bool v6) {
  if (network.v6 != v6) return false;
  const unsigned whole = network.bits / 8, rest = network.bits % 8;
  if (memcmp(network.address, address, whole) != 0) return false;
  if (rest == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff << (8 - rest));
  return ((network.address[whole] ^ address[whole]) & mask) == 0;
}

Truth in_networks(const std::vector<Network>& networks, std::string_view text) {
  unsigned char address[16];
  const bool v6 = text.find(':') != std::string_view::npos;
  const std::string copy(text);
  if (inet_pton(v6 ? AF_INET6 : AF_INET, copy.c_str(), address) != 1) return Truth::kError;
  for (const Network& network : networks) {
    if (in_network(network, address, v6)) return Truth::kTrue;
  }
  return Truth::kFalse;
}

Truth truth_of(bool is) { return is ? Truth::kTrue : Truth::kFalse; }

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

Truth related(Node kind, std::string_view text, std::string_view other) {
  switch (kind) {
    case Node::kStartsWith:
      return truth_of(text.substr(0, other.size()) == other);
    case Node::kEndsWith:
      return truth_of(ends_with(text, other));
    default:
      return truth_of(text.find(other) != std::string_view::npos);
  }
}

Truth compared(char op, bool less, bool equal) {
  if (op == '=') return truth_of(equal);
  return truth_of(less || (op == 'l' && equal));
}

bool is_text_field(const Predicate& p) { return p.kind == Node::kTextField; }

// One row, and the element that an enclosing any, every or one is at.
struct Evaluator {
  const RowValues& row;
  bool has_item = false;
  std::string_view item_text;
  Int item = 0;

  bool integer(const Predicate& p, Int* out) const;
  bool text(const Predicate& p, std::string_view* out) const;
  Truth test(const Predicate& p) const;
  Truth over_list(const Predicate& p) const;
};

bool Evaluator::integer(const Predicate& p, Int* out) const {
  switch (p.kind) {
    case Node::kInt:
      *out = p.value;
      return true;
    case Node::kIntField:
      return p.column >= 0 && row.integer(p.column, out);
    case Node::kIntItem:
      *out = item;
      return true;
    case Node::kArith: {
      Int left, right;
      return integer(*p.args[0], &left) && integer(*p.args[1], &right) &&
             arith(p.op, left, right, out);
    }
    case Node::kNegate: {
      Int of;
      return integer(*p.args[0], &of) && arith('-', 0, of, out);
    }
    case Node::kSize: {
      std::string_view of;
      if (!text(*p.args[0], &of)) return false;
      *out = static_cast<Int>(count_points(of));
      return true;
    }
    case Node::kLength: {
      if (p.column < 0) return false;
      std::vector<std::string_view> texts;
      std::vector<uint64_t> numbers;
      const bool is =
          row.is_texts(p.column) ? row.texts(p.column, &texts) : row.integers(p.column, &numbers);
      *out = static_cast<Int>(texts.size() + numbers.size());
      return is;
    }
    case Node::kIntElement: {
      std::vector<uint64_t> numbers;
      if (p.column < 0 || !row.integers(p.column, &numbers) || p.index >= numbers.size())
        return false;
      *out = numbers[p.index];
      return true;
    }
    default:
      return false;
  }
}

bool Evaluator::text(const Predicate& p, std::string_view* out) const {
  switch (p.kind) {
    case Node::kText:
      *out = p.text;
      return true;
    case Node::kTextField:
      return p.column >= 0 && row.text(p.column, out);
    case Node::kTextItem:
      *out = item_text;
      return true;
    case Node::kTextElement: {
      std::vector<std::string_view> texts;
      if (p.column < 0 || !row.texts(p.column, &texts) || p.index >= texts.size()) return false;
      *out = texts[p.index];
      return true;
    }
    default:
      return false;
  }
}

// exists: true if one is, else an error if one is an error; all dually; exists_one: an error if any
// is.
Truth Evaluator::over_list(const Predicate& p) const {
  std::vector<std::string_view> texts;
  std::vector<uint64_t> numbers;
  if (p.column < 0) return Truth::kError;
  const bool of_texts = row.is_texts(p.column);
  if (!(of_texts ? row.texts(p.column, &texts) : row.integers(p.column, &numbers)))
    return Truth::kError;
  const size_t count = of_texts ? texts.size() : numbers.size();
  size_t met = 0, failed = 0;
  for (size_t i = 0; i < count; i++) {
    Evaluator inner{row, true, of_texts ? texts[i] : std::string_view(),
                    of_texts ? 0 : static_cast<Int>(numbers[i])};
    const Truth truth = inner.test(*p.args[0]);
    met += truth == Truth::kTrue;
    failed += truth == Truth::kError;
  }
  if (p.kind == Node::kAny)
    return met > 0 ? Truth::kTrue : failed > 0 ? Truth::kError : Truth::kFalse;
  if (p.kind == Node::kEvery) {
    if (met + failed < count) return Truth::kFalse;
    return failed > 0 ? Truth::kError : Truth::kTrue;
  }
  return failed > 0 ? Truth::kError : truth_of(met == 1);
}

Truth Evaluator::test(const Predicate& p) const {
  switch (p.kind) {
    case Node::kTrue:
      return Truth::kTrue;
    case Node::kFalse:
      return Truth::kFalse;
    case Node::kAnd:
    case Node::kOr: {
      const Truth decides = p.kind == Node::kAnd ? Truth::kFalse : Truth::kTrue;
      bool failed = false;
      for (const auto& arg : p.args) {
        const Truth truth = test(*arg);
        if (truth == decides) return decides;
        failed |= truth == Truth::kError;
      }
      if (failed) return Truth::kError;
      return p.kind == Node::kAnd ? Truth::kTrue : Truth::kFalse;
    }
    case Node::kNot: {
      const Truth truth = test(*p.args[0]);
      return truth == Truth::kError ? truth : truth_of(truth == Truth::kFalse);
    }
    case Node::kUntrue:
      return truth_of(test(*p.args[0]) != Truth::kTrue);
    case Node::kChoose: {
      const Truth truth = test(*p.args[0]);
      return truth == Truth::kError ? truth : test(*p.args[truth == Truth::kTrue ? 1 : 2]);
    }
    case Node::kWithin: {
      Int value;
      return integer(*p.args[0], &value) ? truth_of(is_within(p.ranges, value)) : Truth::kError;
    }
    case Node::kCompare: {
      Int left, right;
      if (!integer(*p.args[0], &left) || !integer(*p.args[1], &right)) return Truth::kError;
      return compared(p.op, left < right, left == right);
    }
    case Node::kCompareText: {
      std::string_view left, right;
      if (!text(*p.args[0], &left) || !text(*p.args[1], &right)) return Truth::kError;
      return compared(p.op, left < right, left == right);
    }
    case Node::kStartsWith:
    case Node::kEndsWith:
    case Node::kContains: {
      std::string_view of, other;
      if (!text(*p.args[0], &of) || !text(*p.args[1], &other)) return Truth::kError;
      return related(p.kind, of, other);
    }
    case Node::kOneOf:
    case Node::kMatches:
    case Node::kInNetworks: {
      std::string_view of;
      if (!text(*p.args[0], &of)) return Truth::kError;
      return test_text(p, of);
    }
    case Node::kHas:
      return truth_of(p.column >= 0 && row.present(p.column));
    case Node::kAny:
    case Node::kEvery:
    case Node::kOne:
      return over_list(p);
    default:
      return Truth::kError;
  }
}

}  // namespace

Truth test_row(const Predicate& predicate, const RowValues& row) {
  return Evaluator{row}.test(predicate);
}

bool integer_of_row(const Predicate& predicate, const RowValues& row, Int* out) {
  return Evaluator{row}.integer(predicate, out);
}

Truth test_text(const Predicate& p, std::string_view text) {
  switch (p.kind) {
    case Node::kOneOf:
      return truth_of(std::binary_search(p.texts.begin(), p.texts.end(), text));
    case Node::kMatches:
      return truth_of(RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *p.regex));
    case Node::kInNetworks:
      return in_networks(p.networks, text);
    case Node::kStartsWith:
    case Node::kEndsWith:
    case Node::kContains:
      return related(p.kind, text, p.args[1]->text);
    case Node::kCompareText: {
      // The field may stand on either side.
      const bool field_left = is_text_field(*p.args[0]);
      const std::string_view other = p.args[field_left ? 1 : 0]->text;
      const std::string_view left = field_left ? text : other, right = field_left ? other : text;
      return compared(p.op, left < right, left == right);
    }
    case Node::kWithin:
      return truth_of(is_within(p.ranges, static_cast<Int>(count_points(text))));
    default:
      return Truth::kError;
  }
}

bool is_text_test(const Predicate& p) {
  switch (p.kind) {
    case Node::kOneOf:
    case Node::kMatches:
    case Node::kInNetworks:
      return is_text_field(*p.args[0]);
    case Node::kStartsWith:
    case Node::kEndsWith:
    case Node::kContains:
      return is_text_field(*p.args[0]) && p.args[1]->kind == Node::kText;
    case Node::kCompareText:
      return (is_text_field(*p.args[0]) && p.args[1]->kind == Node::kText) ||
             (is_text_field(*p.args[1]) && p.args[0]->kind == Node::kText);
    case Node::kWithin:
      return p.args[0]->kind == Node::kSize && is_text_field(*p.args[0]->args[0]);
    default:
      return false;
  }
}

}  // namespace tapio
