#include "base/bootstrap_width.h"

#include <cmath>
#include <numeric>

#include "base/sequential.h"

namespace vernier {

namespace {

/// Student's t for that confidence, for a standard error that lacks the factor sqrt(n / (n - 1)).
double widened_student(double confidence, int64_t clusters) {
  const auto n = static_cast<double>(clusters);
  return std::sqrt(n / (n - 1)) * student_quantile(1 - (1 - confidence) / 2, clusters - 1);
}

}  // namespace

double expanded_tail(double confidence, int64_t clusters) {
  return std::erfc(widened_student(confidence, clusters) / std::sqrt(2.0)) / 2;
}

double student_widening(double confidence, int64_t clusters) {
  constexpr int64_t kNormal = 1'000'000'000;  // degrees of freedom
  return widened_student(confidence, clusters) / student_quantile(1 - (1 - confidence) / 2, kNormal);
}

bool holds_tail(double tail, size_t draws) { return tail * static_cast<double>(draws) >= 2; }

double student_reach(const std::vector<double>& draws, double confidence, int64_t clusters) {
  const auto count = static_cast<double>(draws.size());
  const double mean = std::accumulate(draws.begin(), draws.end(), 0.0) / count;
  double squares = 0;
  for (const double draw : draws) squares += (draw - mean) * (draw - mean);
  return widened_student(confidence, clusters) * std::sqrt(squares / count);
}

}  // namespace vernier
