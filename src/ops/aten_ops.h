#pragma once

// The operations of a forward pass in differentiable ATen, for any device and any batch: every op has a second
// derivative, since curvature comes from differentiating twice.

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/forward.h"
#include "vernier/model.h"

namespace vernier {

struct AtenLinear {
  at::Tensor weight, bias;  ///< [out, in]; [out] or undefined
};

struct AtenNorm {
  at::Tensor weight;
  double epsilon = 0;
};

struct AtenBlock {
  int layer = 0;
  AtenNorm attn_norm, ffn_norm, q_norm, k_norm;  ///< q_norm, k_norm: undefined weight when absent
  std::vector<AtenLinear> qkv, gate_up;
  AtenLinear attn_output, ffn_down;
  int64_t heads = 0, kv_heads = 0, head_dim = 0, window = 0;
};

class AtenOps {
 public:
  using Value = at::Tensor;  ///< [batch, time, width]
  using Block = AtenBlock;

  /// cos, sin [time, head_dim]
  AtenOps(at::Tensor cos, at::Tensor sin) : cos_(std::move(cos)), sin_(std::move(sin)) {}

  at::Tensor norm(const AtenNorm& norm, const at::Tensor& x) const;
  at::Tensor linear(const std::vector<AtenLinear>& parts, const at::Tensor& x) const;
  at::Tensor linear_add(const AtenLinear& linear, const at::Tensor& x, const at::Tensor& residual) const;
  at::Tensor attend(const AtenBlock& block, const at::Tensor& qkv, int64_t first_row) const;
  at::Tensor gated(const std::vector<AtenLinear>& gate_up, const at::Tensor& x) const;
  at::Tensor rows_from(const at::Tensor& x, int64_t first_row) const;
  void observe(Site, int, const at::Tensor&) const {}

 private:
  at::Tensor rotate(const at::Tensor& heads) const;

  at::Tensor cos_, sin_;
};

}  // namespace vernier
