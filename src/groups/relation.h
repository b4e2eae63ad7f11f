#pragma once

// How one figure goes with another over a few groups.

#include <cstdint>
#include <span>

#include "vernier/interval.h"

namespace vernier {

/// Least squares of y on x.
struct Line {
  double slope = 0;
  ConfidenceInterval interval;  ///< Student's t; everything for fewer than 3 points
  double r_squared = 0;
};
/// NaN where x is constant or fewer than 2 points exist.
Line fitted_line(std::span<const double> x, std::span<const double> y, double confidence);

/// Interval of a rank correlation by Fisher's z with Bonett and Wright's error sqrt((1 + rho^2 / 2) / (n - 3))
/// (Psychometrika 65, 2000). Everything for fewer than 5 points.
ConfidenceInterval rank_interval(double correlation, int64_t points, double confidence);

/// Two-sided probability of a rank correlation this strong when y has nothing to do with x: all orders of up to 7 points,
/// 20,000 random ones of more (always the same ones).
double rank_p(std::span<const double> x, std::span<const double> y);

/// Wilson's interval of a share.
ConfidenceInterval share_interval(int64_t part, int64_t whole, double confidence);

}  // namespace vernier
