// Forged records of every op and size, decoded as the drain does it. Each row is compared with what
// a second reading of the same record (Witness) expects, and the slot's memory is looked at after
// each.
//
// Input: how the slots begin (see Table::begin), then records. The harness knows each op's shape
// and lays out a tail from short descriptions, so that a small input reaches long strings; it can
// lie about every length.

#include <memory>
#include <string>
#include <vector>

#include "decode.h"
#include "drain.h"
#include "fuzz.h"
#include "syscalls.h"
#include "text.h"

using namespace tapio;

namespace {

const DropReasons reasons = {{3, "NO_SOCKET"}, {77, "SOMETHING_ELSE"}};
constexpr int64_t kTsOffset = 1'700'000'000'000'000'000;
constexpr uint32_t kHeader = sizeof(tapio_header);

// Strict UTF-8, written apart from native/text.cc: decoded, and compared with its shortest form.
bool is_utf8(const std::string& text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if ((first >= 0x80 && first < 0xc0) || first >= 0xf8 || i + more >= text.size()) return false;
    uint32_t point = more == 0 ? first : first & (0x3fu >> more);
    for (unsigned k = 1; k <= more; k++) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return false;
      point = point << 6 | (next & 0x3f);
    }
    const unsigned shortest = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    if (more != shortest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    i += more + 1;
  }
  return true;
}

// Bytes back from the reversible form.
std::string reverse(const std::string& text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (text[i + 1] == '\\') {
      out += text[++i];
    } else {
      CHECK(i + 3 < text.size() && text[i + 1] == 'x');
      out += static_cast<char>(digit(text[i + 2]) << 4 | digit(text[i + 3]));
      i += 3;
    }
  }
  return out;
}

// What a row should hold: a value's bytes, a dictionary's text, or the elements of a list.
struct Expected {
  bool set = false;
  std::string value;
  std::vector<std::string> elements;
};

// Reads a record as RowSink does and keeps what it says.
struct Witness {
  explicit Witness(unsigned columns) : fields(columns) {}
  std::vector<Expected> fields;
  bool truncated = false;

  std::string& of(unsigned column) {
    CHECK(!fields[column].set);
    fields[column].set = true;
    return fields[column].value;
  }
  template <class T>
  void value(unsigned column, T v) {
    of(column).assign(reinterpret_cast<char*>(&v), sizeof(v));
  }
  void name(unsigned column, Names set, unsigned v) { of(column) = name_of(set, v, reasons); }
  void syscall_name(unsigned column, unsigned number) {
    const SyscallEntry* entry = syscall_by_number(number);
    of(column) = entry ? entry->name : "unknown";
  }
  void inet(unsigned column, unsigned family, const unsigned char* address) {
    of(column) = inet_text(family, address);
  }
  void path(unsigned column, const TailString& given, const TailString& directory) {
    of(column) = path_text({given.data, given.stored}, {directory.data, directory.stored},
                           directory.stored > 0 || directory.full != 0xffff);
    truncated |=
        given.full > given.stored || (directory.stored > 0 && directory.full > directory.stored);
  }
  void strings(unsigned column, const TailString& all) {
    of(column);
    std::string one;
    for (uint32_t i = 0; i < all.stored; i++) {
      if (all.data[i] != 0) one += all.data[i];
      if (all.data[i] == 0 || i + 1 == all.stored) {
        fields[column].elements.push_back(one);
        one.clear();
      }
    }
    truncated |= all.full > all.stored;
  }
  void bytes(unsigned column, const TailString& all) { of(column).assign(all.data, all.stored); }
  void args(unsigned column, unsigned number, const __u64* values) {
    const SyscallEntry* entry = syscall_by_number(number);
    of(column).assign(reinterpret_cast<const char*>(values), (entry ? entry->arguments : 6) * 8);
  }
};

// How long an op's fixed part is and how many strings follow: what the decoder accepts tells.
struct Shape {
  uint32_t fixed = 0;
  uint32_t strings = 0;
};

