// Against plain operations in float32, of the same numbers. bfloat16 keeps 8 bits: results may be off by 2^-8 of their size.

#include "ops/gpu_ops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace vernier {
namespace {

constexpr double kRounding = 1.0 / 256;

class GpuOps : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "libtorch has no CUDA here";
    at::manual_seed(1);
  }

  static at::Tensor drawn(at::IntArrayRef shape) { return at::randn(shape, at::TensorOptions(at::kCUDA)); }
  /// What a GPU's own rounding keeps of them, as float32.
  static at::Tensor kept(const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kFloat); }
  static at::Tensor leaf(const at::Tensor& x) { return x.detach().clone().requires_grad_(true); }

  /// The largest difference, in the largest number that was expected.
  static double difference(const at::Tensor& got, const at::Tensor& expected) {
    return ((got.to(at::kFloat) - expected.to(at::kFloat)).abs().max() / expected.abs().max()).item<double>();
  }

  static std::vector<at::Tensor> gradients(const at::Tensor& out, const at::Tensor& by_out,
                                           const std::vector<at::Tensor>& leaves) {
    return torch::autograd::grad({out}, leaves, {by_out.to(out.scalar_type())});
  }
};

TEST_F(GpuOps, NormIsTheDefinition) {
  struct Shape {
    int64_t rows, width;
  };
  // Widths of one warp to eight, and more rows than warps.
  for (const Shape& shape : {Shape{37, 4}, {37, 100}, {3000, 100}, {3000, 512}, {37, 1028}, {37, 4096}, {5, 12288}}) {
    const int64_t width = shape.width;
    const at::Tensor x = leaf(3 * drawn({3, shape.rows, width})), weight = leaf(drawn({width})),
                     by_y = kept(drawn({3, shape.rows, width}));
    ASSERT_TRUE(gpu::takes_norm(x, weight));
    const at::Tensor expected = x * at::rsqrt(x.square().mean(-1, true) + 1e-6) * weight;
    const at::Tensor y = gpu::rms_norm(x, weight, 1e-6);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    EXPECT_LT(difference(y, expected), kRounding);
    const auto right = gradients(expected, by_y, {x, weight}), own = gradients(y, by_y, {x, weight});
    EXPECT_LT(difference(own[0], right[0]), 1e-5) << width;  // float32 throughout, sums in another order
    EXPECT_LT(difference(own[1], right[1]), 3e-5) << width;  // sums over as many as 9,000 rows
  }
}

TEST_F(GpuOps, HeadsAreTurnedAsPlainOperationsTurnThem) {
  struct Shape {
    int64_t heads, kv_heads, width;
  };
  for (const Shape& shape : {Shape{8, 4, 64}, Shape{6, 6, 32}, Shape{9, 3, 16}}) {
    const int64_t heads = shape.heads, kv_heads = shape.kv_heads, width = shape.width;
    AttentionConfig config;
    config.heads = heads;
    config.kv_heads = kv_heads;
    config.head_dim = width;
    const int64_t texts = 2, time = 21, half = width / 2, shared = heads / kv_heads;
    const at::Tensor angle = drawn({time, half}), cos = at::cat({angle.cos(), angle.cos()}, -1),
                     sin = at::cat({angle.sin(), angle.sin()}, -1);
    const at::Tensor qkv = leaf(kept(drawn({texts, time, (heads + 2 * kv_heads) * width})));
    const auto heads_at = [&](int64_t first, int64_t count, bool turned) {
      at::Tensor part =
          qkv.narrow(-1, first * width, count * width).reshape({texts, time, count, width}).transpose(1, 2);
      if (!turned) return part;
      const at::Tensor swapped = at::cat({-part.narrow(-1, half, half), part.narrow(-1, 0, half)}, -1);
      return part * cos + swapped * sin;
    };
    const at::Tensor expected[] = {heads_at(0, heads, true),
                                   heads_at(heads, kv_heads, true).repeat_interleave(shared, 1),
                                   heads_at(heads + kv_heads, kv_heads, false).repeat_interleave(shared, 1)};
    const at::Tensor in_bf16 = qkv.to(at::kBFloat16);
    ASSERT_TRUE(gpu::takes_heads(config, in_bf16));
    const gpu::TurnedHeads own = gpu::turned_heads(config, in_bf16, cos, sin);
    const at::Tensor results[] = {own.q, own.k, own.v};
    at::Tensor right_sum, own_sum;
    for (int i = 0; i < 3; ++i) {
      EXPECT_LT(difference(results[i], expected[i]), kRounding);
      const at::Tensor weight = kept(drawn({texts, heads, time, width}));
      const at::Tensor right = (expected[i] * weight).sum(), mine = (results[i].to(at::kFloat) * weight).sum();
      right_sum = i == 0 ? right : right_sum + right;
      own_sum = i == 0 ? mine : own_sum + mine;
    }
    EXPECT_LT(difference(gradients(own_sum, at::ones({}, at::kCUDA), {qkv})[0],
                         gradients(right_sum, at::ones({}, at::kCUDA), {qkv})[0]),
              kRounding);
  }
}

