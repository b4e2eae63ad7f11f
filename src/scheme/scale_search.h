#pragma once

// The search for the scale (and minimum) of a few weights that share one: the smallest importance-weighted squared
// error.
//
//   const AffineFit fit = search_affine(x, w, 32, 15);      // x ~ fit.scale * q - fit.min, q in 0 .. 15
//
// For a candidate scale the codes follow by rounding; given codes, scale and minimum follow by weighted least squares.
// Candidates differ in how many steps span the data, which moves the clipping and the alignment of the grid.
// All sums are kept in four lanes of fixed order: the result is the same on every machine.
// In a search n is a multiple of 4, weights are > 0, and |x| <= kLargestWeight (see search_value).

#include <cmath>
#include <cstdint>

#include "scheme/grid.h"

namespace vernier {

/// Any larger weight saturates in every block format (fp16 scale 65504, times at most 128 * 32).
inline constexpr float kLargestWeight = 1e9f;
/// Any smaller one is zero in every block format (the smallest scale is 2^-24).
inline constexpr float kNegligible = 1e-12f;

/// What can never reach half of the smallest step becomes zero, and what no block can hold its largest value, so that
/// squares and quotients in the search stay finite.
inline float search_value(float x) {
  const float magnitude = std::fabs(x);
  const float clipped = std::copysign(magnitude < kLargestWeight ? magnitude : kLargestWeight, x);
  return magnitude < kNegligible ? 0.0f : clipped;
}

/// 1 / scale, and 0 where all weights are zero.
inline float inverse_scale(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

/// Codes of the levels lowest .. highest, `first` being the lowest's: round((x - offset) / scale), clamped, ties to even.
/// @shape x, codes [n], n any number; x any finite number
void nearest_uniform(const Step& step, int lowest, int highest, const float* x, int64_t n, Code* codes, int first = 0);

/// Weighted sums over one group of a block, for least squares; q are codes.
struct CodeSums {
  float q = 0, qq = 0, qx = 0;
};
struct DataSums {
  float w = 0, x = 0, xx = 0;
};
DataSums data_sums(const float* x, const float* w, int n);

struct AffineFit {
  float scale = 0, min = 0;  ///< both >= 0
};
/// x ~ scale * q - min with q in 0 .. levels.
AffineFit search_affine(const float* x, const float* w, int n, int levels);
/// sum w (scale * q - min - x)^2 with the best codes for this scale and minimum.
float affine_error(const float* x, const float* w, int n, int levels, float scale, float min);
/// The same codes' sums.
CodeSums affine_sums(const float* x, const float* w, int n, int levels, float scale, float min);

/// x ~ scale * q with q in lowest .. highest; the scale may be negative when the range is lopsided.
float search_scale(const float* x, const float* w, int n, int lowest, int highest);
float scaled_error(const float* x, const float* w, int n, int lowest, int highest, float scale);
CodeSums scaled_sums(const float* x, const float* w, int n, int lowest, int highest, float scale);

}  // namespace vernier
