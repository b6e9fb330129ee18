// A raw record as a row: what predicates find in it is what they find in the row that decoding
// makes of it, whatever the record holds.

#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "check.h"
#include "decode.h"
#include "drain.h"
#include "pushed_filter.h"
#include "record_values.h"

using namespace tapio;

namespace {

using Random = std::mt19937_64;
const DropReasons reasons = {{3, "NO_SOCKET"}, {5, "A_NAME_THAT_IS_LONGER_THAN_A_SHORT_STRING"}};
constexpr int64_t kOffset = 1'795'000'000'000'000'000;

// A row that was decoded, read back from its columns.
class DecodedRow final : public RowValues {
 public:
  DecodedRow(const Slot& slot, const std::vector<std::vector<std::string>>& dictionaries,
             uint64_t ktime)
      : slot_(slot), dictionaries_(dictionaries), ktime_(ktime) {}

  bool present(int column) const override {
    if (is_ktime(column)) return true;
    const auto i = static_cast<unsigned>(column);
    return !slot_.layout.columns[i].nullable ||
           (slot_.memory[slot_.layout.regions[i].validity] & 1) != 0;
  }
  bool integer(int column, Int* out) const override {
    if (is_ktime(column)) {
      *out = ktime_;
      return true;
    }
    if (!present(column)) return false;
    switch (kind(column)) {
      case Kind::kU16:
        *out = value<uint16_t>(column);
        return true;
      case Kind::kU32:
        *out = value<uint32_t>(column);
        return true;
      case Kind::kI32:
        *out = value<int32_t>(column);
        return true;
      case Kind::kU64:
        *out = value<uint64_t>(column);
        return true;
      case Kind::kI64:
        *out = value<int64_t>(column);
        return true;
      default:
        return false;
    }
  }
  bool text(int column, std::string_view* out) const override {
    if (is_ktime(column) || !present(column)) return false;
    const auto& texts = dictionaries_[static_cast<unsigned>(column)];
    if (kind(column) == Kind::kDict16)
      *out = texts[value<uint16_t>(column)];
    else if (kind(column) == Kind::kDict32)
      *out = texts[value<uint32_t>(column)];
    else
      return false;
    return true;
  }
  bool texts(int column, std::vector<std::string_view>* out) const override {
    if (!is_texts(column) || !present(column)) return false;
    const ColumnRegion& region = slot_.layout.regions[static_cast<unsigned>(column)];
    const auto* ends = reinterpret_cast<const uint32_t*>(slot_.memory + region.inner);
    for (uint32_t i = 0; i < end(column); i++)
      out->emplace_back(reinterpret_cast<char*>(slot_.memory + region.heap) + ends[i],
                        ends[i + 1] - ends[i]);
    return true;
  }
  bool integers(int column, std::vector<uint64_t>* out) const override {
    if (is_ktime(column) || kind(column) != Kind::kU64s || !present(column)) return false;
    const ColumnRegion& region = slot_.layout.regions[static_cast<unsigned>(column)];
    const auto* values = reinterpret_cast<const uint64_t*>(slot_.memory + region.heap);
    out->assign(values, values + end(column));
    return true;
  }
  bool is_texts(int column) const override {
    return !is_ktime(column) && kind(column) == Kind::kTexts;
  }

 private:
  bool is_ktime(int column) const { return column == static_cast<int>(slot_.layout.count); }
  Kind kind(int column) const { return slot_.layout.columns[column].kind; }
  template <class T>
  T value(int column) const {
    T out;
    std::memcpy(&out, slot_.memory + slot_.layout.regions[column].data, sizeof(T));
    return out;
  }
  // Of the list in row 0.
  uint32_t end(int column) const {
    uint32_t out;
    std::memcpy(&out, slot_.memory + slot_.layout.regions[column].data + 4, 4);
    return out;
  }

