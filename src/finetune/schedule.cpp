#include "finetune/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vernier {

namespace {
constexpr double kFloor = 0.01;  // of the peak
}

double learning_rate_at(int64_t step, int64_t steps, int64_t warm_up, double peak, double passed) {
  if (step < warm_up) return peak * static_cast<double>(step + 1) / static_cast<double>(warm_up);
  const auto span = static_cast<double>(std::max<int64_t>(1, steps - 1 - warm_up));
  const double done = std::min(1.0, std::max(passed, static_cast<double>(step - warm_up) / span));
  return peak * (kFloor + (1 - kFloor) * (1 + std::cos(std::numbers::pi * done)) / 2);
}

}  // namespace vernier
