// Blocks of 32 weights with one fp16 scale d and, in the _1 formats, one fp16 minimum m.
//   Q4_0: d, nibbles            q * d, q in -8 .. 7           Q4_1: d, m, nibbles             q * d + m, q in 0 .. 15
//   Q5_0: d, fifth bits, nibbles    q in -16 .. 15            Q5_1: d, m, fifth bits, nibbles     q in 0 .. 31
//   Q8_0: d, 32 signed bytes        q in -127 .. 127
// Nibbles: 16 bytes; byte i holds weight i low and weight i + 16 high. Fifth bits: 32 little-endian bits. Negative
// ranges are stored with their lowest code as 0.

#include <algorithm>
#include <initializer_list>

#include "scheme/block_format.h"
#include "scheme/half_float.h"
#include "scheme/scale_search.h"

namespace vernier {

namespace {

constexpr int kBlock = 32, kNibbleBytes = 16, kFifthBytes = 4;
constexpr int kRounds = 3;  // of: round to fp16, choose codes, least squares

/// The best fp16 scale for codes lowest .. highest.
uint16_t fit_scale(const float* x, const float* w, int lowest, int highest) {
  float scale = round_to_half(search_scale(x, w, kBlock, lowest, highest));
  float error = scaled_error(x, w, kBlock, lowest, highest, scale);
  for (int round = 0; round < kRounds; ++round) {
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

/// The best fp16 scale and minimum for codes 0 .. levels.
AffineFit fit_scale_and_min(const float* x, const float* w, int levels) {
  // Here, unlike in a super-block, the minimum may be above zero: the search sees such a block moved down to zero.
  const float lift = std::max(0.0f, *std::min_element(x, x + kBlock));
  float moved[kBlock];
  for (int i = 0; i < kBlock; ++i) moved[i] = x[i] - lift;
  const AffineFit found = search_affine(moved, w, kBlock, levels);
  AffineFit fit{.scale = round_to_half(found.scale), .min = round_to_half(found.min - lift)};
  float error = affine_error(x, w, kBlock, levels, fit.scale, fit.min);
  const DataSums data = data_sums(x, w, kBlock);
  for (int round = 0; round < kRounds; ++round) {
    const CodeSums sums = affine_sums(x, w, kBlock, levels, fit.scale, fit.min);
    // The minimum that suits the rounded scale, then the scale that suits the rounded minimum.
    AffineFit next = fit;
    next.min = round_to_half((fit.scale * sums.q - data.x) / data.w);
    if (sums.qq > 0.0f) next.scale = round_to_half((sums.qx + next.min * sums.q) / sums.qq);
    const float next_error = affine_error(x, w, kBlock, levels, next.scale, next.min);
    if (!(next_error < error)) break;
    fit = next;
    error = next_error;
  }
  return fit;
}

void store_nibbles(const uint8_t* codes, std::byte* out) {
  for (int i = 0; i < kNibbleBytes; ++i) {
    out[i] = static_cast<std::byte>((codes[i] & 15) | (codes[i + kNibbleBytes] & 15) << 4);
  }
}

void store_fifth_bits(const uint8_t* codes, std::byte* out) {
  for (int byte = 0; byte < kFifthBytes; ++byte) {
    int bits = 0;
    for (int i = 0; i < 8; ++i) bits |= (codes[byte * 8 + i] >> 4) << i;
    out[byte] = static_cast<std::byte>(bits);
  }
}

int load_code(const std::byte* nibbles, int i) {
  const int pair = std::to_integer<int>(nibbles[i % kNibbleBytes]);
  return i < kNibbleBytes ? pair & 15 : pair >> 4;
}

int load_fifth_bit(const std::byte* bits, int i) { return (std::to_integer<int>(bits[i / 8]) >> (i % 8) & 1) << 4; }

void encode_scaled(int lowest, int highest, const float* x, const float* w, std::byte* out) {
  const uint16_t d = fit_scale(x, w, lowest, highest);
  int8_t codes[kBlock];
  uint8_t shifted[kBlock];
  scaled_codes(x, kBlock, lowest, highest, half_to_float(d), codes);
  for (int i = 0; i < kBlock; ++i) shifted[i] = static_cast<uint8_t>(codes[i] - lowest);
  store_u16(d, out);
  out += 2;
  if (highest > 7) {
    store_fifth_bits(shifted, out);
    out += kFifthBytes;
  }
  store_nibbles(shifted, out);
}

void encode_affine(int levels, const float* x, const float* w, std::byte* out) {
  const AffineFit fit = fit_scale_and_min(x, w, levels);
  uint8_t codes[kBlock];
  affine_codes(x, kBlock, levels, fit.scale, fit.min, codes);
  store_u16(float_to_half(fit.scale), out);
  store_u16(float_to_half(-fit.min), out + 2);
  out += 4;
  if (levels > 15) {
    store_fifth_bits(codes, out);
    out += kFifthBytes;
  }
  store_nibbles(codes, out);
}

}  // namespace

void encode_q4_0(const float* x, const float* w, std::byte* out) { encode_scaled(-8, 7, x, w, out); }

void decode_q4_0(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in));
  for (int i = 0; i < kBlock; ++i) y[i] = static_cast<float>(load_code(in + 2, i) - 8) * d;
}

void encode_q4_1(const float* x, const float* w, std::byte* out) { encode_affine(15, x, w, out); }

void decode_q4_1(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in)), m = half_to_float(load_u16(in + 2));
  for (int i = 0; i < kBlock; ++i) y[i] = static_cast<float>(load_code(in + 4, i)) * d + m;
}

void encode_q5_0(const float* x, const float* w, std::byte* out) { encode_scaled(-16, 15, x, w, out); }

void decode_q5_0(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in));
  for (int i = 0; i < kBlock; ++i) {
    y[i] = static_cast<float>((load_code(in + 6, i) | load_fifth_bit(in + 2, i)) - 16) * d;
  }
}

void encode_q5_1(const float* x, const float* w, std::byte* out) { encode_affine(31, x, w, out); }

void decode_q5_1(const std::byte* in, float* y) {
  const float d = half_to_float(load_u16(in)), m = half_to_float(load_u16(in + 2));
  for (int i = 0; i < kBlock; ++i) {
    y[i] = static_cast<float>(load_code(in + 8, i) | load_fifth_bit(in + 4, i)) * d + m;
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
