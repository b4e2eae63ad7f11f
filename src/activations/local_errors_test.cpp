#include "activations/local_errors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/site_rounding.h"
#include "support/slab_view.h"

namespace vernier {
namespace {

Slab slab_of(const at::Tensor& x) { return {x.data_ptr<float>(), x.size(0), x.size(1), x.size(1)}; }

/// From the definitions, in float64.
double brute_divergence(const at::Tensor& x, const at::Tensor& y) {
  std::map<std::pair<int, bool>, std::pair<double, double>> bins;
  const auto key = [](double value) {
    return value == 0 ? std::pair(-1000, false)
                      : std::pair(static_cast<int>(std::floor(2 * std::log2(std::abs(value)))), value < 0);
  };
  const auto n = static_cast<double>(x.numel());
  for (int64_t i = 0; i < x.numel(); ++i) {
    bins[key(x.flatten()[i].item<double>())].first += 1 / n;
    bins[key(y.flatten()[i].item<double>())].second += 1 / n;
  }
  double sum = 0;
  for (const auto& [bin, shares] : bins)
    if (shares.first > 0) sum += shares.first * std::log(shares.first / std::max(shares.second, 1e-6));
  return sum;
}

TEST(LocalErrors, AreWhatTheirDefinitionsSay) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({30, 24});
  const SiteRounding rounding{4, ActivationGrid::Span::kTensor, {1.5f}};
  Arena arena;
  const Slab rounded = arena.slab(30, 24);
  round_site(rounding, slab_of(x), rounded);
  ErrorSums sums, first;
  first.add(slab_of(x).row_range(0, 11), rounded.row_range(0, 11), {1.5f});
  sums.add(slab_of(x).rows_from(11), rounded.rows_from(11), {1.5f});
  sums.add(first);
  const LocalErrors local = sums.result();
  const at::Tensor a = x.to(at::kDouble), b = view(rounded).to(at::kDouble), error = b - a, square = error.square();
  const at::Tensor clipped = a.abs() > 1.5, dead = (b == 0).logical_and(a != 0);
  const auto number = [](const at::Tensor& t) { return t.to(at::kDouble).item<double>(); };
  EXPECT_NEAR(local.mse, number(square.mean()), 1e-12);
  EXPECT_NEAR(local.sqnr_db, 10 * std::log10(number(a.square().sum() / square.sum())), 1e-9);
  EXPECT_NEAR(local.cosine, number((a * b).sum() / (a.norm() * b.norm())), 1e-12);
  EXPECT_NEAR(local.bias, number(error.mean() / a.square().mean().sqrt()), 1e-12);
  EXPECT_NEAR(local.clipped_share, number(clipped.to(at::kDouble).mean()), 1e-12);
  EXPECT_NEAR(local.dead_share, number(dead.to(at::kDouble).mean()), 1e-12);
  EXPECT_NEAR(local.clip_error_share, number(square.masked_select(clipped).sum() / square.sum()), 1e-12);
  EXPECT_NEAR(local.dead_error_share, number(square.masked_select(dead).sum() / square.sum()), 1e-12);
  EXPECT_NEAR(local.histogram_kl, brute_divergence(x, view(rounded)), 1e-9);
  EXPECT_GT(local.clipped_share, 0.05);
  EXPECT_GT(local.dead_share, 0.05);
}

TEST(LocalErrors, ExactValuesHaveNone) {
  const at::Tensor x = at::arange(12, at::kFloat).view({3, 4});
  ErrorSums sums;
  sums.add(slab_of(x), slab_of(x), {});
  const LocalErrors local = sums.result();
  EXPECT_EQ(local.mse, 0);
  EXPECT_EQ(local.histogram_kl, 0);
  EXPECT_EQ(local.dead_share, 0);
  EXPECT_NEAR(local.cosine, 1, 1e-12);
  EXPECT_TRUE(std::isinf(local.sqnr_db));
}

}  // namespace
}  // namespace vernier
