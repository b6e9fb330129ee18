// Records that another version of the event table laid out, rewritten as ours. Fields are matched
// by op and field id: what the other table lacks is null, what ours lacks is dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "format.h"

namespace tapio {

class Transcoder {
 public:
  // From the other table's layouts, as schemas/generated/layouts.h has ours. Null where they are
  // damaged: they come from outside.
  static std::unique_ptr<const Transcoder> parse(std::string_view layouts);

  // Writes the record as ours to `out`, which has room for TAPIO_RECORD_BYTES_MAX bytes. Returns
  // its bytes; 0 where there is no such op, or the record is not what its layout says.
  uint32_t rewrite(const unsigned char* record, uint32_t bytes, unsigned char* out) const;

 private:
  struct FixedCopy {
    uint32_t from, to, bytes;
    uint32_t from_bit, to_bit;  // masks
  };
  struct TailCopy {
    uint32_t string;   // the first of its strings in the other tail; kMissing without
    uint32_t strings;  // how many of ours
    uint32_t from_bit, to_bit;
  };
  struct Plan {
    bool known = false;
    uint32_t from_bytes, from_nulls, from_strings;
    uint32_t to_bytes, to_nulls;
    uint32_t missing;  // null bits of what the other table lacks
    std::vector<FixedCopy> fixed;
    std::vector<TailCopy> tail;
  };
  Plan plans_[TAPIO_OPS_MAX];
};

}  // namespace tapio
