#include "vernier/model_config.h"

#include "base/fail.h"
#include "model/layer_matrices.h"

namespace vernier {

std::vector<int64_t> expected_shape(const ModelConfig& c, TensorRole role) {
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  switch (role) {
    case TensorRole::kTokenEmbedding:
    case TensorRole::kOutput: return {c.vocabulary, c.hidden};
    case TensorRole::kAttnQ: return {q, c.hidden};
    case TensorRole::kAttnQBias: return {q};
    case TensorRole::kAttnK:
    case TensorRole::kAttnV: return {kv, c.hidden};
    case TensorRole::kAttnKBias:
    case TensorRole::kAttnVBias: return {kv};
    case TensorRole::kAttnOutput: return {c.hidden, q};
    case TensorRole::kAttnQNorm:
    case TensorRole::kAttnKNorm: return {c.head_dim};
    case TensorRole::kFfnGate:
    case TensorRole::kFfnUp: return {c.intermediate, c.hidden};
    case TensorRole::kFfnGateBias:
    case TensorRole::kFfnUpBias: return {c.intermediate};
    case TensorRole::kFfnDown: return {c.hidden, c.intermediate};
    case TensorRole::kAttnNorm:
    case TensorRole::kFfnNorm:
    case TensorRole::kOutputNorm:
    case TensorRole::kAttnOutputBias:
    case TensorRole::kFfnDownBias: return {c.hidden};
  }
  fail(ErrorKind::kInternal, "tensor role {}", static_cast<int>(role));
}

std::vector<TensorId> expected_tensors(const ModelConfig& config) {
  std::vector<TensorId> ids{{TensorRole::kTokenEmbedding, -1}};
  std::vector<TensorRole> per_layer{TensorRole::kAttnNorm, TensorRole::kAttnQ,      TensorRole::kAttnK,
                                    TensorRole::kAttnV,    TensorRole::kAttnOutput, TensorRole::kFfnNorm,
                                    TensorRole::kFfnGate,  TensorRole::kFfnUp,      TensorRole::kFfnDown};
  const auto also = [&](bool present, std::initializer_list<TensorRole> roles) {
    if (present) per_layer.insert(per_layer.end(), roles);
  };
  also(config.qkv_bias, {TensorRole::kAttnQBias, TensorRole::kAttnKBias, TensorRole::kAttnVBias});
  also(config.attn_output_bias, {TensorRole::kAttnOutputBias});
  also(config.ffn_bias, {TensorRole::kFfnGateBias, TensorRole::kFfnUpBias, TensorRole::kFfnDownBias});
  also(config.qk_norm, {TensorRole::kAttnQNorm, TensorRole::kAttnKNorm});
  for (int layer = 0; layer < config.layers; ++layer)
    for (const TensorRole role : per_layer) ids.push_back({role, layer});
  ids.push_back({TensorRole::kOutputNorm, -1});
  if (!config.tied_embedding) ids.push_back({TensorRole::kOutput, -1});
  return ids;
}

std::vector<Component> components_of(const ModelConfig& c, const std::set<ComponentKind>& kinds) {
  const auto wanted = [&](ComponentKind kind) { return kinds.contains(kind); };
  std::vector<Component> all;
  if (wanted(ComponentKind::kEmbed)) all.push_back({ComponentKind::kEmbed});
  for (int layer = 0; layer < c.layers; ++layer) {
    if (wanted(ComponentKind::kHead))
      for (int h = 0; h < c.heads; ++h) all.push_back({ComponentKind::kHead, layer, h});
    if (wanted(ComponentKind::kKvHead))
      for (int h = 0; h < c.kv_heads; ++h) all.push_back({ComponentKind::kKvHead, layer, h});
    if (wanted(ComponentKind::kFfn)) all.push_back({ComponentKind::kFfn, layer});
    if (wanted(ComponentKind::kTensor))
      for (const TensorRole role : kLayerMatrices) all.push_back({ComponentKind::kTensor, layer, 0, role});
    if (wanted(ComponentKind::kLayer)) all.push_back({ComponentKind::kLayer, layer});
  }
  if (wanted(ComponentKind::kLmHead) && !c.tied_embedding) all.push_back({ComponentKind::kLmHead});
  return all;
}

}  // namespace vernier
