#include "groups/parity.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vernier {

namespace {

/// Smallest and greatest rate of the groups that have one.
class Range {
 public:
  void add(double part, double whole) {
    if (whole <= 0) return;
    const double rate = part / whole;
    low_ = std::min(low_, rate), high_ = std::max(high_, rate);
    ++count_;
  }
  double difference() const { return count_ > 1 ? high_ - low_ : std::numeric_limits<double>::quiet_NaN(); }

 private:
  double low_ = 1, high_ = 0;
  int count_ = 0;
};

}  // namespace

ParityGaps parity_gaps(std::span<const GroupSums> groups) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  ParityGaps gaps{kNothing, kNothing};
  const size_t classes = groups.empty() ? 0 : groups[0].answered.size();
  for (size_t c = 0; c < classes; ++c) {
    Range answered, true_positive, false_positive;
    for (const GroupSums& sums : groups) {
      answered.add(sums.answered[c], sums.weight);
      true_positive.add(sums.hit[c], sums.labelled[c]);
      false_positive.add(sums.answered[c] - sums.hit[c], sums.weight - sums.labelled[c]);
    }
    gaps.demographic_parity = std::fmax(gaps.demographic_parity, answered.difference());  // the number, beside a NaN
    for (const Range& range : {true_positive, false_positive})
      gaps.equalized_odds = std::fmax(gaps.equalized_odds, range.difference());
  }
  return gaps;
}

}  // namespace vernier
