#include "model/fused_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace vernier {

namespace {

at::Tensor as_float(const at::Tensor& t) { return t.defined() ? t.detach().to(at::kFloat).contiguous() : at::Tensor(); }

/// A matrix with its bias, and how the engine rounds what it is fed.
struct Operand {
  at::Tensor weight, bias;
  ActivationRounding rounding;
};

StackedLinear stack(const std::vector<Operand>& operands, ComputeType type) {
  StackedLinear stacked;
  const Operand& first = operands.front();
  const bool alike = std::all_of(operands.begin(), operands.end(), [&](const Operand& o) {
    return o.rounding == first.rounding && o.bias.defined() == first.bias.defined();
  });
  if (operands.size() == 1 || !alike) {
    for (const Operand& o : operands) stacked.append(PackedLinear(o.weight, o.bias, type), o.rounding);
    return stacked;
  }
  std::vector<at::Tensor> weights, biases;
  for (const Operand& o : operands) {
    weights.push_back(o.weight.detach().to(at::kFloat));
    if (o.bias.defined()) biases.push_back(o.bias.detach().to(at::kFloat));
  }
  stacked.append(PackedLinear(at::cat(weights, 0), biases.empty() ? at::Tensor() : at::cat(biases, 0), type),
                 first.rounding);
  return stacked;
}

ActivationRounding rounding_of(const Model& model, const TensorId& id, Activations activations) {
  const std::optional<Scheme> scheme = model.stored_scheme(id);
  return activations == Activations::kLlamaCpp && scheme ? scheme->llama_cpp_rounding() : ActivationRounding::kNone;
}

/// Every value, here and once: the kernels assume numbers and would turn a broken model into a harmless one.
void require_finite(const Model& model) {
  for (const TensorId& id : model.tensors()) {
    at::Tensor weight = model.weight(id).detach();
    if (weight.numel() == 0) continue;
    if (weight.scalar_type() == at::kHalf) weight = weight.to(at::kFloat);  // libtorch 1.13 has no aminmax of halves
    const auto [least, most] = at::aminmax(weight);                         // NaN wins in both
    if (std::isfinite(least.item<float>()) && std::isfinite(most.item<float>())) continue;
    const int64_t at = at::isfinite(weight).flatten().to(at::kByte).argmin().item<int64_t>(), cols = weight.size(-1);
    fail(ErrorKind::kBadFile,
         "model {}: {}: row {}, column {} is {}; expected finite weights; the file is damaged or its conversion "
         "overflowed: fetch or convert it again",
         model.source().name, name_of(id), at / cols, at % cols, weight.flatten()[at].item<float>());
  }
}

/// Embeddings of the tokens [T, width]; read_row(token, out) fills one.
template <class ReadRow>
Slab look_up(Arena& arena, std::span<const int32_t> tokens, int64_t vocabulary, int64_t width, ReadRow&& read_row) {
  const Slab x = arena.slab(static_cast<int64_t>(tokens.size()), width);
  for (size_t t = 0; t < tokens.size(); ++t) {
    if (tokens[t] < 0 || tokens[t] >= vocabulary)
      fail(ErrorKind::kInvalidArgument, "forward: token {} at position {}: expected 0 to {}; wrong tokenizer?",
           tokens[t], t, vocabulary - 1);
    read_row(tokens[t], x.row(static_cast<int64_t>(t)));
  }
  return x;
}

}  // namespace

FusedBlock pack_block(const Model& model, int layer, ComputeType type, const WeightSource& weight,
                      Activations activations) {
  using Role = TensorRole;
  const ModelConfig& c = model.config();
  const auto plain = [&](Role role) { return model.weight({role, layer}); };
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
  const auto operand = [&](Role matrix, Role bias) -> Operand {
    return {weight({matrix, layer}), plain(bias), rounding_of(model, {matrix, layer}, activations)};
  };
  block.qkv = stack({operand(Role::kAttnQ, Role::kAttnQBias), operand(Role::kAttnK, Role::kAttnKBias),
                     operand(Role::kAttnV, Role::kAttnVBias)},
                    type);
  block.attn_output = stack({operand(Role::kAttnOutput, Role::kAttnOutputBias)}, type);
  block.gate_up = stack({operand(Role::kFfnGate, Role::kFfnGateBias), operand(Role::kFfnUp, Role::kFfnUpBias)}, type);
  block.ffn_down = stack({operand(Role::kFfnDown, Role::kFfnDownBias)}, type);
  return block;
}

FusedModel::FusedModel(const Model& model, ComputeType type, int64_t positions, Activations activations)
    : name_((require_finite(model), model.source().name)),
      config_(model.config()),
      type_(type),
      rope_(model.config().rope, model.config().head_dim, positions),
      output_norm_{as_float(model.weight({TensorRole::kOutputNorm, -1})),
                   static_cast<float>(model.config().norm_epsilon)},
      head_(stack({{model.weight(model.output_matrix()), {}, rounding_of(model, model.output_matrix(), activations)}},
                  type)) {
  const TensorId embedding{TensorRole::kTokenEmbedding, -1};
  if (const StoredMatrix* stored = model.stored(embedding); stored != nullptr && stored->has_rows())
    stored_embedding_ = *stored;
  else
    embedding_ = model.weight(embedding).detach();
  const WeightSource stored = [&](const TensorId& id) { return model.weight(id); };
  for (int layer = 0; layer < config_.layers; ++layer)
    blocks_.push_back(pack_block(model, layer, type, stored, activations));
  model.release_pages();  // what was packed need not stay in memory as its file holds it too
}

Slab FusedModel::embed_from(const at::Tensor& embedding, Arena& arena, std::span<const int32_t> tokens) {
  return look_up(arena, tokens, embedding.size(0), embedding.size(1), [&](int32_t token, float* out) {
    at::from_blob(out, {embedding.size(1)}, at::kFloat).copy_(embedding.select(0, token));
  });
}

Slab FusedModel::embed(Arena& arena, std::span<const int32_t> tokens) const {
  if (!stored_embedding_) return embed_from(embedding_, arena, tokens);
  return look_up(arena, tokens, stored_embedding_->rows(), stored_embedding_->cols(),
                 [&](int32_t token, float* out) { stored_embedding_->decode_row(token, out); });
}

Slab FusedModel::run_layers(FusedOps& ops, Slab x, int begin, int64_t first_row) const {
  for (int layer = begin; layer < config_.layers; ++layer) {
    const Arena::Scope scope(ops.arena());  // the stream itself lives outside: a block works on it in place
    x = run_block(ops, block(layer), x, layer + 1 == config_.layers ? first_row : 0);
  }
  return x;
}

Slab FusedModel::output_norm(FusedOps& ops, const Slab& x) const {
  // Finite weights may still overflow in products, which the kernels below would not show.
  for (int64_t r = 0; r < x.rows; ++r)
    if (!std::all_of(x.row(r), x.row(r) + x.cols, [](float value) { return std::isfinite(value); }))
      fail(ErrorKind::kBadFile,
           "forward: {}: the hidden state after the last layer is not finite: products of its weights overflow; the "
           "file is damaged, or its configuration is of another model",
           name_);
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
