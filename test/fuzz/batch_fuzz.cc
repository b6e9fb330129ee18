// Record batches of event files that anybody may have made: read, tested, gathered and grouped as a
// query does it. Whatever the bytes are, nothing outside them is read, and what is gathered holds
// together.
//
// Input: the event type, rows (u32), length of the metadata (u32), then the batch as it lies in its
// file.

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "decode.h"
#include "drain.h"
#include "fuzz.h"
#include "scan.h"

using namespace tapio;

namespace {

constexpr uint32_t kRowsMax = 1u << 12;
constexpr size_t kHead = 9;
constexpr unsigned kTypes = 5;

// The strings of every dictionary, each array as large as it must be and no larger.
struct Strings {
  Strings() {
    const char* const texts[] = {"nginx", "", "/etc/passwd", "10.0.0.1", "fe80::1"};
    std::string all;
    offsets.push_back(0);
    for (const char* text : texts) {
      all += text;
      offsets.push_back(static_cast<int32_t>(all.size()));
    }
    data.assign(all.begin(), all.end());
  }
  DictionaryView view() const {
#ifdef TAPIO_PLANTED_BUG
    return {offsets.data(), data.data(), static_cast<uint32_t>(offsets.size() + 40)};
#else
    return {offsets.data(), data.data(), static_cast<uint32_t>(offsets.size() - 1)};
#endif
  }
  std::vector<int32_t> offsets;
  std::vector<char> data;
};

unsigned parts_of(Kind kind) {
  switch (kind) {
    case Kind::kBytes:
      return 3;
    case Kind::kU64s:
      return 4;
    case Kind::kTexts:
      return 5;
    default:
      return 2;
  }
}

unsigned next_id;

std::unique_ptr<Predicate> node(Node kind, int column = -1) {
  auto out = std::make_unique<Predicate>();
  out->kind = kind;
  out->column = column;
  out->id = next_id++;
  return out;
}

bool is_text(Kind kind) { return kind == Kind::kDict16 || kind == Kind::kDict32; }
bool is_list(Kind kind) {
  return kind == Kind::kTexts || kind == Kind::kU64s || kind == Kind::kBytes;
}

// A test of a column by each way that there is.
std::unique_ptr<Predicate> test_of(Kind kind, int column) {
  if (is_text(kind)) {
    auto either = node(Node::kOr);
    auto one = node(Node::kOneOf);
    one->args.push_back(node(Node::kTextField, column));
    one->texts = {"nginx"};
    auto in = node(Node::kInNetworks);
    in->args.push_back(node(Node::kTextField, column));
    in->networks.emplace_back();
    CHECK(parse_network("10.0.0.0/8", &in->networks.back()));
    auto less = node(Node::kCompareText);
    less->op = 'l';
    less->args.push_back(node(Node::kTextField, column));
    less->args.push_back(node(Node::kTextField, column));
    either->args.push_back(std::move(one));
    either->args.push_back(std::move(in));
    either->args.push_back(std::move(less));
    return either;
  }
  if (kind == Kind::kTexts || kind == Kind::kU64s) {
    auto every = node(Node::kAny, column);
    if (kind == Kind::kTexts) {
      auto contains = node(Node::kContains);
      contains->args.push_back(node(Node::kTextItem));
      contains->args.push_back(node(Node::kText));
      every->args.push_back(std::move(contains));
    } else {
      auto within = node(Node::kWithin);
      within->args.push_back(node(Node::kIntItem));
      within->ranges = {{0, kIntMax}};
      every->args.push_back(std::move(within));
    }
    return every;
  }
  if (kind == Kind::kBytes) return node(Node::kHas, column);
  auto within = node(Node::kWithin);
  within->args.push_back(node(Node::kIntField, column));
  within->ranges = {{-5, 1000}, {5000, kIntMax}};
  return within;
}

std::unique_ptr<ScanRequest> request_of(int fd, const uint8_t* at, size_t bytes, bool grouped) {
  const unsigned type = 1 + at[0] % kTypes;
  auto request = std::make_unique<ScanRequest>();
  request->grouped = grouped;
  ScanTable table;
  auto file = std::make_unique<StoredFile>();
  static const Strings strings;
  const TableLayout& layout = table_layout(type);
  next_id = 0;
  auto any = node(Node::kOr);
  for (unsigned i = 0; i < layout.count; i++) {
    const ColumnSpec& spec = layout.columns[i];
    table.columns.push_back({spec.name, spec.kind, spec.nullable});
    file->places.push_back({file->nodes, file->buffers});
    file->nodes += spec.kind == Kind::kTexts || spec.kind == Kind::kU64s ? 2 : 1;
    file->buffers += static_cast<int>(parts_of(spec.kind));
    file->dictionaries.push_back(is_text(spec.kind) ? strings.view() : DictionaryView{});
    any->args.push_back(test_of(spec.kind, static_cast<int>(i)));
    if (!grouped)
      table.output.push_back(i);
    else if (!is_list(spec.kind) && table.groups.keys.size() < 3) {
      table.groups.keys.push_back({static_cast<int>(i), 0, is_text(spec.kind) ? 0 : Int{7}});
    } else if (!is_list(spec.kind) && !is_text(spec.kind)) {
      table.groups.sums.push_back(static_cast<int>(i));
      table.groups.distribution = static_cast<int>(i);
    }
  }
  table.predicate = std::move(any);
  table.windowed = node(Node::kTrue);
  request->tables.push_back(std::move(table));
  file->fd = dup(fd);
  file->size = bytes - kHead;
  request->files.push_back(std::move(file));
  StoredBatch batch;
  memcpy(&batch.rows, at + 1, 4);
  memcpy(&batch.metadata_length, at + 5, 4);
  batch.rows %= kRowsMax;
  batch.metadata_length =
      static_cast<uint32_t>(std::min<size_t>(batch.metadata_length, bytes - kHead));
  batch.body_length = bytes - kHead - batch.metadata_length;
  request->batches.push_back(batch);
  return request;
}

// Offsets go up and end within what they point into.
void check_offsets(const uint8_t* at, size_t count, size_t limit) {
  int32_t before = 0;
  for (size_t i = 0; i <= count; i++) {
    int32_t offset;
    memcpy(&offset, at + 4 * i, 4);
    CHECK(offset >= before && static_cast<size_t>(offset) <= limit);
    before = offset;
  }
}

void check_gathered(const ScanResult& result, const std::vector<TableColumn>& columns) {
  size_t region = 0;
  const auto next = [&](size_t* bytes) {
    const uint32_t offset = result.regions[region], length = result.regions[region + 1];
    region += 2;
    CHECK(offset <= result.memory.size() && length <= result.memory.size() - offset);
    *bytes = length;
    return result.memory.data() + offset;
  };
  for (const TableColumn& column : columns) {
    size_t bytes, inner, heap;
    next(&bytes);
    CHECK(bytes == 0 || bytes >= (result.rows + 7) / 8);
    const uint8_t* const data = next(&bytes);
    if (!is_list(column.kind)) {
      CHECK(bytes >= result.rows * static_cast<size_t>(width_of(column.kind)));
      continue;
    }
    CHECK(bytes == (result.rows + 1ul) * 4);
    int32_t total;
    memcpy(&total, data + result.rows * 4ul, 4);
    if (column.kind != Kind::kBytes) next(&inner);
    const uint8_t* const elements = next(&inner);
    if (column.kind == Kind::kTexts) {
      next(&heap);
      check_offsets(elements, static_cast<size_t>(total), heap);
      check_offsets(data, result.rows, static_cast<size_t>(total));
    } else {
      check_offsets(data, result.rows, inner / (column.kind == Kind::kU64s ? 8 : 1));
    }
  }
  CHECK(region == result.regions.size());
}

void run(int fd, const uint8_t* at, size_t bytes, bool grouped) {
  auto request = request_of(fd, at, bytes, grouped);
  const std::vector<TableColumn> columns = request->tables[0].columns;
  Scan scan(std::move(request), [] {});
  ScanResult result;
  for (;;) {
    const Scan::Take took = scan.take(&result);
    if (took == Scan::Take::kEnd) break;
    if (took == Scan::Take::kNotYet)
      usleep(20);
    else if (!grouped && result.rows > 0)
      check_gathered(result, columns);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* at, size_t bytes) {
  if (bytes < kHead) return 0;
  static const int fd = memfd_create("batch", 0);
  CHECK(pwrite(fd, at + kHead, bytes - kHead, 0) == static_cast<ssize_t>(bytes - kHead));
  run(fd, at, bytes, false);
  run(fd, at, bytes, true);
  return 0;
}
