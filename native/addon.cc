// The N-API face of the core: src/source/binding.ts describes it. All state hangs on the objects
// made here; nothing is shared between environments.

#include <napi.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "addon_host.h"
#include "addon_kernel.h"
#include "addon_list.h"
#include "addon_live.h"
#include "addon_privileges.h"
#include "addon_raw_event.h"
#include "addon_redact.h"
#include "addon_scan.h"
#include "addon_secrets.h"
#include "addon_values.h"
#include "drain.h"
#include "env_end.h"
#include "live_source.h"
#include "pace.h"
#include "predicate_from_js.h"
#include "synthetic_source.h"
#include "syscalls.h"

namespace tapio {
namespace {

Cap cap_of(const Napi::Value& value) {
  const auto cap = value.As<Napi::Object>();
  return {uint32_of(cap.Get("op")), uint32_of(cap.Get("every")),
          static_cast<uint64_t>(cap.Get("perSecond").As<Napi::Number>().Int64Value())};
}

SourceConfig config_of(const Napi::Object& object) {
  SourceConfig config;
  config.ops = list_of<uint32_t>(object.Get("ops"), uint32_of);
  config.syscalls = list_of<uint32_t>(object.Get("syscalls"), uint32_of);
  config.latency = object.Get("latency").ToBoolean();
  if (object.Get("snaplen").IsNumber()) config.snaplen = uint32_of(object.Get("snaplen"));
  const auto exclude = object.Get("exclude").As<Napi::Object>();
  config.exclude.pids = list_of<uint32_t>(exclude.Get("pids"), uint32_of);
  config.exclude.uids = list_of<uint32_t>(exclude.Get("uids"), uint32_of);
  config.exclude.comms = list_of<std::string>(
      exclude.Get("comms"), [](const Napi::Value& v) { return v.As<Napi::String>().Utf8Value(); });
  config.exclude.cgroups = list_of<uint64_t>(exclude.Get("cgroups"), uint64_of);
  if (object.Get("caps").IsArray()) config.caps = list_of<Cap>(object.Get("caps"), cap_of);
  config.filter = filter_from_js(object.Get("filter"));
  config.secrets = secrets_from_js(object.Get("mask"));
  return config;
}

std::vector<uint64_t> counters_of(const Napi::Value& value) {
  const auto array = value.As<Napi::BigUint64Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::optional<ResumePoint> point_of(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  ResumePoint point;
  point.rings = object.Get("rings").As<Napi::String>().Utf8Value();
  point.positions = counters_of(object.Get("positions"));
  point.ahead = list_of<std::vector<uint64_t>>(
      object.Get("ahead"), [](const Napi::Value& v) { return list_of<uint64_t>(v, uint64_of); });
  point.consumed = counters_of(object.Get("consumed"));
  point.lost = counters_of(object.Get("lost"));
  point.own = counters_of(object.Get("own"));
  point.malformed = counters_of(object.Get("malformed"));
  point.late = uint64_of(object.Get("late"));
  point.newest = uint64_of(object.Get("newest"));
  return point;
}

LiveOptions live_options_of(const Napi::Object& object, uint64_t ring_bytes) {
  LiveOptions options;
  options.ring_bytes = ring_bytes;
  options.orphan_timeout_ns = uint64_of(object.Get("orphanTimeoutNs"));
  if (object.Get("pins").IsObject()) {
    const auto pins = object.Get("pins").As<Napi::Object>();
    options.pin_directory = pins.Get("directory").As<Napi::String>().Utf8Value();
    options.recording = pins.Get("recording").As<Napi::String>().Utf8Value();
    options.store = pins.Get("store").As<Napi::String>().Utf8Value();
  }
  return options;
}

double number_or(const Napi::Object& object, const char* name, double fallback) {
  const Napi::Value value = object.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : fallback;
}

class Source : public Napi::ObjectWrap<Source> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Source",
        {InstanceAccessor<&Source::cpus>("cpus"), InstanceMethod<&Source::start>("start"),
         InstanceMethod<&Source::slot_buffer>("slotBuffer"), InstanceMethod<&Source::take>("take"),
         InstanceMethod<&Source::release>("release"), InstanceMethod<&Source::cut>("cut"),
         InstanceMethod<&Source::configure>("configure"), InstanceMethod<&Source::stats>("stats"),
         InstanceMethod<&Source::pause>("pause"), InstanceMethod<&Source::rewind>("rewind"),
         InstanceMethod<&Source::forget>("forget"), InstanceMethod<&Source::follow>("follow"),
         InstanceMethod<&Source::unfollow>("unfollow"), InstanceMethod<&Source::loudest>("loudest"),
         InstanceMethod<&Source::cgroup_path>("cgroupPath"), InstanceMethod<&Source::stop>("stop"),
         InstanceMethod<&Source::close>("close")});
  }

