// The best uniform quantizer of a Gaussian, by its closed form per cell and a search over the step.

#include <cmath>
#include <numbers>

#include "vernier/limit.h"

namespace vernier {

namespace {

double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

/// Squared error of values in [from, to), all stored as `value`.
double cell_error(double from, double to, double value) {
  const bool last = std::isinf(to);
  // erfc keeps the digits of the tail.
  const double share = (std::erfc(from / std::numbers::sqrt2) - (last ? 0 : std::erfc(to / std::numbers::sqrt2))) / 2;
  const double f = density(from), t = last ? 0 : density(to);
  return (1 + value * value) * share - ((last ? 0 : to * t) - from * f) + 2 * value * (t - f);
}

double error_of(int64_t levels, double step) {
  double error = 0;
  // The upper half of the levels, which lie at (k - (levels - 1) / 2) * step; of an odd number the middle one stands for
  // half of its own cell.
  for (int64_t k = levels / 2; k < levels; ++k) {
    const double value = (static_cast<double>(k) - static_cast<double>(levels - 1) / 2) * step;
    error += cell_error(std::max(0.0, value - step / 2), k + 1 == levels ? INFINITY : value + step / 2, value);
  }
  return 2 * error;
}

}  // namespace

double uniform_quantizer_error(int64_t levels) {
  if (levels < 2) return 1;
  constexpr int64_t kMost = 1024;  // beyond: the same distance from the ideal, of an error that nobody sees
  if (levels > kMost) {
    const double fewer = static_cast<double>(kMost) / static_cast<double>(levels);
    return uniform_quantizer_error(kMost) * fewer * fewer;
  }
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = 1.0 / static_cast<double>(levels), high = 14.0 / static_cast<double>(levels);
  for (int i = 0; i < 50; ++i) {
    const double a = high - golden * (high - low), b = low + golden * (high - low);
    if (error_of(levels, a) < error_of(levels, b))
      high = b;
    else
      low = a;
  }
  return error_of(levels, (low + high) / 2);
}

}  // namespace vernier
