// f32, f16 and bf16, seen as blocks of one weight. Values beyond the largest finite half saturate.

#include <bit>

#include "scheme/block_format.h"
#include "scheme/half_float.h"

namespace vernier {

void encode_f32(const float* x, const float*, std::byte* out) {
  const uint32_t bits = std::bit_cast<uint32_t>(*x);
  store_u16(static_cast<uint16_t>(bits), out);
  store_u16(static_cast<uint16_t>(bits >> 16), out + 2);
}

void decode_f32(const std::byte* in, float* y) {
  *y = std::bit_cast<float>(static_cast<uint32_t>(load_u16(in)) | static_cast<uint32_t>(load_u16(in + 2)) << 16);
}

void encode_f16(const float* x, const float*, std::byte* out) { store_u16(float_to_finite_half(*x), out); }

void decode_f16(const std::byte* in, float* y) { *y = half_to_float(load_u16(in)); }

void encode_bf16(const float* x, const float*, std::byte* out) {
  const uint16_t bits = float_to_bf16(*x);
  const bool overflow = (bits & 0x7fffu) == 0x7f80u;
  store_u16(overflow ? static_cast<uint16_t>((bits & 0x8000u) | kMaxBf16Bits) : bits, out);
}

void decode_bf16(const std::byte* in, float* y) { *y = bf16_to_float(load_u16(in)); }

}  // namespace vernier
