#pragma once

// What the counts of ReliabilityOptions may be.

#include "vernier/reliability.h"

namespace vernier {

/// @throws Error{kInvalidArgument} naming the first that is out of its range, and the range
void check_counts(const ReliabilityOptions& options);

}  // namespace vernier
