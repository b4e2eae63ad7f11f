#pragma once

// Where the truth may lie.
//
//   const ConfidenceInterval interval{-0.1, 0.3};
//   print(interval.contains(0));

namespace vernier {

/// A confidence interval; its ends are infinite where nothing can be said.
struct ConfidenceInterval {
  double low = 0, high = 0;
  bool contains(double value) const { return low <= value && value <= high; }
};

}  // namespace vernier
