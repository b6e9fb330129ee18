#include "transcode.h"

#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "columns.h"
#include "layouts.h"

namespace tapio {
namespace {

constexpr uint32_t kMissing = UINT32_MAX;
// More than any tail of ours has; also what keeps a damaged text from asking for much.
constexpr uint32_t kStringsMax = 16;

struct FixedField {
  uint32_t id, offset, bytes, bit;
};
struct TailField {
  uint32_t id, strings, bit;
};
struct OpLayout {
  bool known = false;
  uint32_t bytes = 0, nulls = 0;
  std::vector<FixedField> fixed;
  std::vector<TailField> tail;
  uint32_t strings = 0;  // of the tail
};
using Layouts = std::array<OpLayout, TAPIO_OPS_MAX>;

// Reads lines of a letter and numbers; a line that is anything else ends it.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  char kind() const { return rest_.front(); }

  // The numbers of the next line, if it has exactly so many.
  template <size_t Count>
  std::optional<std::array<uint32_t, Count>> next() {
    const size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const char* at = rest_.data() + 1;
    const char* const stop = rest_.data() + end;
    std::array<uint32_t, Count> out;
    for (uint32_t& number : out) {
      if (at == stop || *at++ != ' ') return std::nullopt;
      const auto [after, error] = std::from_chars(at, stop, number);
      if (error != std::errc()) return std::nullopt;
      at = after;
    }
    if (at != stop) return std::nullopt;
    rest_.remove_prefix(end + 1);
    return out;
  }

 private:
  std::string_view rest_;
};

// True when a part of a record may lie there.
bool lies_within(uint32_t offset, uint32_t bytes, const OpLayout& op) {
  return offset >= sizeof(tapio_header) && bytes > 0 && bytes <= op.bytes &&
         offset <= op.bytes - bytes;
}

bool has_field(const OpLayout& op, uint32_t id) {
  for (const FixedField& field : op.fixed)
    if (field.id == id) return true;
  for (const TailField& field : op.tail)
    if (field.id == id) return true;
  return false;
}

bool parse_layouts(std::string_view text, Layouts* out) {
  OpLayout* op = nullptr;
  Lines lines(text);
  while (!lines.done()) {
    switch (lines.kind()) {
      case 'o': {
        const auto line = lines.next<3>();
        if (!line || (*line)[0] >= TAPIO_OPS_MAX || (*out)[(*line)[0]].known) return false;
        op = &(*out)[(*line)[0]];
        op->known = true;
        op->bytes = (*line)[1];
        op->nulls = (*line)[2];
        if (op->bytes > TAPIO_RECORD_BYTES_MAX || op->bytes % 8 != 0 || op->nulls % 4 != 0 ||
            !lies_within(op->nulls, 4, *op))
          return false;
        break;
      }
      case 'f': {
        const auto line = lines.next<4>();
        if (!line || !op || !op->tail.empty()) return false;
        const auto [id, offset, bytes, bit] = *line;
        if (has_field(*op, id) || bit >= 32 || !lies_within(offset, bytes, *op)) return false;
        op->fixed.push_back({id, offset, bytes, bit});
        break;
      }
      case 't': {
        const auto line = lines.next<3>();
        if (!line || !op) return false;
        const auto [id, strings, bit] = *line;
        if (has_field(*op, id) || bit >= 32 || strings == 0 || strings > kStringsMax - op->strings)
          return false;
        op->tail.push_back({id, strings, bit});
        op->strings += strings;
        break;
      }
      default:
        return false;
    }
  }
  return op != nullptr;
}

uint32_t load32(const unsigned char* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

std::unique_ptr<const Transcoder> Transcoder::parse(std::string_view text) {
  Layouts theirs, ours;
  if (!parse_layouts(text, &theirs) || !parse_layouts(record_layouts, &ours)) return nullptr;
  auto made = std::make_unique<Transcoder>();
  for (unsigned id = 0; id < TAPIO_OPS_MAX; id++) {
    const OpLayout& from = theirs[id];
    const OpLayout& to = ours[id];
    Plan& plan = made->plans_[id];
    if (!from.known || !to.known) continue;
    plan.known = true;
    plan.from_bytes = from.bytes;
    plan.from_nulls = from.nulls;
    plan.from_strings = from.strings;
    plan.to_bytes = to.bytes;
    plan.to_nulls = to.nulls;
    plan.missing = 0;
    for (const FixedField& field : to.fixed) {
      const FixedField* same = nullptr;
      for (const FixedField& other : from.fixed)
        if (other.id == field.id && other.bytes == field.bytes) same = &other;
      if (same)
        plan.fixed.push_back(
            {same->offset, field.offset, field.bytes, 1u << same->bit, 1u << field.bit});
      else
        plan.missing |= 1u << field.bit;
    }
    for (const TailField& field : to.tail) {
      TailCopy copy = {kMissing, field.strings, 0, 1u << field.bit};
      uint32_t string = 0;
      for (const TailField& other : from.tail) {
        if (other.id == field.id && other.strings == field.strings) {
          copy.string = string;
          copy.from_bit = 1u << other.bit;
        }
        string += other.strings;
      }
      if (copy.string == kMissing) plan.missing |= copy.to_bit;
      plan.tail.push_back(copy);
    }
  }
  return made;
}

uint32_t Transcoder::rewrite(const unsigned char* record, uint32_t bytes,
                             unsigned char* out) const {
  if (bytes < sizeof(tapio_header)) return 0;
  const auto* header = reinterpret_cast<const tapio_header*>(record);
  if (header->op >= TAPIO_OPS_MAX) return 0;
  const Plan& plan = plans_[header->op];
  if (!plan.known || bytes < plan.from_bytes) return 0;
  std::memset(out, 0, plan.to_bytes);
  std::memcpy(out, record, sizeof(tapio_header));
  const uint32_t from_nulls = load32(record + plan.from_nulls);
  uint32_t nulls = plan.missing;
  for (const FixedCopy& copy : plan.fixed) {
    std::memcpy(out + copy.to, record + copy.from, copy.bytes);
    if (from_nulls & copy.from_bit) nulls |= copy.to_bit;
  }
  std::array<TailString, kStringsMax> strings;
  Tail tail(record + plan.from_bytes, bytes - plan.from_bytes);
  for (uint32_t i = 0; i < plan.from_strings; i++) strings[i] = tail.next();
  if (!tail.ok()) return 0;
  uint32_t used = plan.to_bytes;
  for (const TailCopy& copy : plan.tail) {
    if (from_nulls & copy.from_bit) nulls |= copy.to_bit;
    for (uint32_t i = 0; i < copy.strings; i++) {
      TailString text = {"", 0, 0xffff};
      if (copy.string != kMissing) text = strings[copy.string + i];
      const uint32_t room = static_cast<uint32_t>(sizeof(tapio_string)) + ((text.stored + 7) & ~7u);
      if (used + room > TAPIO_RECORD_BYTES_MAX) return 0;
      const tapio_string head = {static_cast<__u16>(text.stored), static_cast<__u16>(text.full), 0};
      std::memset(out + used, 0, room);
      std::memcpy(out + used, &head, sizeof(head));
      std::memcpy(out + used + sizeof(head), text.data, text.stored);
      used += room;
    }
  }
  std::memcpy(out + plan.to_nulls, &nulls, sizeof(nulls));
  return used;
}

}  // namespace tapio
