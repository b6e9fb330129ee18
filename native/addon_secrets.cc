#include "addon_secrets.h"

#include <string>
#include <vector>

#include "addon_list.h"

namespace tapio {
namespace {

class SecretMask : public Napi::ObjectWrap<SecretMask> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "SecretMask",
        {InstanceMethod<&SecretMask::hide>("hide"), InstanceMethod<&SecretMask::masked>("masked")});
  }

  explicit SecretMask(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<SecretMask>(info), secrets_(secrets_from_js(info[0])) {}

 private:
  Napi::Value hide(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    std::string all, out;
    const auto given = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); i++)
      all.append(given.Get(i).As<Napi::String>().Utf8Value()).push_back('\0');
    // What is cut ends where its last argument does.
    const bool cut = info[1].ToBoolean();
    if (cut && !all.empty()) all.pop_back();
    if (!secrets_ || !secrets_->hide(all, cut, &out, &counts_)) return given;
    auto list = Napi::Array::New(env);
    uint32_t count = 0;
    for (size_t at = 0; at < out.size();) {
      const size_t end = std::min(out.find('\0', at), out.size());
      list.Set(count++, Napi::String::New(env, out.data() + at, end - at));
      at = end + 1;
    }
    return list;
  }

  Napi::Value masked(const Napi::CallbackInfo& info) {
    return masked_to_js(info.Env(), secrets_.get(), counts_);
  }

  std::shared_ptr<const Secrets> secrets_;
  std::vector<uint64_t> counts_;
};

}  // namespace

std::shared_ptr<const Secrets> secrets_from_js(const Napi::Value& value) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() == 0) return nullptr;
  const auto patterns = list_of<Secrets::Pattern>(value, [](const Napi::Value& one) {
    const auto object = one.As<Napi::Object>();
    return Secrets::Pattern{object.Get("name").As<Napi::String>(),
                            object.Get("pattern").As<Napi::String>()};
  });
  std::string why;
  auto secrets = Secrets::make(patterns, &why);
  if (!secrets) Napi::Error::New(value.Env(), why).ThrowAsJavaScriptException();
  return secrets;
}

Napi::Object masked_to_js(Napi::Env env, const Secrets* secrets,
                          const std::vector<uint64_t>& counts) {
  auto out = Napi::Object::New(env);
  for (size_t i = 0; secrets && i < counts.size(); i++)
    if (counts[i] > 0) out.Set(secrets->patterns()[i].name, static_cast<double>(counts[i]));
  return out;
}

Napi::Function define_secret_mask(Napi::Env env) { return SecretMask::define(env); }

}  // namespace tapio
