#pragma once

// Four floats at a time, in plain C++ and with one order of summation, so that searches give the same bits everywhere.
//
//   Lanes sum{};
//   for (int i = 0; i < n; i += kLanes) sum += load(w + i) * load(x + i);
//   return total(sum);

#include <cstdint>
#include <cstring>

#include "scheme/scale_search.h"

namespace vernier {

// Four floats that the compiler turns into one register on any machine. Written as an inner loop over lanes the same
// code is vectorised across the outer loop at -O3, by gathers, at half the speed.
using Lanes = float __attribute__((vector_size(16)));
using LaneCodes = int32_t __attribute__((vector_size(16)));
inline constexpr int kLanes = 4;

inline Lanes load(const float* values) {
  Lanes lanes;
  std::memcpy(&lanes, values, sizeof lanes);
  return lanes;
}

inline float total(const Lanes& lanes) { return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]); }

/// search_value of each.
inline Lanes search_values(Lanes x) {
  const Lanes low = Lanes{} - kLargestWeight, high = Lanes{} + kLargestWeight, none{};
  x = x < low ? low : x;
  x = x > high ? high : x;
  return x < none + kNegligible && x > none - kNegligible ? none : x;
}

}  // namespace vernier
