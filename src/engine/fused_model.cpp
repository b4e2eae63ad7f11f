#include "engine/fused_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/fail.h"
#include "engine/require_finite.h"
#include "model/block_layout.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

at::Tensor as_float(const at::Tensor& t) { return t.defined() ? t.detach().to(at::kFloat).contiguous() : at::Tensor(); }

/// A matrix with its bias, and how the engine rounds what it is fed.
struct Operand {
  at::Tensor weight, bias;
  InputRounding rounding;
  at::Tensor kept = {};  ///< multiplies the channels that rounding keeps; undefined: the weight does
};

StackedLinear stack(const std::vector<Operand>& operands, ComputeType type) {
  StackedLinear stacked;
  const Operand& first = operands.front();
  const bool alike = std::all_of(operands.begin(), operands.end(), [&](const Operand& o) {
    return o.rounding == first.rounding && o.bias.defined() == first.bias.defined() && !o.kept.defined();
  });
  if (operands.size() == 1 || !alike) {
    for (const Operand& o : operands)
      stacked.append(PackedLinear(o.weight, o.bias, type), o.rounding,
                     o.kept.defined() ? std::optional(PackedLinear(o.kept, {}, type)) : std::nullopt);
    return stacked;
  }
  const at::ScalarType multiplied = type == ComputeType::kBFloat16 ? at::kBFloat16 : at::kFloat;
  std::vector<at::Tensor> weights, biases;
  for (const Operand& o : operands) {
    weights.push_back(o.weight.detach().to(multiplied));
    if (o.bias.defined()) biases.push_back(o.bias.detach().to(at::kFloat));
  }
  stacked.append(PackedLinear(at::cat(weights, 0), biases.empty() ? at::Tensor() : at::cat(biases, 0), type),
                 first.rounding);
  return stacked;
}

at::Tensor bias_of_tensor(const Model& model, const TensorId& id) {
  const auto bias = bias_of(id.role);
  return bias ? model.weight({*bias, id.layer, id.expert}) : at::Tensor();
}

/// Several images go through a product together, and each must be answered as it is alone: a step of an engine that rounds
/// what products are fed makes much of little.
StackedLinear for_model(const Model& model, StackedLinear product) {
  if (model.config().reads_images()) product.keep_rows_apart();
  return product;
}

FusedNorm norm_of(const Model& model, const TensorId& id, const NormConfig& config) {
  return {config, as_float(model.weight(id)), as_float(bias_of_tensor(model, id))};
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

/// The matrices whose outputs lie side by side, with their biases, as one product where that is possible.
StackedLinear pack_product(const Model& model, const std::vector<TensorId>& ids, ComputeType type,
                           const RoundedInputs& inputs, const WeightSource& weight) {
  std::vector<Operand> operands;
  for (const TensorId& id : ids)
    operands.push_back({weight(id), bias_of_tensor(model, id), inputs.of(model, id), inputs.kept_weight(id)});
  // Rows that share their range are needed to the last layer's end.
  if (ids.front() != TensorId{TensorRole::kAttnQ, model.config().depth() - 1} || inputs.sites != nullptr)
    return for_model(model, stack(operands, type));
  // The last layer's queries are a product of their own: they are needed at the scored rows only.
  StackedLinear stacked = stack({operands.front()}, type);
  stacked.append(stack({operands.begin() + 1, operands.end()}, type));
  return for_model(model, std::move(stacked));
}

}  // namespace

FusedBlock pack_block(const Model& model, int layer, ComputeType type, const RoundedInputs& inputs) {
  const WeightSource stored = [&](const TensorId& id) { return model.weight(id); };
  FusedBlock block;
  block.layer = layer;
  block.config = model.config().layer(layer);
  for_each_product(block, [&](StackedLinear& part, const std::vector<TensorId>& ids) {
    part = pack_product(model, ids, type, inputs, stored);
  });
  for_each_norm(block, [&](FusedNorm& norm, const TensorId& id) { norm = norm_of(model, id, block.config.norm); });
  const auto vector = [&](TensorRole role) { return as_float(model.weight({role, layer})); };
  block.q_norm = vector(TensorRole::kAttnQNorm);
  block.k_norm = vector(TensorRole::kAttnKNorm);
  block.sinks = vector(TensorRole::kAttnSinks);
  block.cache = inputs.cache_of(layer);
  return block;
}

