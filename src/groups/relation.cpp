#include "groups/relation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/sequential.h"
#include "base/statistics.h"

namespace vernier {

namespace {

constexpr double kNoEnd = std::numeric_limits<double>::infinity();
constexpr double kNoLine = std::numeric_limits<double>::quiet_NaN();

/// Student's t of this many degrees of freedom is the normal distribution to 6 digits.
double normal_quantile(double probability) { return student_quantile(probability, 10'000'000); }

}  // namespace

Line fitted_line(std::span<const double> x, std::span<const double> y, double confidence) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0, xy = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  if (x.size() < 2 || !(xx > 0)) return {kNoLine, {-kNoEnd, kNoEnd}, kNoLine};
  Line line{xy / xx, {-kNoEnd, kNoEnd}, yy > 0 ? xy * xy / (xx * yy) : kNoLine};
  if (x.size() < 3) return line;
  const double residual = std::max(0.0, yy - xy * xy / xx);
  const double error = std::sqrt(residual / (n - 2) / xx);
  const double t = student_quantile((1 + confidence) / 2, static_cast<int64_t>(x.size()) - 2);
  line.interval = {line.slope - t * error, line.slope + t * error};
  return line;
}

ConfidenceInterval rank_interval(double correlation, int64_t points, double confidence) {
  if (points < 5 || std::isnan(correlation)) return {-kNoEnd, kNoEnd};
  constexpr double kMost = 0.9999;  // a perfect order has no finite z
  const double rho = std::clamp(correlation, -kMost, kMost);
  const double error = std::sqrt((1 + rho * rho / 2) / static_cast<double>(points - 3));
  const double z = std::atanh(rho), reach = normal_quantile((1 + confidence) / 2) * error;
  return {std::tanh(z - reach), std::tanh(z + reach)};
}

double rank_p(std::span<const double> x, std::span<const double> y) {
  constexpr size_t kEnumerated = 7;
  constexpr int kDrawn = 20'000;
  constexpr double kRounding = 1e-12;
  const double observed = std::abs(spearman(x, y)) - kRounding;
  std::vector<size_t> order(y.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<double> exchanged(y.size());
  int64_t extreme = 0, total = 0;
  const auto count = [&] {
    for (size_t i = 0; i < order.size(); ++i) exchanged[i] = y[order[i]];
    extreme += std::abs(spearman(x, exchanged)) >= observed ? 1 : 0;
    ++total;
  };
  if (y.size() <= kEnumerated) {
    do count();
    while (std::next_permutation(order.begin(), order.end()));
    return static_cast<double>(extreme) / static_cast<double>(total);
  }
  std::mt19937_64 random(1);
  for (int draw = 0; draw < kDrawn; ++draw) {
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    count();
  }
  return static_cast<double>(extreme + 1) / static_cast<double>(total + 1);
}

ConfidenceInterval share_interval(int64_t part, int64_t whole, double confidence) {
  if (whole < 1) return {0, 1};
  const double z = normal_quantile((1 + confidence) / 2), n = static_cast<double>(whole);
  const double share = static_cast<double>(part) / n;
  const double centre = (share + z * z / (2 * n)) / (1 + z * z / n);
  const double reach = z / (1 + z * z / n) * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - reach), std::min(1.0, centre + reach)};
}

}  // namespace vernier
