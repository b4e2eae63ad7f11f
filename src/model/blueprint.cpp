#include "vernier/blueprint.h"

#include <algorithm>

#include "base/fail.h"
#include "model/architecture.h"

namespace vernier {

namespace {

using Role = TensorRole;

/// Every role of a configuration with its shape, in the order of TensorRole: the one place that says which tensors
/// there are. An empty shape says that there is none.
std::vector<int64_t> shape_in_layer(const ModelConfig& c, const LayerConfig& layer, Role role, bool of_expert) {
  const AttentionConfig& a = layer.attention;
  const FeedForwardConfig& f = layer.feed_forward;
  const int64_t q = a.query_columns(), kv = a.kv_columns();
  const bool experts = f.experts.count > 0, here = experts == of_expert;  // where the matrices of the feed-forward are
  const auto only_if = [](bool present, std::vector<int64_t> shape) {
    return present ? std::move(shape) : std::vector<int64_t>{};
  };
  const auto outside = [&](bool present, std::vector<int64_t> shape) {
    return only_if(present && !of_expert, std::move(shape));
  };
  const bool qk_norm = a.qk_norm != AttentionConfig::QkNorm::kNone;
  const bool whole = a.qk_norm == AttentionConfig::QkNorm::kAllHeads;
  switch (role) {
    case Role::kAttnNorm: return outside(layer.pre_norm, {c.hidden});
    case Role::kFfnNorm: return outside(layer.pre_norm && !(layer.parallel && layer.shared_norm), {c.hidden});
    case Role::kAttnNormBias: return outside(layer.pre_norm && layer.norm.bias, {c.hidden});
    case Role::kFfnNormBias:
      return outside(layer.pre_norm && layer.norm.bias && !(layer.parallel && layer.shared_norm), {c.hidden});
    case Role::kAttnPostNorm:
    case Role::kFfnPostNorm: return outside(layer.post_norm, {c.hidden});
    case Role::kAttnQ: return outside(true, {q, c.hidden});
    case Role::kAttnK:
    case Role::kAttnV: return outside(true, {kv, c.hidden});
    case Role::kAttnOutput: return outside(true, {c.hidden, q});
    case Role::kAttnQBias: return outside(a.qkv_bias, {q});
    case Role::kAttnKBias:
    case Role::kAttnVBias: return outside(a.qkv_bias, {kv});
    case Role::kAttnOutputBias: return outside(a.output_bias, {c.hidden});
    case Role::kAttnQNorm: return outside(qk_norm, {whole ? q : a.head_dim});
    case Role::kAttnKNorm: return outside(qk_norm, {whole ? kv : a.head_dim});
    case Role::kAttnSinks: return outside(a.sinks, {a.heads});
    case Role::kRouter: return outside(experts, {f.experts.count, c.hidden});
    case Role::kFfnGate: return only_if(here && f.gated, {f.intermediate, c.hidden});
    case Role::kFfnUp: return only_if(here, {f.intermediate, c.hidden});
    case Role::kFfnDown: return only_if(here, {c.hidden, f.intermediate});
    case Role::kFfnGateBias: return only_if(here && f.gated && f.bias, {f.intermediate});
    case Role::kFfnUpBias: return only_if(here && f.bias, {f.intermediate});
    case Role::kFfnDownBias: return only_if(here && f.bias, {c.hidden});
    case Role::kSharedGate:
    case Role::kSharedUp: return outside(f.experts.shared_intermediate > 0, {f.experts.shared_intermediate, c.hidden});
    case Role::kSharedDown:
      return outside(f.experts.shared_intermediate > 0, {c.hidden, f.experts.shared_intermediate});
    case Role::kSharedSwitch: return outside(f.experts.shared_switch, {1, c.hidden});
    default: return {};
  }
}

std::vector<int64_t> shape_outside(const ModelConfig& c, Role role) {
  const auto only_if = [](bool present, std::vector<int64_t> shape) {
    return present ? std::move(shape) : std::vector<int64_t>{};
  };
  const PatchConfig& patches = c.patches;
  const ReadOutConfig& answer = c.read_out;
  const bool sees = c.reads_images(), every_row = answer.row == ReadOutConfig::Row::kEvery;
  if (!c.stacks.empty()) return only_if(role == Role::kLogitScale, {1});
  switch (role) {
    case Role::kTokenEmbedding: return only_if(!sees, {c.vocabulary, c.hidden});
    case Role::kPatchEmbedding: return only_if(sees, {c.hidden, patches.columns()});
    case Role::kPatchEmbeddingBias: return only_if(sees && patches.bias, {c.hidden});
    case Role::kClassToken: return only_if(sees, {c.hidden});
    case Role::kDistillationToken: return only_if(sees && patches.distillation_token, {c.hidden});
    case Role::kPositionEmbedding: return only_if(c.positions > 0, {c.positions, c.hidden});
    case Role::kInputNorm: return only_if(c.input_norm, {c.hidden});
    case Role::kInputNormBias: return only_if(c.input_norm && c.output_norm.bias, {c.hidden});
    case Role::kOutputNorm: return {c.hidden};
    case Role::kOutputNormBias: return only_if(c.output_norm.bias, {c.hidden});
    case Role::kOutput: return only_if(every_row && !c.tied_embedding, {c.vocabulary, c.hidden});
    case Role::kClassifier: return only_if(answer.classes > 0, {answer.classes, c.hidden});
    case Role::kClassifierBias: return only_if(answer.classes > 0, {answer.classes});
    case Role::kDistillationClassifier: return only_if(answer.distilled, {answer.classes, c.hidden});
    case Role::kDistillationClassifierBias: return only_if(answer.distilled, {answer.classes});
    case Role::kProjection: return only_if(answer.projection > 0, {answer.projection, c.hidden});
    default: return {};
  }
}

std::vector<int64_t> shape_or_none(const ModelConfig& c, const TensorId& id) {
  if (id.layer < 0) return id.expert < 0 ? shape_outside(c, id.role) : std::vector<int64_t>{};
  if (id.layer >= c.depth() || id.expert >= c.layer(id.layer).feed_forward.experts.count) return {};
  return shape_in_layer(c, c.layer(id.layer), id.role, id.expert >= 0);
}

std::optional<SiteId> input_of(const ModelConfig& c, const TensorId& id) {
  const auto site = [&](Site kind, int expert = -1) { return SiteId{kind, id.layer, expert, id.stack}; };
  switch (id.role) {
    case Role::kAttnQ:
    case Role::kAttnK:
    case Role::kAttnV: return site(Site::kAttnInput);
    case Role::kAttnOutput: return site(Site::kAttnOutputInput);
    case Role::kRouter:
    case Role::kSharedGate:
    case Role::kSharedUp:
    case Role::kSharedSwitch: return site(Site::kFfnInput);
    case Role::kFfnGate:
    case Role::kFfnUp: return site(Site::kFfnInput, id.expert);
    case Role::kFfnDown: return site(Site::kFfnDownInput, id.expert);
    case Role::kSharedDown: return site(Site::kSharedDownInput);
    case Role::kTokenEmbedding:
      if (!c.tied_embedding) return std::nullopt;
      return site(Site::kOutputInput);
    case Role::kOutput:
    case Role::kClassifier:
    case Role::kProjection: return site(Site::kOutputInput);
    case Role::kDistillationClassifier: return site(Site::kDistilledInput);
    case Role::kPatchEmbedding: return site(Site::kPatchInput);
    default: return std::nullopt;
  }
}

}  // namespace

std::vector<int64_t> shape_of(const ModelConfig& config, const TensorId& id) {
  const ModelConfig* stack = config.find_stack(id.stack);
  std::vector<int64_t> shape = stack == nullptr ? std::vector<int64_t>{} : shape_or_none(*stack, id);
  if (shape.empty()) fail(ErrorKind::kInternal, "a {} of this configuration has no {}", config.family, name_of(id));
  return shape;
}

std::vector<TensorId> tensors_in(const ModelConfig& config, int layer) {
  const int experts = layer < 0 ? 0 : static_cast<int>(config.layer(layer).feed_forward.experts.count);
  std::vector<TensorId> ids;
  for (int role = 0; role < kTensorRoleCount; ++role)
    for (int expert = -1; expert < experts; ++expert) {
      const TensorId id{static_cast<Role>(role), layer, expert, config.stack};
      if (!shape_or_none(config, id).empty()) ids.push_back(id);
    }
  return ids;
}

bool comes_before(const TensorId& a, const TensorId& b) {
  const auto place = [](const TensorId& id) {
    const bool first = id.role < Role::kAttnNorm;  // what embeds
    return std::tuple(id.stack, first ? -1 : id.layer < 0 ? INT32_MAX : id.layer, id.role, id.expert);
  };
  return place(a) < place(b);
}

Blueprint::Blueprint(const ModelConfig& config) {
  std::vector<TensorId> ids = tensors_in(config, -1);
  for (int layer = 0; layer < config.depth(); ++layer) {
    const std::vector<TensorId> own = tensors_in(config, layer);
    ids.insert(ids.end(), own.begin(), own.end());
  }
  std::sort(ids.begin(), ids.end(), comes_before);
  for (const TensorId& id : ids) {
    index_[id] = tensors_.size();
    tensors_.push_back({id, shape_of(config, id), input_of(config, id), {}, {}});
  }
  place_in_files(config, tensors_);
  for (const ModelConfig& stack : config.stacks) {
    const Blueprint own(stack);
    for (const TensorSpec& tensor : own.tensors()) {
      index_[tensor.id] = tensors_.size();
      tensors_.push_back(tensor);
    }
  }
}

const TensorSpec* Blueprint::find(const TensorId& id) const {
  const auto it = index_.find(id);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

const TensorSpec& Blueprint::at(const TensorId& id) const {
  const TensorSpec* spec = find(id);
  if (spec == nullptr) fail(ErrorKind::kInternal, "{} is not in the blueprint", name_of(id));
  return *spec;
}

}  // namespace vernier
