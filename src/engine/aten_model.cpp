#include "engine/aten_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.h"
#include "model/block_layout.h"
#include "model/language_model.h"
#include "ops/mixed_arithmetic.h"
#include "ops/rope.h"

namespace vernier {

AtenModel::AtenModel(const Model& model, int64_t positions)
    : model_(&model), name_(model.source().name), config_(model.config()) {
  fill(positions);
}

AtenModel::AtenModel(const Model& model, int64_t positions, const Place& place)
    : model_(&model), place_(place), name_(model.source().name), config_(model.config()) {
  fill(positions);
}

at::Tensor AtenModel::moved(const at::Tensor& t) const {
  return place_ && !place_->own_tensors && t.defined() ? t.detach().to(place_->device, place_->type).contiguous() : t;
}

at::Tensor AtenModel::bias(const TensorId& id) const {
  const auto role = bias_of(id.role);
  return role ? weight({*role, id.layer, id.expert}) : at::Tensor();
}

AtenLinear AtenModel::linear_of(const TensorId& id, const at::Tensor& weight) const {
  if (!place_) return {weight, bias(id)};
  return {weight, bias(id), place_->inputs.of(*model_, id), moved(place_->inputs.kept_weight(id))};
}

/// What reads the same rows in the same way is a product of its own only where gate and up are told apart.
void AtenModel::pack(AtenBlock& block) const {
  const auto packed = [&](AtenStack& stack) {
    for (AtenLinear& part : stack) {
      part.packed = std::make_shared<PackedProduct>(part.weight, part.bias, *place_->packed);
      part.weight = part.bias = at::Tensor();
    }
  };
  AtenStack& qkv = block.qkv;
  if (std::all_of(qkv.begin(), qkv.end(), [&](const AtenLinear& part) {
        return part.rounding == qkv[0].rounding && part.bias.defined() == qkv[0].bias.defined();
      })) {
    std::vector<at::Tensor> weights, biases;
    for (const AtenLinear& part : qkv) {
      weights.push_back(part.weight);
      if (part.bias.defined()) biases.push_back(part.bias);
    }
    qkv = {{at::cat(weights, 0), biases.empty() ? at::Tensor() : at::cat(biases, 0), qkv[0].rounding}};
  }
  for (AtenStack* stack : {&block.qkv, &block.attn_output, &block.ffn.in, &block.ffn.down}) packed(*stack);
}

AtenNorm AtenModel::norm(const TensorId& id, const NormConfig& config) const { return {config, weight(id), bias(id)}; }

AtenBlock AtenModel::make_block(int layer) const {
  AtenBlock block;
  block.layer = layer;
  block.config = config_.layer(layer);
  for_each_product(block, [&](AtenStack& part, const std::vector<TensorId>& ids) {
    for (const TensorId& id : ids) part.push_back(linear_of(id, weight(id)));
  });
  for_each_norm(block, [&](AtenNorm& own, const TensorId& id) { own = norm(id, block.config.norm); });
  block.q_norm = weight({TensorRole::kAttnQNorm, layer});
  block.k_norm = weight({TensorRole::kAttnKNorm, layer});
  block.sinks = weight({TensorRole::kAttnSinks, layer});
  if (place_) block.cache = place_->inputs.cache_of(layer);
  if (place_ && place_->packed) pack(block);
  return block;
}

void AtenModel::fill(int64_t positions) {
  // Layer by layer, what the vocabulary is long stays as the file holds it, and is converted where it is used.
  const bool all = !place_ || !place_->layer_by_layer;
  const auto table_of = [&](const TensorId& id) { return all ? weight(id) : model_->weight(id).detach(); };
  if (config_.reads_images())
    fill_images();
  else
    embedding_ = table_of({TensorRole::kTokenEmbedding, -1});
  const at::TensorOptions options = place_ ? at::TensorOptions(place_->device).dtype(place_->type)
                                           : (config_.reads_images() ? learned_ : embedding_).options();
  positions_ = weight({TensorRole::kPositionEmbedding, -1});
  if (config_.reads_images()) positions = std::max(positions, config_.patches.rows());
  if (place_ && place_->angles != nullptr && place_->angles->angles_.cos.size(0) >= positions) {
    angles_ = place_->angles->angles_;
    windowed_ = place_->angles->windowed_;
  } else {
    const auto angles = [&](const RopeConfig& rope) {
      const RopeTable table(rope, config_.layer(0).attention.head_dim, positions);
      const auto both = [&](const std::vector<float>& values) {
        const at::Tensor half = at::from_blob(const_cast<float*>(values.data()), {positions, table.half}, at::kFloat);
        return at::cat({half, half}, -1).to(options);
      };
      return AtenAngles{both(table.cos), both(table.sin)};
    };
    angles_ = angles(config_.rope);
    windowed_ = config_.window_rope ? angles(*config_.window_rope) : angles_;
  }
  if (all)
    for (int layer = 0; layer < config_.depth(); ++layer) blocks_.push_back(make_block(layer));
  output_norm_ = norm({TensorRole::kOutputNorm, -1}, config_.output_norm);
  const TensorId output = model_->output_matrix();
  head_ = {linear_of(output, config_.tied_embedding ? embedding_ : table_of(output))};
}

void AtenModel::fill_images() {
  const TensorId patches{TensorRole::kPatchEmbedding};
  patches_ = {linear_of(patches, weight(patches))};
  learned_ = weight({TensorRole::kClassToken}).unsqueeze(0);
  if (config_.patches.distillation_token)
    learned_ = at::cat({learned_, weight({TensorRole::kDistillationToken}).unsqueeze(0)}, 0);
  if (config_.input_norm) input_norm_ = norm({TensorRole::kInputNorm}, config_.output_norm);
  const TensorId distilled{TensorRole::kDistillationClassifier};
  if (config_.read_out.distilled) distilled_head_ = {linear_of(distilled, weight(distilled))};
}

AtenBlock AtenModel::block(int layer) const {
  return blocks_.empty() ? make_block(layer) : blocks_[static_cast<size_t>(layer)];
}

at::Tensor AtenModel::embed_from(const at::Tensor& embedding, const at::Tensor& ids, int64_t first) const {
  at::Tensor x = moved(at::embedding(embedding, ids));
  if (config_.embedding_scale != 1) x = x * config_.embedding_scale;
  if (config_.positions == 0) return x;
  if (first + ids.size(1) > config_.positions)
    fail(ErrorKind::kInvalidArgument, "forward: {}: {} tokens in a sequence; the model has {} positions", name_,
         first + ids.size(1), config_.positions);
  return x + positions_.narrow(0, first, ids.size(1));
}

at::Tensor AtenModel::embed_images_by(const AtenStack& embedding, const AtenOps& ops, const at::Tensor& pixels,
                                      const at::Tensor& seen_patches) const {
  const PatchConfig& p = config_.patches;
  if (pixels.dim() != 4 || pixels.size(1) != p.channels || pixels.size(2) != p.image_size ||
      pixels.size(3) != p.image_size)
    fail(ErrorKind::kInvalidArgument,
         "forward: {}: expected pixel values [batch, {}, {}, {}], got {}; resize and crop as preprocessor_config.json "
         "says",
         name_, p.channels, p.image_size, p.image_size, c10::str(pixels.sizes()));
  const int64_t batch = pixels.size(0), side = p.per_side(), seen = side * p.patch_size;
  at::Tensor squares = pixels.narrow(2, 0, seen)
                           .narrow(3, 0, seen)
                           .reshape({batch, p.channels, side, p.patch_size, side, p.patch_size})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({batch, p.count(), p.columns()})
                           .to(learned_.options());
  const int64_t learned = p.learned_rows();
  at::Tensor positions = positions_.narrow(0, learned, p.count());
  if (seen_patches.defined()) {
    squares = squares.gather(1, seen_patches.unsqueeze(-1).expand({-1, -1, p.columns()}));
    positions = positions.index({seen_patches});
  }
  ops.observe({Site::kPatchInput}, squares);
  const at::Tensor patches = ops.linear(embedding, squares) + positions;
  const at::Tensor own = (learned_ + positions_.narrow(0, 0, learned)).unsqueeze(0).expand({batch, -1, -1});
  const at::Tensor x = at::cat({patches, own}, 1);
  return config_.input_norm ? ops.norm(input_norm_, x) : x;
}

at::Tensor AtenModel::read_out_by(const AtenStack& head, const AtenStack& distilled_head, const AtenOps& ops,
                                  const at::Tensor& hidden, const at::Tensor& rows) const {
  const at::Tensor batch = at::arange(hidden.size(0), rows.options());
  const at::Tensor answering = hidden.index({batch, rows});
  ops.observe({Site::kOutputInput}, answering);
  const at::Tensor out = widened(logits_by(head, answering));
  if (config_.read_out.projection > 0) return out / out.norm(2, -1, /*keepdim=*/true);
  if (!config_.read_out.distilled) return out;
  const at::Tensor distilled = hidden.index({batch, rows + 1});
  ops.observe({Site::kDistilledInput}, distilled);
  return (out + widened(logits_by(distilled_head, distilled))) / 2;
}

AtenOps AtenModel::ops(int64_t time, const AtenObserver* observer, bool watches) const {
  return ops_at(0, time, observer, watches);
}

AtenOps AtenModel::ops_after(int64_t past, int64_t fresh) const { return ops_at(past, fresh, nullptr, false); }

AtenOps AtenModel::ops_at(int64_t first, int64_t time, const AtenObserver* observer, bool watches) const {
  AtenOps ops(angles_.of(first, time), windowed_.of(first, time), observer, watches);
  ops.use_kernel_attention(place_ && place_->kernel_attention);
  ops.use_kernel_norms(place_ && (place_->packed || place_->once));
  return ops;
}

at::Tensor AtenModel::finish(const AtenOps& ops, at::Tensor x, int begin, int64_t first_row) const {
  AtenOps own = ops;
  // Rows that share their range are needed to the last layer's end.
  const bool all_rows = place_ && place_->inputs.sites != nullptr;
  for (int layer = begin; layer < config_.depth(); ++layer) {
    x = run_block(own, block(layer), x, layer + 1 == config_.depth() && !all_rows ? first_row : 0);
    if (own.watches()) own.observe({Site::kResidual, layer}, x);
  }
  if (all_rows) x = own.rows_from(x, first_row);
  return own.norm(output_norm_, x);
}

at::Tensor AtenModel::logits_by(const AtenStack& head, const at::Tensor& hidden) const {
  const at::Tensor product = matrix_product(rounded(head[0].rounding, hidden), moved(head[0].weight).t());
  const at::Tensor logits = head[0].bias.defined() ? product + head[0].bias : product;
  return config_.logit_soft_cap > 0 ? (logits / config_.logit_soft_cap).tanh() * config_.logit_soft_cap : logits;
}

namespace {

at::Tensor all_logits(const AtenModel& model, const at::Tensor& ids, int64_t first_row) {
  const AtenOps ops = model.ops(ids.size(1));
  return model.logits_by(model.head(), model.finish(ops, model.embed(ids), 0, first_row));
}

}  // namespace

void check_ids(const Model& model, const at::Tensor& ids, int64_t first_row) {
  if (ids.dim() != 2 || ids.size(1) <= first_row)
    fail(ErrorKind::kInvalidArgument, "forward: expected ids [batch, time > {}], got {} dimensions", first_row,
         ids.dim());
  const int64_t vocabulary = model.config().vocabulary;
  if (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= vocabulary)
    fail(ErrorKind::kInvalidArgument, "forward: ids from {} to {}: expected 0 to {}; wrong tokenizer?",
         ids.min().item<int64_t>(), ids.max().item<int64_t>(), vocabulary - 1);
}

at::Tensor forward_logits(const Model& model, const at::Tensor& ids, int64_t first_row) {
  require_language_model(model.config(), model.source().name, "forward");
  check_ids(model, ids, first_row);
  return all_logits(AtenModel(model, ids.size(1)), ids, first_row);
}

at::Tensor forward_logits(const Model& model, const at::Tensor& ids, int64_t first_row, const AtenModel::Place& place) {
  require_language_model(model.config(), model.source().name, "forward");
  check_ids(model, ids, first_row);
  return all_logits(AtenModel(model, ids.size(1), place), ids.to(place.device), first_row);
}

at::Tensor language_model_loss(const Model& model, const at::Tensor& ids) {
  const at::Tensor logits = forward_logits(model, ids);
  const int64_t scored = ids.size(1) - 1;
  const at::Tensor log_p = logits.narrow(1, 0, scored).log_softmax(-1);
  return -log_p.gather(-1, ids.narrow(1, 1, scored).unsqueeze(-1)).mean();
}

}  // namespace vernier
