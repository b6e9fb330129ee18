#include "columns.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "decode.h"
#include "syscalls.h"
#include "text.h"

namespace tapio {

unsigned width_of(Kind kind) {
  switch (kind) {
    case Kind::kU16:
    case Kind::kDict16:
      return 2;
    case Kind::kU64:
    case Kind::kI64:
      return 8;
    default:
      return 4;
  }
}

namespace {
bool is_list(Kind kind) {
  return kind == Kind::kTexts || kind == Kind::kU64s || kind == Kind::kBytes;
}
}  // namespace

TableLayout::TableLayout(const ColumnSpec* columns_, unsigned count_)
    : columns(columns_), count(count_) {
  const auto place = [this](size_t size) {
    const auto at = static_cast<int64_t>(bytes);
    bytes = (bytes + size + 63) & ~size_t{63};
    return at;
  };
  for (unsigned i = 0; i < count; i++) {
    const Kind kind = columns[i].kind;
    ColumnRegion region = {-1, -1, -1, -1};
    if (columns[i].nullable) region.validity = place(kBatchRows / 8);
    region.data = place((kBatchRows + (is_list(kind) ? 1 : 0)) * width_of(kind));
    if (kind == Kind::kTexts) region.inner = place((kInnerCount + 1) * 4);
    if (is_list(kind)) region.heap = place(kHeapBytes);
    regions.push_back(region);
  }
}

const TableLayout& table_layout(unsigned type) {
  // Immutable after its first use, and alike for everyone.
  static const std::vector<TableLayout> layouts = [] {
    std::vector<TableLayout> all;
    for (unsigned t = 0; t <= kTypes; t++)
      all.emplace_back(type_columns[t].columns, type_columns[t].count);
    return all;
  }();
  return layouts[type];
}

Slot::Slot(unsigned id_, unsigned type_, const TableLayout& layout_)
    : id(id_),
      type(type_),
      layout(layout_),
      inner(layout_.count),
      heap(layout_.count),
      closed(layout_.count) {
  void* made = mmap(nullptr, layout.bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) abort();  // address space, not memory: cannot be had back by waiting
  memory = static_cast<uint8_t*>(made);
}

Slot::~Slot() { munmap(memory, layout.bytes); }

void Slot::reset() {
  for (unsigned i = 0; i < layout.count; i++) {
    const ColumnRegion& region = layout.regions[i];
    const ColumnSpec& column = layout.columns[i];
    if (column.nullable && (touched >> i & 1)) {
      std::memset(memory + region.validity, 0, (rows + 7) / 8);
      std::memset(memory + region.data, 0, rows * width_of(column.kind));
    }
    // What a burst of long strings needed is given back.
    if (region.heap >= 0 && heap[i] > (1u << 20))
      madvise(memory + region.heap, kHeapBytes, MADV_DONTNEED);
    inner[i] = heap[i] = closed[i] = 0;
  }
  touched = 0;
  rows = 0;
}

namespace {
// Stops at the first byte that is not: columns with values cost nothing.
bool all_zero(const uint8_t* bytes, size_t count) {
  return count == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, count - 1) == 0);
}
}  // namespace

std::vector<uint32_t> Slot::nulls() const {
  std::vector<uint32_t> out(layout.count);
  for (unsigned i = 0; i < layout.count; i++) {
    if (!layout.columns[i].nullable) {
      if (all_zero(memory + layout.regions[i].data, rows * width_of(layout.columns[i].kind)))
        out[i] = rows;
      continue;
    }
    if (!(touched >> i & 1)) {
      out[i] = rows;
      continue;
    }
    const uint8_t* bits = memory + layout.regions[i].validity;
    uint32_t present = 0;
    for (uint32_t at = 0; at < (rows + 7) / 8; at += 8) {
      uint64_t word;
      std::memcpy(&word, bits + at, 8);  // regions are padded to 64 bytes
      present += static_cast<uint32_t>(std::popcount(word));
    }
    out[i] = rows - present;
  }
  return out;
}

