#include "quantize/rounding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/straight_through.h"

namespace vernier {

namespace {

/// Where a segment's scale is 0 every code means the offset, and any divisor will do.
at::Tensor divisor_of(const at::Tensor& scale) { return at::where(scale == 0, at::ones_like(scale), scale); }

at::Tensor in_levels(const RoundingGrid& grid, const at::Tensor& latent) {
  return (latent - grid.offset).div_(divisor_of(grid.scale)).add_(grid.zero);
}

/// The level nearest to t.
at::Tensor level_at(const RoundingGrid& grid, const at::Tensor& t) {
  if (!grid.boundaries.defined()) return t.clamp(grid.lowest, grid.highest).round_();
  return grid.levels.index_select(0, at::bucketize(t, grid.boundaries).reshape(-1)).reshape(t.sizes());
}

at::Tensor nearest_levels(const RoundingGrid& grid, const at::Tensor& latent) {
  return level_at(grid, in_levels(grid, latent));
}

/// In few passes over the weights, of which nothing but themselves is kept for the gradient.
struct LearnedRounding : torch::autograd::Function<LearnedRounding> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& latent,
                            const at::Tensor& scale, const at::Tensor& offset, const RoundingGrid& grid) {
    context->save_for_backward({latent, scale, offset, grid.zero, grid.levels, grid.boundaries});
    context->saved_data["lowest"] = grid.lowest;
    context->saved_data["highest"] = grid.highest;
    return rounded_values(grid, latent);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    RoundingGrid grid{.scale = saved[1],
                      .zero = saved[3],
                      .offset = saved[2],
                      .levels = saved[4],
                      .boundaries = saved[5],
                      .lowest = context->saved_data["lowest"].toDouble(),
                      .highest = context->saved_data["highest"].toDouble()};
    const at::Tensor &latent = saved[0], &scale = grid.scale, &upstream = gradients[0];
    const at::Tensor t = in_levels(grid, latent);
    const at::Tensor inside = (t >= grid.lowest).logical_and(t <= grid.highest).logical_and(scale != 0);
    const at::Tensor within = upstream * inside;
    const at::Tensor of_scale = upstream * (level_at(grid, t.detach()) - grid.zero) - within * (t - grid.zero);
    return {within, of_scale.sum_to_size(scale.sizes()), (upstream - within).sum_to_size(grid.offset.sizes()),
            at::Tensor()};
  }
};

struct PlaceRounding : torch::autograd::Function<PlaceRounding> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& /*latent*/,
                            const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& place) {
    context->save_for_backward({place, scale, offset});
    return (place * scale).add_(offset);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const at::Tensor &upstream = gradients[0], &place = saved[0], &scale = saved[1], &offset = saved[2];
    return {upstream * scale, (upstream * place).sum_to_size(scale.sizes()), upstream.sum_to_size(offset.sizes()),
            at::Tensor()};
  }
};

}  // namespace

RoundingGrid inner_half(const RoundingGrid& grid) {
  const int64_t count = grid.levels.numel(), first = count / 4, kept = count / 2;
  if (count < 4) return grid;
  RoundingGrid inner = grid;
  inner.levels = grid.levels.narrow(0, first, kept);
  if (grid.boundaries.defined()) inner.boundaries = grid.boundaries.narrow(0, first, kept - 1);
  inner.lowest = inner.levels[0].item<double>();
  inner.highest = inner.levels[kept - 1].item<double>();
  return inner;
}

at::Tensor nearest_codes(const RoundingGrid& grid, const at::Tensor& latent) {
  const c10::NoGradGuard no_grad;
  if (grid.boundaries.defined()) return at::bucketize(in_levels(grid, latent), grid.boundaries);
  return (nearest_levels(grid, latent) - grid.lowest).to(at::kLong);
}

at::Tensor rounded_values(const RoundingGrid& grid, const at::Tensor& latent) {
  const c10::NoGradGuard no_grad;
  return (nearest_levels(grid, latent) - grid.zero).mul_(grid.scale).add_(grid.offset);
}

at::Tensor round_straight(const RoundingGrid& grid, const at::Tensor& latent) {
  return with_gradient_of(latent, rounded_values(grid, latent));
}

at::Tensor round_learned(const RoundingGrid& grid, const at::Tensor& latent) {
  return LearnedRounding::apply(latent, grid.scale, grid.offset, grid);
}

at::Tensor places_of(const RoundingGrid& grid, const at::Tensor& latent) {
  return ((latent - grid.offset) / divisor_of(grid.scale)).masked_fill_(grid.scale == 0, 0);
}

RoundingGrid among_places(const RoundingGrid& grid) {
  RoundingGrid own = grid;
  own.scale = at::ones_like(grid.scale);
  own.offset = at::zeros_like(grid.offset);
  return own;
}

at::Tensor round_places(const RoundingGrid& grid, const at::Tensor& places) {
  return round_places_to(level_at(grid, places.detach() + grid.zero), grid, places);
}

at::Tensor round_places_to(const at::Tensor& levels, const RoundingGrid& grid, const at::Tensor& places) {
  return PlaceRounding::apply(places, grid.scale, grid.offset, grid.zero.defined() ? levels - grid.zero : levels);
}

at::Tensor cast_straight(const at::Tensor& x, at::ScalarType type) {
  return x + (x.detach().to(type).to(x.scalar_type()) - x.detach());
}

}  // namespace vernier
