// Secrets of command lines, which patterns find and which nothing may hold: neither a row nor a
// file.
#pragma once

#include <re2/re2.h>
#include <re2/set.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "format.h"
#include "redact.h"

namespace tapio {

// What is found is replaced by three asterisks, whatever its length. Any thread may ask.
//
// Patterns see bytes, an argument a line: what ends an argument is a line break, and a line break
// within one is a NUL. So . stays within an argument, \s may stand between two, and ^ and $ with
// (?m) are where one begins and ends.
class Secrets {
 public:
  struct Pattern {
    std::string name, text;
  };
  // Null where RE2 does not take one of them; *why says which, and why.
  static std::shared_ptr<const Secrets> make(const std::vector<Pattern>& patterns,
                                             std::string* why);

  const std::vector<Pattern>& patterns() const { return patterns_; }

  // Writes arguments, each ended by a NUL, without their secrets to *out, and adds how many of each
  // pattern there were to counts. False where there are none. `cut`: what follows was left out, so
  // that a secret may end where they do.
  bool hide(std::string_view arguments, bool cut, std::string* out,
            std::vector<uint64_t>* counts) const;

  // An exec record without the secrets of its arguments, written to `out` (TAPIO_RECORD_BYTES_MAX
  // bytes). Gives its bytes, 0 where there are none.
  uint32_t hide_in_exec(const tapio_header* record, uint32_t bytes, unsigned char* out,
                        std::vector<uint64_t>* counts) const;

 private:
  std::vector<Pattern> patterns_;
  std::vector<std::unique_ptr<re2::RE2>> regexes_;
  // All of them in one pass, which tells those that match.
  std::unique_ptr<re2::RE2::Set> any_;
};

}  // namespace tapio
