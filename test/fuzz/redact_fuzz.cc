// Masks of any pattern over texts of any bytes: what a mask finds is gone, whatever others find,
// and in whatever order they are.
//
// Input: for two masks a pattern each (its length, then its bytes; or one of ours), then the text.

#include <string>
#include <utility>
#include <vector>

#include "fuzz.h"
#include "redact.h"

using namespace tapio;

namespace {

constexpr unsigned kPatternMax = 48;
constexpr const char* kOurs[] = {"--password=(\\S+)", "a", "ab|b", "(a)(b)?", "x*", "\\bkey=\\w*"};
constexpr unsigned kOursCount = sizeof(kOurs) / sizeof(kOurs[0]);
// No text that is looked for has it.
constexpr char kWith = '\x01';

std::string pattern(Input& input) {
  const unsigned length = input.byte();
  if (length > kPatternMax) return kOurs[length % kOursCount];
  std::string out(length, '\0');
  input.take_bytes(out.data(), length);
  return out;
}

bool add(std::vector<Mask>& masks, const std::string& pattern) {
  RE2::Options options(re2::RE2::Quiet);
  // A pattern of a few bytes can ask for gigabytes.
  options.set_max_mem(1 << 18);
  auto regex = std::make_unique<re2::RE2>(pattern, options);
  if (!regex->ok()) return false;
  masks.push_back({std::move(regex), std::string(1, kWith)});
  return true;
}

std::string one(const std::string& pattern, const std::string& text) {
  std::vector<Mask> masks;
  return add(masks, pattern) ? redacted(masks, text) : text;
}

// Bytes that are left come in the order they had.
bool is_part(const std::string& out, const std::string& text) {
  size_t at = 0;
  for (const char c : out) {
    if (c == kWith) continue;
    at = text.find(c, at);
    if (at == std::string::npos) return false;
    at++;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* at, size_t size) {
  Input input(at, size);
  const std::string first = pattern(input), second = pattern(input);
  std::string text;
  while (!input.empty()) text.push_back(static_cast<char>(input.byte()));
  std::erase(text, kWith);
  std::vector<Mask> masks, turned;
  if (!add(masks, first) || !add(masks, second)) return 0;
  CHECK(add(turned, second) && add(turned, first));
#ifdef TAPIO_PLANTED_BUG
  const std::string out = one(second, one(first, text));
#else
  const std::string out = redacted(masks, text);
#endif
  CHECK(out == redacted(turned, text));
  CHECK(is_part(out, text));
  CHECK(redacted({}, text) == text);
  // What both find alone is gone from what both find together: no byte is left that one of them
  // took.
  CHECK(std::count(out.begin(), out.end(), kWith) == 0
            ? one(first, text) == text && one(second, text) == text
            : out != text);
  // A text that is looked for as it stands is not there any more.
  const bool is_plain = !text.empty() && std::all_of(first.begin(), first.end(),
                                                     [](char c) { return c >= 'a' && c <= 'z'; });
  if (is_plain && !first.empty()) CHECK(out.find(first) == std::string::npos);
  return 0;
}
