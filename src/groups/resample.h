#pragma once

// Examples drawn again, and what was seen in the draws.

#include <algorithm>
#include <random>
#include <vector>

#include "groups/statistics.h"

namespace vernier {

/// Clusters drawn with replacement, as weights of examples.
class Bootstrap {
 public:
  Bootstrap(const std::vector<double>& weights, const std::vector<int32_t>& clusters, uint64_t seed)
      : weights_(weights), clusters_(clusters), drawn_(weights), random_(seed) {
    times_.resize(static_cast<size_t>(*std::max_element(clusters.begin(), clusters.end())) + 1);
  }
  const std::vector<double>& draw() {
    std::fill(times_.begin(), times_.end(), 0);
    for (size_t i = 0; i < times_.size(); ++i) ++times_[random_() % times_.size()];
    for (size_t i = 0; i < drawn_.size(); ++i) drawn_[i] = weights_[i] * times_[static_cast<size_t>(clusters_[i])];
    return drawn_;
  }

 private:
  const std::vector<double>& weights_;
  const std::vector<int32_t>& clusters_;
  std::vector<double> drawn_;
  std::vector<int> times_;
  std::mt19937_64 random_;
};

/// Changes and gaps of many draws, by group and figure.
struct Draws {
  std::vector<std::vector<std::vector<double>>> change, skew;  // [group][figure]
  std::vector<std::vector<double>> spread;                     // [figure]
  std::vector<double> demographic_parity, equalized_odds;

  Draws(size_t groups, size_t figures)
      : change(groups, std::vector<std::vector<double>>(figures)), skew(change), spread(figures) {}

  void add(const GroupStatistics& statistics, bool with_skew) {
    for (size_t g = 0; g < statistics.groups.size(); ++g)
      for (size_t f = 0; f < spread.size(); ++f) {
        change[g][f].push_back(statistics.groups[g].change[f]);
        if (with_skew) skew[g][f].push_back(statistics.groups[g].skew[f]);
      }
    for (size_t f = 0; f < spread.size(); ++f) spread[f].push_back(statistics.gaps[f].spread);
    const ParityGaps &model = statistics.model_parity, &reference = statistics.reference_parity;
    demographic_parity.push_back(model.demographic_parity - reference.demographic_parity);
    equalized_odds.push_back(model.equalized_odds - reference.equalized_odds);
  }
};

}  // namespace vernier
