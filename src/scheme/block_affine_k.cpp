// Q4_K and Q5_K: 8 sub-blocks of 32 with 6-bit scales and minima.
//   fp16 d, fp16 dmin, 12 bytes of scales and minima, [Q5_K: 32 bytes of fifth bits], 128 bytes of nibbles
// Nibbles go in runs of 64 weights: 32 bytes, low nibbles first. Bit j of fifth-bit byte i belongs to weight 32 j + i.

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

/// Scale and minimum 0..3 fill the low six bits of bytes 0-3 and 4-7; of 4..7 the low four bits make bytes 8-11, and
/// the upper two sit above the six bits of bytes 0-3 (scales) and 4-7 (minima).
void store_integers(const StepParts& parts, std::byte* out) {
  uint8_t bytes[12] = {};
  for (size_t j = 0; j < 4; ++j) {
    const int scale = parts.scale[j + 4], min = parts.min[j + 4];
    bytes[j] = static_cast<uint8_t>(parts.scale[j] | (scale >> 4) << 6);
    bytes[j + 4] = static_cast<uint8_t>(parts.min[j] | (min >> 4) << 6);
    bytes[j + 8] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
  }
  for (int i = 0; i < 12; ++i) out[i] = static_cast<std::byte>(bytes[i]);
}

struct Integers {
  int scale, min;
};

Integers load_integers(const std::byte* in, int j) {
  const auto byte = [in](int i) { return std::to_integer<int>(in[i]); };
  if (j < 4) return {byte(j) & 63, byte(j + 4) & 63};
  return {(byte(j + 4) & 15) | (byte(j - 4) >> 6) << 4, (byte(j + 4) >> 4) | (byte(j) >> 6) << 4};
}

template <int levels>
struct AffineKBlock : UniformLevels<0, levels> {
  static constexpr bool kFifth = levels > 15;
  static constexpr int kSubBlocks = 8, kSub = 32, kHeader = 16;
  static constexpr int kElements = kSuperBlock, kSegments = kSubBlocks, kNibbles = kHeader + (kFifth ? kSub : 0);
  static constexpr int kBytes = kNibbles + kSuperBlock / 2;

  static void fit(const float* x, const float* w, std::byte* out) {
    store_parts(parts_of(fit_affine({.sub_blocks = kSubBlocks, .levels = levels, .top_scale = 63}, x, w)), out);
  }

  static constexpr StepPartsShape kParts = {.scale = {0, 63}, .has_min = true, .min = {0, 63}};
  static void store_parts(const StepParts& parts, std::byte* out) {
    store_u16(float_to_half(parts.d), out);
    store_u16(float_to_half(parts.dmin), out + 2);
    store_integers(parts, out + 4);
  }
  static StepParts parts(const std::byte* in) {
    StepParts parts{.d = half_to_float(load_u16(in)), .dmin = half_to_float(load_u16(in + 2))};
    for (int j = 0; j < kSubBlocks; ++j) {
      const Integers integers = load_integers(in + 4, j);
      parts.scale[static_cast<size_t>(j)] = integers.scale;
      parts.min[static_cast<size_t>(j)] = integers.min;
    }
    return parts;
  }
  static void steps(const std::byte* in, Step* steps) { product_steps<AffineKBlock>(in, steps); }

  static void pack(const Code* codes, std::byte* out) {
    if (kFifth) {
      for (int i = 0; i < kSub; ++i) {
        Code fifth = 0;
        for (int j = 0; j < kSubBlocks; ++j) fifth |= (codes[j * kSub + i] >> 4) << j;
        out[kHeader + i] = static_cast<std::byte>(fifth);
      }
    }
    for (int j = 0; j < kSubBlocks; j += 2) {
      for (int i = 0; i < kSub; ++i) {
        const Code low = codes[j * kSub + i] & 15, high = codes[(j + 1) * kSub + i] & 15;
        out[kNibbles + j / 2 * kSub + i] = static_cast<std::byte>(low | high << 4);
      }
    }
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int j = 0; j < kSubBlocks; ++j) {
      for (int i = 0; i < kSub; ++i) {
        int code = std::to_integer<int>(in[kNibbles + j / 2 * kSub + i]);
        code = j % 2 == 0 ? code & 15 : code >> 4;
        if (kFifth) code |= (std::to_integer<int>(in[kHeader + i]) >> j & 1) << 4;
        fn(j, j * kSub + i, code);
      }
    }
  }
};

}  // namespace

const NumberFormat& q4_k_format() {
  static const GgufFormat row({.name = "gguf:q4_k",
                               .type = kGgmlQ4K,
                               .file_type = 15,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q5_0"},
                              gguf_block<AffineKBlock<15>>());
  return row;
}

const NumberFormat& q5_k_format() {
  static const GgufFormat row({.name = "gguf:q5_k",
                               .type = kGgmlQ5K,
                               .file_type = 17,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q5_1"},
                              gguf_block<AffineKBlock<31>>());
  return row;
}

}  // namespace vernier
