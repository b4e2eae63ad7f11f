#include "reliability/streamed_temperature.h"

#include <cmath>
#include <limits>

namespace vernier {

double StreamedTemperature::inverse_temperature(size_t node) {
  return std::exp2((static_cast<double>(node) - static_cast<double>(kNodes / 2)) / 2);
}

void StreamedTemperature::add(size_t node, double mean, double variance, double label_logit) {
  slope_[node] += mean - label_logit;
  curvature_[node] += variance;
}

void StreamedTemperature::add(const StreamedTemperature& other) {
  examples_ += other.examples_;
  for (size_t k = 0; k < kNodes; ++k) slope_[k] += other.slope_[k], curvature_[k] += other.curvature_[k];
}

double StreamedTemperature::fit() const {
  if (empty()) return std::numeric_limits<double>::quiet_NaN();
  // The loss is convex in beta, so that its slope only rises.
  if (slope_[0] >= 0) return 1 / inverse_temperature(0);
  size_t above = 1;
  while (above < kNodes && slope_[above] < 0) ++above;
  if (above == kNodes) return 1 / inverse_temperature(kNodes - 1);
  const size_t below = above - 1;
  const double a = std::log(inverse_temperature(below)), step = std::log(inverse_temperature(above)) - a;
  // By log beta: d slope / d log beta = beta * curvature.
  const double rise_below = step * inverse_temperature(below) * curvature_[below],
               rise_above = step * inverse_temperature(above) * curvature_[above];
  const auto slope_at = [&](double t) {
    const double u = 1 - t;
    return u * u * ((1 + 2 * t) * slope_[below] + t * rise_below) +
           t * t * ((1 + 2 * u) * slope_[above] - u * rise_above);
  };
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (slope_at(middle) < 0 ? low : high) = middle;
  }
  return std::exp(-(a + step * (low + high) / 2));
}

Json StreamedTemperature::json() const {
  return {{"examples", examples_}, {"slope", slope_}, {"curvature", curvature_}};
}

StreamedTemperature StreamedTemperature::from(const Json& json) {
  StreamedTemperature sums;
  sums.examples_ = json["examples"].get<int64_t>();
  sums.slope_ = json["slope"].get<std::array<double, kNodes>>();
  sums.curvature_ = json["curvature"].get<std::array<double, kNodes>>();
  return sums;
}

}  // namespace vernier