Shape shape_of(unsigned op) {
  std::vector<uint64_t> zeros(TAPIO_RECORD_BYTES_MAX / 8);
  Shape shape;
  for (uint32_t bytes = kHeader;; bytes += 8) {
    CHECK(bytes < 1024);
    Witness witness(64);
    const bool whole =
        decode_fields(witness, op, reinterpret_cast<unsigned char*>(zeros.data()), bytes);
    const bool began =
        std::any_of(witness.fields.begin(), witness.fields.end(), [](auto& f) { return f.set; });
    if (began && shape.fixed == 0) shape.fixed = bytes;
    if (!whole) continue;
    shape.strings = (bytes - shape.fixed) / 8;
    return shape;
  }
}

const Shape& known_shape(unsigned op) {
  static const std::vector<Shape> shapes = [] {
    std::vector<Shape> all(1);
    for (unsigned i = 1; i < TAPIO_OPS; i++) all.push_back(shape_of(i));
    return all;
  }();
  return shapes[op];
}

// One type's slot and dictionaries, kept between inputs as the drain keeps them between batches.
class Table {
 public:
  explicit Table(unsigned type)
      : layout_(table_layout(type)),
        slot_(0, type, layout_),
        dictionaries_(std::make_unique<Dictionaries>(layout_)),
        texts_(layout_.count) {}

  // Leaves nothing of the input before; the slot begins empty, with its last rows left, or with
  // the room of its lists almost used up.
  void begin(unsigned mode, unsigned spare) {
    end();
    // As after a start, or as after a rotation.
    if (mode & 8)
      dictionaries_->clear();
    else
      dictionaries_ = std::make_unique<Dictionaries>(layout_);
    for (auto& texts : texts_) texts.clear();
    CHECK(!heaps_full(slot_));
    if (mode == 1) slot_.rows = kBatchRows - 1 - spare;
    if (mode == 2 || mode == 3) use_up_lists(mode == 2, spare);
    first_ = slot_.rows;
    slot_.first_seq = 0;
    slot_.first_ts = slot_.last_ts = kTsOffset;
    used_ = true;
  }

  // Closes the batch as the drain does, looks at all of it and makes the slot ready again.
  void end() {
    if (!used_) return;
    close_lists(slot_);
    check_lists();
    check_nulls();
    const uint32_t rows = slot_.rows;
    slot_.reset();
    CHECK(slot_.rows == 0 && slot_.touched == 0);
    for (unsigned i = 0; i < layout_.count; i++) {
      if (!layout_.columns[i].nullable) continue;
      for (uint32_t row = first_; row < rows; row++) CHECK(!valid(i, row));
      CHECK(slot_.inner[i] == 0 && slot_.heap[i] == 0 && slot_.closed[i] == 0);
    }
    first_ = 0;
    used_ = false;
  }

  void decode(const tapio_header* header, uint32_t bytes, unsigned cpu, uint64_t seq) {
    const auto* record = reinterpret_cast<const unsigned char*>(header);
    Witness witness(layout_.count);
    const bool whole = decode_fields(witness, header->op, record, bytes);
    const uint32_t row = slot_.rows;
    const std::vector<uint32_t> inner = slot_.inner, heap = slot_.heap;
#ifdef TAPIO_PLANTED_BUG
    bytes = TAPIO_RECORD_BYTES_MAX;  // a decoder that does not look at how long its record is
#endif
    const bool kept =
        decode_row(slot_, *dictionaries_, reasons, header, bytes, cpu, seq, kTsOffset);
    CHECK(kept == whole);
    CHECK(slot_.rows == row + kept);
    take_texts();
    check_bounds();
    if (kept) {
      check_common(row, header, cpu, seq, witness.truncated);
      for (unsigned i = k_common_columns; i < layout_.count; i++)
        check_field(i, row, witness.fields[i]);
    } else {
      CHECK(slot_.inner == inner && slot_.heap == heap);
      for (unsigned i = k_common_columns; i < layout_.count; i++) {
        CHECK(slot_.closed[i] <= row);
        check_field(i, row, {});
      }
    }
    if (slot_.rows == kBatchRows || heaps_full(slot_)) {
      end();
      used_ = true;
    }
  }

