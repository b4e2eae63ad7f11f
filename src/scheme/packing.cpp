#include "scheme/packing.h"

namespace vernier {

namespace {

void store_word(uint32_t word, std::byte* out) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::byte>(word >> (8 * i));
}

uint32_t load_word(const std::byte* in) {
  uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word |= static_cast<uint32_t>(in[i]) << (8 * i);
  return word;
}

}  // namespace

void pack_codes(std::span<const uint8_t> codes, int bits, std::byte* out, size_t stride) {
  uint64_t pending = 0;
  int filled = 0;
  for (const uint8_t code : codes) {
    pending |= static_cast<uint64_t>(code) << filled;
    filled += bits;
    if (filled >= 32) {
      store_word(static_cast<uint32_t>(pending), out);
      out += stride;
      pending >>= 32;
      filled -= 32;
    }
  }
  if (filled > 0) store_word(static_cast<uint32_t>(pending), out);
}

void unpack_codes(const std::byte* packed, int bits, std::span<uint8_t> codes, size_t stride) {
  const uint64_t mask = (1u << bits) - 1;
  uint64_t pending = 0;
  int filled = 0;
  for (uint8_t& code : codes) {
    if (filled < bits) {
      pending |= static_cast<uint64_t>(load_word(packed)) << filled;
      packed += stride;
      filled += 32;
    }
    code = static_cast<uint8_t>(pending & mask);
    pending >>= bits;
    filled -= bits;
  }
}

}  // namespace vernier
