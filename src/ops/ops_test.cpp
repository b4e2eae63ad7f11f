#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/output_file.h"
#include "ops/activation_rounding.h"
#include "ops/aten_ops.h"
#include "ops/distribution.h"
#include "ops/kernels.h"
#include "ops/packed_linear.h"
#include "ops/parallel.h"
#include "ops/stacked_linear.h"
#include "support/expect_error.h"
#include "support/slab_view.h"

namespace vernier {
namespace {

class PackedLinearTest : public ::testing::TestWithParam<std::tuple<int, int, int>> {};

TEST_P(PackedLinearTest, EqualsAtenWithinRounding) {
  const auto [rows, in, out] = GetParam();
  at::manual_seed(1);
  const at::Tensor weight = at::randn({out, in}), bias = at::randn({out}), x = at::randn({rows, in});
  const at::Tensor expected = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t()) + bias;
  Arena arena;
  const Slab input = arena.slab(rows, in), output = arena.slab(rows, out);
  view(input).copy_(x);
  const PackedLinear linear(weight, bias, ComputeType::kFloat32);
  linear.apply(input, output, /*accumulate=*/false, arena);
  EXPECT_LT(((view(output) - expected).norm() / expected.norm()).item<double>(), 1e-6);
  linear.apply(input, output, /*accumulate=*/true, arena);
  EXPECT_LT(((view(output) - 2 * expected).norm() / expected.norm()).item<double>(), 2e-6);

  const PackedLinear narrow(weight, bias, ComputeType::kBFloat16);
  narrow.apply(input, output, /*accumulate=*/false, arena);
  // bfloat16 keeps 8 bits of each factor: 2^-9 relative each, sums average it.
  EXPECT_LT(((view(output) - expected).norm() / expected.norm()).item<double>(), 6e-3);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedLinearTest,
                         ::testing::Values(std::tuple(1, 64, 64), std::tuple(255, 64, 320), std::tuple(256, 512, 100),
                                           std::tuple(300, 24, 8), std::tuple(513, 256, 256)));

TEST(PackedLinear, ARowsBitsDoNotDependOnTheRowsBesideIt) {
  at::manual_seed(3);
  for (const auto& [in, out] : {std::pair(64, 320), std::pair(576, 4100), std::pair(1280, 512), std::pair(64, 8224)})
    for (const ComputeType type : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
      const PackedLinear linear(at::randn({out, in}), {}, type);
      if (!linear.rows_are_independent()) continue;  // not promised
      Arena arena;
      const Slab x = arena.slab(513, in), all = arena.slab(513, out);
      view(x).normal_();
      linear.apply(x, all, /*accumulate=*/false, arena);
      for (const int64_t rows : {1, 31, 32, 63, 128, 200, 255})
        for (const int64_t first : {0, 7, 250}) {
          const Arena::Scope scope(arena);
          const Slab some = arena.slab(rows, out);
          linear.apply(x.row_range(first, rows), some, /*accumulate=*/false, arena);
          EXPECT_TRUE(at::equal(view(some), view(all.row_range(first, rows)))) << rows << " rows from " << first;
        }
    }
}

TEST(Multiply, TakesStridedViews) {
  at::manual_seed(2);
  Arena arena;
  const Slab a = arena.slab(40, 96), b = arena.slab(50, 96), c = arena.slab(40, 60);
  for (const Slab& s : {a, b}) view(s).normal_();
  const Slab left = a.columns(32, 16), right = b.columns(64, 16), result = c.columns(5, 50);
  multiply(left, right, /*transpose_b=*/true, result);
  EXPECT_LT((view(result) - at::matmul(view(left), view(right).t())).abs().max().item<double>(), 1e-5);
}

TEST(Kernels, ExponentialsAreAccurateOverTheWholeRange) {
  std::vector<float> x, y;
  for (int i = 0; i <= 216; ++i) x.push_back(0.37f * static_cast<float>(i) - 80);
  y.resize(x.size());
  exp_shifted(x.data(), 0, y.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i] / std::exp(static_cast<double>(x[i])), 1, 4e-7) << x[i];
}

