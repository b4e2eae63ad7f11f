#include "base/sequential.h"

#include <cmath>
#include <initializer_list>
#include <limits>

namespace vernier {

namespace {

/// Regularised incomplete beta function I_x(a, b) by its continued fraction (Lentz's method).
double incomplete_beta(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(1 - x, b, a);  // where the fraction converges slowly
  constexpr double kTiny = 1e-300;
  constexpr int kTerms = 500;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double fraction = d;
  for (int m = 1; m <= kTerms; ++m) {
    for (const double numerator : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                                   -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 + numerator * d;
      c = 1 + numerator / c;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      if (std::abs(c) < kTiny) c = kTiny;
      fraction *= c * d;
    }
    if (std::abs(c * d - 1) < 1e-15) break;
  }
  return fraction *
         std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
}

double student_cdf(double t, double n) {
  const double tail = incomplete_beta(n / (n + t * t), n / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
}

}  // namespace

double student_quantile(double probability, int64_t degrees_of_freedom) {
  if (probability < 0.5) return -student_quantile(1 - probability, degrees_of_freedom);
  const auto n = static_cast<double>(degrees_of_freedom);
  double low = 0, high = 1;
  while (student_cdf(high, n) < probability) high *= 2;
  for (int step = 0; step < 100; ++step) {
    const double middle = (low + high) / 2;
    (student_cdf(middle, n) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

ConfidenceInterval interval_over_looks(const Measured& measured, int64_t clusters, int looks, double confidence) {
  constexpr double kEverything = std::numeric_limits<double>::infinity();
  if (clusters < 2 || !std::isfinite(measured.standard_error)) return {-kEverything, kEverything};
  const double t = student_quantile(1 - (1 - confidence) / (2 * looks), clusters - 1);
  return {measured.mean - t * measured.standard_error, measured.mean + t * measured.standard_error};
}

}  // namespace vernier
