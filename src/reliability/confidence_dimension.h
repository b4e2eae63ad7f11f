#pragma once

// The dimension "confidence": what confidence_calibration.h says of several models, with intervals, per group.

#include <string>
#include <vector>

#include "vernier/groups.h"
#include "vernier/reliability.h"

namespace vernier {

/// What one model said, and what it says once its temperature is refitted; that is empty where logits were not kept.
struct ConfidenceSubject {
  std::string name;
  Predictions predictions;
  Predictions refitted = {};
  double temperature = std::numeric_limits<double>::quiet_NaN();
};

/// @param attributes groups of the examples; those of fewer than 30 examples are left out
/// @param clusters of the examples; empty: each for itself
/// @throws Error{kInvalidArgument} for models with another number of examples
ReliabilityDimension confidence_dimension(const std::vector<ConfidenceSubject>& subjects,
                                          const std::vector<GroupAttribute>& attributes,
                                          const std::vector<int32_t>& clusters, const ReliabilityOptions& options);

}  // namespace vernier
