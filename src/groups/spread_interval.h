#pragma once

// How far apart groups really are, when they are seen further apart than that by noise alone.

#include <cstdint>
#include <vector>

#include "vernier/interval.h"

namespace vernier {

/// What a spread is of, one entry per group.
struct SpreadGroups {
  std::vector<double> changes;                    ///< as seen
  std::vector<const std::vector<double>*> draws;  ///< of them, when clusters are drawn again: as many of each group
  std::vector<int64_t> clusters;
};

/// Of the greatest less the smallest change. A spread of noise is positive and that of draws of it greater still, so that
/// percentiles of draws lie above the truth. Here all differences of two groups are held at once: in so many draws none is
/// further from the one seen, in its own standard errors, than the multiple found (Tukey's, by draws), and the spread lies
/// between the greatest of their lower and the greatest of their upper ends. A standard error of few clusters is wider by
/// Student's t. Of shares a pair that no draw changes may still differ by what two groups of so many clusters do not show:
/// in n + n of them 1 - (1 - x)^(2n) is the chance of what x of each would; a group that no draw moves beside one that moves by
/// what n clusters do not show.
/// @cost groups^2 * draws  Everything where a group has fewer than 2 clusters
ConfidenceInterval spread_interval(const SpreadGroups& groups, double confidence, bool of_shares);

}  // namespace vernier