 private:
  template <class T>
  T at(int64_t region, uint64_t index) const {
    T value;
    std::memcpy(&value, slot_.memory + region + index * sizeof(T), sizeof(T));
    return value;
  }
  bool valid(unsigned column, uint32_t row) const {
    return at<uint8_t>(layout_.regions[column].validity, row / 8) >> (row % 8) & 1;
  }
  static bool is_list(Kind kind) {
    return kind == Kind::kTexts || kind == Kind::kU64s || kind == Kind::kBytes;
  }

  // A first row whose lists fill the heaps, or the elements, but for what one record may need.
  void use_up_lists(bool bytes, unsigned spare) {
    for (unsigned i = 0; i < layout_.count; i++) {
      const Kind kind = layout_.columns[i].kind;
      if (!is_list(kind)) continue;
      const ColumnRegion& region = layout_.regions[i];
      auto* offsets = reinterpret_cast<uint32_t*>(slot_.memory + region.data);
      const auto room = static_cast<uint32_t>(kHeapBytes) - 4 * TAPIO_RECORD_BYTES_MAX - spare;
      const auto elements = static_cast<uint32_t>(kInnerCount) - TAPIO_RECORD_BYTES_MAX - spare;
      offsets[0] = 0;
      slot_.inner[i] = kind == Kind::kBytes ? 0 : kind == Kind::kTexts && bytes ? 1 : elements;
      slot_.heap[i] = kind == Kind::kU64s ? elements * 8 : bytes ? room : 0;
      offsets[1] = kind == Kind::kBytes ? slot_.heap[i] : slot_.inner[i];
      if (kind == Kind::kTexts)
        reinterpret_cast<uint32_t*>(slot_.memory + region.inner)[slot_.inner[i]] = slot_.heap[i];
      slot_.closed[i] = 1;
      slot_.touched |= 1ull << i;
      slot_.memory[region.validity] |= 1;
    }
    slot_.rows = 1;
    CHECK(!heaps_full(slot_));
  }

  void take_texts() {
    for (auto& fresh : dictionaries_->take_fresh()) {
      for (std::string& text : fresh.texts) {
        CHECK(is_utf8(text));
        texts_[fresh.column].push_back(std::move(text));
      }
    }
    for (unsigned i = 0; i < layout_.count; i++)
      CHECK(texts_[i].size() == dictionaries_->of(i).size());
  }

  void check_bounds() const {
    for (unsigned i = 0; i < layout_.count; i++) {
      CHECK(slot_.heap[i] <= kHeapBytes && slot_.inner[i] <= kInnerCount);
      CHECK(slot_.closed[i] <= slot_.rows);
      if (!layout_.columns[i].nullable) continue;
      // No row beyond the last is said to be there: the rest of its byte, and some after it.
      for (uint32_t row = slot_.rows; row < std::min(slot_.rows + 16, kBatchRows); row++)
        CHECK(!valid(i, row));
    }
  }

  const std::string& text_of(unsigned column, uint32_t row) const {
    const int64_t data = layout_.regions[column].data;
    const uint32_t index = layout_.columns[column].kind == Kind::kDict16 ? at<uint16_t>(data, row)
                                                                         : at<uint32_t>(data, row);
    CHECK(index < texts_[column].size());
    return texts_[column][index];
  }

  void check_common(uint32_t row, const tapio_header* h, unsigned cpu, uint64_t seq, bool cut) {
    const auto& r = layout_.regions;
    CHECK(at<uint64_t>(r[k_seq].data, row) == seq);
    CHECK(at<uint64_t>(r[k_ts].data, row) == h->ktime + uint64_t{kTsOffset});
    CHECK(at<uint16_t>(r[k_cpu].data, row) == cpu);
    CHECK(text_of(k_op, row) == name_of_op[h->op]);
    CHECK(at<uint32_t>(r[k_pid].data, row) == h->pid);
    CHECK(at<uint64_t>(r[k_pstart].data, row) == h->pstart);
    CHECK(at<uint32_t>(r[k_tid].data, row) == h->tid);
    CHECK(at<uint32_t>(r[k_ppid].data, row) == h->ppid);
    CHECK(at<uint32_t>(r[k_uid].data, row) == h->uid);
    CHECK(at<uint32_t>(r[k_gid].data, row) == h->gid);
    const auto* comm = reinterpret_cast<const char*>(h->comm);
    CHECK(reverse(text_of(k_comm, row)) == std::string(comm, strnlen(comm, sizeof(h->comm))));
    CHECK(at<uint64_t>(r[k_cgroup_id].data, row) == h->cgroup_id);
    CHECK(at<uint32_t>(r[k_weight].data, row) == h->weight);
    CHECK(at<uint16_t>(r[k_flags].data, row) == (h->flags | (cut ? TAPIO_FLAG_TRUNCATED : 0)));
    CHECK(slot_.last_seq == seq && slot_.first_seq <= seq && slot_.first_ts <= slot_.last_ts);
  }