  explicit Source(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Source>(info) {
    const auto options = info[0].As<Napi::Object>();
    config_ = config_of(options);
    drain_options_.ts_offset = int64_of(options.Get("tsOffset"));
    drain_options_.next_seq = uint64_of(options.Get("nextSeq"));
    drain_options_.slots_per_type = uint32_of(options.Get("slotsPerType"));
    drain_options_.point = point_of(options.Get("resume"));
    const auto ring_bytes = static_cast<uint64_t>(number_or(options, "ringBytes", 64 << 20));
    if (options.Get("kind").As<Napi::String>().Utf8Value() == "live") {
      raw_ = make_live_source(live_options_of(options, ring_bytes));
      const uint64_t timeout = uint64_of(options.Get("orphanTimeoutNs"));
      drain_options_.beat_ns = std::min(drain_options_.beat_ns, timeout / 4);
    } else {
      SyntheticOptions synthetic;
      synthetic.ring_bytes = ring_bytes;
      synthetic.cpus = static_cast<unsigned>(number_or(options, "cpus", 2));
      synthetic.rate = number_or(options, "rate", 0);
      synthetic.seed = static_cast<uint64_t>(number_or(options, "seed", 1));
      synthetic.events = static_cast<uint64_t>(number_or(options, "events", 0));
      raw_ = make_synthetic_source(synthetic);
    }
    wake_ =
        Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "tapio wake", 0, 1);
    end_.emplace(info.Env(), [this] {
      drain_.reset();
      raw_.reset();
    });
  }
  // Without close() before it (the thread was ended), JS can be asked nothing any more: only what
  // is ours is freed, and the environment ends the wake function itself.
  ~Source() override {
    drain_.reset();
    raw_.reset();
  }

 private:
  Napi::Value cpus(const Napi::CallbackInfo& info) {
    const std::vector<RingSet> sets = raw_ ? raw_->sets() : std::vector<RingSet>{};
    return Napi::Number::New(info.Env(), sets.empty() ? 0 : sets.back().rings.cpus);
  }

  Napi::Value start(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    StartResult result;
    const ResumePoint* point = drain_options_.point ? &*drain_options_.point : nullptr;
    if (const SourceError error = raw_->start(config_, point, &result)) {
      js_error(env, error.code, error.message).ThrowAsJavaScriptException();
      return env.Undefined();
    }
    drain_options_.handover = result.handover;
    drain_options_.self = result.self;
    drain_options_.filter = config_.filter;
    drain_options_.secrets = config_.secrets;
    drain_ = std::make_unique<Drain>(
        raw_->sets(), raw_->drop_reasons(), drain_options_,
        [this] {
          // One call in flight is enough: the JS side takes all there is.
          if (!wake_pending_.exchange(true)) wake_.NonBlockingCall();
        },
        [raw = raw_.get()](uint64_t now) { return raw->beat(now); });
    buffers_.resize(drain_->slot_count());
    drain_->start();
    auto out = Napi::Object::New(env);
    out.Set("alive", alive_list(env, result.alive));
    out.Set("sockets", socket_list(env, result.sockets));
    out.Set("how", result.how);
    out.Set("resumed", result.resumed);
    auto notes = Napi::Array::New(env, result.notes.size());
    for (uint32_t i = 0; i < result.notes.size(); i++) notes.Set(i, result.notes[i]);
    out.Set("notes", notes);
    return out;
  }

  static Napi::Array alive_list(Napi::Env env, const std::vector<ProcessSnapshot>& alive) {
    auto out = Napi::Array::New(env, alive.size());
    for (uint32_t i = 0; i < alive.size(); i++) {
      auto process = Napi::Object::New(env);
      process.Set("pid", alive[i].pid);
      process.Set("pstart", big(env, alive[i].pstart));
      process.Set("ppid", alive[i].ppid);
      process.Set("uid", alive[i].uid);
      process.Set("cgroupId", big(env, alive[i].cgroup_id));
      process.Set("comm", alive[i].comm);
      out.Set(i, process);
    }
    return out;
  }

