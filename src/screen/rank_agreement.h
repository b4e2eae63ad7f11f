#pragma once

// How alike two orders of the same components are.

#include <cstdint>
#include <span>
#include <vector>

namespace vernier {

/// Components that may be ranked against each other; larger estimates foretell more damage.
struct RankGroup {
  std::vector<double> estimate, exact;
};

/// Kendall's tau-b: concordant less discordant pairs, over those that are not tied on either side; 0 when a side is
/// constant. @cost quadratic
double kendall(std::span<const double> a, std::span<const double> b);

/// How many of a group are its top: `most`, but no more than a third of it.
int64_t top_count(const RankGroup& group, int64_t most);
/// Share of the `count` most damaging components that are among the `count` with the largest estimates.
double top_overlap(const RankGroup& group, int64_t count);

}  // namespace vernier