Dictionaries::Dictionaries(const TableLayout& layout)
    : layout_(layout), interners_(layout.count), known_(layout.count) {}

uint16_t Dictionaries::intern_name(unsigned column, const std::string& name) {
  bool is_new = false;
  const uint32_t index =
      interners_[column].index_of(name.data(), static_cast<uint32_t>(name.size()), &is_new);
  if (is_new) interners_[column].add_text(name);
  return static_cast<uint16_t>(index);
}

uint16_t Dictionaries::name_index(unsigned column, Names set, unsigned value,
                                  const DropReasons& reasons) {
  auto& known = known_[column];
  if (value >= known.size()) known.resize(value + 1);
  if (known[value] == 0) known[value] = intern_name(column, name_of(set, value, reasons)) + 1u;
  return static_cast<uint16_t>(known[value] - 1);
}

uint16_t Dictionaries::op_index(unsigned column, unsigned op, const char* name) {
  auto& known = known_[column];
  if (op >= known.size()) known.resize(op + 1);
  if (known[op] == 0) known[op] = intern_name(column, name) + 1u;
  return static_cast<uint16_t>(known[op] - 1);
}

uint16_t Dictionaries::syscall_index(unsigned column, unsigned number) {
  auto& known = known_[column];
  const unsigned key = std::min(number, 4096u);
  if (key >= known.size()) known.resize(key + 1);
  if (known[key] == 0) known[key] = intern_name(column, syscall_name(number)) + 1u;
  return static_cast<uint16_t>(known[key] - 1);
}

void Dictionaries::clear() {
  for (auto& interner : interners_) interner.clear();
  for (auto& known : known_) known.clear();
}

bool Dictionaries::full() const {
  for (unsigned i = 0; i < layout_.count; i++) {
    const Kind kind = layout_.columns[i].kind;
    if (kind == Kind::kDict16 && interners_[i].size() >= kDict16Values) return true;
    if (kind == Kind::kDict32 &&
        (interners_[i].size() >= kDict32Values || interners_[i].bytes() >= kDictBytes))
      return true;
  }
  return false;
}

std::vector<Dictionaries::Fresh> Dictionaries::take_fresh() {
  std::vector<Fresh> out;
  for (unsigned i = 0; i < layout_.count; i++) {
    std::vector<std::string> texts = interners_[i].take_fresh();
    if (!texts.empty()) out.push_back({i, std::move(texts)});
  }
  return out;
}

void RowSink::inet(unsigned column, unsigned family, const unsigned char* address) {
  unsigned char key[17];
  key[0] = static_cast<unsigned char>(family);
  std::memcpy(key + 1, address, 16);
  bool is_new = false;
  Interner& interner = dictionaries_.of(column);
  const uint32_t index = interner.index_of(reinterpret_cast<char*>(key), sizeof(key), &is_new);
  if (is_new) interner.add_text(inet_text(family, address));
  set(column, index);
  mark(column);
}

void RowSink::path(unsigned column, const TailString& given, const TailString& directory) {
  // The key is what came, not the path: composing it is left to the first sight.
  char key[4 + 2 * TAPIO_RECORD_BYTES_MAX];
  const bool known = is_directory_known(directory);
  key[0] = known;
  std::memcpy(key + 1, &given.stored, 2);
  std::memcpy(key + 3, given.data, given.stored);
  std::memcpy(key + 3 + given.stored, directory.data, directory.stored);
  bool is_new = false;
  Interner& interner = dictionaries_.of(column);
  const uint32_t index = interner.index_of(key, 3 + given.stored + directory.stored, &is_new);
  if (is_new)
    interner.add_text(
        path_text({given.data, given.stored}, {directory.data, directory.stored}, known));
  if (is_path_cut(given, directory)) truncated_ = true;
  set(column, index);
  mark(column);
}

// Rows without a list have an empty one: their offsets are filled in when the next list comes.
namespace {
void fill_offsets(Slot& slot, unsigned column, uint32_t to) {
  auto* offsets = reinterpret_cast<uint32_t*>(slot.memory + slot.layout.regions[column].data);
  if (slot.closed[column] == 0) offsets[0] = 0;
  const uint32_t value = offsets[slot.closed[column]];
  for (uint32_t i = slot.closed[column] + 1; i <= to; i++) offsets[i] = value;
  if (to > slot.closed[column]) slot.closed[column] = to;
}
}  // namespace

