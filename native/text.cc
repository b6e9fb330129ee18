#include "text.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

namespace tapio {
namespace {

// Length of the UTF-8 sequence at the start of `bytes` (Unicode 15, table 3-7), or 0.
size_t utf8_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto continues = [&](size_t i) { return i < bytes.size() && (at(i) & 0xc0) == 0x80; };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return continues(1) ? 2 : 0;
  if (first < 0xf0) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && at(1) < 0xa0) return 0;
    if (first == 0xed && at(1) > 0x9f) return 0;  // surrogates
    return 3;
  }
  if (first > 0xf4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if (first == 0xf0 && at(1) < 0x90) return 0;
  if (first == 0xf4 && at(1) > 0x8f) return 0;
  return 4;
}

// How many of the first bytes, which begin no sequence, a reader takes together as one that is
// broken: as many as could begin one (Unicode 15, section 3.9).
size_t broken_length(std::string_view bytes) {
  const auto in = [&](size_t i, unsigned char low, unsigned char high) {
    const auto at = i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
    return at >= low && at <= high;
  };
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (first < 0xe0 || first > 0xf4) return 1;
  const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (!in(1, low, high)) return 1;
  return first >= 0xf0 && in(2, 0x80, 0xbf) ? 3 : 2;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  for (size_t length; !bytes.empty(); bytes.remove_prefix(length)) {
    if ((length = utf8_length(bytes)) == 0) return false;
  }
  return true;
}

std::string replaced_utf8(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const size_t length = utf8_length(bytes);
    if (length > 0)
      out.append(bytes.substr(0, length));
    else
      out += "\xef\xbf\xbd";
    bytes.remove_prefix(length > 0 ? length : broken_length(bytes));
  }
  return out;
}

void append_reversible_utf8(std::string* out, std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const size_t length = utf8_length(bytes.substr(i));
    if (length == 0) {
      *out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      i++;
    } else {
      if (byte == '\\') *out += '\\';
      out->append(bytes.substr(i, length));
      i += length;
    }
  }
}

std::string reversible_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  append_reversible_utf8(&out, bytes);
  return out;
}

bool is_v4_mapped(const unsigned char* address) {
  static constexpr unsigned char prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(address, prefix, sizeof(prefix)) == 0;
}

std::string inet_text(unsigned family, const unsigned char* address) {
  char text[INET6_ADDRSTRLEN];
  if (family == AF_INET6 && is_v4_mapped(address))
    inet_ntop(AF_INET, address + 12, text, sizeof(text));
  else
    inet_ntop(family == AF_INET6 ? AF_INET6 : AF_INET, address, text, sizeof(text));
  return text;
}

std::string path_text(std::string_view given, std::string_view directory, bool directory_known) {
  if (!given.empty() && given[0] == '/') return reversible_utf8(given);
  if (!directory_known) return reversible_utf8(given);
  std::vector<std::string_view> components;
  for (size_t at = 0; at < directory.size();) {
    const size_t end = std::min(directory.find('\0', at), directory.size());
    components.push_back(directory.substr(at, end - at));
    at = end + 1;
  }
  if (components.size() == 1 && given.empty() && components[0].find(":[") != std::string_view::npos)
    return reversible_utf8(components[0]);
  std::string out;
  for (auto component = components.rbegin(); component != components.rend(); ++component) {
    out += '/';
    append_reversible_utf8(&out, *component);
  }
  if (given.empty()) return out.empty() ? "/" : out;
  out += '/';
  append_reversible_utf8(&out, given);
  return out;
}

}  // namespace tapio
