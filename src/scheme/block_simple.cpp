// Blocks of 32 weights with one fp16 scale d and, in the _1 formats, one fp16 minimum m.
//   Q4_0: d, nibbles            q * d, q in -8 .. 7           Q4_1: d, m, nibbles             q * d + m, q in 0 .. 15
//   Q5_0: d, fifth bits, nibbles    q in -16 .. 15            Q5_1: d, m, fifth bits, nibbles     q in 0 .. 31
//   Q8_0: d, 32 signed bytes        q in -127 .. 127
// Nibbles: 16 bytes; byte i holds weight i low and weight i + 16 high. Fifth bits: 32 little-endian bits. Negative
// ranges are stored with their lowest code as 0.

#include <algorithm>
#include <initializer_list>

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/scale_search.h"

namespace vernier {

namespace {

constexpr int kNibbleBytes = 16, kFifthBytes = 4;
constexpr int kRounds = 3;  // of: round to fp16, choose codes, least squares

/// The best fp16 scale for codes lowest .. highest.
uint16_t fit_scale(const float* x, const float* w, int lowest, int highest) {
  float scale = round_to_half(search_scale(x, w, kSmallBlock, lowest, highest));
  float error = scaled_error(x, w, kSmallBlock, lowest, highest, scale);
  for (int round = 0; round < kRounds; ++round) {
    const CodeSums sums = scaled_sums(x, w, kSmallBlock, lowest, highest, scale);
    if (!(sums.qq > 0.0f)) break;
    const float next = round_to_half(sums.qx / sums.qq);
    const float next_error = scaled_error(x, w, kSmallBlock, lowest, highest, next);
    if (!(next_error < error)) break;
    scale = next;
    error = next_error;
  }
  return float_to_half(scale);
}

/// The best fp16 scale and minimum for codes 0 .. levels.
AffineFit fit_scale_and_min(const float* x, const float* w, int levels) {
  // Here, unlike in a super-block, the minimum may be above zero: the search sees such a block moved down to zero.
  const float lift = std::max(0.0f, *std::min_element(x, x + kSmallBlock));
  float moved[kSmallBlock];
  for (int i = 0; i < kSmallBlock; ++i) moved[i] = x[i] - lift;
  const AffineFit found = search_affine(moved, w, kSmallBlock, levels);
  AffineFit fit{.scale = round_to_half(found.scale), .min = round_to_half(found.min - lift)};
  float error = affine_error(x, w, kSmallBlock, levels, fit.scale, fit.min);
  const DataSums data = data_sums(x, w, kSmallBlock);
  for (int round = 0; round < kRounds; ++round) {
    const CodeSums sums = affine_sums(x, w, kSmallBlock, levels, fit.scale, fit.min);
    // The minimum that suits the rounded scale, then the scale that suits the rounded minimum.
    AffineFit next = fit;
    next.min = round_to_half((fit.scale * sums.q - data.x) / data.w);
    if (sums.qq > 0.0f) next.scale = round_to_half((sums.qx + next.min * sums.q) / sums.qq);
    const float next_error = affine_error(x, w, kSmallBlock, levels, next.scale, next.min);
    if (!(next_error < error)) break;
    fit = next;
    error = next_error;
  }
  return fit;
}

/// Codes of four bits, or of five of which the fifth are stored first.
template <bool fifth>
struct Nibbles {
  static constexpr int kSize = kNibbleBytes + (fifth ? kFifthBytes : 0);

