#pragma once

// Intervals for means that are looked at again and again while more is measured, until they are narrow enough. Stopping at
// the look that pleases most makes ordinary intervals too narrow: each look gets its share of the error here.
//
//   const ConfidenceInterval kl = interval_over_looks(damage.kl, /*clusters=*/8, /*looks=*/3);

#include <cstdint>

#include "vernier/interval.h"
#include "vernier/measured.h"

namespace vernier {

/// Quantile of Student's t distribution, by inverting its distribution function. @param probability in (0, 1)
double student_quantile(double probability, int64_t degrees_of_freedom);

/// Mean +- t * standard error, such that all intervals of `looks` looks together miss the true mean with a probability of
/// at most 1 - confidence (Bonferroni: the looks may depend on each other in any way). Everything from a single cluster.
ConfidenceInterval interval_over_looks(const Measured& measured, int64_t clusters, int looks, double confidence = 0.95);

}  // namespace vernier
