#include "groups/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/bootstrap_width.h"
#include "base/fail.h"
#include "base/statistics.h"

namespace vernier {

namespace {

constexpr double kOpenEnd = std::numeric_limits<double>::infinity();

}  // namespace

std::vector<double> sorted_numbers(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  std::sort(values.begin(), values.end());
  return values;
}

ConfidenceInterval bootstrap_interval(std::vector<double> draws, double confidence, int64_t clusters) {
  draws = sorted_numbers(std::move(draws));
  if (clusters < 2 || draws.empty()) return {-kOpenEnd, kOpenEnd};
  const double tail = expanded_tail(confidence, clusters);
  if (holds_tail(tail, draws.size())) return {quantile_of_sorted(draws, tail), quantile_of_sorted(draws, 1 - tail)};
  const double mean = std::accumulate(draws.begin(), draws.end(), 0.0) / static_cast<double>(draws.size());
  return widened({mean, mean}, student_reach(draws, confidence, clusters));
}

std::vector<double> adjusted_p(const std::vector<std::vector<double>>& null, const std::vector<double>& values) {
  const size_t draws = null.empty() ? 0 : null.front().size();
  std::vector<double> furthest(draws, 0.0), own;
  for (size_t g = 0; g < null.size(); ++g) {
    double sum = 0, squares = 0, count = 0;
    for (const double draw : null[g])
      if (std::isfinite(draw)) sum += draw, squares += draw * draw, ++count;
    const double mean = count > 0 ? sum / count : 0;
    const double deviation = count > 0 ? std::sqrt(std::max(0.0, squares / count - mean * mean)) : 0;
    const auto far = [&](double value) {
      if (!std::isfinite(value)) return 0.0;
      return deviation > 0 ? std::abs(value - mean) / deviation : value == mean ? 0.0 : kOpenEnd;
    };
    own.push_back(far(values[g]));
    for (size_t d = 0; d < draws; ++d) furthest[d] = std::max(furthest[d], far(null[g][d]));
  }
  for (double& value : own) value = value > 0 ? upper_p(furthest, value) : 1;
  return own;
}

double unseen_share(const std::vector<double>& draws, double confidence, int64_t clusters) {
  const std::vector<double> sorted = sorted_numbers(draws);
  if (sorted.empty() || sorted.front() != sorted.back()) return 0;
  return 1 - std::pow((1 - confidence) / 2, 1 / static_cast<double>(clusters));
}

ConfidenceInterval widened(const ConfidenceInterval& interval, double by) {
  return {interval.low - by, interval.high + by};
}

double two_sided_p(const std::vector<double>& null, double value) {
  if (null.empty() || std::isnan(value)) return 1;
  const auto above = std::count_if(null.begin(), null.end(), [&](double draw) { return draw >= value; });
  const auto below = std::count_if(null.begin(), null.end(), [&](double draw) { return draw <= value; });
  return std::min(1.0, 2 * static_cast<double>(std::min(above, below) + 1) / static_cast<double>(null.size() + 1));
}

double upper_p(const std::vector<double>& null, double value) {
  if (null.empty() || std::isnan(value)) return 1;
  const auto above = std::count_if(null.begin(), null.end(), [&](double draw) { return draw >= value; });
  return static_cast<double>(above + 1) / static_cast<double>(null.size() + 1);
}

Verdict judge(const ConfidenceInterval& interval, Worse worse, double tolerance) {
  if (!(tolerance >= 0))
    fail(ErrorKind::kInvalidArgument, "groups: tolerance {}: expected a number of at least 0", tolerance);
  const bool up = worse != Worse::kLower, down = worse != Worse::kHigher;
  if ((up && interval.low > tolerance) || (down && interval.high < -tolerance)) return Verdict::kExceeds;
  if ((!up || interval.high <= tolerance) && (!down || interval.low >= -tolerance)) return Verdict::kWithin;
  return Verdict::kUndecided;
}

}  // namespace vernier
