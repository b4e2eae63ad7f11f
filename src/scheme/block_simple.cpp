// Q4_0 and Q8_0: 32 weights with one fp16 scale.
//   Q4_0: d, then 16 bytes; byte i holds weight i in its low and weight i + 16 in its high nibble, offset by 8
//   Q8_0: d, then 32 signed bytes

#include "scheme/block_format.h"
#include "scheme/half_float.h"
#include "scheme/scale_search.h"

namespace vernier {

namespace {

constexpr int kBlock = 32;

/// The best fp16 scale: the search's result and what least squares makes of its codes once more.
uint16_t fit_scale(const float* x, const float* w, int lowest, int highest) {
  float scale = round_to_half(search_scale(x, w, kBlock, lowest, highest));
  float error = scaled_error(x, w, kBlock, lowest, highest, scale);
  for (int round = 0; round < 3; ++round) {
    const CodeSums sums = scaled_sums(x, w, kBlock, lowest, highest, scale);
    if (!(sums.qq > 0.0f)) break;
    const float next = round_to_half(sums.qx / sums.qq);
    const float next_error = scaled_error(x, w, kBlock, lowest, highest, next);
    if (!(next_error < error)) break;
    scale = next;
    error = next_error;
  }
  return float_to_half(scale);
}

}  // namespace

void encode_q4_0(const float* x, const float* w, std::byte* out) {
  int8_t codes[kBlock];
  const uint16_t d = fit_scale(x, w, -8, 7);
  scaled_codes(x, kBlock, -8, 7, half_to_float(d), codes);
  store_u16(d, out);
  for (int i = 0; i < kBlock / 2; ++i) {
    out[2 + i] = static_cast<std::byte>((codes[i] + 8) | (codes[i + kBlock / 2] + 8) << 4);
  }
}

void decode_q4_0(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in));
  for (int i = 0; i < kBlock / 2; ++i) {
    const int pair = std::to_integer<int>(in[2 + i]);
    y[i] = static_cast<float>((pair & 15) - 8) * d;
    y[i + kBlock / 2] = static_cast<float>((pair >> 4) - 8) * d;
  }
}

void encode_q8_0(const float* x, const float* w, std::byte* out) {
  int8_t codes[kBlock];
  const uint16_t d = fit_scale(x, w, -127, 127);
  scaled_codes(x, kBlock, -127, 127, half_to_float(d), codes);
  store_u16(d, out);
  for (int i = 0; i < kBlock; ++i) out[2 + i] = static_cast<std::byte>(codes[i]);
}

void decode_q8_0(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in));
  for (int i = 0; i < kBlock; ++i) y[i] = static_cast<float>(static_cast<int8_t>(in[2 + i])) * d;
}

}  // namespace vernier
