#include "ops/distribution.h"

#include <algorithm>
#include <cmath>

#include "ops/kernels.h"

namespace vernier {

namespace {

/// Takes away what rounding put below zero; NaN stays NaN, which std::max(0, x) would turn into "no damage".
float at_least_zero(float x) { return x < 0 ? 0.0f : x; }

}  // namespace

float negative_log_likelihood(const float* logits, int64_t vocabulary, int32_t label) {
  return log_sum_exp(logits, vocabulary) - logits[label];
}

ReferenceTile::ReferenceTile(Arena& arena, const Slab& logits)
    : logits_(logits),
      probabilities_(arena.slab(logits.rows, logits.cols)),
      log_total_(arena.floats(logits.rows)),
      top_(reinterpret_cast<int64_t*>(arena.floats(2 * logits.rows))) {
  for (int64_t r = 0; r < logits.rows; ++r) {
    log_total_[r] = log_sum_exp(logits.row(r), logits.cols);
    exp_shifted(logits.row(r), log_total_[r], probabilities_.row(r), logits.cols);
    top_[r] = argmax(logits.row(r), logits.cols);
  }
}

TokenDamage ReferenceTile::compare(int64_t row, const float* logits, int32_t label) const {
  const int64_t n = logits_.cols;
  const float* base = logits_.row(row);
  const float* p = probabilities_.row(row);
  TokenDamage damage;
  damage.reference_nll = log_total_[row] - base[label];
  damage.same_top = argmax(logits, n) == top_[row];

  // With d = (other - base) - mean and sum p d = 0: KL = log sum p e^d = log(1 + sum p (e^d - 1 - d)).
  const RowShift shift = mean_shift(base, p, logits, n);
  constexpr float kLargestExponent = 60;  // e^d beyond this would swamp float32 sums
  if (shift.largest - shift.mean < kLargestExponent) {
    damage.kl = std::log1p(at_least_zero(convex_excess(base, p, logits, shift.mean, n)));
  } else {
    damage.kl = at_least_zero(log_sum_exp(logits, n) - log_total_[row] - shift.mean);
  }
  // log_total' - log_total = KL + mean shift, again free of cancellation.
  damage.nll = damage.reference_nll + damage.kl + shift.mean - (logits[label] - base[label]);
  return damage;
}

int64_t logit_tile_rows(int64_t vocabulary) {
  const int64_t rows = (int64_t{1} << 20) / std::max<int64_t>(1, vocabulary);
  return std::clamp<int64_t>(rows / kRowPadding * kRowPadding, kRowPadding, 128);
}

}  // namespace vernier
