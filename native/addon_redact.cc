#include "addon_redact.h"

#include <memory>
#include <string>
#include <vector>

#include "redact.h"

namespace tapio {
namespace {

class TextRedactor : public Napi::ObjectWrap<TextRedactor> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "TextRedactor", {InstanceMethod<&TextRedactor::redact>("redact")});
  }

  explicit TextRedactor(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TextRedactor>(info) {
    const auto given = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); i++) {
      const auto mask = given.Get(i).As<Napi::Object>();
      auto regex = std::make_unique<re2::RE2>(mask.Get("pattern").As<Napi::String>().Utf8Value(),
                                              re2::RE2::Quiet);
      if (!regex->ok()) {
        Napi::Error::New(info.Env(), regex->error()).ThrowAsJavaScriptException();
        return;
      }
      masks_.push_back({std::move(regex), mask.Get("with").As<Napi::String>().Utf8Value()});
    }
  }

 private:
  Napi::Value redact(const Napi::CallbackInfo& info) {
    const auto texts = info[0].As<Napi::Array>();
    auto out = Napi::Array::New(info.Env(), texts.Length());
    for (uint32_t i = 0; i < texts.Length(); i++) {
      const std::string text = texts.Get(i).As<Napi::String>();
      out.Set(i, Napi::String::New(info.Env(), redacted(masks_, text)));
    }
    return out;
  }

  std::vector<Mask> masks_;
};

}  // namespace

Napi::Function define_text_redactor(Napi::Env env) { return TextRedactor::define(env); }

}  // namespace tapio
