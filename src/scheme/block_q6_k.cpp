// Q6_K: 16 sub-blocks of 16 with signed 8-bit scales.
//   128 bytes of low nibbles, 64 bytes of upper pairs of bits, 16 scales, fp16 d; codes are offset by 32
// In each half of 128 weights, four runs of 32: run r (0..3) keeps its nibbles in bytes 32 (r % 2) .. of the half's 64,
// low for r < 2 and high above, and its upper bits at bit 2 r of the half's 32 bytes.

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

struct Q6KBlock : UniformLevels<-32, 31> {
  static constexpr int kElements = kSuperBlock, kSegments = 16, kBytes = 210;
  static constexpr int kRun = 32, kHalf = 128;
  static constexpr int kUpper = 128, kScales = 192, kD = 208;  // byte offsets

  static void fit(const float* x, const float* w, std::byte* out) {
    store_parts(parts_of(fit_scaled({.sub_blocks = kSegments,
                                     .lowest = kLowest,
                                     .highest = kHighest,
                                     .lowest_scale = kParts.scale.lowest,
                                     .highest_scale = kParts.scale.highest},
                                    x, w)),
                out);
  }

  static constexpr StepPartsShape kParts = {.scale = {-128, 127}};
  static void store_parts(const StepParts& parts, std::byte* out) {
    for (size_t j = 0; j < kSegments; ++j) out[kScales + j] = static_cast<std::byte>(parts.scale[j]);
    store_u16(float_to_half(parts.d), out + kD);
  }
  static StepParts parts(const std::byte* in) {
    StepParts parts{.d = half_to_float(load_u16(in + kD))};
    for (size_t j = 0; j < kSegments; ++j) parts.scale[j] = static_cast<int8_t>(in[kScales + j]);
    return parts;
  }
  static void steps(const std::byte* in, Step* steps) { product_steps<Q6KBlock>(in, steps); }

  static void pack(const Code* codes, std::byte* out) {
    for (int half = 0; half < 2; ++half) {
      const Code* code = codes + half * kHalf;
      for (int i = 0; i < kRun; ++i) {
        Code q[4], upper = 0;
        for (int r = 0; r < 4; ++r) {
          q[r] = code[r * kRun + i];
          upper |= (q[r] >> 4) << (2 * r);
        }
        out[half * 64 + i] = static_cast<std::byte>((q[0] & 15) | (q[2] & 15) << 4);
        out[half * 64 + kRun + i] = static_cast<std::byte>((q[1] & 15) | (q[3] & 15) << 4);
        out[kUpper + half * kRun + i] = static_cast<std::byte>(upper);
      }
    }
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int half = 0; half < 2; ++half) {
      for (int r = 0; r < 4; ++r) {
        for (int i = 0; i < kRun; ++i) {
          const int nibbles = std::to_integer<int>(in[half * 64 + (r % 2) * kRun + i]);
          const int upper = std::to_integer<int>(in[kUpper + half * kRun + i]) >> (2 * r) & 3;
          const int at = half * kHalf + r * kRun + i;
          fn(at / 16, at, (r < 2 ? nibbles & 15 : nibbles >> 4) | upper << 4);
        }
      }
    }
  }
};

}  // namespace

const NumberFormat& q6_k_format() {
  static const GgufFormat row({.name = "gguf:q6_k",
                               .type = kGgmlQ6K,
                               .file_type = 18,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q8_0"},
                              gguf_block<Q6KBlock>());
  return row;
}

}  // namespace vernier
