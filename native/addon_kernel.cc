#include "addon_kernel.h"

#include "addon_values.h"
#include "inflight.h"
#include "live_source.h"
#include "pins.h"
#include "text.h"

namespace tapio {
namespace {

Napi::Value probe(const Napi::CallbackInfo& info) {
  const std::vector<ProbeResult> results =
      info[0].IsString() ? probe_types(info[0].As<Napi::String>()) : probe_live();
  auto out = Napi::Array::New(info.Env(), results.size());
  for (uint32_t i = 0; i < results.size(); i++) {
    auto one = Napi::Object::New(info.Env());
    one.Set("name", results[i].name);
    one.Set("ok", results[i].ok);
    one.Set("detail", results[i].detail);
    auto ops = Napi::Array::New(info.Env());
    for (unsigned op : results[i].ops) ops.Set(ops.Length(), op);
    one.Set("ops", ops);
    out.Set(i, one);
  }
  return out;
}

Napi::Value ask_calls_under_way(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<tapio_under_way> calls;
  std::string why;
  if (!calls_under_way(info[0].As<Napi::String>().Utf8Value(), &calls, &why)) {
    js_error(env, "not_permitted", why).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto out = Napi::Array::New(env, calls.size());
  for (uint32_t i = 0; i < calls.size(); i++) {
    const tapio_under_way& call = calls[i];
    const auto* comm = reinterpret_cast<const char*>(call.comm);
    auto one = Napi::Object::New(env);
    one.Set("pid", call.pid);
    one.Set("tid", call.tid);
    one.Set("uid", call.uid);
    one.Set("pstart", big(env, uint64_t{call.pstart}));
    one.Set("comm", reversible_utf8({comm, strnlen(comm, sizeof(call.comm))}));
    one.Set("started", big(env, uint64_t{call.started}));
    one.Set("number", call.number);
    one.Set("is32", call.is_32 != 0);
    one.Set("args", to_array(env, std::vector<uint64_t>(call.args, call.args + 6)));
    out.Set(i, one);
  }
  return out;
}

Napi::Value pinned(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<PinnedSet> sets = pinned_sets(info[0].As<Napi::String>().Utf8Value());
  auto out = Napi::Array::New(env, sets.size());
  for (uint32_t i = 0; i < sets.size(); i++) {
    const PinnedSet& set = sets[i];
    const auto known = [&](Napi::Value value) { return set.readable ? value : env.Null(); };
    auto one = Napi::Object::New(env);
    one.Set("store", known(Napi::String::New(env, set.store)));
    one.Set("path", set.path);
    one.Set("recording", known(Napi::String::New(env, set.recording)));
    one.Set("rings", set.rings);
    one.Set("pid", known(Napi::Number::New(env, set.pid)));
    one.Set("alive", set.alive);
    one.Set("ringBytes", known(Napi::Number::New(env, static_cast<double>(set.ring_bytes))));
    one.Set("mutedSince", known(big(env, set.muted_since)));
    out.Set(i, one);
  }
  return out;
}

void unpin_set(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  if (!unpin(path))
    js_error(info.Env(), "io", path + " is not in a BPF file system").ThrowAsJavaScriptException();
}

}  // namespace

void define_kernel(Napi::Env env, Napi::Object exports) {
  exports.Set("probe", Napi::Function::New(env, probe));
  exports.Set("callsUnderWay", Napi::Function::New(env, ask_calls_under_way));
  exports.Set("pinned", Napi::Function::New(env, pinned));
  exports.Set("unpin", Napi::Function::New(env, unpin_set));
}

}  // namespace tapio