  void check_field(unsigned column, uint32_t row, const Expected& expected) const {
    const Kind kind = layout_.columns[column].kind;
    const ColumnRegion& region = layout_.regions[column];
    if (row < kBatchRows) CHECK(valid(column, row) == expected.set);
    if (is_list(kind)) {
      if (expected.set) check_list(column, row, expected);
      return;
    }
    const unsigned width = width_of(kind);
    const std::string stored(
        reinterpret_cast<const char*>(slot_.memory) + region.data + row * width, width);
    if (!expected.set)
      CHECK(stored == std::string(width, '\0'));
    else if (kind == Kind::kDict16 || kind == Kind::kDict32)
      CHECK(text_of(column, row) == expected.value);
    else
      CHECK(stored == expected.value);
  }

  void check_list(unsigned column, uint32_t row, const Expected& expected) const {
    const Kind kind = layout_.columns[column].kind;
    const ColumnRegion& region = layout_.regions[column];
    const auto from = at<uint32_t>(region.data, row), to = at<uint32_t>(region.data, row + 1);
    const auto heap = [&](uint32_t begin, uint32_t end) {
      CHECK(begin <= end && end <= slot_.heap[column]);
      return std::string(reinterpret_cast<const char*>(slot_.memory) + region.heap + begin,
                         end - begin);
    };
    CHECK(slot_.closed[column] == row + 1);
    CHECK(from <= to);
    if (kind == Kind::kTexts) {
      CHECK(to == slot_.inner[column] && to - from == expected.elements.size());
      for (uint32_t i = from; i < to; i++) {
        const std::string text =
            heap(at<uint32_t>(region.inner, i), at<uint32_t>(region.inner, i + 1));
        CHECK(is_utf8(text));
        CHECK(reverse(text) == expected.elements[i - from]);
      }
      CHECK(at<uint32_t>(region.inner, to) == slot_.heap[column]);
    } else if (kind == Kind::kU64s) {
      CHECK(to == slot_.inner[column] && slot_.heap[column] == to * 8);
      CHECK(heap(from * 8, to * 8) == expected.value);
    } else {
      CHECK(to == slot_.heap[column]);
      CHECK(heap(from, to) == expected.value);
    }
  }

  // The offsets that were filled in for rows without a list.
  void check_lists() const {
    for (unsigned i = 0; i < layout_.count; i++) {
      const Kind kind = layout_.columns[i].kind;
      if (!is_list(kind) || slot_.rows == 0) continue;
      CHECK(slot_.closed[i] == slot_.rows);
      const int64_t offsets = layout_.regions[i].data;
      CHECK(at<uint32_t>(offsets, 0) == 0);
      for (uint32_t row = first_; row < slot_.rows; row++) {
        const auto from = at<uint32_t>(offsets, row), to = at<uint32_t>(offsets, row + 1);
        CHECK(valid(i, row) ? from <= to : from == to);
      }
      CHECK(at<uint32_t>(offsets, slot_.rows) ==
            (kind == Kind::kBytes ? slot_.heap[i] : slot_.inner[i]));
    }
  }

  void check_nulls() const {
    const std::vector<uint32_t> nulls = slot_.nulls();
    for (unsigned i = k_common_columns; i < layout_.count; i++) {
      uint32_t present = first_ == 1 ? valid(i, 0) : 0;
      for (uint32_t row = first_; row < slot_.rows; row++) present += valid(i, row);
      CHECK(nulls[i] == slot_.rows - present);
    }
  }

  const TableLayout& layout_;
  Slot slot_;
  std::unique_ptr<Dictionaries> dictionaries_;
  std::vector<std::vector<std::string>> texts_;  // by column, as handed to JS
  uint32_t first_ = 0;                           // row that the input begins at
  bool used_ = false;
};

