#pragma once

// Means with standard errors, ranks and quantiles: everything a number in a report needs to be honest about itself.

#include <cstdint>
#include <span>
#include <vector>

#include "vernier/measured.h"

namespace vernier {

/// Mean per token where tokens come in clusters (windows, documents): sum of sums over sum of counts, with the
/// linearised standard error of that ratio over clusters; NaN for a single cluster.
/// @shape sums, counts: one entry per cluster
Measured ratio_estimate(std::span<const double> sums, std::span<const double> counts);

struct Spread {
  int64_t count = 0;
  double min = 0, max = 0, mean = 0;
  double standard_deviation = 0;  ///< of the sample (n - 1)
  double range() const { return max - min; }
  /// Standard deviation over mean; 0 when the mean is 0.
  double coefficient_of_variation() const { return mean != 0 ? standard_deviation / mean : 0; }
};
Spread spread_of(std::span<const double> values);

/// Spearman's rank correlation, ties at their mean rank; 0 when a side is constant or fewer than two pairs exist.
double spearman(std::span<const double> a, std::span<const double> b);

/// Half a 95% interval of a normal distribution, in standard errors.
inline constexpr double kNormal95 = 1.959964;

/// Linear between order statistics of sorted values, q in [0, 1]; NaN of none.
double quantile_of_sorted(const std::vector<double>& sorted, double q);
/// Linear interpolation between order statistics, q in [0, 1]. Sorts `values`. 0 when empty.
double quantile(std::vector<float>& values, double q);

}  // namespace vernier
