// Q2_K and Q3_K: 16 sub-blocks of 16 and two low bits per weight.
//   Q2_K: 16 bytes of 4-bit scale (low) and minimum (high), 64 bytes of low bits, fp16 d, fp16 dmin
//   Q3_K: 32 bytes of third bits, 64 bytes of low bits, 12 bytes of 6-bit scales, fp16 d; codes are offset by 4, scales
//   by 32
// In each half of 128 weights, run r (0..3) of 32 keeps its low bits at bit 2 r of the half's 32 bytes; the third bits
// of run r of half h are bit 4 h + r of the 32 bytes.

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

constexpr int kRun = 32, kSub = 16, kSubBlocks = 16, kLowBytes = 64;

/// Where weight i of a super-block keeps its low bits and its third bit.
struct BitPlace {
  int byte, shift, third_byte, third_bit;
};

BitPlace place_of(int i) {
  const int half = i / 128, run = i % 128 / kRun, at = i % kRun;
  return {.byte = half * kRun + at, .shift = 2 * run, .third_byte = at, .third_bit = half * 4 + run};
}

void store_low_bits(const Code* codes, std::byte* out) {
  for (int i = 0; i < kLowBytes; ++i) out[i] = std::byte{0};
  for (int i = 0; i < kSuperBlock; ++i) {
    const BitPlace place = place_of(i);
    out[place.byte] |= static_cast<std::byte>((codes[i] & 3) << place.shift);
  }
}

int load_low_bits(const std::byte* in, const BitPlace& place) {
  return std::to_integer<int>(in[place.byte]) >> place.shift & 3;
}

struct Q2KBlock : UniformLevels<0, 3> {
  static constexpr int kElements = kSuperBlock, kSegments = kSubBlocks, kBytes = 84;
  static constexpr int kLow = 16, kD = 80;  // byte offsets

  static void fit(const float* x, const float* w, std::byte* out) {
    store_parts(parts_of(fit_affine({.sub_blocks = kSubBlocks, .levels = 3, .top_scale = 15}, x, w)), out);
  }

  static constexpr StepPartsShape kParts = {.scale = {0, 15}, .has_min = true, .min = {0, 15}};
  static void store_parts(const StepParts& parts, std::byte* out) {
    for (size_t j = 0; j < kSubBlocks; ++j) out[j] = static_cast<std::byte>(parts.scale[j] | parts.min[j] << 4);
    store_u16(float_to_half(parts.d), out + kD);
    store_u16(float_to_half(parts.dmin), out + kD + 2);
  }
  static StepParts parts(const std::byte* in) {
    StepParts parts{.d = half_to_float(load_u16(in + kD)), .dmin = half_to_float(load_u16(in + kD + 2))};
    for (size_t j = 0; j < kSubBlocks; ++j) {
      const int integers = std::to_integer<int>(in[j]);
      parts.scale[j] = integers & 15;
      parts.min[j] = integers >> 4;
    }
    return parts;
  }
  static void steps(const std::byte* in, Step* steps) { product_steps<Q2KBlock>(in, steps); }

  static void pack(const Code* codes, std::byte* out) { store_low_bits(codes, out + kLow); }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int i = 0; i < kSuperBlock; ++i) fn(i / kSub, i, load_low_bits(in + kLow, place_of(i)));
  }
};

struct Q3KBlock : UniformLevels<-4, 3> {
  static constexpr int kElements = kSuperBlock, kSegments = kSubBlocks, kBytes = 110;
  static constexpr int kLow = 32, kScales = 96, kD = 108;  // byte offsets

  static void fit(const float* x, const float* w, std::byte* out) {
    store_parts(parts_of(fit_scaled({.sub_blocks = kSubBlocks,
                                     .lowest = kLowest,
                                     .highest = kHighest,
                                     .lowest_scale = kParts.scale.lowest,
                                     .highest_scale = kParts.scale.highest},
                                    x, w)),
                out);
  }

  static constexpr StepPartsShape kParts = {.scale = {-32, 31}};
  static void store_parts(const StepParts& parts, std::byte* out) {
    // Scale j: four low bits in byte j % 8 (low nibble for j < 8), two upper bits in byte 8 + j % 4 at bit 2 (j / 4).
    std::byte* scales = out + kScales;
    for (int i = 0; i < 12; ++i) scales[i] = std::byte{0};
    for (int j = 0; j < kSubBlocks; ++j) {
      const int step = parts.scale[static_cast<size_t>(j)] + 32;
      scales[j % 8] |= static_cast<std::byte>((step & 15) << (j / 8 * 4));
      scales[8 + j % 4] |= static_cast<std::byte>((step >> 4) << (j / 4 * 2));
    }
    store_u16(float_to_half(parts.d), out + kD);
  }
  static StepParts parts(const std::byte* in) {
    StepParts parts{.d = half_to_float(load_u16(in + kD))};
    const auto scale_byte = [&](int i) { return std::to_integer<int>(in[kScales + i]); };
    for (int j = 0; j < kSubBlocks; ++j) {
      const int step = (scale_byte(j % 8) >> (j / 8 * 4) & 15) | (scale_byte(8 + j % 4) >> (j / 4 * 2) & 3) << 4;
      parts.scale[static_cast<size_t>(j)] = step - 32;
    }
    return parts;
  }
  static void steps(const std::byte* in, Step* steps) { product_steps<Q3KBlock>(in, steps); }

  static void pack(const Code* codes, std::byte* out) {
    for (int i = 0; i < kRun; ++i) out[i] = std::byte{0};
    for (int i = 0; i < kSuperBlock; ++i) {
      const BitPlace place = place_of(i);
      out[place.third_byte] |= static_cast<std::byte>((codes[i] >> 2) << place.third_bit);
    }
    store_low_bits(codes, out + kLow);
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int i = 0; i < kSuperBlock; ++i) {
      const BitPlace place = place_of(i);
      const int third = std::to_integer<int>(in[place.third_byte]) >> place.third_bit & 1;
      fn(i / kSub, i, load_low_bits(in + kLow, place) | third << 2);
    }
  }
};

}  // namespace

const NumberFormat& q3_k_format() {
  static const GgufFormat row({.name = "gguf:q3_k",
                               .type = kGgmlQ3K,
                               .file_type = 12,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q4_0"},
                              gguf_block<Q3KBlock>());
  return row;
}

const NumberFormat& q2_k_format() {
  static const GgufFormat row({.name = "gguf:q2_k",
                               .type = kGgmlQ2K,
                               .file_type = 10,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q4_0"},
                              gguf_block<Q2KBlock>());
  return row;
}

}  // namespace vernier