  static Napi::Array socket_list(Napi::Env env, const std::vector<SocketSnapshot>& sockets) {
    auto out = Napi::Array::New(env, sockets.size());
    for (uint32_t i = 0; i < sockets.size(); i++) {
      const SocketSnapshot& one = sockets[i];
      auto socket = Napi::Object::New(env);
      socket.Set("inode", big(env, one.inode));
      socket.Set("pid", one.pid);
      socket.Set("pstart", big(env, one.pstart));
      socket.Set("uid", one.uid);
      socket.Set("comm", one.comm);
      socket.Set("family", one.family == AF_INET ? "inet" : "inet6");
      socket.Set("listens", one.state == TCP_LISTEN);
      socket.Set("saddr", one.saddr);
      socket.Set("sport", one.sport);
      socket.Set("daddr", one.daddr);
      socket.Set("dport", one.dport);
      out.Set(i, socket);
    }
    return out;
  }

  Napi::Value slot_buffer(const Napi::CallbackInfo& info) {
    const uint32_t id = uint32_of(info[0]);
    if (buffers_[id].IsEmpty()) {
      Slot& slot = drain_->slot(id);
      buffers_[id] = Napi::Persistent(Napi::ArrayBuffer::New(
          info.Env(), slot.memory, slot.layout.bytes, [](Napi::Env, void*) {}));
    }
    return buffers_[id].Value();
  }

  Napi::Value take(const Napi::CallbackInfo& info) {
    wake_pending_ = false;
    const Napi::Env env = info.Env();
    if (!drain_) return env.Null();
    std::optional<Item> item = drain_->take();
    if (!item) return env.Null();
    if (const auto* batch = std::get_if<Batch>(&*item)) return batch_item(env, *batch);
    return cut_item(env, std::get<Cut>(*item));
  }

  Napi::Value batch_item(Napi::Env env, const Batch& batch) {
    const Slot& slot = drain_->slot(batch.slot);
    auto out = Napi::Object::New(env);
    out.Set("kind", "batch");
    out.Set("slot", batch.slot);
    out.Set("type", slot.type);
    out.Set("rows", slot.rows);
    out.Set("firstSeq", big(env, slot.first_seq));
    out.Set("lastSeq", big(env, slot.last_seq));
    out.Set("firstTs", big(env, slot.first_ts));
    out.Set("lastTs", big(env, slot.last_ts));
    out.Set("nulls", to_array(env, slot.nulls()));
    out.Set("inner", to_array(env, slot.inner));
    out.Set("heap", to_array(env, slot.heap));
    auto fresh = Napi::Array::New(env, batch.fresh.size());
    for (uint32_t i = 0; i < batch.fresh.size(); i++) {
      auto one = Napi::Object::New(env);
      auto values = Napi::Array::New(env, batch.fresh[i].texts.size());
      for (uint32_t j = 0; j < batch.fresh[i].texts.size(); j++)
        values.Set(j, batch.fresh[i].texts[j]);
      one.Set("column", batch.fresh[i].column);
      one.Set("values", values);
      fresh.Set(i, one);
    }
    out.Set("newValues", fresh);
    return out;
  }

  static Napi::Array mask_names(Napi::Env env, const Secrets* secrets) {
    auto out = Napi::Array::New(env);
    for (uint32_t i = 0; secrets && i < secrets->patterns().size(); i++)
      out.Set(i, secrets->patterns()[i].name);
    return out;
  }