TEST_F(GpuOps, GateIsSiluTimesUp) {
  FeedForwardConfig config;
  config.activation = Activation::kSilu;
  const at::Tensor gate = leaf(kept(4 * drawn({5, 57, 24}))), up = leaf(kept(drawn({5, 57, 24}))),
                   by_out = kept(drawn({5, 57, 24}));
  const at::Tensor gate_16 = gate.to(at::kBFloat16), expected = at::silu(gate) * up;
  const at::Tensor up_16 = up.to(at::kBFloat16);
  ASSERT_TRUE(gpu::takes_gate(config, gate_16, up_16));
  EXPECT_FALSE(gpu::takes_gate(config, gate_16, up));
  const at::Tensor out = gpu::gated_silu(gate_16, up_16);
  EXPECT_LT(difference(out, expected), kRounding);
  const auto right = gradients(expected, by_out, {gate, up}), own = gradients(out, by_out, {gate, up});
  EXPECT_LT(difference(own[0], right[0]), kRounding);
  EXPECT_LT(difference(own[1], right[1]), kRounding);
}

TEST_F(GpuOps, RowsAreDistilled) {
  for (const int64_t classes : {8, 1000, 8192, 50000}) {
    const at::Tensor own = kept(5 * drawn({33, classes})), teacher = kept(own + drawn({33, classes}));
    const at::Tensor log_p = teacher.log_softmax(-1), log_q = own.log_softmax(-1);
    const auto [kl, excess] = gpu::distilled_rows(own.to(at::kBFloat16), teacher.to(at::kBFloat16), true);
    EXPECT_LT(difference(kl, (log_p.exp() * (log_p - log_q)).sum(-1)),
              1e-4);  // fast exponentials: 2 units in the last place
    EXPECT_LT(difference(excess, log_q.exp() - log_p.exp()), kRounding);
    const at::Tensor factors = drawn({33}), before = excess.to(at::kFloat);
    gpu::scale_rows(excess, factors);
    EXPECT_LT(difference(excess, before * factors.unsqueeze(1)), kRounding);
  }
}

TEST_F(GpuOps, TokensAreDrawnBySums) {
  const int64_t texts = 3, time = 40, classes = 1000;
  const at::Tensor logits = (3 * drawn({texts, time, classes})).to(at::kBFloat16);
  const at::Tensor ids = at::randint(classes, {texts, time}, at::TensorOptions(at::kCUDA).dtype(at::kLong)),
                   drawn_ones = at::rand({texts, time}, at::TensorOptions(at::kCUDA)) < 0.5,
                   until = at::rand({texts, time}, at::TensorOptions(at::kCUDA));
  const at::Tensor out = gpu::drawn_tokens(ids, logits, drawn_ones, until).cpu();
  const at::Tensor sums = logits.to(at::kFloat).softmax(-1).cumsum(-1).cpu();
  int64_t changed = 0;
  for (int64_t text = 0; text < texts; ++text)
    for (int64_t t = 0; t < time; ++t) {
      const auto got = out[text][t].item<int64_t>();
      if (t == 0 || !drawn_ones[text][t].item<bool>()) {
        EXPECT_EQ(got, ids[text][t].item<int64_t>());
        continue;
      }
      ++changed;
      // Sums in another order may differ in their last bits.
      const auto share = until[text][t].item<double>();
      EXPECT_GE(sums[text][t - 1][got].item<double>(), share - 1e-5);
      if (got > 0) {
        EXPECT_LE(sums[text][t - 1][got - 1].item<double>(), share + 1e-5);
      }
    }
  EXPECT_GT(changed, 30);
}

TEST(GpuOpsElsewhere, PlainOperationsGoOnWithoutOne) {
  EXPECT_FALSE(gpu::takes_norm(at::ones({2, 4}), at::ones({4})));
  EXPECT_FALSE(gpu::takes_logits(at::ones({2, 8}, at::kBFloat16)));
  EXPECT_FALSE(gpu::takes_step(at::ones({4})));
}

}  // namespace
}  // namespace vernier
