#include "groups/spread_interval.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/bootstrap_width.h"
#include "base/statistics.h"
#include "groups/verdict.h"

namespace vernier {

namespace {

constexpr double kOpenEnd = std::numeric_limits<double>::infinity();

/// The first group's change less the second's.
struct Pair {
  const std::vector<double>*first, *second;
  double seen = 0;
  double error = 0;     ///< standard error; 0 where no draw differs
  double widening = 1;  ///< of it, for few clusters
  double unseen = 0;    ///< of a share that no draw changes
  double distance(size_t draw) const { return std::abs((*first)[draw] - (*second)[draw] - seen); }
};

bool is_still(const SpreadGroups& groups, size_t group) {
  const std::vector<double>& draws = *groups.draws[group];
  return std::all_of(draws.begin(), draws.end(),
                     [&](double draw) { return std::isnan(draw) || draw == groups.changes[group]; });
}

/// What drawing again cannot show of a share: of two groups that never differ what two of so many clusters may, of one that
/// never moves beside one that does its own.
double unseen_of(const SpreadGroups& groups, const std::vector<bool>& still, size_t a, size_t b, bool differ,
                 double confidence) {
  if (!differ) return 2 * unseen_share({0.0}, confidence, 2 * std::min(groups.clusters[a], groups.clusters[b]));
  double unseen = 0;
  for (const size_t group : {a, b})
    if (still[group]) unseen += unseen_share({0.0}, confidence, groups.clusters[group]);
  return unseen;
}

std::vector<Pair> pairs_of(const SpreadGroups& groups, double confidence, bool of_shares) {
  std::vector<double> widening;
  for (const int64_t clusters : groups.clusters) widening.push_back(student_widening(confidence, clusters));
  std::vector<bool> still;
  for (size_t group = 0; group < groups.changes.size(); ++group) still.push_back(is_still(groups, group));
  std::vector<Pair> pairs;
  for (size_t a = 0; a < groups.changes.size(); ++a) {
    for (size_t b = a + 1; b < groups.changes.size(); ++b) {
      Pair pair{groups.draws[a], groups.draws[b], groups.changes[a] - groups.changes[b]};
      if (std::isnan(pair.seen)) continue;
      double squares = 0, count = 0;
      for (size_t d = 0; d < pair.first->size(); ++d)
        if (const double distance = pair.distance(d); std::isfinite(distance)) squares += distance * distance, ++count;
      pair.error = squares > 0 ? std::sqrt(squares / count) : 0;
      pair.widening = std::max(widening[a], widening[b]);
      if (of_shares) pair.unseen = unseen_of(groups, still, a, b, squares > 0, confidence);
      pairs.push_back(pair);
    }
  }
  return pairs;
}

/// How many standard errors hold all pairs, in that part of the draws.
double multiple_of(const std::vector<Pair>& pairs, size_t draws, double confidence) {
  std::vector<double> furthest(draws, 0.0);
  for (const Pair& pair : pairs) {
    if (pair.error == 0) continue;
    for (size_t d = 0; d < draws; ++d) {
      const double far = pair.distance(d) / pair.error;
      if (far > furthest[d]) furthest[d] = far;  // no NaN is
    }
  }
  std::sort(furthest.begin(), furthest.end());
  return quantile_of_sorted(furthest, confidence);
}

}  // namespace

ConfidenceInterval spread_interval(const SpreadGroups& groups, double confidence, bool of_shares) {
  const size_t draws = groups.draws.empty() ? 0 : groups.draws.front()->size();
  const bool too_few = std::any_of(groups.clusters.begin(), groups.clusters.end(), [](int64_t n) { return n < 2; });
  if (too_few || draws == 0) return {-kOpenEnd, kOpenEnd};
  const std::vector<Pair> pairs = pairs_of(groups, confidence, of_shares);
  if (pairs.empty()) return {-kOpenEnd, kOpenEnd};
  const double multiple = multiple_of(pairs, draws, confidence);
  ConfidenceInterval interval{0, 0};
  for (const Pair& pair : pairs) {
    const double apart = std::abs(pair.seen), reach = multiple * pair.error * pair.widening + pair.unseen;
    interval.low = std::max(interval.low, apart - reach);
    interval.high = std::max(interval.high, apart + reach);
  }
  return interval;
}

}  // namespace vernier
