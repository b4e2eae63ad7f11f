// Q4_K and Q5_K: 8 sub-blocks of 32 with 6-bit scales and minima.
//   fp16 d, fp16 dmin, 12 bytes of scales and minima, [Q5_K: 32 bytes of fifth bits], 128 bytes of nibbles
// Nibbles go in runs of 64 weights: 32 bytes, low nibbles first. Bit j of fifth-bit byte i belongs to weight 32 j + i.

#include "scheme/block_format.h"
#include "scheme/half_float.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

constexpr int kSubBlocks = 8, kSub = 32, kHeader = 16;

/// Scale and minimum 0..3 fill the low six bits of bytes 0-3 and 4-7; of 4..7 the low four bits make bytes 8-11, and
/// the upper two sit above the six bits of bytes 0-3 (scales) and 4-7 (minima).
void store_steps(const AffineSuperBlock& block, std::byte* out) {
  uint8_t bytes[12] = {};
  for (int j = 0; j < 4; ++j) {
    const int scale = block.scale[j + 4], min = block.min[j + 4];
    bytes[j] = static_cast<uint8_t>(block.scale[j] | (scale >> 4) << 6);
    bytes[j + 4] = static_cast<uint8_t>(block.min[j] | (min >> 4) << 6);
    bytes[j + 8] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
  }
  for (int i = 0; i < 12; ++i) out[i] = static_cast<std::byte>(bytes[i]);
}

struct Steps {
  int scale, min;
};

Steps load_steps(const std::byte* in, int j) {
  const auto byte = [in](int i) { return std::to_integer<int>(in[i]); };
  if (j < 4) return {byte(j) & 63, byte(j + 4) & 63};
  return {(byte(j + 4) & 15) | (byte(j - 4) >> 6) << 4, (byte(j + 4) >> 4) | (byte(j) >> 6) << 4};
}

void encode(int levels, const float* x, const float* w, std::byte* out) {
  const AffineSuperBlock block = fit_affine({.sub_blocks = kSubBlocks, .levels = levels, .top_scale = 63}, x, w);
  store_u16(float_to_half(block.d), out);
  store_u16(float_to_half(block.dmin), out + 2);
  store_steps(block, out + 4);
  std::byte* nibbles = out + kHeader;
  if (levels > 15) {
    for (int i = 0; i < kSub; ++i) {
      int fifth = 0;
      for (int j = 0; j < kSubBlocks; ++j) fifth |= (block.code[j * kSub + i] >> 4) << j;
      nibbles[i] = static_cast<std::byte>(fifth);
    }
    nibbles += kSub;
  }
  for (int j = 0; j < kSubBlocks; j += 2) {
    for (int i = 0; i < kSub; ++i) {
      const int low = block.code[j * kSub + i] & 15, high = block.code[(j + 1) * kSub + i] & 15;
      nibbles[j / 2 * kSub + i] = static_cast<std::byte>(low | high << 4);
    }
  }
}

void decode(bool fifth_bits, const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in)), dmin = half_to_float(load_u16(in + 2));
  const std::byte* fifth = in + kHeader;
  const std::byte* nibbles = fifth_bits ? fifth + kSub : fifth;
  for (int j = 0; j < kSubBlocks; ++j) {
    const Steps steps = load_steps(in + 4, j);
    const float scale = d * static_cast<float>(steps.scale), min = dmin * static_cast<float>(steps.min);
    for (int i = 0; i < kSub; ++i) {
      int code = std::to_integer<int>(nibbles[j / 2 * kSub + i]);
      code = j % 2 == 0 ? code & 15 : code >> 4;
      if (fifth_bits) code |= (std::to_integer<int>(fifth[i]) >> j & 1) << 4;
      y[j * kSub + i] = scale * static_cast<float>(code) - min;
    }
  }
}

}  // namespace

void encode_q4_k(const float* x, const float* w, std::byte* out) { encode(15, x, w, out); }
void decode_q4_k(const std::byte* in, float* y) { decode(false, in, y); }
void encode_q5_k(const float* x, const float* w, std::byte* out) { encode(31, x, w, out); }
void decode_q5_k(const std::byte* in, float* y) { decode(true, in, y); }

}  // namespace vernier
