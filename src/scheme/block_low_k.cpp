// Q2_K and Q3_K: 16 sub-blocks of 16 and two low bits per weight.
//   Q2_K: 16 bytes of 4-bit scale (low) and minimum (high), 64 bytes of low bits, fp16 d, fp16 dmin
//   Q3_K: 32 bytes of third bits, 64 bytes of low bits, 12 bytes of 6-bit scales, fp16 d; codes are offset by 4, scales
//   by 32
// In each half of 128 weights, run r (0..3) of 32 keeps its low bits at bit 2 r of the half's 32 bytes; the third bits
// of run r of half h are bit 4 h + r of the 32 bytes.

#include "scheme/block_format.h"
#include "scheme/half_float.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

constexpr int kRun = 32, kSub = 16, kSubBlocks = 16, kLowBytes = 64;

/// Where weight i of a super-block keeps its low bits and its third bit.
struct Place {
  int byte, shift, third_byte, third_bit;
};

Place place_of(int i) {
  const int half = i / 128, run = i % 128 / kRun, at = i % kRun;
  return {.byte = half * kRun + at, .shift = 2 * run, .third_byte = at, .third_bit = half * 4 + run};
}

template <class Code>
void store_low_bits(Code code, std::byte* out) {
  for (int i = 0; i < kLowBytes; ++i) out[i] = std::byte{0};
  for (int i = 0; i < kSuperBlock; ++i) {
    const Place place = place_of(i);
    out[place.byte] |= static_cast<std::byte>((code(i) & 3) << place.shift);
  }
}

int load_low_bits(const std::byte* in, const Place& place) {
  return std::to_integer<int>(in[place.byte]) >> place.shift & 3;
}

constexpr int kQ2Low = 16, kQ2D = 80, kQ3Low = 32, kQ3Scales = 96, kQ3D = 108;  // byte offsets

}  // namespace

void encode_q2_k(const float* x, const float* w, std::byte* out) {
  const AffineSuperBlock block = fit_affine({.sub_blocks = kSubBlocks, .levels = 3, .top_scale = 15}, x, w);
  for (int j = 0; j < kSubBlocks; ++j) out[j] = static_cast<std::byte>(block.scale[j] | block.min[j] << 4);
  store_low_bits([&](int i) { return block.code[i]; }, out + kQ2Low);
  store_u16(float_to_half(block.d), out + kQ2D);
  store_u16(float_to_half(block.dmin), out + kQ2D + 2);
}

void decode_q2_k(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in + kQ2D)), dmin = half_to_float(load_u16(in + kQ2D + 2));
  for (int i = 0; i < kSuperBlock; ++i) {
    const int steps = std::to_integer<int>(in[i / kSub]);
    const float scale = d * static_cast<float>(steps & 15), min = dmin * static_cast<float>(steps >> 4);
    y[i] = scale * static_cast<float>(load_low_bits(in + kQ2Low, place_of(i))) - min;
  }
}

void encode_q3_k(const float* x, const float* w, std::byte* out) {
  const ScaledSuperBlock block = fit_scaled(
      {.sub_blocks = kSubBlocks, .lowest = -4, .highest = 3, .lowest_scale = -32, .highest_scale = 31}, x, w);
  for (int i = 0; i < kRun; ++i) out[i] = std::byte{0};
  for (int i = 0; i < kSuperBlock; ++i) {
    const Place place = place_of(i);
    if (block.code[i] >= 0) out[place.third_byte] |= static_cast<std::byte>(1 << place.third_bit);
  }
  store_low_bits([&](int i) { return block.code[i] + 4; }, out + kQ3Low);
  // Scale j: four low bits in byte j % 8 (low nibble for j < 8), two upper bits in byte 8 + j % 4 at bit 2 (j / 4).
  std::byte* scales = out + kQ3Scales;
  for (int i = 0; i < 12; ++i) scales[i] = std::byte{0};
  for (int j = 0; j < kSubBlocks; ++j) {
    const int step = block.scale[j] + 32;
    scales[j % 8] |= static_cast<std::byte>((step & 15) << (j / 8 * 4));
    scales[8 + j % 4] |= static_cast<std::byte>((step >> 4) << (j / 4 * 2));
  }
  store_u16(float_to_half(block.d), out + kQ3D);
}

void decode_q3_k(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in + kQ3D));
  const auto scale_byte = [&](int i) { return std::to_integer<int>(in[kQ3Scales + i]); };
  for (int i = 0; i < kSuperBlock; ++i) {
    const int j = i / kSub;
    const int step = (scale_byte(j % 8) >> (j / 8 * 4) & 15) | (scale_byte(8 + j % 4) >> (j / 4 * 2) & 3) << 4;
    const Place place = place_of(i);
    const int third = std::to_integer<int>(in[place.third_byte]) >> place.third_bit & 1;
    const int code = load_low_bits(in + kQ3Low, place) - (third != 0 ? 0 : 4);
    y[i] = d * static_cast<float>(step - 32) * static_cast<float>(code);
  }
}

}  // namespace vernier
