#pragma once

// All figures of all groups of a partition, once: of the examples as they are, resampled, or with permuted groups.

#include <vector>

#include "groups/figures.h"
#include "groups/parity.h"

namespace vernier {

struct GroupStatistics {
  struct Values {
    std::vector<double> reference, model, change;  // by figure
    std::vector<double> skew;                      // change less that of all others
  };
  struct Gap {
    double reference = 0, model = 0, spread = 0;
  };
  std::vector<Values> groups;
  std::vector<Gap> gaps;  // by figure
  ParityGaps reference_parity, model_parity;
};

/// @param group_of by example, -1: none @param in_gaps by group, whether it counts for gaps and parity
/// @param weights by example; 0 leaves it out
GroupStatistics group_statistics(const FigureValues& values, const std::vector<int32_t>& group_of,
                                 const std::vector<bool>& in_gaps, const std::vector<double>& weights);

}  // namespace vernier
