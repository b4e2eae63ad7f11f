#include "ops/strassen.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "ops/kernels.h"
#include "ops/panel_matrix.h"
#include "support/slab_view.h"

namespace vernier {
namespace {

// Many rows are multiplied by quarters, few as they stand: PanelMatrix's own rule, which these tests go through.
class StrassenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (avx512_kernels(ComputeType::kFloat32) == nullptr) GTEST_SKIP() << "not on this processor";
    at::manual_seed(9);
  }
  static PanelMatrix matrix(const at::Tensor& weight, const at::Tensor& bias = {}) {
    return {*PanelMatrix::kernels_for(ComputeType::kFloat32, weight.size(0), weight.size(1)), weight.data_ptr(),
            weight.size(0), weight.size(1), bias.defined() ? bias.data_ptr<float>() : nullptr};
  }
  /// Of the product of all rows at once, and of a few at a time: distance from float64, by row or over all.
  struct Errors {
    at::Tensor quarters, plain;
  };
  static Errors errors(const at::Tensor& x, const at::Tensor& weight, at::IntArrayRef along) {
    Arena arena;
    const PanelMatrix m = matrix(weight);
    EXPECT_FALSE(m.rows_are_independent());
    const int64_t rows = x.size(0);
    const Slab in = arena.slab(rows, x.size(1)), all = arena.slab(rows, m.out()), few = arena.slab(rows, m.out());
    view(in).copy_(x);
    m.apply(in, all, /*accumulate=*/false, arena);
    for (int64_t first = 0; first < rows; first += 48) {
      const int64_t count = std::min<int64_t>(48, rows - first);
      m.apply(in.row_range(first, count), few.row_range(first, count), /*accumulate=*/false, arena);
    }
    EXPECT_FALSE(at::equal(view(all), view(few))) << "it should have been multiplied by quarters";
    const at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
    const auto error = [&](const Slab& y) { return (view(y) - exact).norm(2, along) / exact.norm(2, along); };
    return {error(all), error(few)};
  }
};

TEST_F(StrassenTest, RoundingIsWithinThreeTimesThatOfTheSchoolbook) {
  for (const auto& [rows, in, out] : {std::tuple(96, 64, 128), std::tuple(511, 512, 1024), std::tuple(600, 1280, 512),
                                      std::tuple(255, 576, 960), std::tuple(130, 2080, 192)}) {
    const Errors e = errors(at::randn({rows, in}), at::randn({out, in}), {0, 1});
    EXPECT_LT(e.quarters.item<double>(), 3 * e.plain.item<double>()) << rows << ", " << in << ", " << out;
  }
}

TEST_F(StrassenTest, APatternOfEqualSignsRoundsNoWorse) {
  const Errors e = errors(at::rand({240, 512}), at::rand({256, 512}), {0, 1});
  EXPECT_LT(e.quarters.item<double>(), 3 * e.plain.item<double>());
}

// Beside a row a thousand times as long, sums would leave the others three digits less.
TEST_F(StrassenTest, LongRowsLeaveTheRowsBesideThemAlone) {
  const at::Tensor x = at::randn({192, 512}), weight = at::randn({256, 512});
  for (const int64_t row : {0, 17, 100}) x[row].mul_(1e3);
  x[191].zero_();
  const Errors e = errors(x, weight, {1});
  EXPECT_LT(e.quarters.narrow(0, 0, 191).max().item<double>(), 3 * e.plain.narrow(0, 0, 191).max().item<double>());
}

TEST_F(StrassenTest, LongColumnsLeaveTheColumnsBesideThemAlone) {
  const at::Tensor x = at::randn({192, 512}), weight = at::randn({384, 512});
  for (const int64_t column : {3, 300}) weight[column].mul_(1e3);
  const Errors e = errors(x, weight, {0});
  EXPECT_LT(e.quarters.max().item<double>(), 3 * e.plain.max().item<double>());
}

// Channels far larger than others, as real models have them.
TEST_F(StrassenTest, LargeChannelsCostNoDigits) {
  const at::Tensor x = at::randn({192, 512}), weight = at::randn({256, 512});
  for (const int64_t channel : {5, 261, 400}) x.select(1, channel).mul_(100);
  const Errors e = errors(x, weight, {0, 1});
  EXPECT_LT(e.quarters.item<double>(), 4 * e.plain.item<double>());
}

TEST_F(StrassenTest, ZerosStayZeros) {
  Arena arena;
  const PanelMatrix m = matrix(at::randn({128, 64}));
  const Slab x = arena.slab(120, 64), y = arena.slab(120, 128);
  view(x).zero_();
  view(y).normal_();
  m.apply(x, y, /*accumulate=*/false, arena);
  EXPECT_EQ(view(y).abs().max().item<float>(), 0);
}

TEST_F(StrassenTest, AGatedProductIsTheProductThenSilu) {
  constexpr int64_t kRows = 205, kIn = 320, kHidden = 192;
  const at::Tensor weight = at::randn({2 * kHidden, kIn}) / 16, bias = at::randn({2 * kHidden});
  Arena arena;
  const Slab x = arena.slab(kRows, kIn), wide = arena.slab(kRows, kHidden + 16), y = wide.columns(16, kHidden);
  view(x).normal_();
  view(x)[30].mul_(1e3);  // a group that is multiplied as it stands
  view(wide).normal_();
  const at::Tensor beside = view(wide).narrow(1, 0, 16).clone();
  const PanelMatrix m = matrix(weight, bias);
  ASSERT_TRUE(m.apply_silu(x, y, arena));
  const at::Tensor both = at::matmul(view(x).to(at::kDouble), weight.to(at::kDouble).t()) + bias;
  const at::Tensor exact = at::silu(both.narrow(1, 0, kHidden)) * both.narrow(1, kHidden, kHidden);
  const at::Tensor error = (view(y) - exact).norm(2, {1}) / exact.norm(2, {1});
  EXPECT_LT(error.max().item<double>(), 3e-6) << "exponentials are within 2 ulp";
  EXPECT_TRUE(at::equal(view(wide).narrow(1, 0, 16), beside));
  EXPECT_FALSE(m.apply_silu(x.row_range(0, 90), y.row_range(0, 90), arena)) << "too few rows";
  EXPECT_FALSE(matrix(at::randn({2 * 96, kIn})).apply_silu(x, y, arena)) << "halves are no whole columns";
}

TEST_F(StrassenTest, MatricesTooSmallOrTooLargeKeepRowsApart) {
  EXPECT_TRUE(matrix(at::randn({96, 64})).rows_are_independent());
  EXPECT_TRUE(matrix(at::randn({8224, 32})).rows_are_independent());
  EXPECT_TRUE(matrix(at::randn({128, 48})).rows_are_independent());
  EXPECT_FALSE(matrix(at::randn({128, 64})).rows_are_independent());
}

}  // namespace
}  // namespace vernier
