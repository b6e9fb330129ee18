#include "checksum.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tapio {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

uint32_t by_table(const unsigned char* at, size_t bytes, uint32_t crc) {
  static constexpr auto kTable = make_table();
  for (size_t i = 0; i < bytes; i++) crc = (crc >> 8) ^ kTable[(crc ^ at[i]) & 0xff];
  return crc;
}

#if defined(__x86_64__)
bool has_instruction() { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) uint32_t by_instruction(const unsigned char* at, size_t bytes,
                                                          uint32_t crc) {
  uint64_t wide = crc;
  for (; bytes >= 8; at += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; bytes > 0; at++, bytes--) crc = _mm_crc32_u8(crc, *at);
  return crc;
}
#elif defined(__aarch64__)
bool has_instruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

__attribute__((target("+crc"))) uint32_t by_instruction(const unsigned char* at, size_t bytes,
                                                        uint32_t crc) {
  for (; bytes >= 8; at += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    crc = __crc32cd(crc, word);
  }
  for (; bytes > 0; at++, bytes--) crc = __crc32cb(crc, *at);
  return crc;
}
#else
bool has_instruction() { return false; }
uint32_t by_instruction(const unsigned char* at, size_t bytes, uint32_t crc) {
  return by_table(at, bytes, crc);
}
#endif

}  // namespace

uint32_t crc32c(const void* data, size_t bytes, uint32_t crc) {
  static const bool fast = has_instruction();
  const auto* at = static_cast<const unsigned char*>(data);
  crc = ~crc;
  return ~(fast ? by_instruction(at, bytes, crc) : by_table(at, bytes, crc));
}

}  // namespace tapio
