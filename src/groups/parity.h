#pragma once

// Whether answers are independent of the group: differences of rates, each class against the rest.

#include <span>

#include "groups/figures.h"

namespace vernier {

struct ParityGaps {
  double demographic_parity = 0;  ///< of the rates at which a class is answered
  double equalized_odds = 0;      ///< of true positive rates and of false positive rates, the greater one
};

/// Largest difference between any two of `groups`, over all classes; NaN where no rate exists in two groups.
ParityGaps parity_gaps(std::span<const GroupSums> groups);

}  // namespace vernier