TEST(Kernels, EntropyAndVarianceAreThoseOfFloat64) {
  at::manual_seed(8);
  for (const int64_t n : {2, 7, 64, 1001})
    for (const double scale : {0.01, 3.0, 40.0}) {
      const at::Tensor x = scale * at::randn({n}, at::kFloat) + 5;  // a mean far from 0
      const at::Tensor log_p = x.to(at::kDouble).log_softmax(0);
      std::vector<float> p(static_cast<size_t>(n));
      const float* logits = x.data_ptr<float>();
      const float log_total = log_sum_exp(logits, n);
      exp_shifted(logits, log_total, p.data(), n);
      EXPECT_NEAR(entropy(logits, p.data(), log_total, n), -(log_p.exp() * log_p).sum().item<double>(), 4e-5)
          << "logits of 150 have steps of 1.5e-5";
      const double exact = x.to(at::kDouble).var(false).item<double>();
      EXPECT_NEAR(variance(logits, n), exact, 2e-5 * exact);
    }
}

TEST(Kernels, ExpRowLeavesNothingOutsideItsRange) {
  std::vector<float> s{5, 1, 2, 3, 9};
  const float sum = exp_row(s.data(), 5, 1, 4);
  EXPECT_NEAR(sum, std::exp(-2.0) + std::exp(-1.0) + 1, 1e-6);
  EXPECT_EQ(s[0], 0);
  EXPECT_EQ(s[4], 0);
  EXPECT_NEAR(s[3], 1, 1e-6);
}

TEST(Kernels, TheLargestAreThoseOfASort) {
  at::manual_seed(6);
  for (const int64_t n : {3, 5, 64, 65, 1000}) {
    std::vector<float> x(static_cast<size_t>(n));
    const at::Tensor values = at::randint(0, n / 2 + 2, {n}, at::kFloat);  // with equals
    std::memcpy(x.data(), values.data_ptr<float>(), x.size() * sizeof(float));
    std::vector<int32_t> order(x.size()), found(5, -1);
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return x[static_cast<size_t>(a)] > x[static_cast<size_t>(b)]; });
    order.resize(5, -1);
    largest_indices(x.data(), n, 5, found.data());
    EXPECT_EQ(found, order) << n;
    EXPECT_EQ(found[0], argmax(x.data(), n));
  }
}

/// KL, NLL and top-1 of one row in float64.
struct Exact {
  double kl, nll;
};
Exact exact(const at::Tensor& base, const at::Tensor& other, int64_t label) {
  const at::Tensor p = base.to(at::kDouble).log_softmax(-1), q = other.to(at::kDouble).log_softmax(-1);
  return {(p.exp() * (p - q)).sum().item<double>(), -q[label].item<double>()};
}

class TokenDamageTest : public ::testing::TestWithParam<double> {};

TEST_P(TokenDamageTest, MatchesFloat64FromTinyToHugeShifts) {
  at::manual_seed(3);
  const double scale = GetParam();
  const int64_t n = 1000, label = 17;
  Arena arena;
  const Slab base = arena.slab(1, n), other = arena.slab(1, n);
  view(base).normal_().mul_(4);
  view(other).copy_(view(base) + scale * at::randn({1, n}));
  const TokenDamage damage = ReferenceTile(arena, base).compare(0, other.row(0), label);
  const Exact expected = exact(view(base)[0], view(other)[0], label);
  // float32 logits of size 10 carry 1e-6 each: relative 1e-4 of a KL that is quadratic in the shift.
  EXPECT_NEAR(damage.kl, expected.kl, 2e-4 * expected.kl + 1e-12);
  EXPECT_NEAR(damage.nll, expected.nll, 1e-5 * (1 + std::abs(expected.nll)));
}

INSTANTIATE_TEST_SUITE_P(Shifts, TokenDamageTest, ::testing::Values(1e-3, 1e-2, 0.1, 0.3, 1.0, 5.0, 30.0, 100.0));

TEST(TokenDamage, BrokenLogitsAreNeverHarmless) {
  Arena arena;
  const Slab base = arena.slab(1, 64), other = arena.slab(1, 64);
  view(base).normal_();
  view(other).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_FALSE(ReferenceTile(arena, base).compare(0, other.row(0), 3).kl == 0);
}

TEST(TokenDamage, EqualLogitsAreExactlyZero) {
  Arena arena;
  const Slab base = arena.slab(2, 333);
  view(base).normal_();
  const TokenDamage damage = ReferenceTile(arena, base).compare(1, base.row(1), 5);
  EXPECT_EQ(damage.kl, 0);
  EXPECT_EQ(damage.nll, damage.reference_nll);
  EXPECT_TRUE(damage.same_top);
}

