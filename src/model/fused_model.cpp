#include "model/fused_model.h"

#include <ATen/ATen.h>

#include "base/fail.h"

namespace vernier {

namespace {

at::Tensor as_float(const at::Tensor& t) { return t.defined() ? t.detach().to(at::kFloat).contiguous() : at::Tensor(); }

at::Tensor stack_rows(std::initializer_list<at::Tensor> parts) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor& part : parts) {
    if (!part.defined()) return {};
    rows.push_back(part.detach().to(at::kFloat));
  }
  return at::cat(rows, 0);
}

}  // namespace

FusedBlock pack_block(const Model& model, int layer, ComputeType type, const WeightSource& weight) {
  using Role = TensorRole;
  const ModelConfig& c = model.config();
  const auto plain = [&](Role role) { return model.weight({role, layer}); };
  const auto matrix = [&](Role role) { return weight({role, layer}); };
  const auto epsilon = static_cast<float>(c.norm_epsilon);
  FusedBlock block;
  block.layer = layer;
  block.attn_norm = {as_float(plain(Role::kAttnNorm)), epsilon};
  block.ffn_norm = {as_float(plain(Role::kFfnNorm)), epsilon};
  block.attention = {c.heads,
                     c.kv_heads,
                     c.head_dim,
                     c.sliding_window[static_cast<size_t>(layer)],
                     epsilon,
                     as_float(plain(Role::kAttnQNorm)),
                     as_float(plain(Role::kAttnKNorm))};
  block.qkv = PackedLinear(stack_rows({matrix(Role::kAttnQ), matrix(Role::kAttnK), matrix(Role::kAttnV)}),
                           stack_rows({plain(Role::kAttnQBias), plain(Role::kAttnKBias), plain(Role::kAttnVBias)}), type);
  block.attn_output = PackedLinear(matrix(Role::kAttnOutput), plain(Role::kAttnOutputBias), type);
  block.gate_up = PackedLinear(stack_rows({matrix(Role::kFfnGate), matrix(Role::kFfnUp)}),
                               stack_rows({plain(Role::kFfnGateBias), plain(Role::kFfnUpBias)}), type);
  block.ffn_down = PackedLinear(matrix(Role::kFfnDown), plain(Role::kFfnDownBias), type);
  return block;
}

FusedModel::FusedModel(const Model& model, ComputeType type, int64_t positions)
    : config_(model.config()),
      type_(type),
      rope_(model.config().rope, model.config().head_dim, positions),
      embedding_(model.weight({TensorRole::kTokenEmbedding, -1}).detach()),
      output_norm_{as_float(model.weight({TensorRole::kOutputNorm, -1})),
                   static_cast<float>(model.config().norm_epsilon)},
      head_(model.weight(model.output_matrix()), {}, type) {
  const WeightSource stored = [&](const TensorId& id) { return model.weight(id); };
  for (int layer = 0; layer < config_.layers; ++layer) blocks_.push_back(pack_block(model, layer, type, stored));
}

Slab FusedModel::embed_from(const at::Tensor& embedding, Arena& arena, std::span<const int32_t> tokens) {
  const int64_t vocabulary = embedding.size(0), width = embedding.size(1);
  const Slab x = arena.slab(static_cast<int64_t>(tokens.size()), width);
  for (size_t t = 0; t < tokens.size(); ++t) {
    if (tokens[t] < 0 || tokens[t] >= vocabulary)
      fail(ErrorKind::kInvalidArgument, "forward: token {} at position {}: expected 0 to {}; wrong tokenizer?",
           tokens[t], t, vocabulary - 1);
    const at::Tensor row = embedding.select(0, tokens[t]);
    at::from_blob(x.row(static_cast<int64_t>(t)), {width}, at::kFloat).copy_(row);
  }
  return x;
}

Slab FusedModel::embed(Arena& arena, std::span<const int32_t> tokens) const {
  return embed_from(embedding_, arena, tokens);
}

Slab FusedModel::run_layers(FusedOps& ops, Slab x, int begin, int64_t first_row) const {
  for (int layer = begin; layer < config_.layers; ++layer) {
    const Arena::Scope scope(ops.arena());  // the stream itself lives outside: a block works on it in place
    x = run_block(ops, block(layer), x, layer + 1 == config_.layers ? first_row : 0);
  }
  return x;
}

Slab FusedModel::output_norm(FusedOps& ops, const Slab& x) const {
  const Slab normed = ops.norm(output_norm_, x);
  ops.observe(Site::kOutputInput, -1, normed);
  return normed;
}

Slab FusedModel::hidden(Arena& arena, std::span<const int32_t> tokens, int64_t first_row,
                        const SiteObserver* observer) const {
  FusedOps ops(arena, rope_, observer);
  return output_norm(ops, run_layers(ops, embed(arena, tokens), 0, first_row));
}

Slab FusedModel::logits(Arena& arena, const Slab& hidden) const {
  const Slab out = arena.slab(hidden.rows, head_.out());
  head_.apply(hidden, out, /*accumulate=*/false, arena);
  return out;
}

}  // namespace vernier
