#include "ops/repeated_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ops/fused_ops.h"
#include "support/slab_view.h"

namespace vernier {
namespace {

TEST(RepeatedRows, NameTheFirstOfEachKind) {
  const std::vector<int32_t> tokens{7, 3, 7, 7, 9, 3};
  const RepeatedRows rows(tokens);
  EXPECT_EQ(rows.firsts, (std::vector<int64_t>{0, 1, 4}));
  EXPECT_EQ(rows.kind, (std::vector<int64_t>{0, 1, 0, 0, 2, 1}));
}

// In float32 rows are multiplied along with others than before, which shows in their last bits.
TEST(RepeatedRows, AreProjectedAsTheyAreOneByOne) {
  at::manual_seed(9);
  constexpr int64_t kWidth = 128, kRows = 400;
  std::vector<int32_t> tokens;
  for (int64_t r = 0; r < kRows; ++r) tokens.push_back(static_cast<int32_t>(r * r % 150));
  const at::Tensor embedding = at::randn({150, kWidth}), weight = at::randn({2 * kWidth, kWidth});
  const RopeTables rope({}, {}, 64, 1);
  const RepeatedRows repeats(tokens);
  for (const ComputeType type : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
    FusedBlock block;
    block.config.attention.heads = 2;
    block.config.attention.kv_heads = 1;
    block.config.attention.head_dim = 64;
    block.qkv = PackedLinear(weight, {}, type);
    Arena arena;
    FusedOps ops(arena, rope);
    const Slab x = arena.slab(kRows, kWidth);
    for (int64_t r = 0; r < kRows; ++r) view(x)[r].copy_(embedding[tokens[static_cast<size_t>(r)]]);
    const at::Tensor expected = view(ops.project(block, x, 0)).clone();
    ops.set_repeats(&repeats);
    const at::Tensor once = view(ops.project(block, x, 0));
    if (block.qkv.rows_are_independent())
      EXPECT_TRUE(at::equal(once, expected));
    else
      EXPECT_LT(((once - expected).norm() / expected.norm()).item<double>(), 2e-6);
  }
}

}  // namespace
}  // namespace vernier
