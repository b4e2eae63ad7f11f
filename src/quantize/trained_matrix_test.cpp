#include "quantize/trained_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "vernier/quantize_tensor.h"

namespace vernier {
namespace {

std::vector<std::string> trained_schemes() {
  std::vector<std::string> names = gguf_scheme_names();
  for (const char* name :
       {"int2:g32:asym", "int3:g64:asym", "int3:g64:sym", "int4:g128:sym7", "int8:channel", "int4:tensor:asym"})
    names.emplace_back(name);
  return names;
}

class TrainedMatrixOf : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr int64_t kRows = 24, kCols = 512;
  const Scheme scheme_ = Scheme::parse(GetParam());
  std::vector<float> importance_ = std::vector<float>(kCols, 1.0f);
  static at::Tensor latent() {
    at::manual_seed(7);
    const at::Tensor x = at::randn({kRows, kCols}) * 0.05;
    x[3].zero_();  // a row whose scales are 0
    return x;
  }
  void SetUp() override {
    for (size_t c = 0; c < importance_.size(); ++c) importance_[c] = 0.5f + static_cast<float>(c % 7);
  }
};

TEST_P(TrainedMatrixOf, WhatIsSeenIsWhatTheBytesDecodeTo) {
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  at::Tensor x = latent();
  matrix.fit(x, 2);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(at::equal(matrix.seen(x), matrix.stored(x).values())) << round;
    x = x + at::randn({kRows, kCols}) * 0.03;  // training goes on, the scales stay
  }
}

TEST_P(TrainedMatrixOf, LevelsLieAsFarApartAsThoseBesideAWeight) {
  const auto grid = grid_of(scheme_, kRows, kCols);
  if (scheme_.held_by(Container::kPlainTensors)) GTEST_SKIP() << "plain values have no levels";
  if (grid->joint_cols > 1) GTEST_SKIP() << "what stands beside a code depends on others";
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  const at::Tensor x = latent();
  matrix.fit(x, 1);
  const at::Tensor widths = matrix.level_widths(x), bytes = matrix.stored(x).bytes();
  const auto* stored = static_cast<const std::byte*>(bytes.data_ptr());
  std::vector<Code> codes(kCols);
  std::vector<Step> steps(static_cast<size_t>(grid->segments()));
  for (int64_t row = 0; row < kRows; ++row) {
    grid->unpack_row(row, stored, codes.data());
    for (int64_t col = 0; col < kCols; ++col) {
      const Code code = codes[static_cast<size_t>(col)];
      if (code < 2 || code + 1 >= grid->top_code) continue;  // the outermost that a format takes have one neighbour
      grid->steps(row, col / grid->block_cols, stored, steps.data());
      const Step& step = steps[static_cast<size_t>(col % grid->block_cols / grid->segment_cols)];
      const float between = std::fabs(value_of(step, grid->level(code + 1)) - value_of(step, grid->level(code - 1)));
      EXPECT_NEAR(widths[row][col].item<float>(), between / 2, 1e-5f + 1e-5f * between) << row << " " << col;
    }
  }
}

TEST_P(TrainedMatrixOf, BoundWeightsAreSeenAsBeforeAndComeBackSoon) {
  if (scheme_.held_by(Container::kPlainTensors)) GTEST_SKIP() << "plain values have no levels";
  if (grid_of(scheme_, kRows, kCols)->joint_cols > 1) GTEST_SKIP() << "no weight has levels of its own";
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  const at::Tensor x = latent();
  matrix.fit(x, 1);
  const at::Tensor far = x + at::randn({kRows, kCols}), before = matrix.seen(far), bound = far.clone();
  matrix.bound(bound);
  EXPECT_TRUE(at::equal(matrix.seen(bound), before));
  EXPECT_GT((bound != far).sum().item<int64_t>(), kRows * kCols / 2);
  const at::Tensor widths = matrix.level_widths(x), none = widths == 0;
  EXPECT_TRUE(at::equal(bound.masked_select(none), far.masked_select(none))) << "without a scale";
  // Half the widest gap, which of grids with levels unlike each other is not everywhere that of a weight's neighbours.
  const double gap = widths.max().item<double>();
  EXPECT_LE((bound - before).abs().index_select(0, at::tensor({0, 1, 2, 4, 5, 6, 7})).max().item<double>(), gap);
}

