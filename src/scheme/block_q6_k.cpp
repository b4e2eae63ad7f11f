// Q6_K: 16 sub-blocks of 16 with signed 8-bit scales.
//   128 bytes of low nibbles, 64 bytes of upper pairs of bits, 16 scales, fp16 d; codes are offset by 32
// In each half of 128 weights, four runs of 32: run r (0..3) keeps its nibbles in bytes 32 (r % 2) .. of the half's 64,
// low for r < 2 and high above, and its upper bits at bit 2 r of the half's 32 bytes.

#include "scheme/block_format.h"
#include "scheme/half_float.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

constexpr int kRun = 32, kHalf = 128;
constexpr int kUpper = 128, kScales = 192, kD = 208;  // byte offsets

}  // namespace

void encode_q6_k(const float* x, const float* w, std::byte* out) {
  const ScaledSuperBlock block =
      fit_scaled({.sub_blocks = 16, .lowest = -32, .highest = 31, .lowest_scale = -128, .highest_scale = 127}, x, w);
  for (int half = 0; half < 2; ++half) {
    const int8_t* code = block.code.data() + half * kHalf;
    for (int i = 0; i < kRun; ++i) {
      int q[4], upper = 0;
      for (int r = 0; r < 4; ++r) {
        q[r] = code[r * kRun + i] + 32;
        upper |= (q[r] >> 4) << (2 * r);
      }
      out[half * 64 + i] = static_cast<std::byte>((q[0] & 15) | (q[2] & 15) << 4);
      out[half * 64 + kRun + i] = static_cast<std::byte>((q[1] & 15) | (q[3] & 15) << 4);
      out[kUpper + half * kRun + i] = static_cast<std::byte>(upper);
    }
  }
  for (int j = 0; j < 16; ++j) out[kScales + j] = static_cast<std::byte>(block.scale[j]);
  store_u16(float_to_half(block.d), out + kD);
}

void decode_q6_k(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in + kD));
  for (int half = 0; half < 2; ++half) {
    for (int r = 0; r < 4; ++r) {
      for (int i = 0; i < kRun; ++i) {
        const int nibbles = std::to_integer<int>(in[half * 64 + (r % 2) * kRun + i]);
        const int upper = std::to_integer<int>(in[kUpper + half * kRun + i]) >> (2 * r) & 3;
        const int code = (r < 2 ? nibbles & 15 : nibbles >> 4) | upper << 4;
        const int at = half * kHalf + r * kRun + i;
        const auto scale = static_cast<float>(static_cast<int8_t>(in[kScales + at / 16]));
        y[at] = d * scale * static_cast<float>(code - 32);
      }
    }
  }
}

}  // namespace vernier
