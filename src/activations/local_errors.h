#pragma once

// What rounding does to the values of a site, summed over rows.

#include <array>
#include <cstdint>
#include <vector>

#include "ops/arena.h"
#include "vernier/activations.h"

namespace vernier {

/// Counts by sign and half octave of the magnitude; the first bin holds 0 and what is below 2^-32.
class SignedHistogram {
 public:
  void add(float x);
  void add(const SignedHistogram& other);
  /// KL divergence in nats of this from `other`, whose empty bins count as 1e-6 of its values.
  double divergence_from(const SignedHistogram& other) const;

 private:
  static constexpr int kLowest = -32, kHighest = 20, kPerSign = 2 * (kHighest - kLowest);
  std::array<int64_t, 1 + 2 * kPerSign> counts_{};
  int64_t total_ = 0;
};

struct ErrorSums {
  int64_t values = 0, clipped = 0, dead = 0;
  double squares = 0, rounded_squares = 0, products = 0, errors = 0;
  double error_squares = 0, clip_squares = 0, dead_squares = 0;
  SignedHistogram exact, rounded;

  /// `range`: the static one of the grid, or one a channel; none where nothing can be clipped.
  void add(const Slab& x, const Slab& rounded, const std::vector<float>& range);
  void add(const ErrorSums& other);
  LocalErrors result() const;
};

}  // namespace vernier
