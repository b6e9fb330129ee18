// CRC-32C (Castagnoli, RFC 3720 §12.1), with the processor's instruction where there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tapio {

// Goes on from `crc`, the result for what stands before.
uint32_t crc32c(const void* data, size_t bytes, uint32_t crc = 0);

}  // namespace tapio