  const Slot& slot_;
  const std::vector<std::vector<std::string>>& dictionaries_;
  const uint64_t ktime_;
};

std::string random_bytes(Random& random) {
  static const char* const words[] = {"",     "a",  "nginx", "sh", "/etc/passwd", "é\xff",
                                      "a\\b", "-c", "\xc3",  "/",  "x y"};
  std::string out = words[random() % std::size(words)];
  for (uint64_t n = random() % 4; n > 0; n--) out += static_cast<char>(random() % 256);
  return out;
}

// A record of an op with any content; now and then shorter than it claims.
std::vector<uint64_t> random_record(Random& random, unsigned op) {
  std::vector<unsigned char> bytes(sizeof(tapio_header) + 8 * (random() % 10));
  for (unsigned char& byte : bytes)
    byte = static_cast<unsigned char>(random() % 4 ? random() % 8 : random());
  // Where the fixed part ends differs; heads of strings stand wherever one may begin.
  const size_t heads = bytes.size();
  for (uint64_t n = random() % 8; n > 0; n--) {
    std::string text = random_bytes(random);
    if (random() % 3 == 0) text += std::string("\0b", 2);
    const auto stored = static_cast<__u16>(text.size());
    const auto full = static_cast<__u16>(random() % 4   ? stored
                                         : random() % 2 ? stored + 3
                                                        : 0xffff);
    const tapio_string head = {stored, full, 0};
    const auto* at = reinterpret_cast<const unsigned char*>(&head);
    bytes.insert(bytes.end(), at, at + sizeof(head));
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.resize((bytes.size() + 7) / 8 * 8);
  }
  std::vector<uint64_t> out(bytes.size() / 8);
  std::memcpy(out.data(), bytes.data(), bytes.size());
  auto* header = reinterpret_cast<tapio_header*>(out.data());
  header->op = static_cast<__u16>(op);
  const std::string comm = random_bytes(random);
  std::memset(header->comm, 0, sizeof(header->comm));
  std::memcpy(header->comm, comm.data(), std::min<size_t>(comm.size(), sizeof(header->comm)));
  // Plain families, so that addresses of both are met.
  if (type_of_op[op] == TAPIO_TYPE_NETWORK && heads > sizeof(tapio_header) + 24 && random() % 2) {
    auto* address = reinterpret_cast<unsigned char*>(out.data()) + sizeof(tapio_header);
    std::memset(address, 0, 10);
    address[10] = address[11] = 0xff;
  }
  return out;
}

// Random predicates over the columns of a type.
class Trees {
 public:
  Trees(Random& random, unsigned type) : random_(random), layout_(table_layout(type)) {}

  std::unique_ptr<Predicate> test(unsigned depth) {
    switch (depth == 0 ? 3 + random_() % 7 : random_() % 10) {
      case 0:
      case 1: {
        auto out = node(random_() % 2 ? Node::kAnd : Node::kOr);
        for (uint64_t n = 1 + random_() % 3; n > 0; n--) out->args.push_back(test(depth - 1));
        return out;
      }
      case 2: {
        auto out = node(random_() % 2 ? Node::kNot : Node::kUntrue);
        out->args.push_back(test(depth - 1));
        return out;
      }
      case 3:
      case 4: {
        auto out = node(Node::kWithin);
        out->args.push_back(integer());
        const auto low = static_cast<Int>(random_() % 8);
        out->ranges.emplace_back(low, random_() % 2 ? low + 2 : kIntMax);
        return out;
      }
      case 5: {
        auto out = node(Node::kOneOf);
        out->args.push_back(text());
        out->texts = {"a", "exec", "nginx", "read", "tcp"};
        return out;
      }
      case 6: {
        auto out = node(random_() % 2 ? Node::kCompareText : Node::kStartsWith);
        out->op = 'l';
        out->args.push_back(text());
        out->args.push_back(text());
        return out;
      }
      case 7: {
        auto out = node(Node::kHas);
        out->column = any_column();
        return out;
      }
      case 8: {
        auto out = node(Node::kInNetworks);
        out->args.push_back(text());
        Network network;
        CHECK(parse_network(random_() % 2 ? "0.0.0.0/1" : "::/0", &network));
        out->networks.push_back(network);
        return out;
      }
      default: {
        const int list = column_of({Kind::kTexts, Kind::kU64s});
        if (list < 0) return node(Node::kTrue);
        auto out = node(random_() % 2 ? Node::kAny : Node::kEvery);
        out->column = list;
        const bool of_texts = layout_.columns[list].kind == Kind::kTexts;
        auto inner = node(of_texts ? Node::kOneOf : Node::kWithin);
        inner->args.push_back(node(of_texts ? Node::kTextItem : Node::kIntItem));
        inner->texts = {"", "a", "b"};
        inner->ranges.emplace_back(0, 5);
        out->args.push_back(std::move(inner));
        return out;
      }
    }
  }

