#include "addon_live.h"

#include <memory>

#include "addon_scan.h"
#include "addon_raw_event.h"
#include "live_reader.h"

namespace tapio {
namespace {

Napi::Uint32Array numbers(Napi::Env env, const std::vector<uint32_t>& values) {
  auto out = Napi::Uint32Array::New(env, values.size());
  if (!values.empty()) memcpy(out.Data(), values.data(), values.size() * 4);
  return out;
}

// Layouts by type id, one for each type that has a table; of others an empty one.
bool layouts_of(const Napi::Array& given, std::vector<RecordLayout>* out) {
  constexpr size_t kNumbers = 4;
  for (uint32_t type = 0; type < given.Length(); type++) {
    RecordLayout layout;
    const Napi::Value one = given.Get(type);
    if (one.IsTypedArray() && one.As<Napi::TypedArray>().TypedArrayType() == napi_uint32_array) {
      const auto numbers = one.As<Napi::Uint32Array>();
      if (numbers.ElementLength() % kNumbers != 1) return false;
      layout.event_field = numbers[0];
      for (size_t i = 1; i < numbers.ElementLength(); i += kNumbers) {
        if (numbers[i + 1] >= kRawKinds || numbers[i + 2] > INT16_MAX) return false;
        RecordField field;
        field.column.field = numbers[i];
        field.column.kind = static_cast<RawKind>(numbers[i + 1]);
        field.source = static_cast<int>(numbers[i + 2]);
        field.column.own = numbers[i + 3] != 0;
        layout.fields.push_back(field);
      }
      if (RawEvents::prepare_record(layout) != nullptr) return false;
    }
    out->push_back(std::move(layout));
  }
  return out->size() > kTypes;
}

class LiveReaderObject : public Napi::ObjectWrap<LiveReaderObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "LiveReader",
                       {InstanceMethod<&LiveReaderObject::attached>("attached"),
                        InstanceMethod<&LiveReaderObject::read>("read"),
                        InstanceMethod<&LiveReaderObject::close>("close")});
  }

  explicit LiveReaderObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<LiveReaderObject>(info) {
    std::string why;
    auto mapping = LiveMapping::open(info[0].As<Napi::Number>().Int32Value(), &why);
    if (mapping == nullptr) {
      Napi::Error::New(info.Env(), why).ThrowAsJavaScriptException();
      return;
    }
    std::vector<std::unique_ptr<ScanTable>> tables;
    const auto given = info[1].As<Napi::Array>();
    for (uint32_t type = 0; type < given.Length(); type++) {
      const Napi::Value table = given.Get(type);
      tables.push_back(table.IsObject() ? std::make_unique<ScanTable>(
                                              scan_table_of(table.As<Napi::Object>(), false))
                                        : nullptr);
    }
    bool lossless;
    const LiveSeen seen = {info[2].As<Napi::BigInt>().Uint64Value(&lossless),
                           info[3].As<Napi::BigInt>().Uint64Value(&lossless)};
    std::vector<RecordLayout> layouts;
    if (info[4].IsArray() && !layouts_of(info[4].As<Napi::Array>(), &layouts)) {
      Napi::RangeError::New(info.Env(), "no layout of records").ThrowAsJavaScriptException();
      return;
    }
    reader_ = std::make_unique<LiveReader>(std::move(mapping), std::move(tables), seen,
                                           std::move(layouts));
  }

 private:
  Napi::Value attached(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), reader_ && reader_->attached());
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!reader_) return env.Null();
    bool lossless;
    LiveChunk chunk = reader_->read(info[0].As<Napi::BigInt>().Uint64Value(&lossless));
    auto blocks = Napi::Array::New(env, chunk.blocks.size());
    for (uint32_t i = 0; i < chunk.blocks.size(); i++)
      blocks.Set(i, block_object(env, std::move(chunk.blocks[i])));
    auto out = Napi::Object::New(env);
    out.Set("through", Napi::BigInt::New(env, chunk.through));
    out.Set("gapUntil", Napi::BigInt::New(env, chunk.gap_until));
    out.Set("tsOffset", Napi::BigInt::New(env, chunk.ts_offset));
    out.Set("newest", Napi::BigInt::New(env, chunk.newest));
    out.Set("blocks", blocks);
    if (chunk.events != nullptr) out.Set("messages", messages_object(env, *chunk.events));
    return out;
  }

  static Napi::Object block_object(Napi::Env env, LiveBlock&& block) {
    auto out = Napi::Object::New(env);
    out.Set("type", block.type);
    out.Set("rows", block.rows);
    out.Set("regions", numbers(env, block.regions));
    out.Set("strings", numbers(env, block.strings));
    auto* const owned = new std::vector<uint8_t>(std::move(block.memory));
    out.Set("memory",
            Napi::ArrayBuffer::New(
                env, owned->data(), owned->size(),
                [](Napi::Env, void*, std::vector<uint8_t>* owner) { delete owner; }, owned));
    return out;
  }

  void close(const Napi::CallbackInfo&) { reader_.reset(); }

  std::unique_ptr<LiveReader> reader_;
};

}  // namespace

Napi::Function define_live_reader(Napi::Env env) { return LiveReaderObject::define(env); }

}  // namespace tapio