TEST(ActivationRounding, EqualsGgmlsBitForBit) {
  constexpr int64_t kCount = 1024;
  const std::string file = read_file(VERNIER_SOURCE_DIR "/tests/fixtures/ops/activations.bin");
  ASSERT_EQ(file.size(), 3 * kCount * sizeof(float));
  Arena arena;
  const Slab golden = arena.slab(3, kCount), rounded = arena.slab(1, kCount);
  std::memcpy(golden.data, file.data(), file.size());
  for (const auto& [rounding, row] :
       {std::pair(ActivationRounding::kQ8_0, 1), std::pair(ActivationRounding::kQ8_K, 2)}) {
    round_activations(rounding, golden.row_range(0, 1), rounded);
    for (int64_t i = 0; i < kCount; ++i)
      ASSERT_EQ(rounded.data[i], golden.row(row)[i]) << "row " << row << ", value " << i;
  }
}

TEST(ActivationRounding, TinyBlocksBecomeZeroHugeOnesBreakAndTheLastBlockMayBeShort) {
  at::manual_seed(7);
  Arena arena;
  const Slab x = arena.slab(1, 40), y = arena.slab(1, 40);  // q8_0: a block of 32 and one of 8
  for (const auto rounding : {ActivationRounding::kQ8_0, ActivationRounding::kQ8_K}) {
    view(x).fill_(1e-37);  // 127 / x is infinite
    view(x)[0][1] = 0;
    round_activations(rounding, x, y);
    EXPECT_TRUE(at::equal(view(y), at::zeros({1, 40})));
    view(x).normal_();
    round_activations(rounding, x, y);
    // Half a step, and for q8_0 up to 127 steps of a scale that is off by half of the last of 11 bits.
    const double steps = 0.5 + (rounding == ActivationRounding::kQ8_0 ? 127 * 0x1p-12 : 0) + 1e-3;
    EXPECT_LT((view(y) - view(x)).abs().max().item<double>(), steps / 127 * view(x).abs().max().item<double>());
  }
  view(x).fill_(1e7f);  // q8_0's half scale overflows at 65,504 x 127; q8_K's is a float
  round_activations(ActivationRounding::kQ8_0, x, y);
  EXPECT_FALSE(at::isfinite(view(y)).any().item<bool>());
  round_activations(ActivationRounding::kQ8_K, x, y);
  EXPECT_TRUE(at::allclose(view(y), view(x)));
  view(x).fill_(1.0f + 1.0f / 512);
  round_activations(ActivationRounding::kBFloat16, x, y);
  EXPECT_EQ(y.data[39], 1.0f);  // 8 bits of mantissa: 1/512 is half a step to the even side
  round_activations(ActivationRounding::kHalf, x, y);
  EXPECT_EQ(y.data[39], 1.0f + 1.0f / 512);  // 11 bits hold it
}

TEST(ActivationRounding, IntegersAreTheNearestOnTheGridOfARowOrOfAll) {
  Arena arena;
  const Slab x = arena.slab(3, 70), y = arena.slab(3, 70);
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  for (int64_t r = 0; r < 3; ++r)
    for (int64_t i = 0; i < 70; ++i) x.row(r)[i] = r == 2 ? 0 : normal(random) * (r == 0 ? 1 : 100);
  for (const int bits : {8, 6, 4, 2})
    for (const float range : {0.0f, 2.5f}) {
      round_activations(InputRounding(bits, range), x, y);
      const at::Tensor values = at::from_blob(x.data, {3, 70}, {x.ld, 1}, at::kFloat);
      const at::Tensor plain = rounded(InputRounding(bits, range), values);
      if (at::hasCUDA()) {  // by plain operations
        const at::Tensor there = rounded(InputRounding(bits, range), values.to(at::kCUDA)).to(at::kCPU);
        EXPECT_TRUE(at::equal(there, plain)) << bits << " bits, range " << range;
      }
      for (int64_t r = 0; r < 3; ++r) {
        double largest = range;
        for (int64_t i = 0; range == 0 && i < 70; ++i)
          largest = std::max(largest, std::abs(static_cast<double>(x.row(r)[i])));
        const int most = (1 << (bits - 1)) - 1;
        const double step = largest / most;
        for (int64_t i = 0; i < 70; ++i) {
          double nearest = 0;
          for (int code = -most; code <= most; ++code)
            if (std::abs(code * step - static_cast<double>(x.row(r)[i])) <
                std::abs(nearest - static_cast<double>(x.row(r)[i])))
              nearest = code * step;
          EXPECT_NEAR(y.row(r)[i], nearest, 1e-5 * largest) << bits << " bits, range " << range;
          EXPECT_EQ(plain[r][i].item<float>(), y.row(r)[i]);
        }
      }
    }
}

