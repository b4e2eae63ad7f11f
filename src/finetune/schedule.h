#pragma once

// The learning rate over the steps.

#include <cstdint>
#include <string>

namespace vernier {

/// How the rate falls from its peak.
struct DecayRow {
  std::string name;
  double (*share)(double done) = nullptr;  ///< of the peak, when `done` of the fall is over: from 1 to a hundredth
};
/// @throws Error{kInvalidArgument} that lists what exists
const DecayRow& find_decay(const std::string& name);

/// Rises evenly over `warm_up` steps, then falls to a hundredth of `peak` at the last step.
/// @param step from 0
/// @param passed the share of the time that there is, which the fall keeps up with where it is ahead of the steps
double learning_rate_at(const DecayRow& decay, int64_t step, int64_t steps, int64_t warm_up, double peak,
                        double passed = 0);

}  // namespace vernier
