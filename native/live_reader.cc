#include "live_reader.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "decode.h"
#include "gather.h"

namespace tapio {
namespace {

template <size_t N>
std::string text_of(const char (&bytes)[N]) {
  return {bytes, strnlen(bytes, N)};
}

// Refills in vain before a reader waits.
constexpr int kTries = 8;
// So much is read at once, of 256 KiB each, once there are rows: somebody waits for them.
constexpr int kRefillsMax = 32;
// Messages of one reading take so much, and the one more that passes it.
constexpr size_t kEventsBytesMax = 4u << 20;

bool is_power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

bool is_dictionary(Kind kind) { return kind == Kind::kDict16 || kind == Kind::kDict32; }

}  // namespace

std::unique_ptr<LiveMapping> LiveMapping::open(int fd, std::string* why) {
  *why = "it is no live ring";
  struct stat stat;
  if (fstat(fd, &stat) != 0 || stat.st_size < static_cast<off_t>(2 * kLivePage)) return nullptr;
  std::unique_ptr<LiveMapping> out(new LiveMapping);
  const auto bytes = static_cast<size_t>(stat.st_size);
  void* made = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (made == MAP_FAILED) return nullptr;
  out->memory_ = static_cast<const uint8_t*>(made);
  out->bytes_ = bytes;
  LiveHeader& header = out->header_;
  std::memcpy(&header, made, sizeof(header));
  if (std::memcmp(header.magic, kLiveMagic, sizeof(kLiveMagic)) != 0) return nullptr;
  if (text_of(header.fingerprint) != TAPIO_SCHEMA_FINGERPRINT) {
    *why = "the recorder is of another version than this program";
    return nullptr;
  }
  // Overflow is not feared: no sum below can be reached by sizes that passed the test before it.
  const bool fits = is_power_of_two(header.ring_bytes) &&
                    header.ring_bytes >= 8 * TAPIO_BLOCK_BYTES && header.ring_bytes <= bytes &&
                    header.data_offset >= 2 * kLivePage && header.data_offset % kLivePage == 0 &&
                    header.data_offset <= bytes - header.ring_bytes &&
                    header.reasons_bytes <= header.data_offset - 2 * kLivePage;
  if (!fits) return nullptr;
  why->clear();
  return out;
}

LiveMapping::~LiveMapping() {
  if (memory_ != nullptr) munmap(const_cast<uint8_t*>(memory_), bytes_);
}

Rings LiveMapping::rings() const {
  return {1, header_.ring_bytes, header_.secret, memory_ + header_.data_offset,
          reinterpret_cast<const tapio_ring_control*>(memory_ + kLivePage)};
}

std::string LiveMapping::recording() const { return text_of(header_.recording); }

DropReasons LiveMapping::reasons() const {
  DropReasons out;
  const char* at = reinterpret_cast<const char*>(memory_ + 2 * kLivePage);
  const char* const end = at + header_.reasons_bytes;
  while (at < end) {
    const auto* line_end =
        static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(end - at)));
    if (line_end == nullptr) break;
    const std::string line(at, line_end);
    const size_t space = line.find(' ');
    if (space != std::string::npos)
      out[static_cast<unsigned>(std::strtoul(line.c_str(), nullptr, 10))] = line.substr(space + 1);
    at = line_end + 1;
  }
  return out;
}

uint64_t LiveMapping::next_seq() const {
  const auto& header = *reinterpret_cast<const LiveHeader*>(memory_);
  return std::atomic_ref<const __u64>(header.next_seq).load(std::memory_order_acquire);
}

uint64_t LiveMapping::position() const {
  return std::atomic_ref<const __u64>(rings().control->position).load(std::memory_order_acquire);
}

LiveReader::Decoder::Decoder(unsigned type, std::unique_ptr<ScanTable> asked)
    : table(std::move(asked)),
      slot(0, type, table_layout(type)),
      dictionaries(table_layout(type)),
      texts(slot.layout.count),
      ends(slot.layout.count),
      columns(&table->columns),
      reader(&columns, counts) {}