TEST(ActivationRounding, BrokenBlocksStayBroken) {
  Arena arena;
  const Slab x = arena.slab(1, 512), y = arena.slab(1, 512);
  for (const auto rounding :
       {ActivationRounding::kQ8_0, ActivationRounding::kQ8_K, ActivationRounding::kHalf, ActivationRounding::kBFloat16})
    for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      view(x).fill_(1);
      x.data[300] = value;
      round_activations(rounding, x, y);
      EXPECT_FALSE(std::isfinite(y.data[300]));
      EXPECT_NEAR(y.data[0], 1, 1e-3) << "the block beside it, up to its half-precision scale";
      view(x).fill_(value);
      round_activations(rounding, x, y);
      EXPECT_FALSE(at::isfinite(view(y)).any().item<bool>());
    }
}

TEST(StackedLinear, PartsSeeTheirOwnRoundingAndLandBesideEachOther) {
  at::manual_seed(2);
  Arena arena;
  const Slab x = arena.slab(5, 256), expected = arena.slab(5, 24), y = arena.slab(5, 24), rounded = arena.slab(5, 256);
  view(x).normal_();
  const at::Tensor exact = at::randn({8, 256}), coarse = at::randn({16, 256});
  PackedLinear(exact, {}, ComputeType::kFloat32).apply(x, expected.columns(0, 8), /*accumulate=*/false, arena);
  round_activations(ActivationRounding::kQ8_K, x, rounded);
  PackedLinear(coarse, {}, ComputeType::kFloat32).apply(rounded, expected.columns(8, 16), /*accumulate=*/false, arena);
  StackedLinear stacked(PackedLinear(exact, {}, ComputeType::kFloat32));
  stacked.append(PackedLinear(coarse, {}, ComputeType::kFloat32), ActivationRounding::kQ8_K);
  stacked.apply(x, y, /*accumulate=*/false, arena);
  EXPECT_TRUE(at::equal(view(y), view(expected)));
  EXPECT_FALSE(at::allclose(view(rounded), view(x), 0, 1e-4));
  stacked.apply(x, y, /*accumulate=*/true, arena);
  EXPECT_TRUE(at::allclose(view(y), 2 * view(expected), 1e-5, 1e-5));
  expect_error(ErrorKind::kInternal, {"stack of 2 matrices with 24 outputs: y has 8"},
               [&] { stacked.apply(x, y.columns(0, 8), /*accumulate=*/false, arena); });
}

TEST(StackedLinear, SkippedRowsAreLeftOutOfTheFirstColumnsOnly) {
  at::manual_seed(4);
  Arena arena;
  const Slab x = arena.slab(70, 48), all = arena.slab(70, 56), y = arena.slab(70, 56);
  view(x).normal_();
  StackedLinear stacked(PackedLinear(at::randn({24, 48}), {}, ComputeType::kFloat32));
  stacked.append(StackedLinear(PackedLinear(at::randn({32, 48}), {}, ComputeType::kFloat32)));
  stacked.apply(x, all, /*accumulate=*/false, arena);
  view(y).fill_(-1);
  stacked.apply(x, y, /*accumulate=*/false, arena, {.rows = 37, .columns = 24});
  EXPECT_TRUE(at::equal(view(y.columns(24, 32)), view(all.columns(24, 32))));
  EXPECT_TRUE(at::equal(view(y.columns(0, 24).rows_from(37)), view(all.columns(0, 24).rows_from(37))));
  EXPECT_TRUE((view(y.columns(0, 24).row_range(0, 37)) == -1).all().item<bool>()) << "multiplied for nothing";
}

TEST(ParallelFor, RethrowsTheFirstErrorAndVisitsEachItemOnce) {
  std::vector<int> visits(100);
  parallel_for(100, 2, [&](int64_t i, int) { ++visits[static_cast<size_t>(i)]; });
  for (const int v : visits) EXPECT_EQ(v, 1);
  EXPECT_THROW(parallel_for(10, 2,
                            [](int64_t i, int) {
                              if (i == 3) throw std::runtime_error("x");
                            }),
               std::runtime_error);
}

}  // namespace
}  // namespace vernier
