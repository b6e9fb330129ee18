#include "addon_raw_event.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "raw_event.h"

namespace tapio {
namespace {

// Of a block's layout: src/source/raw-events.ts says what they are.
constexpr size_t kBlockNumbers = 3;
constexpr size_t kColumnNumbers = 17;
constexpr size_t kSliceNumbers = 3;
// What a typical row takes, bytes.
constexpr size_t kRowBytes = 192;
constexpr size_t kExpectedMax = 16u << 20;
constexpr double kExactMax = 9007199254740991;

struct Memory {
  const uint8_t* data;
  size_t size;
};

// What JS gave of a block, before anything of it is looked at.
struct GivenBlock {
  Napi::Float64Array layout;
  std::vector<napi_value> buffers;
};

Napi::Value fail(Napi::Env env, const char* why) {
  if (!env.IsExceptionPending()) Napi::RangeError::New(env, why).ThrowAsJavaScriptException();
  return env.Undefined();
}

bool is_typed(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

// Asks JS for all that it has: whatever runs there as it is asked, memory stays as it is
// afterwards.
bool collect(const Napi::Value& value, std::vector<GivenBlock>* out) {
  if (!value.IsArray()) return false;
  const auto blocks = value.As<Napi::Array>();
  for (uint32_t i = 0; i < blocks.Length(); i++) {
    const Napi::Value one = blocks.Get(i);
    if (!one.IsObject()) return false;
    const Napi::Value layout = one.As<Napi::Object>().Get("layout");
    const Napi::Value buffers = one.As<Napi::Object>().Get("buffers");
    if (!is_typed(layout, napi_float64_array) || !buffers.IsArray()) return false;
    GivenBlock block{layout.As<Napi::Float64Array>(), {}};
    const auto list = buffers.As<Napi::Array>();
    for (uint32_t k = 0; k < list.Length(); k++) {
      napi_value buffer;
      bool is_buffer = false;
      if (napi_get_element(value.Env(), list, k, &buffer) != napi_ok) return false;
      // Memory that is shared is no such buffer: others could write it as it is read.
      if (napi_is_arraybuffer(value.Env(), buffer, &is_buffer) != napi_ok || !is_buffer)
        return false;
      block.buffers.push_back(buffer);
    }
    out->push_back(std::move(block));
  }
  return true;
}

// Numbers of a layout, in turn; what is none that a size can be makes it bad.
class Layout {
 public:
  Layout(const double* at, size_t count) : at_(at), end_(at + count) {}
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  bool bad() const { return bad_; }
  uint64_t number(double most) {
    const double value = at_ < end_ ? *at_++ : NAN;
    const auto whole = value >= 0 && value <= most ? static_cast<int64_t>(value) : -1;
    if (static_cast<double>(whole) != value) {
      bad_ = true;
      return 0;
    }
    return static_cast<uint64_t>(whole);
  }
  uint32_t word() { return static_cast<uint32_t>(number(UINT32_MAX)); }
  RawBytes slice(const std::vector<Memory>& memory) {
    const uint64_t buffer = number(kExactMax), from = number(kExactMax), size = number(kExactMax);
    if (size == 0 || bad_) return {};
    if (buffer >= memory.size() || from > memory[buffer].size ||
        size > memory[buffer].size - from) {
      bad_ = true;
      return {};
    }
    return {memory[buffer].data + from, size};
  }

 private:
  const double* at_;
  const double* end_;
  bool bad_ = false;
};

// A block whose columns lie within the memory that they name.
bool block_of(Napi::Env env, GivenBlock& given, RawBlock* block) {
  std::vector<Memory> memory(given.buffers.size());
  for (size_t i = 0; i < memory.size(); i++) {
    void* data;
    if (napi_get_arraybuffer_info(env, given.buffers[i], &data, &memory[i].size) != napi_ok)
      return false;
    memory[i].data = static_cast<const uint8_t*>(data);
  }
  Layout layout(given.layout.Data(), given.layout.ElementLength());
  block->event_field = layout.word();
  const uint64_t low = layout.word(), high = layout.word();
  block->ts_offset = static_cast<int64_t>(high << 32 | low);
  if (layout.left() % kColumnNumbers != 0) return false;
  block->columns.reserve(layout.left() / kColumnNumbers);
  while (layout.left() > 0 && !layout.bad()) {
    RawColumn column;
    column.field = layout.word();
    column.kind = static_cast<RawKind>(layout.number(kRawKinds - 1));
    column.own = layout.number(1) != 0;
    column.first = layout.word();
    column.rows = layout.word();
    for (RawBytes* const bytes : {&column.validity, &column.data, &column.inner, &column.heap})
      *bytes = layout.slice(memory);
    block->columns.push_back(column);
  }
  return !layout.bad();
}

}  // namespace

static_assert(kColumnNumbers == 5 + 4 * kSliceNumbers);

Napi::Object messages_object(Napi::Env env, const RawEvents& events) {
  auto ends = Napi::Uint32Array::New(env, events.ends().size());
  if (!events.ends().empty())
    memcpy(ends.Data(), events.ends().data(), events.ends().size() * sizeof(uint32_t));
  auto out = Napi::Object::New(env);
  out.Set("ends", ends);
  // Memory of V8's own: it counts what lives, and needs no turn of the event loop to free it.
  out.Set("bytes", Napi::Buffer<uint8_t>::Copy(env, events.data(), events.size()));
  return out;
}

Napi::Value encode_raw_events(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<GivenBlock> given;
  if (!collect(info[0], &given) || !is_typed(info[1], napi_uint32_array))
    return fail(env, "no blocks and runs of raw events");
  const auto numbers = info[1].As<Napi::Uint32Array>();
  const std::vector<uint32_t> runs(numbers.Data(), numbers.Data() + numbers.ElementLength());
  if (runs.size() % 3 != 0) return fail(env, "a run is a block and two rows");

  // Rows of each block that are wanted.
  std::vector<std::pair<uint32_t, uint32_t>> spans(given.size(), {UINT32_MAX, 0});
  size_t rows = 0;
  for (size_t i = 0; i < runs.size(); i += 3) {
    const uint32_t block = runs[i], from = runs[i + 1], to = runs[i + 2];
    if (block >= given.size() || from > to) return fail(env, "a run of no block");
    if (from == to) continue;
    spans[block].first = std::min(spans[block].first, from);
    spans[block].second = std::max(spans[block].second, to);
    rows += to - from;
  }
  std::vector<RawBlock> blocks(given.size());
  RawEvents events;
  for (size_t i = 0; i < given.size(); i++) {
    if (spans[i].second == 0) continue;
    if (!block_of(env, given[i], &blocks[i])) return fail(env, "a column lies outside its buffer");
    const char* const why = events.open(blocks[i], spans[i].first, spans[i].second);
    if (why != nullptr) return fail(env, why);
  }
  events.expect(std::min(rows * kRowBytes, kExpectedMax));
  for (size_t i = 0; i < runs.size(); i += 3) {
    if (runs[i + 1] == runs[i + 2]) continue;
    const char* const why = events.append(blocks[runs[i]], runs[i + 1], runs[i + 2]);
    if (why != nullptr) return fail(env, why);
  }

  return messages_object(env, events);
}

}  // namespace tapio