 private:
  static std::unique_ptr<Predicate> node(Node kind) {
    auto out = std::make_unique<Predicate>();
    out->kind = kind;
    return out;
  }
  // `seq` is none: no record has one yet.
  int any_column() { return 1 + static_cast<int>(random_() % layout_.count); }
  int column_of(std::initializer_list<Kind> kinds) {
    for (int tries = 0; tries < 100; tries++) {
      const int column = any_column();
      if (column == static_cast<int>(layout_.count)) continue;
      for (const Kind kind : kinds)
        if (layout_.columns[column].kind == kind) return column;
    }
    return -1;
  }
  std::unique_ptr<Predicate> integer() {
    if (random_() % 4 == 0) {
      auto out = node(Node::kSize);
      out->args.push_back(text());
      return out;
    }
    auto out = node(Node::kIntField);
    out->column = random_() % 8 == 0
                      ? static_cast<int>(layout_.count)
                      : column_of({Kind::kU16, Kind::kU32, Kind::kI32, Kind::kU64, Kind::kI64});
    return out;
  }
  std::unique_ptr<Predicate> text() {
    auto out = node(random_() % 5 == 0 ? Node::kText : Node::kTextField);
    if (out->kind == Node::kText)
      out->text = "a";
    else
      out->column = column_of({Kind::kDict16, Kind::kDict32});
    return out;
  }