  static void pack(const Code* codes, std::byte* out) {
    if (fifth) {
      for (int byte = 0; byte < kFifthBytes; ++byte) {
        Code bits = 0;
        for (int i = 0; i < 8; ++i) bits |= (codes[byte * 8 + i] >> 4) << i;
        out[byte] = static_cast<std::byte>(bits);
      }
      out += kFifthBytes;
    }
    for (int i = 0; i < kNibbleBytes; ++i)
      out[i] = static_cast<std::byte>((codes[i] & 15) | (codes[i + kNibbleBytes] & 15) << 4);
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    const std::byte* nibbles = fifth ? in + kFifthBytes : in;
    const auto fifth_bit = [in](int i) { return fifth ? (std::to_integer<int>(in[i / 8]) >> (i % 8) & 1) << 4 : 0; };
    for (int i = 0; i < kNibbleBytes; ++i) fn(0, i, (std::to_integer<int>(nibbles[i]) & 15) | fifth_bit(i));
    for (int i = 0; i < kNibbleBytes; ++i)
      fn(0, i + kNibbleBytes, std::to_integer<int>(nibbles[i]) >> 4 | fifth_bit(i + kNibbleBytes));
  }
};

template <int lowest, int highest>
struct ScaledBlock : UniformLevels<lowest, highest> {
  using Codes = Nibbles<(highest > 7)>;
  static constexpr int kElements = kSmallBlock, kSegments = 1, kBytes = 2 + Codes::kSize;
  static void fit(const float* x, const float* w, std::byte* out) { store_u16(fit_scale(x, w, lowest, highest), out); }
  static constexpr StepPartsShape kParts = {};
  static void store_parts(const StepParts& parts, std::byte* out) { store_u16(float_to_half(parts.d), out); }
  static StepParts parts(const std::byte* in) { return {.d = half_to_float(load_u16(in)), .scale = {1}}; }
  static void steps(const std::byte* in, Step* steps) { product_steps<ScaledBlock>(in, steps); }
  static void pack(const Code* codes, std::byte* out) { Codes::pack(codes, out + 2); }
  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    Codes::each_code(in + 2, fn);
  }
};

template <int levels>
struct AffineBlock : UniformLevels<0, levels> {
  using Codes = Nibbles<(levels > 15)>;
  static constexpr int kElements = kSmallBlock, kSegments = 1, kBytes = 4 + Codes::kSize;
  static void fit(const float* x, const float* w, std::byte* out) {
    const AffineFit fit = fit_scale_and_min(x, w, levels);
    store_u16(float_to_half(fit.scale), out);
    store_u16(float_to_half(-fit.min), out + 2);
  }
  /// The minimum is stored as what it adds.
  static constexpr StepPartsShape kParts = {.has_min = true, .min = {-1, -1}};
  static void store_parts(const StepParts& parts, std::byte* out) {
    store_u16(float_to_half(parts.d), out);
    store_u16(float_to_half(parts.dmin), out + 2);
  }
  static StepParts parts(const std::byte* in) {
    return {.d = half_to_float(load_u16(in)), .dmin = half_to_float(load_u16(in + 2)), .scale = {1}, .min = {-1}};
  }
  static void steps(const std::byte* in, Step* steps) { product_steps<AffineBlock>(in, steps); }
  static void pack(const Code* codes, std::byte* out) { Codes::pack(codes, out + 4); }
  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    Codes::each_code(in + 4, fn);
  }
};

/// Bytes may also be -128, which other encoders may write; ours does not choose it.
struct Q8Block : UniformLevels<-128, 127> {
  static constexpr int kElements = kSmallBlock, kSegments = 1, kBytes = 2 + kSmallBlock;
  static void nearest(const Step& step, const float* x, int64_t n, Code* codes) {
    nearest_uniform(step, -127, 127, x, n, codes, /*first=*/1);
  }
  static void fit(const float* x, const float* w, std::byte* out) { store_u16(fit_scale(x, w, -127, 127), out); }
  static constexpr StepPartsShape kParts = {};
  static void store_parts(const StepParts& parts, std::byte* out) { store_u16(float_to_half(parts.d), out); }
  static StepParts parts(const std::byte* in) { return {.d = half_to_float(load_u16(in)), .scale = {1}}; }
  static void steps(const std::byte* in, Step* steps) { product_steps<Q8Block>(in, steps); }
  static void pack(const Code* codes, std::byte* out) {
    for (int i = 0; i < kSmallBlock; ++i) out[2 + i] = static_cast<std::byte>(codes[i] - 128);
  }
  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int i = 0; i < kSmallBlock; ++i) fn(0, i, static_cast<int8_t>(in[2 + i]) + 128);
  }
};

}  // namespace

const NumberFormat& q8_0_format() {
  static const GgufFormat row({.name = "gguf:q8_0", .type = kGgmlQ8_0, .file_type = 7}, gguf_block<Q8Block>());
  return row;
}

const NumberFormat& q5_1_format() {
  static const GgufFormat row({.name = "gguf:q5_1", .type = kGgmlQ5_1, .file_type = 9}, gguf_block<AffineBlock<31>>());
  return row;
}

const NumberFormat& q5_0_format() {
  static const GgufFormat row({.name = "gguf:q5_0", .type = kGgmlQ5_0, .file_type = 8},
                              gguf_block<ScaledBlock<-16, 15>>());
  return row;
}

const NumberFormat& q4_1_format() {
  static const GgufFormat row({.name = "gguf:q4_1", .type = kGgmlQ4_1, .file_type = 3}, gguf_block<AffineBlock<15>>());
  return row;
}

const NumberFormat& q4_0_format() {
  static const GgufFormat row({.name = "gguf:q4_0", .type = kGgmlQ4_0, .file_type = 2},
                              gguf_block<ScaledBlock<-8, 7>>());
  return row;
}

}  // namespace vernier
