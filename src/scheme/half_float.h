#pragma once

// 16-bit floats: IEEE half (fp16) and bfloat16, as bits in a uint16_t. Narrowing rounds to nearest, ties to even, with
// denormals; overflow gives infinity; NaN stays a (quiet) NaN.

#include <bit>
#include <cstdint>

namespace vernier {

inline constexpr float kMaxHalf = 65504.0f;
inline constexpr float kMinHalf = 0x1p-24f;  ///< the smallest positive one, a denormal

inline constexpr uint16_t kMaxBf16Bits = 0x7f7f;  ///< the largest finite one

/// Adding and taking away this number rounds |t| < 2^22 to the nearest integer, ties to even: the fraction is shifted
/// out. Unlike rint it vectorises on every machine.
inline constexpr float kRoundShift = 0x1.8p23f;
inline float round_even(float t) { return (t + kRoundShift) - kRoundShift; }

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) {
    const uint32_t quiet = magnitude > 0x7c00u ? 0x400000u : 0u;
    return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13) | quiet);
  }
  if (magnitude < 0x400u) {  // denormal: an integer multiple of 2^-24
    const float value = static_cast<float>(magnitude) * kMinHalf;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
}

inline uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65536 and above
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5, whose last place is 2^-24, lets the hardware round to a multiple of 2^-24.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

inline float bf16_to_float(uint16_t bf16) { return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16); }

inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// The nearest finite half, as a float and as bits: what a stored block scale really is.
inline uint16_t float_to_finite_half(float value) {
  if (value > kMaxHalf) value = kMaxHalf;
  if (value < -kMaxHalf) value = -kMaxHalf;
  return float_to_half(value);
}
inline float round_to_half(float value) { return half_to_float(float_to_finite_half(value)); }

}  // namespace vernier
