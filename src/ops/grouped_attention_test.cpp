#include "ops/grouped_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace vernier {
namespace {

struct GroupedAttention : ::testing::TestWithParam<AttentionConfig> {};

TEST_P(GroupedAttention, IsThatOfAllHeadsWithItsGradients) {
  at::manual_seed(5);
  const AttentionConfig config = GetParam();
  const int64_t time = 11, width = config.head_dim, shared = config.queries_per_kv();
  const auto random = [&](int64_t heads) {
    return at::randn({2, heads, time, width}, at::kDouble).requires_grad_(true);
  };
  const at::Tensor q = random(config.heads), k = random(config.kv_heads), v = random(config.kv_heads),
                   sinks = config.sinks ? at::randn({config.heads}, at::kDouble) : at::Tensor();
  const at::Tensor out = attention_by_group(config, q, k, v, sinks);
  const at::Tensor hidden = hidden_positions(config, time, at::kCPU);
  const at::Tensor all = at::matmul(attention_weights(config, q, k.repeat_interleave(shared, 1), hidden, sinks),
                                    v.repeat_interleave(shared, 1));
  EXPECT_LT((out - all).abs().max().item<double>(), 1e-14);
  const at::Tensor by_out = at::randn_like(out);
  const auto found = torch::autograd::grad({out}, {q, k, v}, {by_out}),
             expected = torch::autograd::grad({all}, {q, k, v}, {by_out});
  for (size_t i = 0; i < 3; ++i)  // rounding of float64, sums in another order
    EXPECT_LT((found[i] - expected[i]).abs().max().item<double>(), 1e-13) << i;
}

INSTANTIATE_TEST_SUITE_P(Kinds, GroupedAttention,
                         ::testing::Values(AttentionConfig{.heads = 4, .kv_heads = 4, .head_dim = 8},
                                           AttentionConfig{
                                               .heads = 6, .kv_heads = 2, .head_dim = 8, .window = 4, .scale = 0.7},
                                           AttentionConfig{.heads = 4, .kv_heads = 1, .head_dim = 8, .causal = false},
                                           AttentionConfig{.heads = 4, .kv_heads = 2, .head_dim = 8, .soft_cap = 1.5},
                                           AttentionConfig{.heads = 4, .kv_heads = 2, .head_dim = 8, .sinks = true}));

}  // namespace
}  // namespace vernier
