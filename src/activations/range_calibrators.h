#pragma once

// What range a static grid spans: the largest magnitude, a percentile, the least mean square error, or the least KL
// divergence of the histograms.
//
// @source NVIDIA Model-Optimizer, histogram.py (amax of histogram calibrators), and TensorRT's slides S7310 for
// entropy. Here
//         the percentile is of the magnitudes themselves rather than the edge of one of 2,048 bins, which beside a massive
//         activation are wider than most values.

#include "activations/magnitudes.h"
#include "vernier/activation_grid.h"

namespace vernier {

/// Bin centres from the 128th on are tried; of equal errors the first. @return 0 where the histogram is empty
float range_of_least_error(const LinearHistogram& histogram, int bits);
/// Bin edges from the 128th on; of equal divergences the last. @return 0 where the histogram is empty
float range_of_least_divergence(const LinearHistogram& histogram, int bits);

/// KL divergence in nats of the histogram, clipped to its first `bins` bins, from what 2^(bits-1) levels make of them:
/// a level's mass divided evenly among its bins that are not empty. Infinity where only clipped mass is in the last
/// bin.
double divergence_of_levels(const std::vector<double>& counts, int bins, int bits);

/// What finds a grid's static range. @param percentile the 99.99th of the magnitudes
float static_range(ActivationGrid::Range kind, int bits, const LinearHistogram& histogram, double percentile);

}  // namespace vernier
