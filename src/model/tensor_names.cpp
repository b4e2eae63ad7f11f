#include <algorithm>
#include <map>

#include "base/fail.h"
#include "model/architecture.h"

namespace vernier {

namespace {

using Role = TensorRole;

const TensorName* find_name(const std::vector<TensorName>& names, Role role, bool of_expert) {
  for (const TensorName& name : names)
    if (name.role == role && name.of_expert == of_expert) return &name;
  return nullptr;
}

const TensorName& named(const std::vector<TensorName>& own, const std::vector<TensorName>& shared, const TensorId& id) {
  const TensorName* name = find_name(own, id.role, id.expert >= 0);
  if (name == nullptr) name = find_name(shared, id.role, id.expert >= 0);
  if (name == nullptr) fail(ErrorKind::kInternal, "no file name for {}", name_of(id));
  return *name;
}

std::string filled(std::string_view pattern, const TensorId& id) {
  std::string name(pattern);
  const auto put = [&](std::string_view field, int number) {
    if (const size_t at = name.find(field); at != std::string::npos)
      name.replace(at, field.size(), std::to_string(number));
  };
  put("{layer}", id.layer);
  put("{expert}", id.expert);
  return name;
}

/// A kind of file: whose names, in which member of a TensorSpec.
struct FileKind {
  const ModelConfig& config;
  const std::vector<TensorName>& own;
  const std::vector<TensorName>& shared;
  FileTensor TensorSpec::*member;

  const TensorName& name_of_tensor(const TensorId& id) const { return named(own, shared, id); }
  /// Place of a role among those of one fused tensor: the order of the list it is in.
  size_t rank(const TensorSpec& tensor) const {
    const TensorName* name = &name_of_tensor(tensor.id);
    const bool is_own = !own.empty() && name >= own.data() && name < own.data() + own.size();
    return static_cast<size_t>(name - (is_own ? own.data() : shared.data()));
  }

  void place(std::vector<TensorSpec>& tensors) const {
    std::map<std::string, std::vector<TensorSpec*>> by_name;
    for (TensorSpec& tensor : tensors) {
      const TensorName& name = name_of_tensor(tensor.id);
      FileTensor& file = tensor.*member;
      file.name = filled(name.pattern, tensor.id);
      file.transposed = name.transposed;
      file.less_one = name.less_one;
      if (tensor.id.expert >= 0 && name.pattern.find("{expert}") == std::string::npos) file.slice = tensor.id.expert;
      by_name[file.name].push_back(&tensor);
    }
    for (auto& [name, parts] : by_name) lay_out(parts);
  }