void keep_sums(FusedBlock& block) {
  for_each_product(block, [](StackedLinear& part, const std::vector<TensorId>&) { part.keep_sums(); });
}

FusedBlock repack(const FusedBlock& base, const Model& model, ComputeType type, const std::set<TensorId>& changed,
                  const WeightSource& weight) {
  const WeightSource source = [&](const TensorId& id) { return changed.contains(id) ? weight(id) : model.weight(id); };
  FusedBlock block = base;
  for_each_product(block, [&](StackedLinear& part, const std::vector<TensorId>& ids) {
    if (std::any_of(ids.begin(), ids.end(), [&](const TensorId& id) { return changed.contains(id); }))
      part = pack_product(model, ids, type, {}, source);
  });
  return block;
}

Slab to_slab(Arena& arena, const at::Tensor& stream) {
  const Slab x = arena.slab(stream.size(-2), stream.size(-1));
  std::memcpy(x.data, stream.data_ptr<float>(), static_cast<size_t>(x.rows * x.cols) * sizeof(float));
  return x;
}

at::Tensor to_tensor(const Slab& slab) {
  at::Tensor out = at::empty({slab.rows, slab.cols}, at::kFloat);
  for (int64_t r = 0; r < slab.rows; ++r)
    std::memcpy(out.data_ptr<float>() + r * slab.cols, slab.row(r), static_cast<size_t>(slab.cols) * sizeof(float));
  return out;
}

at::Tensor run_block_on(const FusedBlock& block, const RopeTables& rope, Arena& arena, const at::Tensor& stream,
                        int64_t first_row, const SiteObserver* observer, bool watches) {
  const Arena::Scope scope(arena);
  FusedOps ops(arena, rope, observer, watches);
  return to_tensor(run_block(ops, block, to_slab(arena, stream), first_row));
}

namespace {

StackedLinear pack_output(const Model& model, const TensorId& id, ComputeType type, const RoundedInputs& inputs) {
  return for_model(model, stack({{model.weight(id), bias_of_tensor(model, id), inputs.of(model, id)}}, type));
}

}  // namespace

StackedLinear pack_outside(const Model& model, const TensorId& id, const at::Tensor& weight, ComputeType type) {
  return for_model(model, stack({{weight, bias_of_tensor(model, id), {}}}, type));
}

FusedModel::FusedModel(const Model& model, ComputeType type, int64_t positions, const RoundedInputs& inputs,
                       Layers layers, const FusedModel* beside)
    : name_((beside == nullptr ? require_finite(model) : void(), model.source().name)),
      config_(model.config()),
      type_(type),
      rope_(model.config().rope, model.config().window_rope, model.config().layer(0).attention.head_dim, positions),
      positions_(as_float(model.weight({TensorRole::kPositionEmbedding, -1}))),
      output_norm_(norm_of(model, {TensorRole::kOutputNorm, -1}, model.config().output_norm)),
      head_(beside == nullptr ? pack_output(model, model.output_matrix(), type, inputs)
                              : beside->head_.fed(inputs.of(model, model.output_matrix()))) {
  const TensorId embedding{TensorRole::kTokenEmbedding, -1};
  if (config_.reads_images())
    pack_images(model, inputs);
  else if (const StoredMatrix* stored = model.stored(embedding); stored != nullptr && stored->has_rows())
    stored_embedding_ = *stored;
  else
    embedding_ = model.weight(embedding).detach();
  for (int layer = 0; layers == Layers::kPacked && layer < config_.depth(); ++layer)
    blocks_.push_back(pack_block(model, layer, type, inputs));
  constexpr int64_t kMostWithSums = int64_t{1} << 25;  // parameters of a model: 100 MiB
  if (layers == Layers::kLeftOut || model.parameters() <= kMostWithSums) {
    head_.keep_sums();
    for (FusedBlock& block : blocks_) keep_sums(block);
  }
  model.release_pages();  // what was packed need not stay in memory as its file holds it too
}

