#pragma once

// The learning rate over the steps.

#include <cstdint>

namespace vernier {

/// Rises evenly over `warm_up` steps, then falls by half a cosine to a hundredth of `peak` at the last step.
/// @param step from 0
/// @param passed the share of the time that there is, which the fall keeps up with where it is ahead of the steps
double learning_rate_at(int64_t step, int64_t steps, int64_t warm_up, double peak, double passed = 0);

}  // namespace vernier