LiveReader::LiveReader(std::unique_ptr<LiveMapping> mapping,
                       std::vector<std::unique_ptr<ScanTable>> tables, LiveSeen seen,
                       std::vector<RecordLayout> layouts)
    : mapping_(std::move(mapping)),
      reasons_(mapping_->reasons()),
      seen_(seen),
      ring_(mapping_->rings(), 0),
      values_(reasons_),
      layouts_(std::move(layouts)) {
  ring_.resume(mapping_->position(), {}, 0);
  decoders_.resize(kTypes + 1);
  for (unsigned type = 1; type < tables.size() && type <= kTypes; type++) {
    if (tables[type] != nullptr)
      decoders_[type] = std::make_unique<Decoder>(type, std::move(tables[type]));
  }
}

LiveChunk LiveReader::read(uint64_t after) {
  LiveChunk chunk;
  chunk.through = after;
  if (!layouts_.empty()) chunk.events = std::make_unique<RawEvents>();
  // A refill that was overtaken gives nothing, and the next begins elsewhere.
  bool any = false;
  for (int vain = 0, refills = 0; vain < kTries;) {
    if (!ring_.empty()) {
      if (!take_all(&chunk, &any)) break;
    } else if (ring_.at_head() || refills == kRefillsMax) {
      break;
    } else {
      ring_.refill(UINT64_MAX);
      if (ring_.empty()) vain++;
      if (any) refills++;
    }
  }
  for (auto& decoder : decoders_)
    if (decoder != nullptr && decoder->slot.rows > 0) finish(*decoder, &chunk);
  return chunk;
}

// Takes rows that were read from the ring, as far as they may be in this chunk; false where others
// wait. `any` tells whether one was new.
bool LiveReader::take_all(LiveChunk* chunk, bool* any) {
  while (!ring_.empty()) {
    const PendingRecord& record = ring_.front();
    const uint64_t seq = record.ktime;  // where other rings have it: see LivePrefix
    if (seq > chunk->through + 1) {
      if (!*any) chunk->gap_until = seq;
      return false;
    }
    LivePrefix prefix;
    std::memcpy(&prefix, ring_.bytes_of(record), sizeof(prefix));
    const auto offset = static_cast<int64_t>(prefix.ts_offset);
    if (seq > chunk->through) {
      if (*any && offset != chunk->ts_offset) return false;
      uint64_t ktime;
      std::memcpy(&ktime, ring_.bytes_of(record) + sizeof(prefix) + 8, sizeof(ktime));
      if (!seen_.has(seq, ktime) && !take(record, chunk)) return false;
      *any = true;
      chunk->ts_offset = offset;
      chunk->through = seq;
      chunk->newest = std::max(chunk->newest, ktime);
    }
    ring_.pop();
  }
  return true;
}

// False where there is no room for its row in this chunk.
bool LiveReader::take(const PendingRecord& record, LiveChunk* chunk) {
  if (record.bytes < sizeof(LivePrefix) + sizeof(tapio_header)) return true;
  const unsigned char* bytes = ring_.bytes_of(record);
  LivePrefix prefix;
  std::memcpy(&prefix, bytes, sizeof(prefix));
  const uint32_t rest = record.bytes - sizeof(prefix);
  std::memcpy(record_.data(), bytes + sizeof(prefix), rest);
  const auto* header = reinterpret_cast<const tapio_header*>(record_.data());
  if (header->op == 0 || header->op >= TAPIO_OPS) return true;
  Decoder* decoder = decoders_[type_of_op[header->op]].get();
  if (decoder == nullptr) return true;
  // Most records are of no interest to most readers, and decoding one costs more than asking it.
  const auto cpu = static_cast<unsigned>(prefix.cpu);
  const auto ts_offset = static_cast<int64_t>(prefix.ts_offset);
  values_.set(header, rest, cpu, ts_offset, prefix.seq);
  if (test_row(*decoder->table->predicate, values_) != Truth::kTrue) return true;
  if (chunk->events != nullptr) {
    RawEvents& events = *chunk->events;
    if (events.size() >= kEventsBytesMax) return false;
    const RecordLayout& layout = layouts_[decoder->slot.type];
    return !values_.is_whole() || events.append(layout, values_) == nullptr;
  }
  if (decoder->slot.rows == kBatchRows || heaps_full(decoder->slot)) return false;
  if (decode_row(decoder->slot, decoder->dictionaries, reasons_, header, rest, cpu, prefix.seq,
                 ts_offset))
    decoder->ktimes.push_back(header->ktime);
  return true;
}

