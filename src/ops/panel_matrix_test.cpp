#include "ops/panel_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ops/fused_ops.h"
#include "support/slab_view.h"

namespace vernier {
namespace {

at::ScalarType scalar(ComputeType type) { return type == ComputeType::kBFloat16 ? at::kBFloat16 : at::kFloat; }

/// What products of `type` see of x, in float64.
at::Tensor as_multiplied(const at::Tensor& x, ComputeType type) { return x.to(scalar(type)).to(at::kDouble); }

class PanelMatrixTest : public ::testing::TestWithParam<ComputeType> {
 protected:
  void SetUp() override {
    if (PanelMatrix::kernels_for(GetParam(), 32, 16) == nullptr) GTEST_SKIP() << "not on this processor";
    at::manual_seed(6);
  }
  static PanelMatrix matrix(const at::Tensor& weight, const at::Tensor& bias = {}) {
    const at::Tensor values = weight.to(scalar(GetParam())).contiguous();
    return {*PanelMatrix::kernels_for(GetParam(), weight.size(0), weight.size(1)), values.data_ptr(), weight.size(0),
            weight.size(1), bias.defined() ? bias.data_ptr<float>() : nullptr};
  }
};

// Of equal operands only the order of float32 sums is between the two.
TEST_P(PanelMatrixTest, EqualsFloat64InAnyColumnsOfAWiderMatrix) {
  for (const auto& [rows, in, out] :
       {std::tuple(1, 16, 32), std::tuple(5, 64, 96), std::tuple(6, 48, 64), std::tuple(200, 512, 320),
        std::tuple(515, 1280, 64), std::tuple(515, 1280, 448)}) {
    Arena arena;
    const at::Tensor weight = at::randn({out, in}), bias = at::randn({out});
    const PanelMatrix plain = matrix(weight), biased = matrix(weight, bias);
    const Slab x = arena.slab(rows, in), wide = arena.slab(rows + 3, out + 24);
    const Slab y = wide.columns(8, out).row_range(0, rows);
    view(x).normal_();
    view(wide).normal_();
    const at::Tensor before = view(wide).clone(), added = view(y).clone();
    const at::Tensor expected = at::matmul(as_multiplied(view(x), GetParam()), as_multiplied(weight, GetParam()).t());
    const auto error = [&](const at::Tensor& e) { return ((view(y) - e).norm() / e.norm()).item<double>(); };
    plain.apply(x, y, /*accumulate=*/true, arena);
    EXPECT_LT(error(expected + added), 1e-6) << rows << " rows";
    biased.apply(x, y, /*accumulate=*/false, arena);
    EXPECT_LT(error(expected + bias), 1e-6) << rows << " rows";
    view(y).copy_(added);
    EXPECT_TRUE(at::equal(view(wide), before)) << "nothing is written beside the result";
  }
}

TEST_P(PanelMatrixTest, ARowsBitsDoNotDependOnTheRowsBesideIt) {
  Arena arena;
  const PanelMatrix m = matrix(at::randn({96, 320}));
  const Slab x = arena.slab(400, 320), all = arena.slab(400, 96);
  view(x).normal_();
  m.apply(x, all, /*accumulate=*/false, arena);
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 191, 193})
    for (const int64_t first : {0, 7, 190}) {
      const Slab some = arena.slab(rows, 96);
      m.apply(x.row_range(first, rows), some, /*accumulate=*/false, arena);
      EXPECT_TRUE(at::equal(view(some), view(all.row_range(first, rows)))) << rows << " rows from " << first;
    }
}

