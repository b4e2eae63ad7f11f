#include "model/aten_model.h"

#include <ATen/ATen.h>

#include "base/fail.h"
#include "model/forward.h"
#include "ops/aten_ops.h"
#include "ops/rope.h"

namespace vernier {

namespace {

AtenBlock make_block(const Model& model, int layer) {
  using Role = TensorRole;
  const ModelConfig& c = model.config();
  const auto w = [&](Role role) { return model.weight({role, layer}); };
  AtenBlock block;
  block.layer = layer;
  block.attn_norm = {w(Role::kAttnNorm), c.norm_epsilon};
  block.ffn_norm = {w(Role::kFfnNorm), c.norm_epsilon};
  block.q_norm = {w(Role::kAttnQNorm), c.norm_epsilon};
  block.k_norm = {w(Role::kAttnKNorm), c.norm_epsilon};
  block.qkv = {{w(Role::kAttnQ), w(Role::kAttnQBias)},
               {w(Role::kAttnK), w(Role::kAttnKBias)},
               {w(Role::kAttnV), w(Role::kAttnVBias)}};
  block.attn_output = {w(Role::kAttnOutput), w(Role::kAttnOutputBias)};
  block.gate_up = {{w(Role::kFfnGate), w(Role::kFfnGateBias)}, {w(Role::kFfnUp), w(Role::kFfnUpBias)}};
  block.ffn_down = {w(Role::kFfnDown), w(Role::kFfnDownBias)};
  block.heads = c.heads;
  block.kv_heads = c.kv_heads;
  block.head_dim = c.head_dim;
  block.window = c.sliding_window[static_cast<size_t>(layer)];
  return block;
}

}  // namespace

at::Tensor forward_logits(const Model& model, const at::Tensor& ids, int64_t first_row) {
  const ModelConfig& c = model.config();
  const at::Tensor embedding = model.weight({TensorRole::kTokenEmbedding, -1});
  if (ids.dim() != 2 || ids.size(1) <= first_row)
    fail(ErrorKind::kInvalidArgument, "forward: expected ids [batch, time > {}], got {} dimensions", first_row,
         ids.dim());
  if (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= c.vocabulary)
    fail(ErrorKind::kInvalidArgument, "forward: ids from {} to {}: expected 0 to {}; wrong tokenizer?",
         ids.min().item<int64_t>(), ids.max().item<int64_t>(), c.vocabulary - 1);

  const RopeTable table(c.rope, c.head_dim, ids.size(1));
  const auto angles = [&](const std::vector<float>& values) {
    const at::Tensor half = at::from_blob(const_cast<float*>(values.data()), {ids.size(1), table.half}, at::kFloat);
    return at::cat({half, half}, -1).to(embedding.options());
  };
  AtenOps ops(angles(table.cos), angles(table.sin));
  at::Tensor x = at::embedding(embedding, ids);
  for (int layer = 0; layer < c.layers; ++layer)
    x = run_block(ops, make_block(model, layer), x, layer + 1 == c.layers ? first_row : 0);
  x = ops.norm({model.weight({TensorRole::kOutputNorm, -1}), c.norm_epsilon}, x);
  return at::matmul(x, model.weight(model.output_matrix()).t());
}

at::Tensor language_model_loss(const Model& model, const at::Tensor& ids) {
  const at::Tensor logits = forward_logits(model, ids);
  const int64_t scored = ids.size(1) - 1;
  const at::Tensor log_p = logits.narrow(1, 0, scored).log_softmax(-1);
  return -log_p.gather(-1, ids.narrow(1, 1, scored).unsqueeze(-1)).mean();
}

}  // namespace vernier
