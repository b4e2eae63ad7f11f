#pragma once

// The 8-bit float of four exponent and three mantissa bits that weights are stored in (E4M3FN: no infinities, 0x7f is NaN,
// the largest number is 448). Codes are its 253 different numbers in rising order; the pattern of -0 is read as 0 and
// never written.
//
//   e4m3_pattern(e4m3_nearest(x / scale))      // the byte that is stored

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "scheme/grid.h"
#include "scheme/half_float.h"

namespace vernier {

inline constexpr float kLargestE4m3 = 448.0f;
inline constexpr Code kE4m3Zero = 126, kE4m3Top = 252;
inline constexpr uint8_t kLargestE4m3Pattern = 126;

/// Of any byte, with NaN and -0.
inline float e4m3_value(uint8_t pattern) {
  const uint32_t magnitude = pattern & 127u;
  float value =
      magnitude < 8 ? static_cast<float>(magnitude) * 0x1p-9f : std::bit_cast<float>((magnitude << 20) + (120u << 23));
  if (magnitude == 127) value = std::numeric_limits<float>::quiet_NaN();
  return (pattern & 128) != 0 ? -value : value;
}

/// The pattern nearest to t >= 0, ties to even; beyond 448 it saturates.
inline uint8_t e4m3_magnitude(float t) {
  if (!(t < kLargestE4m3)) return kLargestE4m3Pattern;
  if (t < 0x1p-6f) return static_cast<uint8_t>(round_even(t * 0x1p9f));  // the next number above is 8 of these steps
  const uint32_t bits = std::bit_cast<uint32_t>(t) - (120u << 23);
  return static_cast<uint8_t>((bits + 0x7ffffu + (bits >> 20 & 1u)) >> 20);
}

/// Of finite t.
inline Code e4m3_nearest(float t) {
  const Code magnitude = e4m3_magnitude(std::fabs(t));
  return t < 0.0f ? kE4m3Zero - magnitude : kE4m3Zero + magnitude;
}

inline uint8_t e4m3_pattern(Code code) {
  return static_cast<uint8_t>(code < kE4m3Zero ? 128u | (kE4m3Zero - code) : code - kE4m3Zero);
}
/// NaN, which no code means, as the largest number of its sign.
inline Code e4m3_code(uint8_t pattern) {
  const Code magnitude = std::min<Code>(pattern & 127u, kLargestE4m3Pattern);
  return (pattern & 128) != 0 ? kE4m3Zero - magnitude : kE4m3Zero + magnitude;
}

}  // namespace vernier