TEST_P(TrainedMatrixOf, BeginsAsGoodAsTheEncoder) {
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  const at::Tensor x = latent(), weights = at::tensor(importance_);
  matrix.fit(x, 1);
  const at::Tensor encoded = quantize_values(scheme_, x, importance_, 1, "x");
  const auto error = [&](const at::Tensor& values) {
    return (weights * (values - x).to(at::kDouble).square()).sum().item<double>();
  };
  // Ties may go the other way, and numbers next to a boundary.
  EXPECT_LE(error(matrix.seen(x)), error(encoded) * (1 + 1e-6) + 1e-12);
  EXPECT_GT((matrix.seen(x) == encoded).to(at::kFloat).mean().item<float>(), 0.999f);
}

/// Formats whose steps do not learn: powers of two, one number of all, values as they are, and codebooks of several weights.
bool has_fixed_steps(const std::string& name) {
  static const std::set<std::string> fixed = {"f32", "f16", "bf16", "gguf:mxfp4", "gguf:tq1_0", "gguf:tq2_0"};
  return fixed.contains(name) || name.starts_with("gguf:iq1") || name.starts_with("gguf:iq2") ||
         name.starts_with("gguf:iq3");
}

TEST_P(TrainedMatrixOf, ScalesThatLearnAreExportedAsTheyAreSeen) {
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU, ScalesLearn::kBySize);
  const at::Tensor x = latent();
  matrix.fit(x, 1);
  ASSERT_EQ(matrix.learned_steps() == nullptr, has_fixed_steps(GetParam()));
  if (matrix.learned_steps() == nullptr) return;
  const at::Tensor before = matrix.seen(x).detach();
  TrainedMatrix fixed(scheme_, kRows, kCols, importance_, at::kCPU);
  fixed.fit(x, 1);
  EXPECT_TRUE(at::equal(before, fixed.seen(x)));
  std::map<std::string, at::Tensor> moved;
  for (const LearnedLeaf& leaf : matrix.learned_steps()->leaves()) {
    leaf.value.detach().mul_(1.0 + 0.3 * at::rand(leaf.value.sizes()));
    moved[leaf.name] = leaf.value.detach();
    const at::Tensor gradient = torch::autograd::grad({matrix.seen(x).square().sum()}, {leaf.value})[0];
    EXPECT_GT(gradient.abs().max().item<float>(), 0.0f) << leaf.name;
  }
  EXPECT_TRUE(at::equal(matrix.seen(x), matrix.stored(x).values()));
  EXPECT_FALSE(at::equal(matrix.seen(x), before));

  TrainedMatrix other(scheme_, kRows, kCols, importance_, at::kCPU, ScalesLearn::kBySize);
  other.restore(matrix.fitted());
  other.learned_steps()->restore(moved, "a checkpoint");
  EXPECT_TRUE(at::equal(other.stored(x).bytes(), matrix.stored(x).bytes()));
}

TEST_P(TrainedMatrixOf, WeightsKeepTheirPlacesOnScalesThatLearnSo) {
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU, ScalesLearn::kInPlace),
      fixed(scheme_, kRows, kCols, importance_, at::kCPU);
  const at::Tensor x = latent();
  matrix.fit(x, 1);
  fixed.fit(x, 1);
  ASSERT_EQ(matrix.learns_places(), matrix.learned_steps() != nullptr);
  if (!matrix.learns_places()) return;
  const at::Tensor places = matrix.latent_of(x);
  EXPECT_TRUE(at::equal(matrix.seen(places).detach(), fixed.seen(x)));
  EXPECT_TRUE(at::equal(matrix.stored(places).values(), fixed.stored(x).values()));
  const auto codes = [&] {
    const auto grid = grid_of(scheme_, kRows, kCols);
    std::vector<Code> all(kRows * kCols);
    const at::Tensor bytes = matrix.stored(places).bytes();
    for (int64_t row = 0; row < kRows; ++row)
      grid->unpack_row(row, static_cast<const std::byte*>(bytes.data_ptr()), all.data() + row * kCols);
    return all;
  };
  const std::vector<Code> before = codes();
  for (int step = 0; step < 5; ++step) {
    for (const LearnedLeaf& leaf : matrix.learned_steps()->leaves())
      leaf.value.detach().mul_(1.0 + 0.1 * at::rand(leaf.value.sizes()));
    matrix.learned_steps()->bound();
    matrix.bound(places);
  }
  EXPECT_TRUE(at::equal(matrix.seen(places).detach(), matrix.stored(places).values()));
  EXPECT_FALSE(at::equal(matrix.seen(places).detach(), fixed.seen(x)));
  EXPECT_EQ(codes(), before);
}

