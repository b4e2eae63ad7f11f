#include "ops/aten_ops.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace vernier {

namespace {
at::Tensor multiply(const AtenLinear& linear, const at::Tensor& x) {
  const at::Tensor y = at::matmul(x, linear.weight.t());
  return linear.bias.defined() ? y + linear.bias : y;
}
}  // namespace

at::Tensor AtenOps::norm(const AtenNorm& norm, const at::Tensor& x) const {
  return x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + norm.epsilon) * norm.weight;
}

at::Tensor AtenOps::linear(const std::vector<AtenLinear>& parts, const at::Tensor& x) const {
  std::vector<at::Tensor> columns;
  for (const AtenLinear& part : parts) columns.push_back(multiply(part, x));
  return at::cat(columns, -1);
}

at::Tensor AtenOps::linear_add(const AtenLinear& linear, const at::Tensor& x, const at::Tensor& residual) const {
  return residual + multiply(linear, x);
}

at::Tensor AtenOps::rotate(const at::Tensor& heads) const {
  const int64_t half = heads.size(-1) / 2;
  const at::Tensor turned = at::cat({-heads.narrow(-1, half, half), heads.narrow(-1, 0, half)}, -1);
  return heads * cos_ + turned * sin_;
}

at::Tensor AtenOps::attend(const AtenBlock& block, const at::Tensor& qkv, int64_t first_row) const {
  const int64_t batch = qkv.size(0), time = qkv.size(1), width = block.head_dim;
  const auto split = [&](int64_t first, int64_t heads, const AtenNorm* norm_weight) {
    at::Tensor part = qkv.narrow(-1, first * width, heads * width).view({batch, time, heads, width});
    if (norm_weight != nullptr && norm_weight->weight.defined()) part = norm(*norm_weight, part);
    return part.transpose(1, 2);  // [batch, heads, time, width]
  };
  const auto share = [&](const at::Tensor& kv) {  // every query head its own view of the key/value head
    const int64_t queries = block.heads / block.kv_heads;
    return kv.unsqueeze(2)
        .expand({batch, block.kv_heads, queries, time, width})
        .reshape({batch, block.heads, time, width});
  };
  const at::Tensor q = rotate(split(0, block.heads, &block.q_norm));
  const at::Tensor k = share(rotate(split(block.heads, block.kv_heads, &block.k_norm)));
  const at::Tensor v = share(split(block.heads + block.kv_heads, block.kv_heads, nullptr));

  const auto options = at::TensorOptions(qkv.device()).dtype(at::kLong);
  const at::Tensor position = at::arange(time, options);
  const at::Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  at::Tensor hidden = distance < 0;
  if (block.window > 0) hidden = hidden.logical_or(distance >= block.window);

  const at::Tensor scores = at::matmul(q, k.transpose(-1, -2)) / std::sqrt(static_cast<double>(width));
  const at::Tensor weights = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1);
  const at::Tensor heads = at::matmul(weights, v).transpose(1, 2).reshape({batch, time, block.heads * width});
  return rows_from(heads, first_row);
}

at::Tensor AtenOps::gated(const std::vector<AtenLinear>& gate_up, const at::Tensor& x) const {
  return at::silu(multiply(gate_up[0], x)) * multiply(gate_up[1], x);
}

at::Tensor AtenOps::rows_from(const at::Tensor& x, int64_t first_row) const {
  return first_row == 0 ? x : x.narrow(1, first_row, x.size(1) - first_row);
}

}  // namespace vernier
