#include "quantize/rounding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "ops/aten_ops.h"

namespace vernier {
namespace {

/// Steps in float64 of 3 rows and 2 segments, levels -2 .. 1.
RoundingGrid uniform_steps() {
  RoundingGrid grid;
  grid.scale = at::tensor({0.5, 0.25, 0.125, 1.0, -0.3, 0.7}, at::kDouble).reshape({3, 2, 1});
  grid.zero = at::tensor({0.0, 1.0, 0.0, -1.0, 0.0, 0.0}, at::kDouble).reshape({3, 2, 1});
  grid.offset = at::zeros({3, 2, 1}, at::kDouble);
  grid.lowest = -2;
  grid.highest = 1;
  grid.levels = at::tensor({-2.0, -1.0, 0.0, 1.0}, at::kDouble);
  return grid;
}

at::Tensor made_up_weights() {
  at::manual_seed(3);
  return at::randn({3, 2, 8}, at::kDouble);
}

at::Tensor gradient(const at::Tensor& out, const at::Tensor& of, const at::Tensor& upstream) {
  return torch::autograd::grad({out}, {of}, {upstream})[0];
}

/// The best level of every weight, tried one by one.
at::Tensor brute_force(const RoundingGrid& grid, const at::Tensor& x) {
  at::Tensor best = at::full_like(x, 1e9);
  for (int64_t l = 0; l < grid.levels.numel(); ++l) {
    const at::Tensor value = (grid.scale * (grid.levels[l] - grid.zero) + grid.offset).expand_as(x);
    best = at::where((value - x).abs() < (best - x).abs(), value, best);
  }
  return best;
}

TEST(Rounding, TakesTheNearestLevel) {
  RoundingGrid grid = uniform_steps();
  const at::Tensor x = made_up_weights();
  EXPECT_TRUE(at::equal(rounded_values(grid, x), brute_force(grid, x)));
  grid.levels = at::tensor({-5.0, -1.5, 0.25, 4.0}, at::kDouble);  // a codebook
  grid.boundaries = at::tensor({-3.25, -0.625, 2.125}, at::kDouble);
  grid.offset = grid.offset + 0.1;
  EXPECT_TRUE(at::equal(rounded_values(grid, x), brute_force(grid, x)));
  const at::Tensor codes = nearest_codes(grid, x);
  const at::Tensor levels = grid.levels.index_select(0, codes.reshape(-1)).reshape(codes.sizes());
  EXPECT_TRUE(at::equal(grid.scale * (levels - grid.zero) + grid.offset, rounded_values(grid, x)));
}

TEST(Rounding, AScaleOfZeroMeansTheOffset) {
  RoundingGrid grid = uniform_steps();
  grid.scale = at::zeros_like(grid.scale);
  grid.offset = grid.offset + 0.5;
  EXPECT_TRUE(at::equal(rounded_values(grid, made_up_weights()), at::full({3, 2, 8}, 0.5, at::kDouble)));
  grid.scale.set_requires_grad(true);
  const at::Tensor seen = round_learned(grid, made_up_weights().set_requires_grad(true));
  EXPECT_TRUE(at::equal(seen, at::full({3, 2, 8}, 0.5, at::kDouble)));
  EXPECT_TRUE(at::isfinite(gradient(seen, grid.scale, at::ones_like(seen))).all().item<bool>());
}

// The gradient of what is straight through is the identity's by definition, also beyond the outermost levels.
TEST(Rounding, StraightThroughPassesTheGradientOn) {
  const RoundingGrid grid = uniform_steps();
  const at::Tensor x = (made_up_weights() * 3).set_requires_grad(true);
  const at::Tensor upstream = at::randn({3, 2, 8}, at::kDouble);
  const at::Tensor seen = round_straight(grid, x);
  EXPECT_TRUE(at::equal(seen, rounded_values(grid, x)));
  EXPECT_TRUE(at::equal(gradient(seen, x, upstream), upstream));
  const at::Tensor narrow = cast_straight(x, at::kBFloat16);
  EXPECT_TRUE(at::equal(narrow, x.detach().to(at::kBFloat16).to(at::kDouble)));
  EXPECT_TRUE(at::equal(gradient(narrow, x, upstream), upstream));
}

TEST(Rounding, ABitLessIsTheInnerHalf) {
  RoundingGrid grid = uniform_steps(), inner = grid;
  const at::Tensor x = made_up_weights();
  inner.levels = at::tensor({-1.0, 0.0}, at::kDouble);
  EXPECT_TRUE(at::equal(rounded_values(inner_half(grid), x), brute_force(inner, x)));
  grid.levels = at::tensor({-5.0, -1.5, 0.25, 4.0}, at::kDouble);  // a codebook
  grid.boundaries = at::tensor({-3.25, -0.625, 2.125}, at::kDouble);
  inner.levels = at::tensor({-1.5, 0.25}, at::kDouble);
  EXPECT_TRUE(at::equal(rounded_values(inner_half(grid), x), brute_force(inner, x)));
  EXPECT_EQ(inner_half(grid).lowest, -1.5) << "beyond which a weight passes no gradient";
  EXPECT_EQ(inner_half(grid).highest, 0.25);
}

// By definition: the identity's gradient within the range, nothing beyond one that is given.
TEST(Rounding, ActivationsPassTheGradientOn) {
  const at::Tensor x = made_up_weights().set_requires_grad(true), upstream = at::randn({3, 2, 8}, at::kDouble);
  for (const float range : {0.0f, 0.75f}) {
    const InputRounding rounding(4, range);
    const at::Tensor seen = rounded(rounding, x);
    EXPECT_TRUE(at::equal(seen, rounded(rounding, x.detach())));
    const at::Tensor inside = (x.detach().abs() <= 0.75).logical_or(at::full({}, range == 0, at::kBool));
    EXPECT_TRUE(at::equal(gradient(seen, x, upstream), upstream * inside)) << range;
  }
}

TEST(Rounding, LearnedScalesGetTheGradientOfTheSmoothPart) {
  RoundingGrid grid = uniform_steps();
  grid.scale = grid.scale.abs();
  const at::Tensor x = made_up_weights().set_requires_grad(true);
  const at::Tensor scale = grid.scale.clone().set_requires_grad(true);
  const at::Tensor upstream = at::randn({3, 2, 8}, at::kDouble);
  RoundingGrid learning = grid;
  learning.scale = scale;
  const at::Tensor seen = round_learned(learning, x);
  EXPECT_TRUE(at::equal(seen, rounded_values(grid, x)));

  // Rounding adds a residual that the smooth part does not see; beyond the levels there is none.
  const auto in_levels = [&](const at::Tensor& s) { return (x.detach() / s + grid.zero).clamp(-2, 1); };
  const at::Tensor t = in_levels(grid.scale), residual = t.round() - t;
  const auto smooth = [&](const at::Tensor& s) {
    return ((s * (in_levels(s) + residual - grid.zero)) * upstream).sum(-1, true);
  };
  constexpr double kStep = 1e-6;
  const at::Tensor expected = (smooth(grid.scale + kStep) - smooth(grid.scale - kStep)) / (2 * kStep);
  const at::Tensor got = gradient(seen, scale, upstream);
  EXPECT_LT((got - expected).abs().max().item<double>(), 1e-8);

  const at::Tensor raw = x.detach() / grid.scale + grid.zero;
  const at::Tensor inside = (raw >= -2).logical_and(raw <= 1);
  const at::Tensor of_weights = gradient(round_learned(learning, x), x, upstream);
  EXPECT_LT((of_weights - upstream * inside).abs().max().item<double>(), 1e-12);
}

TEST(Rounding, ScalesThatLearnInPlaceTakeTheirWeightsAlong) {
  RoundingGrid grid = uniform_steps();
  const at::Tensor x = made_up_weights(), upstream = at::randn({3, 2, 8}, at::kDouble);
  const at::Tensor places = places_of(grid, x).set_requires_grad(true);
  RoundingGrid learning = grid;
  learning.scale = grid.scale.clone().set_requires_grad(true);
  learning.offset = grid.offset.clone().set_requires_grad(true);
  const at::Tensor seen = round_places(learning, places);
  EXPECT_TRUE(at::equal(seen, rounded_values(grid, x)));
  EXPECT_TRUE(at::equal(nearest_codes(among_places(grid), places), nearest_codes(grid, x)));
  const auto got = torch::autograd::grad({seen}, {places, learning.scale, learning.offset}, {upstream});
  // With codes as they are values are linear in both.
  const at::Tensor level = grid.levels.index_select(0, nearest_codes(grid, x).reshape(-1)).reshape(x.sizes());
  EXPECT_TRUE(at::equal(got[0], upstream * grid.scale));
  EXPECT_LT((got[1] - (upstream * (level - grid.zero)).sum(-1, true).expand_as(got[1])).abs().max().item<double>(),
            1e-12);
  EXPECT_LT((got[2] - upstream.sum(-1, true).sum_to_size(got[2].sizes())).abs().max().item<double>(), 1e-12);

  RoundingGrid now = grid;
  now.scale = grid.scale * (1 + 0.5 * at::rand_like(grid.scale));
  now.offset = grid.offset + 0.3;
  const at::Tensor code = nearest_codes(grid, x);
  EXPECT_TRUE(at::equal(
      round_places(now, places).detach(),
      (grid.levels.index_select(0, code.reshape(-1)).reshape(x.sizes()) - grid.zero) * now.scale + now.offset))
      << "the same codes on other scales";
  EXPECT_FALSE(at::equal(nearest_codes(now, x), code)) << "which weights of the same size would not have";
  grid.scale = grid.scale.clone();
  grid.scale[0][0] = 0;
  EXPECT_EQ(places_of(grid, x)[0][0].abs().max().item<double>(), 0.0);
}

/// The same of offsets, and of a codebook's levels.
TEST(Rounding, LearnedOffsetsGetTheGradientOfTheSmoothPart) {
  RoundingGrid grid = uniform_steps();
  grid.levels = at::tensor({-5.0, -1.5, 0.25, 4.0}, at::kDouble);
  grid.boundaries = at::tensor({-3.25, -0.625, 2.125}, at::kDouble);
  grid.lowest = -5;
  grid.highest = 4;
  const at::Tensor x = (made_up_weights() * 2).set_requires_grad(true), upstream = at::randn({3, 2, 8}, at::kDouble);
  RoundingGrid learning = grid;
  learning.scale = grid.scale.clone().set_requires_grad(true);
  learning.offset = at::full_like(grid.offset, 0.1).set_requires_grad(true);
  grid.offset = learning.offset.detach();
  const at::Tensor seen = round_learned(learning, x);
  EXPECT_TRUE(at::equal(seen, rounded_values(grid, x)));

  const auto in_levels = [&](const at::Tensor& s, const at::Tensor& o) {
    return ((x.detach() - o) / s + grid.zero).clamp(-5, 4);
  };
  const at::Tensor t = in_levels(grid.scale, grid.offset);
  const at::Tensor residual = grid.levels.index_select(0, nearest_codes(grid, x).reshape(-1)).reshape(t.sizes()) - t;
  const auto smooth = [&](const at::Tensor& s, const at::Tensor& o) {
    return ((s * (in_levels(s, o) + residual - grid.zero) + o) * upstream).sum(-1, true);
  };
  constexpr double kStep = 1e-6;
  const at::Tensor of_scale =
      (smooth(grid.scale + kStep, grid.offset) - smooth(grid.scale - kStep, grid.offset)) / (2 * kStep);
  const at::Tensor of_offset =
      (smooth(grid.scale, grid.offset + kStep) - smooth(grid.scale, grid.offset - kStep)) / (2 * kStep);
  const auto got = torch::autograd::grad({seen}, {learning.scale, learning.offset}, {upstream});
  EXPECT_LT((got[0] - of_scale).abs().max().item<double>(), 1e-7);
  EXPECT_LT((got[1] - of_offset).abs().max().item<double>(), 1e-7);
}

}  // namespace
}  // namespace vernier
