#pragma once

// The 4-bit float of the OCP microscaling formats: sign, two bits of exponent, one of mantissa. Codes are its fifteen
// different numbers in rising order; the pattern of -0 is read as 0 and never written.
//
//   e2m1_pattern(e2m1_nearest(2.6f / scale))      // the four bits that are stored

#include <array>
#include <cmath>

#include "scheme/grid.h"

namespace vernier {

inline constexpr float kLargestE2m1 = 6.0f;
inline constexpr Code kE2m1Zero = 7, kE2m1Top = 14;
inline constexpr std::array<float, 8> kE2m1Magnitudes = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};

inline float e2m1_value(Code code) {
  return code < kE2m1Zero ? -kE2m1Magnitudes[kE2m1Zero - code] : kE2m1Magnitudes[code - kE2m1Zero];
}

/// Of finite t; ties go to the even mantissa, beyond 6 it saturates.
inline Code e2m1_nearest(float t) {
  // Halfway points, each with the side that a tie goes to: up to the even pattern above, else down.
  constexpr std::array<float, 7> kHalfway = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
  const float size = std::fabs(t);
  Code level = 0;
  for (Code i = 0; i < kHalfway.size(); ++i) level += size > kHalfway[i] || (size == kHalfway[i] && i % 2 == 1) ? 1 : 0;
  return t < 0.0f ? kE2m1Zero - level : kE2m1Zero + level;
}

/// Sign bit and magnitude's index, as stored.
inline unsigned e2m1_pattern(Code code) {
  return code < kE2m1Zero ? 8u | (kE2m1Zero - code) : static_cast<unsigned>(code - kE2m1Zero);
}
inline Code e2m1_code(unsigned pattern) {
  return (pattern & 8) != 0 ? kE2m1Zero - (pattern & 7) : kE2m1Zero + (pattern & 7);
}

// Two in a byte, the first low, as compressed-tensors stores them. @shape codes, values [n], n even

inline void pack_e2m1(const Code* codes, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; i += 2)
    out[i / 2] = static_cast<std::byte>(e2m1_pattern(codes[i]) | e2m1_pattern(codes[i + 1]) << 4);
}
inline void unpack_e2m1(const std::byte* in, int64_t n, Code* codes) {
  for (int64_t i = 0; i < n; ++i) codes[i] = e2m1_code(std::to_integer<unsigned>(in[i / 2]) >> (i % 2 * 4) & 15);
}
/// With the sign of -0.
inline void e2m1_values(const std::byte* in, int64_t n, float scale, float* values) {
  for (int64_t i = 0; i < n; ++i) {
    const unsigned pattern = std::to_integer<unsigned>(in[i / 2]) >> (i % 2 * 4) & 15;
    const float magnitude = kE2m1Magnitudes[pattern & 7];
    values[i] = scale * ((pattern & 8) != 0 ? -magnitude : magnitude);
  }
}

/// Codes nearest to x / scale; all zero where the scale is.
inline void nearest_e2m1(float scale, const float* x, int64_t n, Code* codes) {
  for (int64_t i = 0; i < n; ++i) codes[i] = scale == 0.0f ? kE2m1Zero : e2m1_nearest(x[i] / scale);
}

}  // namespace vernier
