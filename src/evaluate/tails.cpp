#include "evaluate/tails.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace vernier {

std::span<const TailRow> tail_rows() {
  static constexpr TailRow kRows[] = {
      {"kl_nats_max", "Maximum KLD", &Tails::kl_max},
      {"kl_nats_99_9", "99.9% KLD", &Tails::kl_99_9},
      {"kl_nats_99", "99.0% KLD", &Tails::kl_99},
      {"kl_nats_median", "Median KLD", &Tails::kl_median},
      {"delta_p_mean", "Mean Δp (%)", &Tails::delta_p_mean, 100, 4},
      {"delta_p_rms", "RMS Δp (%)", &Tails::delta_p_rms, 100, 4},
      {"delta_p_5", "5.0% Δp (%)", &Tails::delta_p_5, 100, 3},
      {"delta_p_95", "95.0% Δp (%)", &Tails::delta_p_95, 100, 3},
  };
  return kRows;
}

Tails tails_of(std::vector<float>& kl, std::vector<float>& delta_p) {
  Tails tails;
  double sum = 0, squares = 0;
  for (const float d : delta_p) {
    sum += d;
    squares += static_cast<double>(d) * d;
  }
  const auto n = static_cast<double>(std::max<size_t>(1, delta_p.size()));
  tails.delta_p_mean = sum / n;
  tails.delta_p_rms = std::sqrt(squares / n);
  tails.delta_p_5 = quantile(delta_p, 0.05);
  tails.delta_p_95 = quantile(delta_p, 0.95);
  tails.kl_median = quantile(kl, 0.5);
  tails.kl_99 = quantile(kl, 0.99);
  tails.kl_99_9 = quantile(kl, 0.999);
  tails.kl_max = quantile(kl, 1);
  return tails;
}

}  // namespace vernier
