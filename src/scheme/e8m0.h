#pragma once

// Scales that are powers of two, in eight bits of exponent (OCP's E8M0), and the choice of one for weights in e2m1.

#include <bit>
#include <cstdint>
#include <limits>

namespace vernier {

/// 2^(bits - 127); 255 is NaN.
inline float e8m0_value(uint8_t bits) {
  if (bits == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(bits == 0 ? 0x00400000u : static_cast<uint32_t>(bits) << 23);
}

/// The exponent of least sum w (scale * e2m1 - x)^2: about that which puts the largest weight in e2m1's last binade.
/// @shape x, w [n], finite
uint8_t fit_e8m0(const float* x, const float* w, int n);

}  // namespace vernier