// Appends a string of a tail: what it holds, cyclically, and what it says of its length.
void put_string(std::string* record, Input& input) {
  const uint8_t how = input.byte();
  std::string literal(how & 31, '\0');
  input.take_bytes(literal.data(), literal.size());
  tapio_string head = {static_cast<__u16>(literal.size()), static_cast<__u16>(literal.size()), 0};
  std::string content = literal;
  const unsigned mode = how >> 5;
  if (mode == 1 || mode == 7) {
    content.resize(input.take<uint16_t>() % TAPIO_RECORD_BYTES_MAX);
    for (size_t i = 0; i < content.size(); i++)
      content[i] = literal.empty() ? '\0' : literal[i % literal.size()];
    head.stored = head.full = static_cast<__u16>(content.size());
  }
  if (mode == 2 || mode == 7) head.full = 0xffff;
  if (mode == 3) head.full = input.take<uint16_t>();
  if (mode == 4) head.stored = input.take<uint16_t>();
  if (mode == 5) return;
  content.resize((content.size() + 7) & ~size_t{7});
  record->append(reinterpret_cast<char*>(&head), sizeof(head));
  record->append(content);
}

std::string make_record(Input& input) {
  tapio_header header = {};
  const uint8_t op = input.byte();
  // Beyond the last op, and far beyond it.
  header.op = op < TAPIO_OPS + 2 ? op : op == 0xff ? 0xffff : op % TAPIO_OPS;
  const uint8_t how = input.byte();
  header.weight = 1;
  if (how & 1) input.take_bytes(header.comm, sizeof(header.comm));
  if (how & 2) header.ktime = input.take<uint64_t>();
  if (how & 4) input.take_bytes(&header.pid, 40);
  if (how & 8) header.flags = input.take<uint16_t>();
  const Shape shape = header.op < TAPIO_OPS ? known_shape(header.op) : Shape{kHeader, 0};
  std::string record(reinterpret_cast<char*>(&header), sizeof(header));
  std::string fixed(input.byte() % 128, '\0');
  input.take_bytes(fixed.data(), fixed.size());
  fixed.resize(std::max(shape.fixed, kHeader) - kHeader);
  record += fixed;
  for (uint32_t i = 0; i < shape.strings; i++) put_string(&record, input);
  if (how >> 6 == 1) record.resize(record.size() - std::min<size_t>(record.size(), input.byte()));
  if (how >> 6 == 2) record.resize(input.take<uint16_t>());
  if (how >> 6 == 3) record.resize(record.size() + input.byte());
  // What the ring reader lets through.
  record.resize(std::clamp<size_t>(record.size(), kHeader, TAPIO_RECORD_BYTES_MAX));
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::unique_ptr<Table>> tables = [] {
    std::vector<std::unique_ptr<Table>> all(1);
    for (unsigned type = 1; type <= kTypes; type++) all.push_back(std::make_unique<Table>(type));
    return all;
  }();
  Input input(data, size);
  const uint8_t begin = input.byte();
  std::vector<bool> begun(kTypes + 1);
  for (uint64_t seq = 1; !input.empty() && seq <= 160; seq++) {
    const std::string made = make_record(input);
    // Exactly as long as it is, so that reading past its end is seen.
    const auto bytes = static_cast<uint32_t>(made.size());
    const std::unique_ptr<unsigned char[]> record(new unsigned char[bytes]);
    std::memcpy(record.get(), made.data(), bytes);
    const auto* header = reinterpret_cast<const tapio_header*>(record.get());
    if (header->op == 0 || header->op >= TAPIO_OPS) {
      Witness witness(64);
      CHECK(!decode_fields(witness, header->op, record.get(), bytes));
      continue;
    }
    const unsigned type = type_of_op[header->op];
    if (!begun[type]) tables[type]->begin(begin % 16, begin / 16);
    begun[type] = true;
    tables[type]->decode(header, bytes, static_cast<unsigned>(seq % 5), seq);
  }
  for (unsigned type = 1; type <= kTypes; type++)
    if (begun[type]) tables[type]->end();
  return 0;
}
