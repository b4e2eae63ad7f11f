#pragma once

// Figures of confidence as rows, all at once from weights of examples: what a bootstrap computes thousands of times.

#include <span>
#include <string_view>
#include <vector>

#include "vernier/reliability.h"

namespace vernier {

struct ConfidenceFigureRow {
  std::string_view key, name, unit;
  Worse worse = Worse::kHigher;
  bool of_groups = false;  ///< also shown per group
  double least = 0;        ///< what it cannot fall below, nor its interval
};

/// In the order of ConfidenceFigures::of.
const std::vector<ConfidenceFigureRow>& confidence_figure_rows();

/// `predictions` must outlive it. Bins are those of all examples, whatever their weights.
class ConfidenceFigures {
 public:
  ConfidenceFigures(const Predictions& predictions, int bins);
  /// @shape weights: one per example; out: one per row
  void of(std::span<const double> weights, std::span<double> out) const;

 private:
  const Predictions& predictions_;
  size_t bins_;
  std::vector<int32_t> by_width_, by_mass_;
};

}  // namespace vernier
