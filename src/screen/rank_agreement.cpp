#include "screen/rank_agreement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vernier {

namespace {

std::vector<bool> top_of(const std::vector<double>& values, int64_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  std::vector<bool> top(values.size());
  for (int64_t i = 0; i < count; ++i) top[order[static_cast<size_t>(i)]] = true;
  return top;
}

}  // namespace

double kendall(std::span<const double> a, std::span<const double> b) {
  double balance = 0, untied_a = 0, untied_b = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = i + 1; j < a.size(); ++j) {
      const int x = (a[i] < a[j]) - (a[j] < a[i]), y = (b[i] < b[j]) - (b[j] < b[i]);
      balance += x * y;
      untied_a += x != 0;
      untied_b += y != 0;
    }
  return untied_a > 0 && untied_b > 0 ? balance / std::sqrt(untied_a * untied_b) : 0;
}

int64_t top_count(const RankGroup& group, int64_t most) {
  return std::max<int64_t>(1, std::min(most, static_cast<int64_t>(group.estimate.size()) / 3));
}

double top_overlap(const RankGroup& group, int64_t count) {
  const std::vector<bool> foretold = top_of(group.estimate, count), real = top_of(group.exact, count);
  int64_t both = 0;
  for (size_t i = 0; i < real.size(); ++i) both += foretold[i] && real[i];
  return static_cast<double>(both) / static_cast<double>(count);
}

}  // namespace vernier
