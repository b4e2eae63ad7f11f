#include "ops/packed_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/slab_view.h"

namespace vernier {
namespace {

struct Case {
  int64_t keys, first_row, width;
  AttentionConfig config;
  const float* sink;
};

/// q [rows, width] against k, v [keys, width] in float64.
at::Tensor attention(const Case& c, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  at::Tensor scores = at::matmul(q.to(at::kDouble), k.to(at::kDouble).t());
  if (c.config.soft_cap > 0) scores = c.config.soft_cap * at::tanh(scores / c.config.soft_cap);
  for (int64_t r = 0; r < q.size(0); ++r)
    for (int64_t key = 0; key < c.keys; ++key) {
      const int64_t position = c.first_row + r;
      const bool seen =
          (!c.config.causal || key <= position) && (c.config.window == 0 || key > position - c.config.window);
      if (!seen) scores[r][key] = -INFINITY;
    }
  if (c.sink != nullptr) scores = at::cat({scores, at::full({q.size(0), 1}, *c.sink, at::kDouble)}, 1);
  return at::matmul(scores.softmax(1).narrow(1, 0, c.keys), v.to(at::kDouble));
}

class PackedAttentionTest : public ::testing::TestWithParam<ComputeType> {
 protected:
  void SetUp() override {
    if (avx512_kernels(GetParam()) == nullptr) GTEST_SKIP() << "not on this processor";
  }
};

TEST_P(PackedAttentionTest, IsThatOfFloat64) {
  // bfloat16 keeps 8 bits of queries, keys, weights and values: 2^-9 relative each, and of scores of about 1 as much
  // again as a factor.
  const double most = GetParam() == ComputeType::kBFloat16 ? 8e-3 : 1e-6;
  const float sink = 0.7f;
  AttentionConfig causal, windowed, capped, both;
  windowed.window = 50;
  capped.soft_cap = 2;
  both.causal = false;
  const Case cases[] = {{1, 0, 64, causal, nullptr},     {300, 0, 64, causal, nullptr}, {300, 0, 64, both, nullptr},
                        {197, 196, 64, both, nullptr},   {301, 150, 64, causal, &sink}, {300, 0, 64, windowed, nullptr},
                        {300, 97, 64, windowed, &sink},  {130, 0, 64, capped, nullptr}, {111, 5, 16, causal, nullptr},
                        {111, 5, 48, causal, nullptr},   {111, 5, 80, causal, nullptr}, {111, 5, 128, causal, nullptr},
                        {700, 320, 64, causal, nullptr}, {65, 0, 176, both, nullptr}};
  at::manual_seed(4);
  for (const Case& c : cases) {
    Arena arena;
    const int64_t rows = c.keys - c.first_row;
    const Slab all = arena.slab(c.keys, 4 * c.width);
    view(all).normal_();
    view(all.columns(0, c.width)).div_(std::sqrt(static_cast<double>(c.width)));
    const Slab q = all.columns(0, c.width).row_range(0, rows), k = all.columns(c.width, c.width);
    const Slab v = all.columns(2 * c.width, c.width), out = all.columns(3 * c.width, c.width).row_range(0, rows);
    const at::Tensor expected = attention(c, view(q), view(k), view(v)), before = view(all).clone();
    const PackedAttention packed(arena, *PackedAttention::kernels_for(GetParam(), c.width), k, v);
    packed.attend(arena, q, c.first_row, c.config, c.sink, out);
    EXPECT_LT(((view(out) - expected).norm() / expected.norm()).item<double>(), most)
        << c.keys << " keys from " << c.first_row << ", width " << c.width;
    view(out).copy_(before.narrow(1, 3 * c.width, c.width).narrow(0, 0, rows));
    EXPECT_TRUE(at::equal(view(all), before)) << "nothing is written beside the result";
  }
}

TEST_P(PackedAttentionTest, HugeScoresOfKeysBehindAQueryLeaveItAlone) {
  Arena arena;
  const Slab q = arena.slab(40, 32), k = arena.slab(40, 32), v = arena.slab(40, 32), out = arena.slab(40, 32);
  for (const Slab& s : {q, k, v}) view(s).fill_(1);
  view(k.row_range(39, 1)).fill_(1e4f);
  PackedAttention(arena, *PackedAttention::kernels_for(GetParam(), 32), k, v).attend(arena, q, 0, {}, nullptr, out);
  EXPECT_LT((view(out) - 1).abs().max().item<double>(), 1e-2);
}

// What may be weighed without its maximum and what may not, on both sides of the limit: 96 ln 2 = 66.5.
TEST_P(PackedAttentionTest, EqualScoresOfAnySizeWeighValuesAlike) {
  at::manual_seed(5);
  for (const float score : {-1000.0f, -67.0f, -66.0f, 0.0f, 66.0f, 67.0f, 1000.0f}) {
    Arena arena;
    const Slab q = arena.slab(150, 32), k = arena.slab(150, 32), v = arena.slab(150, 32), out = arena.slab(150, 32);
    view(q).fill_(1.0f / 32);
    view(k).fill_(score);
    view(v).normal_();
    PackedAttention(arena, *PackedAttention::kernels_for(GetParam(), 32), k, v).attend(arena, q, 0, {}, nullptr, out);
    const at::Tensor means = view(v).cumsum(0) / at::arange(1, 151).unsqueeze(1);
    EXPECT_LT(((view(out) - means).norm() / means.norm()).item<double>(), 4e-3) << score;
    // Whatever its weight was rounded to, a key that is alone passes its value on. Where the maximum is taken off, float32
    // leaves 2^-24 of the score.
    const at::ScalarType multiplied = GetParam() == ComputeType::kBFloat16 ? at::kBFloat16 : at::kFloat;
    const at::Tensor first = view(v)[0].to(multiplied).to(at::kFloat);
    EXPECT_LT((view(out)[0] / first - 1).abs().max().item<double>(), 1e-6 + 1e-7 * std::abs(score)) << score;
  }
}

TEST_P(PackedAttentionTest, OtherWidthsHaveNoKernels) {
  EXPECT_EQ(PackedAttention::kernels_for(GetParam(), 24), nullptr);
  EXPECT_NE(PackedAttention::kernels_for(GetParam(), 80), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Types, PackedAttentionTest, ::testing::Values(ComputeType::kFloat32, ComputeType::kBFloat16));

}  // namespace
}  // namespace vernier
