#include "scheme/e8m0.h"

#include <algorithm>
#include <cmath>

#include "scheme/e2m1.h"

namespace vernier {

namespace {

constexpr int kE8m0Bias = 127, kLargestExponent = 252;  // the next one times 6 overflows
/// Powers below the one that spans the weights clip ever more of them, those above waste levels.
constexpr int kPowersBelow = 3, kPowersAbove = 1;

double e2m1_error(const float* x, const float* w, int n, float scale) {
  double sum = 0.0;
  for (int i = 0; i < n; ++i) {
    const double error = static_cast<double>(scale) * e2m1_value(e2m1_nearest(x[i] / scale)) - x[i];
    sum += w[i] * error * error;
  }
  return sum;
}

}  // namespace

uint8_t fit_e8m0(const float* x, const float* w, int n) {
  float peak = 0.0f;
  for (int i = 0; i < n; ++i) peak = std::max(peak, std::fabs(x[i]));
  if (peak == 0.0f) return 0;
  const int spanning = std::ilogb(peak) - 2 + kE8m0Bias;  // the largest e2m1 number is 1.5 * 2^2
  int best = std::clamp(spanning, 0, kLargestExponent);
  double best_error = e2m1_error(x, w, n, e8m0_value(static_cast<uint8_t>(best)));
  for (int e = std::max(0, spanning - kPowersBelow); e <= std::min(kLargestExponent, spanning + kPowersAbove); ++e) {
    const double error = e2m1_error(x, w, n, e8m0_value(static_cast<uint8_t>(e)));
    if (!(error < best_error)) continue;
    best_error = error;
    best = e;
  }
  return static_cast<uint8_t>(best);
}

}  // namespace vernier
