#include "activations/local_errors.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vernier {

void SignedHistogram::add(float x) {
  constexpr uint32_t kHalfOctave = 0x3504f3;  // of sqrt(2), rounded down
  const uint32_t bits = std::bit_cast<uint32_t>(std::fabs(x));
  const int half = 2 * (static_cast<int>(bits >> 23) - 127) + ((bits & 0x7fffffu) > kHalfOctave ? 1 : 0);
  const int bin = std::min(half - 2 * kLowest, kPerSign - 1);
  ++total_;
  if (bin < 0)
    ++counts_[0];
  else
    ++counts_[static_cast<size_t>(1 + bin + (x < 0 ? kPerSign : 0))];
}

void SignedHistogram::add(const SignedHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

double SignedHistogram::divergence_from(const SignedHistogram& other) const {
  constexpr double kLeastShare = 1e-6;
  double divergence = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const double p = static_cast<double>(counts_[i]) / static_cast<double>(total_);
    const double q = static_cast<double>(other.counts_[i]) / static_cast<double>(other.total_);
    divergence += p * std::log(p / std::max(q, kLeastShare));
  }
  return divergence;
}

void ErrorSums::add(const Slab& x, const Slab& y, const std::vector<float>& range) {
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t j = 0; j < x.cols; ++j) {
      const float value = x.row(r)[j];
      const double a = value, b = y.row(r)[j], error = b - a, square = error * error;
      squares += a * a;
      rounded_squares += b * b;
      products += a * b;
      errors += error;
      error_squares += square;
      const float limit = range.empty() ? 0.0f : range[range.size() == 1 ? 0 : static_cast<size_t>(j)];
      if (!range.empty() && std::fabs(value) > limit) {
        ++clipped;
        clip_squares += square;
      } else if (b == 0 && a != 0) {
        ++dead;
        dead_squares += square;
      }
      exact.add(value);
      rounded.add(y.row(r)[j]);
    }
  values += x.rows * x.cols;
}

void ErrorSums::add(const ErrorSums& other) {
  values += other.values;
  clipped += other.clipped;
  dead += other.dead;
  squares += other.squares;
  rounded_squares += other.rounded_squares;
  products += other.products;
  errors += other.errors;
  error_squares += other.error_squares;
  clip_squares += other.clip_squares;
  dead_squares += other.dead_squares;
  exact.add(other.exact);
  rounded.add(other.rounded);
}

LocalErrors ErrorSums::result() const {
  const auto n = static_cast<double>(values);
  LocalErrors local;
  local.mse = error_squares / n;
  local.sqnr_db = 10 * std::log10(squares / error_squares);
  local.cosine = products / std::sqrt(squares * rounded_squares);
  local.bias = errors / n / std::sqrt(squares / n);
  local.histogram_kl = exact.divergence_from(rounded);
  local.clipped_share = static_cast<double>(clipped) / n;
  local.dead_share = static_cast<double>(dead) / n;
  local.clip_error_share = error_squares > 0 ? clip_squares / error_squares : 0;
  local.dead_error_share = error_squares > 0 ? dead_squares / error_squares : 0;
  return local;
}

}  // namespace vernier
