#include "corruptions/drawn.h"

#include <cmath>

namespace vernier {

double Drawn::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double u = 0, v = 0, squares = 0;
  do {
    u = uniform(-1, 1), v = uniform(-1, 1);
    squares = u * u + v * v;
  } while (squares >= 1 || squares == 0);
  const double factor = std::sqrt(-2 * std::log(squares) / squares);
  spare_ = v * factor;
  has_spare_ = true;
  return u * factor;
}

double Drawn::poisson(double mean) {
  if (mean <= 0) return 0;
  if (mean < 10) {
    const double limit = std::exp(-mean);
    double product = uniform();
    double count = 0;
    while (product > limit) product *= uniform(), ++count;
    return count;
  }
  const double b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), quick = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = uniform() - 0.5, v = uniform(), us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= quick) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b) <=
        -mean + k * std::log(mean) - std::lgamma(k + 1))
      return k;
  }
}

}  // namespace vernier
