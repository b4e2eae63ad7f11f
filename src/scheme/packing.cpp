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

void pack_codes(std::span<const Code> codes, int bits, std::byte* out, size_t stride) {
  uint64_t pending = 0;
  int filled = 0;
  for (const Code code : codes) {
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

void unpack_codes(const std::byte* packed, int bits, std::span<Code> codes, size_t stride) {
  const uint64_t mask = (1u << bits) - 1;
  uint64_t pending = 0;
  int filled = 0;
  for (Code& code : codes) {
    if (filled < bits) {
      pending |= static_cast<uint64_t>(load_word(packed)) << filled;
      packed += stride;
      filled += 32;
    }
    code = static_cast<Code>(pending & mask);
    pending >>= bits;
    filled -= bits;
  }
}

void store_code(Code code, int bits, int64_t i, std::byte* packed, size_t stride) {
  const int64_t first = i * bits;
  const int shift = static_cast<int>(first % 32);
  std::byte* word = packed + static_cast<size_t>(first / 32) * stride;
  const bool crosses = shift + bits > 32;
  uint64_t pair = load_word(word) | (crosses ? static_cast<uint64_t>(load_word(word + stride)) << 32 : 0);
  pair &= ~(((uint64_t{1} << bits) - 1) << shift);
  pair |= static_cast<uint64_t>(code) << shift;
  store_word(static_cast<uint32_t>(pair), word);
  if (crosses) store_word(static_cast<uint32_t>(pair >> 32), word + stride);
}

Code load_code(const std::byte* packed, int bits, int64_t i, size_t stride) {
  const int64_t first = i * bits;
  const int shift = static_cast<int>(first % 32);
  const std::byte* word = packed + static_cast<size_t>(first / 32) * stride;
  uint64_t pair = load_word(word);
  if (shift + bits > 32) pair |= static_cast<uint64_t>(load_word(word + stride)) << 32;
  return static_cast<Code>(pair >> shift & ((uint64_t{1} << bits) - 1));
}

}  // namespace vernier
