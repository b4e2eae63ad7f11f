#include "planning/depth_trend.h"

#include <algorithm>
#include <cmath>

namespace vernier {

Depths::Depths(const Model& model) {
  for (const TensorId& id : model.matrices()) last_[id.stack] = std::max(last_[id.stack], id.layer);
}

double Depths::of(Stack stack, int layer) const {
  const auto last = last_.find(stack);
  if (layer < 0 || last == last_.end() || last->second <= 0) return 0;
  return static_cast<double>(layer) / last->second - 0.5;
}

double DepthTrend::factor_at(double depth) const { return std::exp(log_middle + log_slope * depth); }

FactorBelief DepthTrend::belief_at(double depth) const {
  if (count == 0) return {};
  const double off = depth - mean_depth, of_slope = weight > 0 ? off * off / weight : 0;
  return {log_middle + log_slope * depth, log_spread * std::sqrt(1 + 1 / count + of_slope)};
}

DepthTrend fit_depth_trend(const std::vector<std::pair<double, double>>& points) {
  constexpr double kSlopeSpread = 2;
  constexpr size_t kFewest = 4;
  DepthTrend trend;
  const auto n = static_cast<double>(points.size());
  double mean_depth = 0, mean_log = 0, depths = 0, products = 0;
  for (const auto& [depth, log] : points) mean_depth += depth / n, mean_log += log / n;
  for (const auto& [depth, log] : points) {
    depths += (depth - mean_depth) * (depth - mean_depth);
    products += (depth - mean_depth) * (log - mean_log);
  }
  const auto variance = [&](double slope, double parameters) {
    double squares = 0;
    for (const auto& [depth, log] : points) {
      const double off = log - mean_log - slope * (depth - mean_depth);
      squares += off * off;
    }
    return squares / std::max(1.0, n - parameters);
  };
  trend.count = n;
  trend.mean_depth = mean_depth;
  double scatter = variance(0, 1);
  if (points.size() >= kFewest && depths > 0) {
    trend.weight = depths + variance(products / depths, 2) / (kSlopeSpread * kSlopeSpread);
    trend.log_slope = products / trend.weight;
    scatter = variance(trend.log_slope, 2);
  }
  trend.log_middle = mean_log - trend.log_slope * mean_depth;
  trend.log_spread = std::sqrt(scatter);
  return trend;
}

}  // namespace vernier
