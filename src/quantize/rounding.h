#pragma once

// Rounding onto a grid in plain ATen on any device, with gradients straight through it (arXiv:1308.3432): what
// scheme/grid.h says of one segment, for all segments of a matrix at once.
//
//   const at::Tensor seen = round_straight(grid, latent);        // decoded values; d seen / d latent = 1
//   const at::Tensor seen = round_learned(grid, latent);   // LSQ: scales and offsets learn too
//
// A segment's values are scale * (level - zero) + offset, in these steps and no others, so that they are Grid::decode's
// bit for bit.

#include <ATen/core/Tensor.h>

namespace vernier {

/// Steps of all segments. @shape each [rows or 1, segments, 1], of the latent weights' type and device
struct RoundingGrid {
  at::Tensor scale, zero, offset;
  /// Levels of the codes in use, rising; codes that Grid::nearest never takes are left out.
  at::Tensor levels;               ///< [codes in use]
  at::Tensor boundaries;           ///< [codes in use - 1]: midway between them; undefined where levels are one apart
  double lowest = 0, highest = 0;  ///< the first and the last level
};

/// The grid without its outer levels, as if it had one bit fewer; the same where it has fewer than four.
RoundingGrid inner_half(const RoundingGrid& grid);

/// Index into `levels` of the best one of each weight. @shape latent [rows, segments, weights] -> int64 alike
at::Tensor nearest_codes(const RoundingGrid& grid, const at::Tensor& latent);
/// The values of those levels, without a gradient.
at::Tensor rounded_values(const RoundingGrid& grid, const at::Tensor& latent);

/// rounded_values with the gradient of the identity, also where a weight lies beyond the outermost level.
at::Tensor round_straight(const RoundingGrid& grid, const at::Tensor& latent);

/// Learned step size quantization (LSQ, arXiv:1902.08153, equations 2-5), of scales and offsets that require a gradient. That
/// of a weight is 1 within the levels and 0 beyond them; that of a scale is, per weight, level - t within (t: the weight in
/// levels) and the outermost level beyond, both relative to zero; that of an offset 0 within and 1 beyond. The paper's
/// factor 1 / sqrt(n * Qmax) is left out: AdamW does not see it.
at::Tensor round_learned(const RoundingGrid& grid, const at::Tensor& latent);

/// Where weights lie among the levels, relative to zero, so that value = scale * place + offset; 0 where a scale is.
/// @shape as nearest_codes takes it
at::Tensor places_of(const RoundingGrid& grid, const at::Tensor& latent);
/// The grid on which places are what weights are on `grid`: scales 1 and offsets 0.
RoundingGrid among_places(const RoundingGrid& grid);
/// Values of the levels nearest to `places`, which stay where they are when scales and offsets learn: the gradient of a scale
/// is, per weight, its level relative to zero, that of an offset 1, that of a place the scale.
at::Tensor round_places(const RoundingGrid& grid, const at::Tensor& places);
/// The same of levels that somebody else chose for them. @shape levels as places
at::Tensor round_places_to(const at::Tensor& levels, const RoundingGrid& grid, const at::Tensor& places);

/// To the nearest number of another floating type and back, with the gradient of the identity.
at::Tensor cast_straight(const at::Tensor& x, at::ScalarType type);

}  // namespace vernier
