#include "model/aten_model.h"

#include <ATen/ATen.h>

#include "base/fail.h"
#include "model/block_layout.h"
#include "ops/aten_ops.h"
#include "ops/rope.h"

namespace vernier {

namespace {

at::Tensor bias_of_tensor(const Model& model, const TensorId& id) {
  const auto bias = bias_of(id.role);
  return bias ? model.weight({*bias, id.layer, id.expert}) : at::Tensor();
}

AtenNorm norm_of(const Model& model, const TensorId& id, const NormConfig& config) {
  return {config, model.weight(id), bias_of_tensor(model, id)};
}

AtenBlock make_block(const Model& model, int layer) {
  AtenBlock block;
  block.layer = layer;
  block.config = model.config().layer(layer);
  for_each_product(block, [&](AtenStack& part, const std::vector<TensorId>& ids) {
    for (const TensorId& id : ids) part.push_back({model.weight(id), bias_of_tensor(model, id)});
  });
  for_each_norm(block, [&](AtenNorm& norm, const TensorId& id) { norm = norm_of(model, id, block.config.norm); });
  block.q_norm = model.weight({TensorRole::kAttnQNorm, layer});
  block.k_norm = model.weight({TensorRole::kAttnKNorm, layer});
  block.sinks = model.weight({TensorRole::kAttnSinks, layer});
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

  const RopeTable table(c.rope, c.layer(0).attention.head_dim, ids.size(1));
  const auto angles = [&](const std::vector<float>& values) {
    const at::Tensor half = at::from_blob(const_cast<float*>(values.data()), {ids.size(1), table.half}, at::kFloat);
    return at::cat({half, half}, -1).to(embedding.options());
  };
  AtenOps ops(angles(table.cos), angles(table.sin));
  at::Tensor x = at::embedding(embedding, ids);
  if (c.embedding_scale != 1) x = x * c.embedding_scale;
  if (c.positions > 0) {
    if (ids.size(1) > c.positions)
      fail(ErrorKind::kInvalidArgument, "forward: {} tokens in a sequence; the model has {} positions", ids.size(1),
           c.positions);
    x = x + model.weight({TensorRole::kPositionEmbedding, -1}).narrow(0, 0, ids.size(1));
  }
  for (int layer = 0; layer < c.depth(); ++layer)
    x = run_block(ops, make_block(model, layer), x, layer + 1 == c.depth() ? first_row : 0);
  x = ops.norm(norm_of(model, {TensorRole::kOutputNorm, -1}, c.output_norm), x);
  const at::Tensor logits = at::matmul(x, model.weight(model.output_matrix()).t());
  return c.logit_soft_cap > 0 ? (logits / c.logit_soft_cap).tanh() * c.logit_soft_cap : logits;
}

at::Tensor language_model_loss(const Model& model, const at::Tensor& ids) {
  const at::Tensor logits = forward_logits(model, ids);
  const int64_t scored = ids.size(1) - 1;
  const at::Tensor log_p = logits.narrow(1, 0, scored).log_softmax(-1);
  return -log_p.gather(-1, ids.narrow(1, 1, scored).unsqueeze(-1)).mean();
}

}  // namespace vernier