void FusedModel::pack_images(const Model& model, const RoundedInputs& inputs) {
  patches_ = pack_output(model, {TensorRole::kPatchEmbedding}, type_, inputs);
  learned_ = as_float(model.weight({TensorRole::kClassToken})).unsqueeze(0);
  if (config_.patches.distillation_token)
    learned_ = at::cat({learned_, as_float(model.weight({TensorRole::kDistillationToken})).unsqueeze(0)}, 0);
  if (config_.input_norm) input_norm_ = norm_of(model, {TensorRole::kInputNorm}, config_.output_norm);
  if (config_.read_out.distilled)
    distilled_head_ = pack_output(model, {TensorRole::kDistillationClassifier}, type_, inputs);
}

/// Token embeddings as they enter the first layer: scaled, and with those of their positions.
Slab FusedModel::enter(const Slab& x) const {
  if (config_.embedding_scale != 1)
    for (int64_t r = 0; r < x.rows; ++r) scale_row(x.row(r), x.cols, static_cast<float>(config_.embedding_scale));
  if (positions_.defined()) add_positions(x);
  return x;
}

void FusedModel::add_positions(const Slab& x) const {
  if (x.rows > config_.positions)
    fail(ErrorKind::kInvalidArgument, "forward: {}: {} tokens in a sequence; the model has {} positions", name_, x.rows,
         config_.positions);
  for (int64_t r = 0; r < x.rows; ++r) add_row(positions_.data_ptr<float>() + r * x.cols, x.row(r), x.cols);
}

Slab FusedModel::embed_from(const at::Tensor& embedding, Arena& arena, std::span<const int32_t> tokens) const {
  return enter(look_up(arena, tokens, embedding.size(0), embedding.size(1), [&](int32_t token, float* out) {
    at::from_blob(out, {embedding.size(1)}, at::kFloat).copy_(embedding.select(0, token));
  }));
}

Slab FusedModel::embed(Arena& arena, std::span<const int32_t> tokens) const {
  if (!stored_embedding_) return embed_from(embedding_, arena, tokens);
  return enter(look_up(arena, tokens, stored_embedding_->rows(), stored_embedding_->cols(),
                       [&](int32_t token, float* out) { stored_embedding_->decode_row(token, out); }));
}

Slab FusedModel::run_layers(FusedOps& ops, Slab x, int begin, int64_t first_row) const {
  for (int layer = begin; layer < config_.depth(); ++layer) {
    const Arena::Scope scope(ops.arena());  // the stream itself lives outside: a block works on it in place
    x = run_block(ops, block(layer), x, layer + 1 == config_.depth() ? first_row : 0);
    if (ops.watches()) ops.observe({Site::kResidual, layer}, x);
  }
  return x;
}

Slab FusedModel::norm_last(FusedOps& ops, const Slab& x) const {
  // Finite weights may still overflow in products, which the kernels below would not show.
  for (int64_t r = 0; r < x.rows; ++r)
    if (!std::all_of(x.row(r), x.row(r) + x.cols, [](float value) { return std::isfinite(value); }))
      fail(ErrorKind::kBadFile,
           "forward: {}: the hidden state after the last layer is not finite: products of its weights overflow; the "
           "file is damaged, or its configuration is of another model",
           name_);
  return ops.norm(output_norm_, x);
}

Slab FusedModel::output_norm(FusedOps& ops, const Slab& x) const {
  const Slab normed = norm_last(ops, x);
  ops.observe({Site::kOutputInput}, normed);
  return normed;
}

Slab FusedModel::hidden(Arena& arena, std::span<const int32_t> tokens, int64_t first_row) const {
  FusedOps ops(arena, rope_);
  return output_norm(ops, run_layers(ops, embed(arena, tokens), 0, first_row));
}

Slab FusedModel::logits(Arena& arena, const Slab& hidden) const {
  const Slab out = arena.slab(hidden.rows, head_.out());
  logits_by(head_, arena, hidden, out);
  return out;
}

void FusedModel::logits_by(const StackedLinear& head, Arena& arena, const Slab& hidden, const Slab& out) const {
  head.apply(hidden, out, /*accumulate=*/false, arena);
  if (config_.logit_soft_cap > 0)
    for (int64_t r = 0; r < out.rows; ++r) cap_row(out.row(r), out.cols, static_cast<float>(config_.logit_soft_cap));
}

}  // namespace vernier
