#include "secrets.h"

#include <algorithm>
#include <cstring>

#include "columns.h"
#include "live_ring.h"

namespace tapio {
namespace {

constexpr std::string_view kHidden = "***";

// What ends a secret that has no end, as that of a URL, where the arguments are cut.
constexpr char kEnd = '@';

// The record goes to the live ring as well.
constexpr uint32_t kRecordMax = TAPIO_RECORD_BYTES_MAX - sizeof(LivePrefix);

re2::RE2::Options options() {
  re2::RE2::Options options(re2::RE2::Quiet);
  // Arguments need not be UTF-8, and what is not must be found as well.
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  return options;
}

char as_lines(char byte) { return byte == '\0' ? '\n' : byte == '\n' ? '\0' : byte; }

// Each argument stays one, however far a secret reaches.
void append_hidden(std::string_view secret, std::string* out) {
  for (size_t at = 0; at < secret.size();) {
    const size_t end = std::min(secret.find('\0', at), secret.size());
    if (end > at) out->append(kHidden);
    if (end < secret.size()) out->push_back('\0');
    at = end + 1;
  }
}

}  // namespace

std::shared_ptr<const Secrets> Secrets::make(const std::vector<Pattern>& patterns,
                                             std::string* why) {
  auto out = std::make_shared<Secrets>();
  out->patterns_ = patterns;
  out->any_ = std::make_unique<re2::RE2::Set>(options(), re2::RE2::UNANCHORED);
  for (const Pattern& one : patterns) {
    auto regex = std::make_unique<re2::RE2>(one.text, options());
    if (!regex->ok() || out->any_->Add(one.text, nullptr) < 0) {
      *why = one.text + ": " + regex->error();
      return nullptr;
    }
    out->regexes_.push_back(std::move(regex));
  }
  if (!out->any_->Compile()) {
    *why = "the patterns are too large together";
    return nullptr;
  }
  return out;
}

bool Secrets::hide(std::string_view arguments, bool cut, std::string* out,
                   std::vector<uint64_t>* counts) const {
  std::string text;
  text.reserve(arguments.size() + 1);
  std::transform(arguments.begin(), arguments.end(), std::back_inserter(text), as_lines);
  if (cut) text.push_back(kEnd);
  std::vector<int> found;
  re2::RE2::Set::ErrorInfo error;
  if (!any_->Match(text, &found, &error)) {
    if (error.kind == re2::RE2::Set::kNoError) return false;
    // It ran out of memory: each is asked on its own.
    for (size_t i = 0; i < regexes_.size(); i++) found.push_back(static_cast<int>(i));
  }
  std::vector<Span> spans;
  for (const int i : found)
    find_spans(*regexes_[static_cast<size_t>(i)], static_cast<unsigned>(i), text, &spans);
  // What was hidden before is no secret.
  std::erase_if(spans, [&](const Span& span) {
    return span.from >= arguments.size() ||
           arguments.substr(span.from, span.to - span.from) == kHidden;
  });
  if (spans.empty()) return false;
  join_spans(&spans);
  counts->resize(std::max(counts->size(), patterns_.size()));
  out->clear();
  size_t at = 0;
  for (const Span& span : spans) {
    const size_t to = std::min(span.to, arguments.size());
    out->append(arguments.substr(at, span.from - at));
    append_hidden(arguments.substr(span.from, to - span.from), out);
    (*counts)[span.pattern]++;
    at = to;
  }
  out->append(arguments.substr(at));
  return true;
}

uint32_t Secrets::hide_in_exec(const tapio_header* record, uint32_t bytes, unsigned char* out,
                               std::vector<uint64_t>* counts) const {
  if (bytes < sizeof(tapio_process_exec)) return 0;
  const auto* from = reinterpret_cast<const unsigned char*>(record);
  Tail tail(from + sizeof(tapio_process_exec), bytes - sizeof(tapio_process_exec));
  // Before the arguments are two paths, of two strings each.
  for (int i = 0; i < 4; i++) tail.next();
  const TailString arguments = tail.next();
  if (!tail.ok() || arguments.stored == 0) return 0;
  std::string text;
  if (!hide({arguments.data, arguments.stored}, arguments.cut(), &text, counts)) return 0;
  const auto at = static_cast<uint32_t>(reinterpret_cast<const unsigned char*>(arguments.data) -
                                        from - sizeof(tapio_string));
  const uint32_t left_out = arguments.full - std::min(arguments.full, arguments.stored);
  const auto whole = static_cast<uint32_t>(text.size());
  const uint32_t stored = std::min(whole, kRecordMax - at - uint32_t{sizeof(tapio_string)});
  const tapio_string head = {
      static_cast<__u16>(stored),
      static_cast<__u16>(std::min<uint32_t>(whole + left_out, UINT16_MAX)),
      0,
  };
  std::memcpy(out, from, at);
  std::memcpy(out + at, &head, sizeof(head));
  const uint32_t data = at + sizeof(head), end = (data + stored + 7u) & ~7u;
  std::memset(out + data, 0, end - data);
  std::memcpy(out + data, text.data(), stored);
  // Their length would tell that of the secrets.
  auto* exec = reinterpret_cast<tapio_process_exec*>(out);
  const int64_t length = int64_t{exec->args_length} + whole - arguments.stored;
  exec->args_length = static_cast<__u32>(std::clamp<int64_t>(length, 0, UINT32_MAX));
  return end;
}

}  // namespace tapio
