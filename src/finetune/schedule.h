#pragma once

// The learning rate over the steps.

#include <cstdint>
#include <string>

namespace vernier {

/// How the rate falls from its peak.
struct DecayRow {
  std::string name;
  double (*share)(double done,
                  double last) = nullptr;  ///< of the peak, when `done` of the fall is over: from 1 to `last`
};
/// @throws Error{kInvalidArgument} that lists what exists
const DecayRow& find_decay(const std::string& name);

/// Rises evenly over `warm_up` steps, then falls to `last` of `peak` at the last of `steps`.
struct LearningRate {
  DecayRow decay;
  int64_t steps = 1, warm_up = 0;
  double peak = 1, last = 0.01;

  /// @param step from 0
  /// @param passed the share of the time that there is, which the fall keeps up with where it is ahead of the steps
  double at(int64_t step, double passed = 0) const;
};

}  // namespace vernier