// The rows leave the decoder, which is then ready for the next.
void LiveReader::finish(Decoder& decoder, LiveChunk* chunk) {
  close_lists(decoder.slot);
  for (unsigned i = 0; i < decoder.slot.layout.count; i++) {
    decoder.texts[i].clear();
    decoder.ends[i].assign(1, 0);
  }
  for (const auto& fresh : decoder.dictionaries.take_fresh()) {
    for (const std::string& text : fresh.texts) {
      decoder.texts[fresh.column] += text;
      decoder.ends[fresh.column].push_back(
          static_cast<int32_t>(decoder.texts[fresh.column].size()));
    }
  }
  StoredFile file;
  for (unsigned i = 0; i < decoder.slot.layout.count; i++)
    file.dictionaries.push_back({decoder.ends[i].data(), decoder.texts[i].data(),
                                 static_cast<uint32_t>(decoder.ends[i].size() - 1)});
  file.dictionaries.emplace_back();  // ktime
  StoredBatch batch;
  batch.rows = decoder.slot.rows;
  decoder.reader.hold(file, batch, columns_of(decoder));
  LiveBlock block;
  block.type = decoder.slot.type;
  block.rows = batch.rows;
  for (uint32_t row = static_cast<uint32_t>(rows_.size()); row < batch.rows; row++)
    rows_.push_back(row);
  rows_.resize(batch.rows);
  Gatherer gatherer(block.memory, block.regions, rows_);
  for (const unsigned column : decoder.table->output)
    gatherer.column(decoder.table->columns[column], decoder.reader.column(column));
  for (const unsigned column : decoder.table->output) add_strings(decoder, column, &block);
  chunk->blocks.push_back(std::move(block));
  decoder.slot.reset();
  decoder.dictionaries.clear();
  decoder.ktimes.clear();
}

std::vector<ColumnData> LiveReader::columns_of(Decoder& decoder) {
  const Slot& slot = decoder.slot;
  std::vector<ColumnData> out(decoder.table->columns.size());
  for (unsigned i = 0; i < slot.layout.count && i < out.size(); i++) {
    const ColumnRegion& region = slot.layout.regions[i];
    const auto at = [&slot](int64_t offset) { return offset < 0 ? nullptr : slot.memory + offset; };
    ColumnData& column = out[i];
    column.validity = at(region.validity);
    column.data = at(region.data);
    // Of texts the offsets of the strings come before their bytes; other lists have only values.
    column.inner = slot.layout.columns[i].kind == Kind::kTexts ? at(region.inner) : at(region.heap);
    column.heap = at(region.heap);
  }
  if (out.size() > slot.layout.count)
    out[slot.layout.count].data = reinterpret_cast<const uint8_t*>(decoder.ktimes.data());
  return out;
}

void LiveReader::add_strings(Decoder& decoder, unsigned column, LiveBlock* block) {
  if (column >= decoder.slot.layout.count ||
      !is_dictionary(decoder.slot.layout.columns[column].kind)) {
    block->strings.insert(block->strings.end(), 4, 0);
    return;
  }
  const auto add = [block](const void* from, size_t bytes) {
    const size_t at = (block->memory.size() + 7) & ~size_t{7};
    block->memory.resize(at + bytes);
    if (bytes > 0) std::memcpy(block->memory.data() + at, from, bytes);
    block->strings.push_back(static_cast<uint32_t>(at));
    block->strings.push_back(static_cast<uint32_t>(bytes));
  };
  add(decoder.ends[column].data(), decoder.ends[column].size() * 4);
  add(decoder.texts[column].data(), decoder.texts[column].size());
}

}  // namespace tapio
