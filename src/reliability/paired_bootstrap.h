#pragma once

// Several models on the same examples, which are drawn again for all of them alike: what one gets wrong by chance, the
// others mostly do too, so that intervals of changes are far narrower than those of values.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "vernier/reliability.h"

namespace vernier {

/// Figures from how often each example was drawn. @shape out: one per figure
using WeightedFigures = std::function<void(std::span<const double> weights, std::span<double> out)>;

class PairedBootstrap {
 public:
  /// @param strata sizes of parts that are each drawn among themselves, such as images inside and outside
  /// @param clusters of every example, from 0; what shares one is drawn together; empty: each for itself
  PairedBootstrap(std::vector<size_t> strata, const ReliabilityOptions& options, std::vector<int32_t> clusters = {});

  /// [model][figure], the first model being the reference. Intervals are basic bootstrap ones (twice the value less the
  /// quantiles), which take off most of what drawing again adds to figures such as ECE that are never negative; taken
  /// further out for few clusters, of the smallest stratum (base/bootstrap_width.h), and everything for a single one.
  /// @cost draws * models * what `models` cost
  std::vector<std::vector<ComparedValue>> compare(const std::vector<WeightedFigures>& models, size_t figures) const;

  /// The same of a mean per model. Shares that no example changes are given the interval that so many examples allow.
  /// @shape values: [model][example]
  std::vector<ComparedValue> compare_means(const std::vector<std::vector<double>>& values) const;

 private:
  size_t examples_ = 0, clusters_count_ = 0;
  int64_t fewest_ = 0;  // clusters of a stratum
  std::vector<int32_t> clusters_;
  std::vector<uint8_t> times_;  // [draws, clusters]
  int draws_;
  double confidence_;
};

}  // namespace vernier
