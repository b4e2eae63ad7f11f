#include "quantize/rounding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace vernier {

namespace {

/// Where a segment's scale is 0 every code means the offset, and any divisor will do.
at::Tensor divisor_of(const at::Tensor& scale) { return at::where(scale == 0, at::ones_like(scale), scale); }

at::Tensor in_levels(const RoundingGrid& grid, const at::Tensor& latent) {
  return (latent - grid.offset) / divisor_of(grid.scale) + grid.zero;
}

at::Tensor nearest_levels(const RoundingGrid& grid, const at::Tensor& latent) {
  const at::Tensor t = in_levels(grid, latent);
  if (!grid.boundaries.defined()) return t.clamp(grid.lowest, grid.highest).round();
  return grid.levels.index_select(0, at::bucketize(t, grid.boundaries).reshape(-1)).reshape(t.sizes());
}

}  // namespace

RoundingGrid inner_half(const RoundingGrid& grid) {
  const int64_t count = grid.levels.numel(), first = count / 4, kept = count / 2;
  if (count < 4) return grid;
  RoundingGrid inner = grid;
  inner.levels = grid.levels.narrow(0, first, kept);
  if (grid.boundaries.defined()) inner.boundaries = grid.boundaries.narrow(0, first, kept - 1);
  inner.lowest = grid.lowest + static_cast<double>(first);  // of levels one apart, the only ones that ask for it
  inner.highest = inner.lowest + static_cast<double>(kept - 1);
  return inner;
}

at::Tensor nearest_codes(const RoundingGrid& grid, const at::Tensor& latent) {
  const c10::NoGradGuard no_grad;
  if (grid.boundaries.defined()) return at::bucketize(in_levels(grid, latent), grid.boundaries);
  return (nearest_levels(grid, latent) - grid.lowest).to(at::kLong);
}

at::Tensor rounded_values(const RoundingGrid& grid, const at::Tensor& latent) {
  const c10::NoGradGuard no_grad;
  return grid.scale * (nearest_levels(grid, latent) - grid.zero) + grid.offset;
}

at::Tensor round_straight(const RoundingGrid& grid, const at::Tensor& latent) {
  return rounded_values(grid, latent) + (latent - latent.detach());  // exactly 0, with the gradient of `latent`
}

at::Tensor round_learned(const RoundingGrid& grid, const at::Tensor& scale, const at::Tensor& latent) {
  const at::Tensor t = (latent / divisor_of(scale) + grid.zero).clamp(grid.lowest, grid.highest);
  // Exact: a number and the nearest integer are so close that their difference has no rounding error.
  const at::Tensor level = t + (t.round() - t).detach();
  return scale * (level - grid.zero);
}

at::Tensor cast_straight(const at::Tensor& x, at::ScalarType type) {
  return x + (x.detach().to(type).to(x.scalar_type()) - x.detach());
}

}  // namespace vernier
