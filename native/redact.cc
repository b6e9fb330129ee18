#include "redact.h"

#include <algorithm>

namespace tapio {

void find_spans(const re2::RE2& regex, unsigned pattern, std::string_view text,
                std::vector<Span>* out) {
  const re2::StringPiece all(text.data(), text.size());
  const bool is_utf8 = regex.options().encoding() == re2::RE2::Options::EncodingUTF8;
  std::vector<re2::StringPiece> parts(1 + regex.NumberOfCapturingGroups());
  const auto add = [&](const re2::StringPiece& part) {
    const size_t from = part.data() - text.data();
    if (!part.empty()) out->push_back({from, from + part.size(), pattern});
  };
  size_t at = 0;
  while (at <= text.size() && regex.Match(all, at, text.size(), re2::RE2::UNANCHORED, parts.data(),
                                          static_cast<int>(parts.size()))) {
    const bool has_group = std::any_of(parts.begin() + 1, parts.end(),
                                       [](const auto& part) { return part.data() != nullptr; });
    if (!has_group) add(parts[0]);
    for (size_t i = 1; i < parts.size(); i++) {
      if (parts[i].data() != nullptr) add(parts[i]);
    }
    at = parts[0].data() - text.data() + parts[0].size();
    // A match of nothing: on to the next character.
    if (parts[0].empty()) at++;
    while (is_utf8 && at < text.size() && (text[at] & 0xc0) == 0x80) at++;
  }
}

void join_spans(std::vector<Span>* spans) {
  std::stable_sort(spans->begin(), spans->end(),
                   [](const Span& a, const Span& b) { return a.from < b.from; });
  size_t kept = 0;
  for (const Span& span : *spans) {
    if (kept > 0 && span.from < (*spans)[kept - 1].to)
      (*spans)[kept - 1].to = std::max((*spans)[kept - 1].to, span.to);
    else
      (*spans)[kept++] = span;
  }
  spans->resize(kept);
}

std::string redacted(const std::vector<Mask>& masks, const std::string& text) {
  std::vector<Span> spans;
  for (unsigned i = 0; i < masks.size(); i++) find_spans(*masks[i].regex, i, text, &spans);
  join_spans(&spans);
  std::string out;
  size_t at = 0;
  for (const Span& span : spans) {
    out.append(text, at, span.from - at).append(masks[span.pattern].with);
    at = span.to;
  }
  return out.append(text, at, std::string::npos);
}

}  // namespace tapio