  Random& random_;
  const TableLayout& layout_;
};

void same_values(const RowValues& record, const RowValues& row, const TableLayout& layout) {
  for (int column = k_ts; column <= static_cast<int>(layout.count); column++) {
    CHECK(record.present(column) == row.present(column));
    CHECK(record.is_texts(column) == row.is_texts(column));
    Int a = 0, b = 0;
    CHECK(record.integer(column, &a) == row.integer(column, &b) && a == b);
    std::string_view left, right;
    CHECK(record.text(column, &left) == row.text(column, &right) && left == right);
    std::vector<std::string_view> texts, other_texts;
    CHECK(record.texts(column, &texts) == row.texts(column, &other_texts) && texts == other_texts);
    std::vector<uint64_t> numbers, other_numbers;
    CHECK(record.integers(column, &numbers) == row.integers(column, &other_numbers) &&
          numbers == other_numbers);
  }
}

struct Counts {
  unsigned rows = 0, malformed = 0, truths[3] = {0, 0, 0};
};

void compare(unsigned seed, unsigned op, int rounds, Counts* counts) {
  Random random(seed * 1000003 + op);
  const unsigned type = type_of_op[op];
  const TableLayout& layout = table_layout(type);
  Slot slot(0, type, layout);
  Dictionaries dictionaries(layout);
  std::vector<std::vector<std::string>> texts(layout.count);
  RecordValues values(reasons);
  for (int i = 0; i < rounds; i++) {
    const std::vector<uint64_t> record = random_record(random, op);
    const auto* header = reinterpret_cast<const tapio_header*>(record.data());
    const auto bytes = static_cast<uint32_t>(record.size() * 8);
    const auto cpu = static_cast<unsigned>(random() % 4);
    const bool whole = decode_row(slot, dictionaries, reasons, header, bytes, cpu, 1, kOffset);
    for (Dictionaries::Fresh& fresh : dictionaries.take_fresh())
      for (std::string& text : fresh.texts) texts[fresh.column].push_back(std::move(text));
    values.set(header, bytes, cpu, kOffset);
    Trees trees(random, type);
    if (!whole) {
      for (int column = k_common_columns; column < static_cast<int>(layout.count); column++)
        CHECK(!values.present(column));
      CHECK(values.malformed());
      counts->malformed++;
      continue;
    }
    close_lists(slot);
    const DecodedRow row(slot, texts, header->ktime);
    // Predicates come before and after all values were asked for: what was made is found again.
    for (int n = 0; n < 6; n++) {
      if (n == 3) same_values(values, row, layout);
      const auto tree = trees.test(3);
      const Truth truth = test_row(*tree, values);
      CHECK(truth == test_row(*tree, row));
      counts->truths[static_cast<int>(truth)]++;
    }
    CHECK(!values.malformed());
    counts->rows++;
    slot.reset();
  }
}

// Chains from nowhere good are refused, or end whatever record they are followed for.
void chains_end(unsigned seed, int rounds) {
  Random random(seed);
  unsigned refused = 0, rejected = 0, passed = 0;
  for (int i = 0; i < rounds; i++) {
    tapio_filter filter = passing_filter();
    const auto tests = static_cast<unsigned>(1 + random() % 12);
    const bool sound = random() % 4 != 0;
    const auto target = [&](unsigned at) {
      if (!sound && random() % 8 == 0) return static_cast<__u8>(random());
      const auto next = static_cast<unsigned>(at + 1 + random() % 3);
      return static_cast<__u8>(next < tests ? next : TAPIO_FILTER_PASS + random() % 2);
    };
    for (unsigned at = 0; at < tests; at++) {
      tapio_test& test = filter.tests[at];
      test.word = static_cast<__u8>(random() % (sound ? TAPIO_WORDS : TAPIO_WORDS + 2));
      test.flags = static_cast<__u8>(random() % 4);
      test.pass = target(at);
      test.fail = target(at);
      test.b[0] = random() % 2 ? random() % 8 : 0;
    }
    for (__u8& entry : filter.entries) entry = static_cast<__u8>(random() % tests);
    if (!complete_filter(&filter, tests)) {
      CHECK(!sound);
      refused++;
      continue;
    }
    const auto op = static_cast<unsigned>(1 + random() % (TAPIO_OPS - 1));
    if (type_of_op[op] == 0) continue;
    const std::vector<uint64_t> record = random_record(random, op);
    const auto* header = reinterpret_cast<const tapio_header*>(record.data());
    const auto bytes = static_cast<uint32_t>(record.size() * 8);
    (rejects_record(filter, header, bytes) ? rejected : passed)++;
  }
  CHECK(refused > 0 && rejected > 0 && passed > 0);
}

}  // namespace

int main(int argc, char** argv) {
  const auto seed = static_cast<unsigned>(argc > 1 ? std::atoi(argv[1]) : 1);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 2000;
  chains_end(seed, rounds);
  Counts counts;
  unsigned ops = 0;
  for (unsigned op = 1; op < TAPIO_OPS; op++) {
    if (type_of_op[op] == 0) continue;
    ops++;
    compare(seed, op, rounds, &counts);
  }
  // It is about rows, and each outcome is met.
  CHECK(counts.rows > ops * static_cast<unsigned>(rounds) / 4 && counts.malformed > 0);
  for (const unsigned one : counts.truths) CHECK(one > counts.rows / 10);
  return 0;
}