  Napi::Value cut_item(Napi::Env env, const Cut& cut) {
    auto out = Napi::Object::New(env);
    out.Set("kind", "cut");
    out.Set("rings", cut.rings);
    out.Set("ended", cut.ended);
    out.Set("throughSeq", big(env, cut.through_seq));
    out.Set("rotated", cut.rotated);
    out.Set("tsOffset", big(env, cut.ts_offset));
    out.Set("filter", cut.filter ? Napi::Value(Napi::String::New(env, *cut.filter)) : env.Null());
    out.Set("mask", mask_names(env, cut.secrets.get()));
    out.Set("masked", masked_to_js(env, cut.secrets_before.get(), cut.masked));
    out.Set("final", cut.final);
    out.Set("positions", to_array(env, cut.positions));
    auto ahead = Napi::Array::New(env, cut.ahead.size());
    for (uint32_t cpu = 0; cpu < cut.ahead.size(); cpu++) {
      auto positions = Napi::Array::New(env, cut.ahead[cpu].size());
      for (uint32_t i = 0; i < cut.ahead[cpu].size(); i++)
        positions.Set(i, big(env, cut.ahead[cpu][i]));
      ahead.Set(cpu, positions);
    }
    out.Set("ahead", ahead);
    out.Set("emitted", to_array(env, cut.emitted));
    out.Set("consumed", to_array(env, cut.consumed));
    out.Set("own", to_array(env, cut.own));
    out.Set("lost", to_array(env, cut.lost));
    out.Set("filtered", to_array(env, cut.filtered));
    out.Set("sampled", to_array(env, cut.sampled));
    out.Set("refused", to_array(env, cut.refused));
    out.Set("lossFirst", to_array(env, cut.loss_first));
    out.Set("lossLast", to_array(env, cut.loss_last));
    out.Set("late", big(env, cut.late));
    out.Set("newest", big(env, cut.newest));
    out.Set("malformed", to_array(env, cut.malformed));
    out.Set("mutedFirst", big(env, cut.muted.first));
    out.Set("mutedLast", big(env, cut.muted.last));
    out.Set("handoverFirst", big(env, cut.handover.first));
    out.Set("handoverLast", big(env, cut.handover.last));
    return out;
  }

  void release(const Napi::CallbackInfo& info) { drain_->release(uint32_of(info[0])); }

  void cut(const Napi::CallbackInfo& info) {
    if (info[0].IsBigInt())
      drain_->request_cut(int64_of(info[0]));
    else
      drain_->request_cut(std::nullopt);
  }

  void configure(const Napi::CallbackInfo& info) {
    config_ = config_of(info[0].As<Napi::Object>());
    if (const SourceError error = raw_->configure(config_)) {
      js_error(info.Env(), error.code, error.message).ThrowAsJavaScriptException();
      return;
    }
    drain_->set_filter(config_.filter, config_.secrets);
  }

  Napi::Value stats(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const DrainStats now = drain_ ? drain_->stats() : DrainStats{};
    auto out = Napi::Object::New(env);
    out.Set("events", to_array(env, std::vector<uint64_t>(now.events.begin(), now.events.end())));
    out.Set("lost", to_array(env, std::vector<uint64_t>(now.lost.begin(), now.lost.end())));
    out.Set("late", big(env, now.late));
    out.Set("drainCpuNs", big(env, now.cpu_ns));
    out.Set("backlog", now.backlog);
    auto unattached = Napi::Object::New(env);
    for (const auto& [op, why] : raw_->unattached()) unattached.Set(op, why);
    out.Set("unattached", unattached);
    return out;
  }

  Napi::Value cgroup_path(const Napi::CallbackInfo& info) {
    const std::string path =
        raw_->cgroup_path(uint64_of(info[0]), uint32_of(info[1]), uint64_of(info[2]));
    return path.empty() ? info.Env().Null() : Napi::String::New(info.Env(), path);
  }

  void pause(const Napi::CallbackInfo& info) { drain_->pause(info[0].ToBoolean()); }

  void rewind(const Napi::CallbackInfo& info) {
    const auto options = info[0].As<Napi::Object>();
    const std::optional<ResumePoint> point = point_of(options.Get("point"));
    drain_->rewind(int64_of(options.Get("tsOffset")), uint64_of(options.Get("nextSeq")),
                   point ? &*point : nullptr);
  }

  void forget(const Napi::CallbackInfo& info) {
    const std::string rings = info[0].As<Napi::String>().Utf8Value();
    if (!drain_->forget(rings)) {
      js_error(info.Env(), "internal", "rings " + rings + " are still being drained")
          .ThrowAsJavaScriptException();
      return;
    }
    raw_->forget(rings);
  }