void RowSink::end_list(unsigned column, uint32_t total) {
  auto* offsets = reinterpret_cast<uint32_t*>(slot_.memory + slot_.layout.regions[column].data);
  offsets[row_ + 1] = total;
  slot_.closed[column] = row_ + 1;
  mark(column);
}

void RowSink::strings(unsigned column, const TailString& all) {
  const ColumnRegion& region = slot_.layout.regions[column];
  auto* inner = reinterpret_cast<uint32_t*>(slot_.memory + region.inner);
  auto* heap = reinterpret_cast<char*>(slot_.memory + region.heap);
  fill_offsets(slot_, column, row_);
  std::string text;
  for_each_string(all, [&](std::string_view one) {
    text.clear();
    append_reversible_utf8(&text, one);
    std::memcpy(heap + slot_.heap[column], text.data(), text.size());
    slot_.heap[column] += static_cast<uint32_t>(text.size());
    inner[++slot_.inner[column]] = slot_.heap[column];
  });
  if (all.cut()) truncated_ = true;
  end_list(column, slot_.inner[column]);
}

void RowSink::bytes(unsigned column, const TailString& all) {
  const ColumnRegion& region = slot_.layout.regions[column];
  fill_offsets(slot_, column, row_);
  std::memcpy(slot_.memory + region.heap + slot_.heap[column], all.data, all.stored);
  slot_.heap[column] += all.stored;
  if (all.cut()) truncated_ = true;
  end_list(column, slot_.heap[column]);
}

void RowSink::args(unsigned column, unsigned number, const __u64* values) {
  const uint32_t count = syscall_arguments(number);
  const ColumnRegion& region = slot_.layout.regions[column];
  fill_offsets(slot_, column, row_);
  std::memcpy(slot_.memory + region.heap + slot_.inner[column] * 8, values, count * 8);
  slot_.inner[column] += count;
  slot_.heap[column] = slot_.inner[column] * 8;
  end_list(column, slot_.inner[column]);
}

void RowSink::undo() {
  for (unsigned i = 0; i < slot_.layout.count; i++) {
    const ColumnRegion& region = slot_.layout.regions[i];
    const ColumnSpec& column = slot_.layout.columns[i];
    if (!column.nullable) continue;
    slot_.memory[region.validity + row_ / 8] &= static_cast<uint8_t>(~(1u << (row_ % 8)));
    if (!is_list(column.kind)) {
      const unsigned width = width_of(column.kind);
      std::memset(slot_.memory + region.data + row_ * width, 0, width);
    } else if (slot_.closed[i] > row_) {
      const auto* offsets = reinterpret_cast<uint32_t*>(slot_.memory + region.data);
      slot_.closed[i] = row_;
      if (column.kind == Kind::kBytes) {
        slot_.heap[i] = offsets[row_];
        continue;
      }
      slot_.inner[i] = offsets[row_];
      slot_.heap[i] =
          column.kind == Kind::kU64s
              ? slot_.inner[i] * 8
              : reinterpret_cast<uint32_t*>(slot_.memory + region.inner)[slot_.inner[i]];
    }
  }
}

bool heaps_full(const Slot& slot) {
  for (unsigned i = 0; i < slot.layout.count; i++) {
    if (slot.layout.regions[i].heap < 0) continue;
    // Escaping can make four bytes of one.
    if (slot.heap[i] + 4 * TAPIO_RECORD_BYTES_MAX > kHeapBytes) return true;
    if (slot.inner[i] + TAPIO_RECORD_BYTES_MAX > kInnerCount) return true;
  }
  return false;
}

void close_lists(Slot& slot) {
  for (unsigned i = 0; i < slot.layout.count; i++)
    if (is_list(slot.layout.columns[i].kind)) fill_offsets(slot, i, slot.rows);
}

}  // namespace tapio
