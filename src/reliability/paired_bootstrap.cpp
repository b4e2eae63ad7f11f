#include "reliability/paired_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/bootstrap_width.h"
#include "base/statistics.h"

namespace vernier {

namespace {

/// Around a value; everything where draws have none, and of fewer than 2 clusters.
ConfidenceInterval basic_interval(double value, std::vector<double> draws, double confidence, int64_t clusters) {
  draws.erase(std::remove_if(draws.begin(), draws.end(), [](double d) { return !std::isfinite(d); }), draws.end());
  if (draws.empty() || !std::isfinite(value) || clusters < 2) return {-INFINITY, INFINITY};
  const double tail = expanded_tail(confidence, clusters);
  if (!holds_tail(tail, draws.size())) {
    const double reach = student_reach(draws, confidence, clusters);
    return {value - reach, value + reach};
  }
  std::sort(draws.begin(), draws.end());
  // Figures of extremes (the worst bin) are higher in nearly every draw than in the examples: such an interval would lie
  // below what was measured.
  return {std::min(value, 2 * value - quantile_of_sorted(draws, 1 - tail)),
          std::max(value, 2 * value - quantile_of_sorted(draws, tail))};
}

bool all_equal(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); });
}

}  // namespace

PairedBootstrap::PairedBootstrap(std::vector<size_t> strata, const ReliabilityOptions& options,
                                 std::vector<int32_t> clusters)
    : clusters_(std::move(clusters)), draws_(options.bootstrap_draws), confidence_(options.confidence) {
  if (clusters_.empty()) {
    examples_ = std::accumulate(strata.begin(), strata.end(), size_t{0});
    clusters_.resize(examples_);
    std::iota(clusters_.begin(), clusters_.end(), 0);
  } else {
    examples_ = clusters_.size();
    strata = {static_cast<size_t>(*std::max_element(clusters_.begin(), clusters_.end())) + 1};
  }
  clusters_count_ = std::accumulate(strata.begin(), strata.end(), size_t{0});
  fewest_ = strata.empty() ? 0 : static_cast<int64_t>(*std::min_element(strata.begin(), strata.end()));
  times_.assign(static_cast<size_t>(draws_) * clusters_count_, 0);
  std::mt19937_64 random(options.seed);
  for (int d = 0; d < draws_; ++d) {
    size_t first = static_cast<size_t>(d) * clusters_count_;
    for (const size_t size : strata) {
      for (size_t i = 0; i < size; ++i) ++times_[first + random() % size];
      first += size;
    }
  }
}

std::vector<std::vector<ComparedValue>> PairedBootstrap::compare(const std::vector<WeightedFigures>& models,
                                                                 size_t figures) const {
  std::vector<double> weights(examples_, 1.0);
  std::vector<std::vector<double>> values(models.size(), std::vector<double>(figures));
  for (size_t m = 0; m < models.size(); ++m) models[m](weights, values[m]);
  // [model][figure][draw]
  std::vector<std::vector<std::vector<double>>> drawn(models.size(), std::vector<std::vector<double>>(figures));
  std::vector<double> found(figures);
  for (int d = 0; d < draws_; ++d) {
    const uint8_t* times = times_.data() + static_cast<size_t>(d) * clusters_count_;
    for (size_t i = 0; i < examples_; ++i) weights[i] = times[static_cast<size_t>(clusters_[i])];
    for (size_t m = 0; m < models.size(); ++m) {
      models[m](weights, found);
      for (size_t f = 0; f < figures; ++f) drawn[m][f].push_back(found[f]);
    }
  }
  std::vector<std::vector<ComparedValue>> result(models.size(), std::vector<ComparedValue>(figures));
  for (size_t m = 0; m < models.size(); ++m)
    for (size_t f = 0; f < figures; ++f) {
      ComparedValue& out = result[m][f];
      out.value = values[m][f];
      out.interval = basic_interval(out.value, drawn[m][f], confidence_, fewest_);
      out.change = values[m][f] - values[0][f];
      std::vector<double> changes = drawn[m][f];
      for (size_t d = 0; d < changes.size(); ++d) changes[d] -= drawn[0][f][d];
      out.change_interval = basic_interval(out.change, std::move(changes), confidence_, fewest_);
    }
  return result;
}

std::vector<ComparedValue> PairedBootstrap::compare_means(const std::vector<std::vector<double>>& values) const {
  std::vector<WeightedFigures> models;
  for (const std::vector<double>& own : values)
    models.push_back([&own](std::span<const double> weights, std::span<double> out) {
      double sum = 0, total = 0;
      for (size_t i = 0; i < own.size(); ++i) sum += weights[i] * own[i], total += weights[i];
      out[0] = total > 0 ? sum / total : NAN;
    });
  std::vector<ComparedValue> result;
  for (const std::vector<ComparedValue>& model : compare(models, 1)) result.push_back(model.front());
  // Drawing again what never differs says that nothing can: the bound of n draws of a coin is honest about n.
  const double bound =
      1 - std::pow((1 - confidence_) / 2, 1 / static_cast<double>(std::max<size_t>(clusters_count_, 1)));
  for (size_t m = 0; m < values.size(); ++m) {
    const ComparedValue& found = result[m];
    if (values[m].empty()) continue;
    if (all_equal(values[m]))
      result[m].interval = {std::max(0.0, found.value - bound), std::min(1.0, found.value + bound)};
    if (m > 0 && values[m] == values[0]) result[m].change_interval = {-bound, bound};
  }
  return result;
}

}  // namespace vernier