TEST_P(PanelMatrixTest, OtherShapesHaveNone) {
  EXPECT_EQ(PanelMatrix::kernels_for(GetParam(), 40, 64), nullptr);
  EXPECT_EQ(PanelMatrix::kernels_for(GetParam(), 64, 40), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Types, PanelMatrixTest, ::testing::Values(ComputeType::kFloat32, ComputeType::kBFloat16));

// The hidden state is rounded to bfloat16 where it comes about and not before the next product: the same bits.
TEST(GatedPanels, AreTheProductThenSiluThenRounding) {
  constexpr int64_t kRows = 45, kIn = 256, kHidden = 96;
  const Avx512Kernels* kernels = PanelMatrix::kernels_for(ComputeType::kBFloat16, 2 * kHidden, kIn);
  if (kernels == nullptr) GTEST_SKIP() << "not on this processor";
  at::manual_seed(7);
  const at::Tensor weight = at::randn({2 * kHidden, kIn}).to(at::kBFloat16), bias = at::randn({2 * kHidden});
  const PanelMatrix m(*kernels, weight.data_ptr(), 2 * kHidden, kIn, bias.data_ptr<float>());
  ASSERT_TRUE(m.has_silu());
  Arena arena;
  const Slab x = arena.slab(kRows, kIn), products = arena.slab(kRows, 2 * kHidden), hidden = arena.slab(kRows, kHidden);
  view(x).normal_();
  m.apply(x, products, /*accumulate=*/false, arena);
  std::vector<uint32_t> expected(kRows * kHidden / 2), words(expected.size());
  for (int64_t r = 0; r < kRows; ++r) {
    kernels->silu_multiply(products.row(r), products.row(r) + kHidden, kHidden, hidden.row(r));
    kernels->pack_row(hidden.row(r), kHidden, expected.data() + r * kHidden / 2);
  }
  m.apply_silu(m.pack(x, arena), {words.data(), kRows, kHidden / 2, kHidden / 2});
  EXPECT_EQ(words, expected);
}

FusedBlock gated_block(int64_t width, int64_t hidden) {
  FusedBlock block;
  block.config.feed_forward.gated = true;
  block.config.feed_forward.activation = Activation::kSilu;
  block.config.pre_norm = true;
  block.ffn_norm = {{}, at::randn({width}), {}};
  block.ffn.in = PackedLinear(at::randn({2 * hidden, width}), {}, ComputeType::kBFloat16);
  block.ffn.down = PackedLinear(at::randn({width, hidden}), {}, ComputeType::kBFloat16);
  return block;
}

TEST(GatedPanels, AFeedForwardInOneHasTheBitsOfItsPieces) {
  if (avx512_kernels(ComputeType::kBFloat16) == nullptr) GTEST_SKIP() << "not on this processor";
  at::manual_seed(8);
  const FusedBlock block = gated_block(128, 320);
  const RopeTables rope({}, {}, 64, 1);
  for (const bool with_norm : {true, false}) {
    const FusedNorm* norm = with_norm ? &block.ffn_norm : nullptr;
    Arena arena;
    FusedOps ops(arena, rope);
    const Slab in_one = arena.slab(333, 128);
    view(in_one).normal_();
    const Slab pieces = ops.copy(in_one);
    ASSERT_TRUE(ops.add_feed_forward(block, norm, in_one));
    const Slab normed = norm != nullptr ? ops.norm(*norm, pieces) : pieces;
    ops.linear_add(block.ffn.down, ops.activate(block.config.feed_forward, block.ffn.in, normed), pieces);
    EXPECT_TRUE(at::equal(view(in_one), view(pieces)));
  }
}

TEST(GatedPanels, WhoeverLooksOnOrActivatesOtherwiseGoesThroughThePieces) {
  if (avx512_kernels(ComputeType::kBFloat16) == nullptr) GTEST_SKIP() << "not on this processor";
  FusedBlock block = gated_block(64, 64);
  const RopeTables rope({}, {}, 64, 1);
  Arena arena;
  const SiteObserver observer = [](const SiteId&, const Slab&) {};
  const Slab y = arena.slab(1, 64);
  EXPECT_FALSE(FusedOps(arena, rope, &observer).add_feed_forward(block, nullptr, y));
  block.config.feed_forward.activation = Activation::kGelu;
  EXPECT_FALSE(FusedOps(arena, rope).add_feed_forward(block, nullptr, y));
}

FusedBlock attention_block(ComputeType type) {
  FusedBlock block;
  block.config.attention.heads = 4;
  block.config.attention.kv_heads = 2;
  block.config.attention.head_dim = 32;
  block.config.pre_norm = true;
  block.attn_norm = {{}, at::randn({128}), {}};
  block.qkv = PackedLinear(at::randn({256, 128}) / 16, {}, type);
  block.attn_output = PackedLinear(at::randn({128, 128}), {}, type);
  return block;
}

// 333 rows end within a tile of queries and within a group of rows.
TEST(AttentionInOne, HasTheBitsOfItsPieces) {
  if (avx512_kernels(ComputeType::kBFloat16) == nullptr) GTEST_SKIP() << "not on this processor";
  at::manual_seed(10);
  const FusedBlock block = attention_block(ComputeType::kBFloat16);
  const RopeTables rope({}, {}, 32, 333);
  std::vector<int32_t> tokens;
  for (int32_t r = 0; r < 333; ++r) tokens.push_back(r % 90);
  const RepeatedRows repeats(tokens);
  for (const int64_t first_row : {0, 100})
    for (const RepeatedRows* met : {static_cast<const RepeatedRows*>(nullptr), &repeats}) {
      Arena arena;
      FusedOps ops(arena, rope);
      ops.set_repeats(met);
      const Slab in_one = arena.slab(333, 128);
      const at::Tensor embedding = at::randn({90, 128});
      for (int64_t r = 0; r < 333; ++r) view(in_one)[r].copy_(embedding[r % 90]);
      const Slab pieces = ops.copy(in_one);
      ASSERT_TRUE(ops.add_attention(block, in_one, first_row));
      const Slab heads = ops.attend(block, ops.project(block, ops.norm(block.attn_norm, pieces), first_row), first_row);
      ops.linear_add(block.attn_output, heads, pieces.rows_from(first_row));
      EXPECT_TRUE(at::equal(view(in_one), view(pieces))) << "from row " << first_row;
    }
}

TEST(AttentionInOne, IsOfBFloat16AndOfNobodyWhoLooksOn) {
  if (avx512_kernels(ComputeType::kBFloat16) == nullptr) GTEST_SKIP() << "not on this processor";
  const RopeTables rope({}, {}, 32, 8);
  Arena arena;
  const Slab x = arena.slab(8, 128);
  const SiteObserver observer = [](const SiteId&, const Slab&) {};
  FusedBlock block = attention_block(ComputeType::kBFloat16);
  EXPECT_FALSE(FusedOps(arena, rope, &observer).add_attention(block, x, 0));
  block.config.post_norm = true;
  EXPECT_FALSE(FusedOps(arena, rope).add_attention(block, x, 0));
  EXPECT_FALSE(FusedOps(arena, rope).add_attention(attention_block(ComputeType::kFloat32), x, 0));
}

}  // namespace
}  // namespace vernier
