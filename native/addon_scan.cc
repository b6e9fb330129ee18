#include "addon_scan.h"

#include <fcntl.h>
#include <string.h>

#include <atomic>
#include <memory>
#include <optional>

#include "predicate_from_js.h"
#include "env_end.h"
#include "scan.h"

namespace tapio {
namespace {

uint32_t number(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().Uint32Value();
}
uint64_t wide(const Napi::Object& object, const char* name) {
  return static_cast<uint64_t>(object.Get(name).As<Napi::Number>().Int64Value());
}

template <class F>
void for_each(const Napi::Value& value, F with) {
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) with(array.Get(i));
}

Kind kind_of(const std::string& type) {
  if (type == "u16") return Kind::kU16;
  if (type == "u32") return Kind::kU32;
  if (type == "u64") return Kind::kU64;
  if (type == "i32") return Kind::kI32;
  if (type == "name") return Kind::kDict16;
  if (type == "text") return Kind::kDict32;
  if (type == "texts") return Kind::kTexts;
  if (type == "u64s") return Kind::kU64s;
  if (type == "bytes") return Kind::kBytes;
  return Kind::kI64;  // i64, timestamp
}

int column_or_none(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

GroupSpec groups_of(const Napi::Object& object) {
  GroupSpec spec;
  for_each(object.Get("keys"), [&](const Napi::Value& value) {
    const auto key = value.As<Napi::Object>();
    spec.keys.push_back({column_or_none(key.Get("column")), int_from_js(key.Get("origin")),
                         int_from_js(key.Get("width"))});
  });
  for_each(object.Get("sums"),
           [&](const Napi::Value& value) { spec.sums.push_back(column_or_none(value)); });
  spec.distribution = column_or_none(object.Get("distribution"));
  spec.weight = column_or_none(object.Get("weight"));
  return spec;
}

class ScanObject : public Napi::ObjectWrap<ScanObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Scan",
        {InstanceMethod<&ScanObject::take>("take"), InstanceMethod<&ScanObject::cancel>("cancel"),
         InstanceMethod<&ScanObject::groups>("groups"),
         InstanceMethod<&ScanObject::counts>("counts"),
         InstanceMethod<&ScanObject::close>("close")});
  }

  explicit ScanObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ScanObject>(info) {
    const auto options = info[0].As<Napi::Object>();
    auto request = std::make_unique<ScanRequest>();
    request->threads = number(options, "threads");
    request->window = number(options, "window");
    request->grouped = options.Get("grouped").ToBoolean();
    request->first = number(options, "first");
    request->last = number(options, "last");
    for_each(options.Get("tables"), [&](const Napi::Value& value) {
      request->tables.push_back(scan_table_of(value.As<Napi::Object>(), request->grouped));
    });
    for_each(options.Get("files"), [&](const Napi::Value& value) {
      request->files.push_back(file_of(value.As<Napi::Object>()));
    });
    for_each(options.Get("batches"), [&](const Napi::Value& value) {
      request->batches.push_back(batch_of(value.As<Napi::Object>()));
    });
    wake_ =
        Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "tapio scan", 0, 1);
    end_.emplace(info.Env(), [this] { scan_.reset(); });
    scan_ = std::make_unique<Scan>(std::move(request), [this] {
      if (!wake_pending_.exchange(true)) wake_.NonBlockingCall();
    });
  }
  ~ScanObject() override { scan_.reset(); }

 private:
  std::unique_ptr<StoredFile> file_of(const Napi::Object& object) {
    auto file = std::make_unique<StoredFile>();
    // A descriptor of its own: JS may close its one while threads read.
    file->fd = fcntl(static_cast<int>(number(object, "fd")), F_DUPFD_CLOEXEC, 0);
    file->size = wide(object, "size");
    file->table = number(object, "table");
    file->nodes = static_cast<int>(number(object, "nodes"));
    file->buffers = static_cast<int>(number(object, "buffers"));
    const auto places = object.Get("places").As<Napi::Int32Array>();
    for (size_t i = 0; i + 1 < places.ElementLength(); i += 2) {
      file->places.push_back({places[i], places[i + 1]});
    }
    for_each(object.Get("dictionaries"), [&](const Napi::Value& value) {
      DictionaryView view;
      if (value.IsObject()) {
        const auto dictionary = value.As<Napi::Object>();
        const auto offsets = dictionary.Get("offsets").As<Napi::Int32Array>();
        const auto data = dictionary.Get("data").As<Napi::Uint8Array>();
        view.offsets = offsets.Data();
        view.data = reinterpret_cast<const char*>(data.Data());
        view.count =
            static_cast<uint32_t>(offsets.ElementLength() > 0 ? offsets.ElementLength() - 1 : 0);
        kept_.push_back(Napi::Persistent(dictionary));
      }
      file->dictionaries.push_back(view);
    });
    return file;
  }

  static StoredBatch batch_of(const Napi::Object& object) {
    StoredBatch batch;
    batch.file = number(object, "file");
    batch.offset = wide(object, "offset");
    batch.metadata_length = number(object, "metadataLength");
    batch.body_length = wide(object, "bodyLength");
    batch.rows = number(object, "rows");
    batch.windowed = object.Get("windowed").ToBoolean();
    if (object.Get("checksums").IsTypedArray()) {
      const auto checksums = object.Get("checksums").As<Napi::Uint32Array>();
      batch.checksums.assign(checksums.Data(), checksums.Data() + checksums.ElementLength());
    }
    return batch;
  }

  Napi::Value take(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    wake_pending_ = false;
    if (!scan_) return env.Null();
    auto result = std::make_unique<ScanResult>();
    switch (scan_->take(result.get())) {
      case Scan::Take::kEnd:
        return env.Null();
      case Scan::Take::kNotYet:
        return env.Undefined();
      case Scan::Take::kResult:
        break;
    }
    auto out = Napi::Object::New(env);
    out.Set("batch", result->batch);
    out.Set("rows", result->rows);
    out.Set("damage", damage_of(env, result->damage));
    auto regions = Napi::Uint32Array::New(env, result->regions.size());
    if (!result->regions.empty())
      memcpy(regions.Data(), result->regions.data(), result->regions.size() * 4);
    out.Set("regions", regions);
    ScanResult* const raw = result.release();
    if (raw->memory.empty()) {
      out.Set("memory", Napi::ArrayBuffer::New(env, 0));
      delete raw;
    } else {
      out.Set("memory", Napi::ArrayBuffer::New(
                            env, raw->memory.data(), raw->memory.size(),
                            [](Napi::Env, void*, ScanResult* owner) { delete owner; }, raw));
    }
    return out;
  }

  static Napi::Value damage_of(Napi::Env env, const Damage& damage) {
    if (!damage.is) return env.Null();
    auto out = Napi::Object::New(env);
    out.Set("text", damage.checksum ? env.Null() : Napi::String::New(env, damage.text));
    out.Set("from", static_cast<double>(damage.from));
    out.Set("to", static_cast<double>(damage.to));
    return out;
  }

  // Per file that has groups, in flat arrays.
  Napi::Value groups(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto out = Napi::Array::New(env);
    if (!scan_) return out;
    uint32_t next = 0;
    for (uint32_t file = 0; file < scan_->request().files.size(); file++) {
      const Groups* groups = scan_->groups(file);
      if (groups == nullptr) continue;
      const auto& spec = scan_->request().tables[scan_->request().files[file]->table].groups;
      out.Set(next++, groups_object(env, file, *groups, spec));
    }
    return out;
  }

  static Napi::Object groups_object(Napi::Env env, uint32_t file, const Groups& groups,
                                    const GroupSpec& spec) {
    const size_t count = groups.size();
    auto keys = Napi::BigInt64Array::New(env, count * spec.keys.size());
    auto nulls = Napi::Uint32Array::New(env, count);
    auto rows = Napi::BigUint64Array::New(env, count),
         weights = Napi::BigUint64Array::New(env, count);
    auto sums = Napi::Array::New(env, count * spec.sums.size());
    auto largest = Napi::Array::New(env, count), buckets = Napi::Array::New(env, count);
    for (size_t i = 0; i < count; i++) {
      const Groups::Group& group = groups.group(i);
      for (size_t k = 0; k < spec.keys.size(); k++)
        keys[i * spec.keys.size() + k] = groups.keys(i)[k];
      nulls[i] = groups.nulls(i);
      rows[i] = group.rows;
      weights[i] = group.weight;
      for (size_t k = 0; k < spec.sums.size(); k++) {
        sums.Set(static_cast<uint32_t>(i * spec.sums.size() + k), big(env, groups.sum(i, k)));
      }
      const auto at = static_cast<uint32_t>(i);
      largest.Set(at,
                  group.measured ? Napi::Value(Napi::BigInt::New(env, group.largest)) : env.Null());
      auto list = Napi::Array::New(env);
      uint32_t next = 0;
      for (unsigned b = 0; b < group.buckets.size(); b++) {
        if (group.buckets[b] == 0) continue;
        list.Set(next++, Napi::BigInt::New(env, bucket_low(b)));
        list.Set(next++, Napi::Number::New(env, static_cast<double>(group.buckets[b])));
      }
      buckets.Set(at, list);
    }
    auto out = Napi::Object::New(env);
    out.Set("file", file);
    out.Set("keys", keys);
    out.Set("nulls", nulls);
    out.Set("rows", rows);
    out.Set("weights", weights);
    out.Set("sums", sums);
    out.Set("largest", largest);
    out.Set("buckets", buckets);
    return out;
  }

  static Napi::Value big(Napi::Env env, Int value) {
    const Int size = value < 0 ? -value : value;
    const uint64_t words[2] = {static_cast<uint64_t>(size), static_cast<uint64_t>(size >> 64)};
    return Napi::BigInt::New(env, value < 0, 2, words);
  }

  Napi::Value counts(const Napi::CallbackInfo& info) {
    auto out = Napi::Object::New(info.Env());
    if (!scan_) return out;
    const ReadCounts& counts = scan_->counts();
    out.Set("batches", static_cast<double>(counts.batches));
    out.Set("buffers", static_cast<double>(counts.buffers));
    out.Set("bytes", static_cast<double>(counts.bytes));
    out.Set("unpacked", static_cast<double>(counts.unpacked));
    return out;
  }

  void cancel(const Napi::CallbackInfo&) {
    if (scan_) scan_->cancel();
  }

  void close(const Napi::CallbackInfo&) {
    if (!scan_) return;
    // Its threads end before what they would wake.
    scan_.reset();
    end_.reset();
    kept_.clear();
    wake_.Release();
  }

  std::vector<Napi::ObjectReference> kept_;
  Napi::ThreadSafeFunction wake_;
  std::optional<EnvEnd> end_;
  std::atomic<bool> wake_pending_{false};
  std::unique_ptr<Scan> scan_;
};

}  // namespace

ScanTable scan_table_of(const Napi::Object& object, bool grouped) {
  ScanTable table;
  for_each(object.Get("columns"), [&](const Napi::Value& value) {
    const auto column = value.As<Napi::Object>();
    table.columns.push_back({column.Get("name").As<Napi::String>(),
                             kind_of(column.Get("type").As<Napi::String>()),
                             column.Get("nullable").ToBoolean()});
  });
  unsigned ids = 0;
  table.predicate =
      predicate_from_js(object.Get("predicate").As<Napi::Object>(), table.columns, ids);
  table.windowed = predicate_from_js(object.Get("windowed").As<Napi::Object>(), table.columns, ids);
  for_each(object.Get("output"), [&](const Napi::Value& value) {
    table.output.push_back(value.As<Napi::Number>().Uint32Value());
  });
  if (grouped) table.groups = groups_of(object.Get("groups").As<Napi::Object>());
  return table;
}

Napi::Function define_scan(Napi::Env env) { return ScanObject::define(env); }

Napi::Value pattern_error(const Napi::CallbackInfo& info) {
  std::string why;
  if (check_pattern(info[0].As<Napi::String>(), &why)) return info.Env().Null();
  return Napi::String::New(info.Env(), why);
}

}  // namespace tapio
