#pragma once

// What one pass adds up of a site: moments, magnitudes, and each channel's.

#include <cstdint>
#include <vector>

#include "activations/magnitudes.h"
#include "ops/arena.h"
#include "vernier/activations.h"

namespace vernier {

/// Magnitudes from which LLM.int8() calls a value an outlier.
inline constexpr float kOutlier = 6.0f;

struct ActivationSums {
  int64_t values = 0, rows = 0;
  double sum = 0, squares = 0, cubes = 0, fourths = 0;
  // By channel:
  std::vector<double> channel_magnitudes;
  std::vector<float> largest, largest_after_first;
  std::vector<int64_t> outlier_rows;  ///< rows in which it reaches kOutlier

  /// `positions`: row r is the token at position r; otherwise no row counts as the first.
  void add(const Slab& rows, bool positions);
  void add(const ActivationSums& other);
};

/// All but massive activations.
SiteFigures figures_of(const ActivationSums& sums, const MagnitudeHistogram& histogram);

}  // namespace vernier
