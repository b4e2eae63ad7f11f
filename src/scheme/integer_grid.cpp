#include "scheme/integer_grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "scheme/half_float.h"

namespace vernier {

IntegerGrid fit_integer_grid(int bits, Symmetry symmetry, float min, float max) {
  IntegerGrid grid;
  const int half = 1 << (bits - 1), highest = 2 * half - 1;
  grid.zero_point = half;
  // In double, so that max - min cannot overflow.
  double scale = 0.0;
  const double absmax = std::max(-static_cast<double>(min), static_cast<double>(max));
  switch (symmetry) {
    case Symmetry::kSym: scale = absmax / (highest / 2.0); break;
    case Symmetry::kSymNoClip: scale = absmax / (half - 1); break;
    case Symmetry::kAsymmetric: scale = (static_cast<double>(max) - static_cast<double>(min)) / highest; break;
  }
  grid.scale = float_to_bf16(static_cast<float>(scale));
  if (grid.scale == 0) {
    grid.scale = float_to_bf16(1.0f);
    return grid;
  }
  // Near the largest float, scale * code must not overflow; the cap is cut off, not rounded, to bf16.
  const int reach = symmetry == Symmetry::kAsymmetric ? highest : half;
  const float cap = std::numeric_limits<float>::max() / static_cast<float>(reach);
  grid.scale = std::min(grid.scale, static_cast<uint16_t>(std::bit_cast<uint32_t>(cap) >> 16));
  if (symmetry == Symmetry::kAsymmetric) {
    const float steps = std::clamp(-min / bf16_to_float(grid.scale), 0.0f, static_cast<float>(highest));
    grid.zero_point = static_cast<int>(std::nearbyint(steps));
  }
  return grid;
}

}  // namespace vernier
