// Kernel bytes as text: reversible UTF-8, addresses, paths.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tapio {

// Bytes that are not UTF-8 become \xHH, and a backslash is doubled: the original can be had back.
std::string reversible_utf8(std::string_view bytes);
void append_reversible_utf8(std::string* out, std::string_view bytes);

// Whether bytes are UTF-8, and what decoders make of those that are not: each part that is broken
// becomes U+FFFD.
bool is_utf8(std::string_view bytes);
std::string replaced_utf8(std::string_view bytes);

// Text of an address of 16 bytes (IPv4 in the first four); v4-mapped IPv6 is written as IPv4.
// `family` is AF_INET or AF_INET6. IPv6 in the form of RFC 5952.
std::string inet_text(unsigned family, const unsigned char* address);

// True for an IPv6 address ::ffff:a.b.c.d.
bool is_v4_mapped(const unsigned char* address);

// A path of a record's tail: the name given, and its directory as components, leaf first, each
// ended by a NUL. A name that is absolute stands alone; a name that is empty means the directory
// itself. A single component such as "pipe:[7]" names what has no path.
std::string path_text(std::string_view given, std::string_view directory, bool directory_known);

}  // namespace tapio