  Napi::Value follow(const Napi::CallbackInfo& info) {
    if (!live_) {
      live_ = LiveRing::create(static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()),
                               info[0].As<Napi::String>(), raw_->drop_reasons());
      if (!live_) {
        js_error(info.Env(), "io", std::string("no memory for a live ring: ") + strerror(errno))
            .ThrowAsJavaScriptException();
        return info.Env().Undefined();
      }
      drain_->copy_to(live_);
    }
    return Napi::Number::New(info.Env(), live_->fd());
  }

  void unfollow(const Napi::CallbackInfo&) {
    if (drain_) drain_->copy_to(nullptr);
    live_.reset();
  }

  Napi::Value loudest(const Napi::CallbackInfo& info) {
    if (!live_) return info.Env().Null();
    const auto [pid, share] = live_->loudest();
    auto out = Napi::Object::New(info.Env());
    out.Set("pid", pid);
    out.Set("share", share / 1000.0);
    return out;
  }

  void stop(const Napi::CallbackInfo&) {
    raw_->stop();
    drain_->finish();
  }

  void close(const Napi::CallbackInfo&) { shut(); }

  void shut() {
    if (!raw_) return;
    for (auto& buffer : buffers_)
      if (!buffer.IsEmpty()) buffer.Value().Detach();
    buffers_.clear();
    drain_.reset();
    raw_.reset();
    end_.reset();
    wake_.Release();
  }

  SourceConfig config_;
  DrainOptions drain_options_;
  std::unique_ptr<RawSource> raw_;
  std::unique_ptr<Drain> drain_;
  std::shared_ptr<LiveRing> live_;  // while anybody follows
  std::vector<Napi::Reference<Napi::ArrayBuffer>> buffers_;
  Napi::ThreadSafeFunction wake_;
  std::optional<EnvEnd> end_;
  std::atomic<bool> wake_pending_{false};
};

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kU16:
      return "u16";
    case Kind::kU32:
      return "u32";
    case Kind::kU64:
      return "u64";
    case Kind::kI32:
      return "i32";
    case Kind::kI64:
      return "i64";
    case Kind::kDict16:
      return "dict16";
    case Kind::kDict32:
      return "dict32";
    case Kind::kTexts:
      return "texts";
    case Kind::kU64s:
      return "u64s";
    case Kind::kBytes:
      return "bytes";
  }
  return "";
}

Napi::Value columns(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint32_t type = uint32_of(info[0]);
  if (type == 0 || type > kTypes) return Napi::Array::New(env, 0);
  const TableLayout& layout = table_layout(type);
  auto out = Napi::Array::New(env, layout.count);
  for (uint32_t i = 0; i < layout.count; i++) {
    const ColumnRegion& region = layout.regions[i];
    auto column = Napi::Object::New(env);
    column.Set("name", layout.columns[i].name);
    column.Set("kind", kind_name(layout.columns[i].kind));
    column.Set("nullable", layout.columns[i].nullable);
    column.Set("validity", static_cast<double>(region.validity));
    column.Set("data", static_cast<double>(region.data));
    column.Set("inner", static_cast<double>(region.inner));
    column.Set("heap", static_cast<double>(region.heap));
    out.Set(i, column);
  }
  return out;
}

Napi::Value syscalls(const Napi::CallbackInfo& info) {
  auto out = Napi::Object::New(info.Env());
  for (const SyscallEntry& entry : syscall_table) out.Set(entry.name, entry.number);
  return out;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(Source::define(env)));
  env.SetInstanceData(constructor);
  exports.Set("fingerprint", TAPIO_SCHEMA_FINGERPRINT);
  exports.Set("opsMax", TAPIO_OPS_MAX);
  exports.Set("columns", Napi::Function::New(env, columns));
  exports.Set("syscalls", Napi::Function::New(env, syscalls));
  exports.Set("peerCredentials", Napi::Function::New(env, peer_credentials));
  exports.Set("clocks", Napi::Function::New(env, clocks));
  exports.Set("patternError", Napi::Function::New(env, pattern_error));
  exports.Set("encodeRawEvents", Napi::Function::New(env, encode_raw_events));
  exports.Set("Scan", define_scan(env));
  exports.Set("Pacer", define_pacer(env));
  exports.Set("LiveReader", define_live_reader(env));
  exports.Set("TextRedactor", define_text_redactor(env));
  exports.Set("SecretMask", define_secret_mask(env));
  define_privileges(env, exports);
  define_kernel(env, exports);
  exports.Set(
      "createSource", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
        return info.Env().GetInstanceData<Napi::FunctionReference>()->New({info[0], info[1]});
      }));
  return exports;
}

}  // namespace
}  // namespace tapio

static Napi::Object tapio_init(Napi::Env env, Napi::Object exports) {
  return tapio::init(env, exports);
}
NODE_API_MODULE(tapio_native, tapio_init)