  /// The parts of one stored tensor: rows one after the other within each slice.
  void lay_out(std::vector<TensorSpec*>& parts) const {
    std::stable_sort(parts.begin(), parts.end(),
                     [&](const TensorSpec* a, const TensorSpec* b) { return rank(*a) < rank(*b); });
    std::map<int64_t, int64_t> rows;  // of each slice so far
    for (TensorSpec* part : parts) {
      FileTensor& file = part->*member;
      file.first_row = rows[file.slice];
      rows[file.slice] += part->shape[0];
    }
    for (TensorSpec* part : parts) {
      FileTensor& file = part->*member;
      if (const auto own_shape = name_of_tensor(part->id).shape; own_shape != nullptr) {
        file.shape = own_shape(config, part->shape);
        continue;
      }
      file.shape = part->shape;
      file.shape[0] = rows[file.slice];
      if (file.transposed && file.shape.size() == 2) std::swap(file.shape[0], file.shape[1]);
      if (file.slice >= 0) file.shape.insert(file.shape.begin(), static_cast<int64_t>(rows.size()));
    }
  }
};

int64_t rotated_heads(const ModelConfig& config, const TensorId& id) {
  if (id.layer < 0 || !config.layer(id.layer).attention.rotary) return 0;
  const AttentionConfig& attention = config.layer(id.layer).attention;
  if (id.role == Role::kAttnQ || id.role == Role::kAttnQBias) return attention.heads;
  if (id.role == Role::kAttnK || id.role == Role::kAttnKBias) return attention.kv_heads;
  return 0;
}

}  // namespace

void place_in_files(const ModelConfig& config, std::vector<TensorSpec>& tensors) {
  const Architecture& row = architecture_of(config);
  FileKind{config, row.hugging_face, shared_hugging_face_names(), &TensorSpec::hugging_face}.place(tensors);
  if (row.gguf.empty()) {
    for (TensorSpec& tensor : tensors) tensor.gguf = {.name = name_of(tensor.id), .shape = tensor.shape};
    return;
  }
  FileKind{config, row.gguf_names, shared_gguf_names(), &TensorSpec::gguf}.place(tensors);
  if (row.interleaved_rope)
    for (TensorSpec& tensor : tensors) tensor.gguf.interleaved_heads = rotated_heads(config, tensor.id);
}

std::string tensor_name(const std::vector<TensorName>& own, const std::vector<TensorName>& shared, const TensorId& id) {
  return filled(named(own, shared, id).pattern, id);
}

std::string gguf_name(const TensorId& id) {
  const bool named = id.stack == Stack::kOnly && find_name(shared_gguf_names(), id.role, id.expert >= 0) != nullptr;
  return named ? tensor_name({}, shared_gguf_names(), id) : name_of(id);
}

const std::vector<TensorName>& shared_hugging_face_names() {
  static const std::vector<TensorName> names = {
      {Role::kTokenEmbedding, "model.embed_tokens.weight"},
      {Role::kPositionEmbedding, "model.embed_positions.weight"},
      {Role::kAttnNorm, "model.layers.{layer}.input_layernorm.weight"},
      {Role::kAttnNormBias, "model.layers.{layer}.input_layernorm.bias"},
      {Role::kAttnQ, "model.layers.{layer}.self_attn.q_proj.weight"},
      {Role::kAttnQBias, "model.layers.{layer}.self_attn.q_proj.bias"},
      {Role::kAttnQNorm, "model.layers.{layer}.self_attn.q_norm.weight"},
      {Role::kAttnK, "model.layers.{layer}.self_attn.k_proj.weight"},
      {Role::kAttnKBias, "model.layers.{layer}.self_attn.k_proj.bias"},
      {Role::kAttnKNorm, "model.layers.{layer}.self_attn.k_norm.weight"},
      {Role::kAttnV, "model.layers.{layer}.self_attn.v_proj.weight"},
      {Role::kAttnVBias, "model.layers.{layer}.self_attn.v_proj.bias"},
      {Role::kAttnSinks, "model.layers.{layer}.self_attn.sinks"},
      {Role::kAttnOutput, "model.layers.{layer}.self_attn.o_proj.weight"},
      {Role::kAttnOutputBias, "model.layers.{layer}.self_attn.o_proj.bias"},
      {Role::kAttnPostNorm, "model.layers.{layer}.post_attention_layernorm.weight"},
      {Role::kFfnNorm, "model.layers.{layer}.post_attention_layernorm.weight"},
      {Role::kFfnNormBias, "model.layers.{layer}.post_attention_layernorm.bias"},
      {Role::kRouter, "model.layers.{layer}.mlp.gate.weight"},
      {Role::kFfnGate, "model.layers.{layer}.mlp.gate_proj.weight"},
      {Role::kFfnGateBias, "model.layers.{layer}.mlp.gate_proj.bias"},
      {Role::kFfnUp, "model.layers.{layer}.mlp.up_proj.weight"},
      {Role::kFfnUpBias, "model.layers.{layer}.mlp.up_proj.bias"},
      {Role::kFfnDown, "model.layers.{layer}.mlp.down_proj.weight"},
      {Role::kFfnDownBias, "model.layers.{layer}.mlp.down_proj.bias"},
      {Role::kFfnGate, "model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight", true},
      {Role::kFfnUp, "model.layers.{layer}.mlp.experts.{expert}.up_proj.weight", true},
      {Role::kFfnDown, "model.layers.{layer}.mlp.experts.{expert}.down_proj.weight", true},
      {Role::kSharedGate, "model.layers.{layer}.mlp.shared_expert.gate_proj.weight"},
      {Role::kSharedUp, "model.layers.{layer}.mlp.shared_expert.up_proj.weight"},
      {Role::kSharedDown, "model.layers.{layer}.mlp.shared_expert.down_proj.weight"},
      {Role::kSharedSwitch, "model.layers.{layer}.mlp.shared_expert_gate.weight"},
      {Role::kFfnPostNorm, "model.layers.{layer}.post_feedforward_layernorm.weight"},
      {Role::kOutputNorm, "model.norm.weight"},
      {Role::kOutputNormBias, "model.norm.bias"},
      {Role::kOutput, "lm_head.weight"},
  };
  return names;
}

const std::vector<TensorName>& shared_gguf_names() {
  static const std::vector<TensorName> names = {
      {Role::kTokenEmbedding, "token_embd.weight"},
      {Role::kPositionEmbedding, "position_embd.weight"},
      {Role::kAttnNorm, "blk.{layer}.attn_norm.weight"},
      {Role::kAttnNormBias, "blk.{layer}.attn_norm.bias"},
      {Role::kAttnQ, "blk.{layer}.attn_q.weight"},
      {Role::kAttnQBias, "blk.{layer}.attn_q.bias"},
      {Role::kAttnQNorm, "blk.{layer}.attn_q_norm.weight"},
      {Role::kAttnK, "blk.{layer}.attn_k.weight"},
      {Role::kAttnKBias, "blk.{layer}.attn_k.bias"},
      {Role::kAttnKNorm, "blk.{layer}.attn_k_norm.weight"},
      {Role::kAttnV, "blk.{layer}.attn_v.weight"},
      {Role::kAttnVBias, "blk.{layer}.attn_v.bias"},
      {Role::kAttnSinks, "blk.{layer}.attn_sinks.weight"},
      {Role::kAttnOutput, "blk.{layer}.attn_output.weight"},
      {Role::kAttnOutputBias, "blk.{layer}.attn_output.bias"},
      {Role::kAttnPostNorm, "blk.{layer}.post_attention_norm.weight"},
      {Role::kFfnNorm, "blk.{layer}.ffn_norm.weight"},
      {Role::kFfnNormBias, "blk.{layer}.ffn_norm.bias"},
      {Role::kRouter, "blk.{layer}.ffn_gate_inp.weight"},
      {Role::kFfnGate, "blk.{layer}.ffn_gate.weight"},
      {Role::kFfnGateBias, "blk.{layer}.ffn_gate.bias"},
      {Role::kFfnUp, "blk.{layer}.ffn_up.weight"},
      {Role::kFfnUpBias, "blk.{layer}.ffn_up.bias"},
      {Role::kFfnDown, "blk.{layer}.ffn_down.weight"},
      {Role::kFfnDownBias, "blk.{layer}.ffn_down.bias"},
      {Role::kFfnGate, "blk.{layer}.ffn_gate_exps.weight", true},
      {Role::kFfnUp, "blk.{layer}.ffn_up_exps.weight", true},
      {Role::kFfnDown, "blk.{layer}.ffn_down_exps.weight", true},
      {Role::kSharedGate, "blk.{layer}.ffn_gate_shexp.weight"},
      {Role::kSharedUp, "blk.{layer}.ffn_up_shexp.weight"},
      {Role::kSharedDown, "blk.{layer}.ffn_down_shexp.weight"},
      {Role::kSharedSwitch, "blk.{layer}.ffn_gate_inp_shexp.weight"},
      {Role::kFfnPostNorm, "blk.{layer}.post_ffw_norm.weight"},
      {Role::kOutputNorm, "output_norm.weight"},
      {Role::kOutputNormBias, "output_norm.bias"},
      {Role::kOutput, "output.weight"},
  };
  return names;
}

}  // namespace vernier
