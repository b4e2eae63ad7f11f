#include "ops/activation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace vernier {
namespace {

at::Tensor tensor_on(const Slab& s) { return at::from_blob(s.data, {s.rows, s.cols}, {s.ld, 1}, at::kFloat); }

TEST(Activation, KernelsAreTheirDefinitions) {
  constexpr int64_t kRows = 7, kWidth = 37;
  at::manual_seed(11);
  const at::Tensor x = at::randn({kRows, 2 * kWidth}) * 3;
  for (const Activation activation :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kQuickGelu})
    for (const bool gated : {true, false}) {
      FeedForwardConfig config;
      config.gated = gated, config.activation = activation;
      Arena arena;
      const int64_t in = gated ? 2 * kWidth : kWidth;
      const Slab input = arena.slab(kRows, in), output = arena.slab(kRows, kWidth);
      tensor_on(input).copy_(x.narrow(1, 0, in));
      apply_activation(config, input, output);
      const at::Tensor wide = x.to(at::kDouble), gate = wide.narrow(1, 0, kWidth);
      const at::Tensor expected = apply_activation(config, gate, gated ? wide.narrow(1, kWidth, kWidth) : at::Tensor());
      // Polynomials of e^x and of the error function in float32.
      EXPECT_LT((tensor_on(output) - expected).abs().max().item<double>(), 2e-5)
          << static_cast<int>(activation) << (gated ? " gated" : "");
    }
}

TEST(Activation, GeluKeepsItsDigitsFarBelowZero) {
  constexpr int64_t kWidth = 241;
  FeedForwardConfig config;
  config.gated = false, config.activation = Activation::kGelu;
  Arena arena;
  const Slab x = arena.slab(1, kWidth), y = arena.slab(1, kWidth);
  for (int64_t i = 0; i < kWidth; ++i) x.row(0)[i] = static_cast<float>(i - 120) / 10;
  apply_activation(config, x, y);
  for (int64_t i = 0; i < kWidth; ++i) {
    const double exact = 0.5 * x.row(0)[i] * std::erfc(-x.row(0)[i] / std::sqrt(2.0));
    EXPECT_NEAR(y.row(0)[i], exact, 2e-5 * std::abs(exact) + 1e-35) << x.row(0)[i];  // of e^-72 in float32
    EXPECT_NEAR(y.row(0)[i], exact, 5e-7);
  }
}

TEST(Activation, QuickGeluByHand) {
  FeedForwardConfig config;
  config.gated = false, config.activation = Activation::kQuickGelu;
  const at::Tensor y = apply_activation(config, at::tensor({0.0, 1.0, -2.0}, at::kDouble), {});
  EXPECT_NEAR(y[0].item<double>(), 0, 1e-12);
  EXPECT_NEAR(y[1].item<double>(), 1 / (1 + std::exp(-1.702)), 1e-12);
  EXPECT_NEAR(y[2].item<double>(), -2 / (1 + std::exp(3.404)), 1e-12);
}

}  // namespace
}  // namespace vernier
