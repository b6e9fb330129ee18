#include "addon_redact.h"

#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace tapio {
namespace {

struct Mask {
  std::unique_ptr<re2::RE2> regex;
  std::string with;
};

// A part of a text that is replaced.
struct Span {
  size_t from, to;
  const std::string* with;
};

// The groups of each match; where the pattern has none, or none took part, all of it.
void find_spans(const Mask& mask, const std::string& text, std::vector<Span>& out) {
  std::vector<re2::StringPiece> parts(1 + mask.regex->NumberOfCapturingGroups());
  const auto add = [&](const re2::StringPiece& part) {
    const size_t from = part.data() - text.data();
    if (!part.empty()) out.push_back({from, from + part.size(), &mask.with});
  };
  size_t at = 0;
  while (at <= text.size() && mask.regex->Match(text, at, text.size(), re2::RE2::UNANCHORED,
                                                parts.data(), static_cast<int>(parts.size()))) {
    const bool has_group = std::any_of(parts.begin() + 1, parts.end(),
                                       [](const auto& part) { return part.data() != nullptr; });
    if (!has_group) add(parts[0]);
    for (size_t i = 1; i < parts.size(); i++) {
      if (parts[i].data() != nullptr) add(parts[i]);
    }
    at = parts[0].data() - text.data() + parts[0].size();
    // A match of nothing: on to the next character.
    if (parts[0].empty()) at++;
    while (at < text.size() && (text[at] & 0xc0) == 0x80) at++;
  }
}

// All masks look at the text as it was, so that none can undo what another finds; parts that
// overlap are one.
std::string redacted(const std::vector<Mask>& masks, const std::string& text) {
  std::vector<Span> spans;
  for (const Mask& mask : masks) find_spans(mask, text, spans);
  if (spans.empty()) return text;
  std::stable_sort(spans.begin(), spans.end(),
                   [](const Span& a, const Span& b) { return a.from < b.from; });
  std::string out;
  size_t at = 0;
  for (const Span& span : spans) {
    if (span.from >= at) {
      out.append(text, at, span.from - at);
      out.append(*span.with);
    }
    at = std::max(at, span.to);
  }
  return out.append(text, at, std::string::npos);
}

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