TEST_P(TrainedMatrixOf, BeginsInTheMiddleOfWhatASearchFound) {
  const at::Tensor x = latent();
  for (const ScalesLearn scales : {ScalesLearn::kNot, ScalesLearn::kInPlace}) {
    TrainedMatrix found(scheme_, kRows, kCols, importance_, at::kCPU),
        matrix(scheme_, kRows, kCols, importance_, at::kCPU, scales);
    found.fit(x + 0.02 * at::randn({kRows, kCols}), 1);
    const StoredMatrix stored = found.stored(x + 0.03 * at::randn({kRows, kCols}));  // rounded away from the nearest
    const at::Tensor begun = matrix.begin(stored, x, 1);
    EXPECT_TRUE(at::equal(matrix.seen(begun).detach(), stored.values()));
    EXPECT_TRUE(at::equal(matrix.stored(begun).bytes(), stored.bytes()));
    EXPECT_TRUE(at::equal(begun, matrix.latent_of(stored.values())));
  }
}

TEST_P(TrainedMatrixOf, BeginsWithTheWeightsWhereTheyWereRounded) {
  TrainedMatrix found(scheme_, kRows, kCols, importance_, at::kCPU),
      matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  const at::Tensor x = latent();
  found.fit(x, 1);
  const StoredMatrix stored = found.stored(x);
  const at::Tensor begun = matrix.begin(stored, x, 1);
  EXPECT_TRUE(at::equal(matrix.seen(begun).detach(), stored.values()));
  // All but weights at a boundary, of which one rounding says this and another that.
  EXPECT_GT(begun.eq(x).to(at::kFloat).mean().item<float>(), 0.99f);
}

TEST_P(TrainedMatrixOf, PartsBeginEachAsTheyWereFound) {
  if (!TrainedMatrix::can_be_stacked(scheme_, kRows, kCols)) GTEST_SKIP() << "not side by side";
  const at::Tensor x = latent();
  TrainedMatrix found(scheme_, kRows, kCols, importance_, at::kCPU);
  found.fit(x, 1);
  const at::Tensor rounded = found.stored(x).bytes().reshape({kRows, -1});
  const at::Tensor elsewhere = x + 0.05 * at::randn({kRows, kCols});
  found.recode(elsewhere, 1);
  const StoredMatrix both(scheme_, {2 * kRows, kCols},
                          at::cat({rounded, found.stored(elsewhere).bytes().reshape({kRows, -1})}));
  TrainedMatrix matrix(scheme_, std::vector<TrainedMatrix::Rows>(2, {kRows, importance_}), kCols, at::kCPU,
                       ScalesLearn::kNot);
  const at::Tensor begun = matrix.begin(both, at::cat({x, x}), 1), values = both.values();
  EXPECT_TRUE(at::equal(matrix.seen(begun).detach(), values));
  EXPECT_GT(begun.narrow(0, 0, kRows).eq(x).to(at::kFloat).mean().item<float>(), 0.99f);
  EXPECT_TRUE(at::equal(begun.narrow(0, kRows, kRows), values.narrow(0, kRows, kRows)));
}

