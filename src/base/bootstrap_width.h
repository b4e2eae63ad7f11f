#pragma once

// How wide an interval from bootstrap draws has to be where little was drawn from: draws of n clusters spread by
// sqrt((n - 1) / n) of what they should, and none leaves the range of what there is.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vernier {

/// The part of the draws on each side that an interval leaves out, so that it is as wide as Student's t for `clusters`
/// (Hesterberg 2015, arXiv 1411.5279, "expanded percentile"); below (1 - confidence) / 2. @param clusters at least 2
double expanded_tail(double confidence, int64_t clusters);

/// Whether so many draws hold what lies out there: at least two on each side.
bool holds_tail(double tail, size_t draws);

/// By how much that makes an interval wider than the draws are: Student's t over the normal quantile.
double student_widening(double confidence, int64_t clusters);

/// Student's t times the standard error that the draws have, which is as far as an interval reaches on each side where
/// they do not. @param draws finite, at least 1 @param clusters at least 2
double student_reach(const std::vector<double>& draws, double confidence, int64_t clusters);

}  // namespace vernier