TEST_P(TrainedMatrixOf, DampenedWeightsGoTowardsWhatIsSeenOfThem) {
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  at::Tensor x = latent();
  matrix.fit(x, 1);
  x += 0.01 * at::randn({kRows, kCols});
  const at::Tensor before = x.clone(), seen = matrix.seen(x);
  matrix.dampen(x, 0.25);
  EXPECT_TRUE(at::equal(matrix.seen(x), seen));
  if (scheme_.held_by(Container::kPlainTensors)) {
    EXPECT_TRUE(at::equal(x, before));
    return;
  }
  const at::Tensor free = (x == before).logical_and(seen == 0);  // on scales of 0, as most formats have in row 3
  const at::Tensor wanted = at::where(free, before, before + 0.25 * (seen - before));
  EXPECT_TRUE(at::allclose(x, wanted, 1e-5, 1e-7));
  EXPECT_LT(free.to(at::kFloat).mean().item<float>(), 0.25f);
}

TEST_P(TrainedMatrixOf, TheGradientGoesStraightThrough) {
  TrainedMatrix matrix(scheme_, kRows, kCols, importance_, at::kCPU);
  const at::Tensor x = latent().set_requires_grad(true), upstream = at::randn({kRows, kCols});
  matrix.fit(x, 1);
  EXPECT_TRUE(at::equal(torch::autograd::grad({matrix.seen(x)}, {x}, {upstream})[0], upstream));
}

TEST(TrainedMatrix, MatricesOneBelowTheOtherAreEachAsTheyAreAlone) {
  at::manual_seed(8);
  const at::Tensor a = at::randn({8, 512}), b = at::randn({5, 512});
  const std::vector<float> uneven = [] {
    std::vector<float> importance(512, 1.0f);
    for (size_t c = 0; c < importance.size(); c += 3) importance[c] = 9.0f;
    return importance;
  }();
  int stacked = 0;
  for (const std::string& name : trained_schemes()) {
    const Scheme scheme = Scheme::parse(name);
    if (!TrainedMatrix::can_be_stacked(scheme, 8, 512)) continue;
    ++stacked;
    TrainedMatrix both(scheme, {{8, uneven}, {5, {}}}, 512, at::kCPU, ScalesLearn::kNot);
    TrainedMatrix first(scheme, 8, 512, uneven, at::kCPU), second(scheme, 5, 512, {}, at::kCPU);
    const at::Tensor x = at::cat({a, b}, 0);
    both.fit(x, 2);
    first.fit(a, 1);
    second.fit(b, 1);
    EXPECT_TRUE(at::equal(both.seen(x), at::cat({first.seen(a), second.seen(b)}, 0))) << name;
    EXPECT_TRUE(at::equal(both.stored(x).bytes(), at::cat({first.stored(a).bytes(), second.stored(b).bytes()}, 0)))
        << name;
  }
  EXPECT_GE(stacked, 15);  // every format of GGUF's blocks
}

TEST(TrainedMatrix, CodebooksOfSeveralWeightsStayUntilTheyAreSearchedAgain) {
  for (const char* name : {"gguf:iq3_xxs", "gguf:iq2_s"}) {
    TrainedMatrix matrix(Scheme::parse(name), 4, 256, {}, at::kCPU);
    at::manual_seed(5);
    const at::Tensor x = at::randn({4, 256}), moved = x + 0.3 * at::randn({4, 256});
    matrix.fit(x, 1);
    const at::Tensor before = matrix.seen(x).clone();  // a search writes into the same memory
    EXPECT_TRUE(at::equal(matrix.seen(moved), before)) << name;
    TrainedMatrix other(Scheme::parse(name), 4, 256, {}, at::kCPU);
    other.restore(matrix.fitted());
    matrix.recode(moved, 2);
    const at::Tensor after = matrix.seen(moved);
    EXPECT_LT((after - moved).square().sum().item<float>(), (before - moved).square().sum().item<float>()) << name;
    EXPECT_TRUE(at::equal(after, matrix.stored(moved).values())) << name;
    EXPECT_TRUE(at::equal(other.seen(x), before)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, TrainedMatrixOf, ::testing::ValuesIn(trained_schemes()), [](const auto& param) {
  std::string name = param.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

}  // namespace
}  // namespace vernier
