#include <algorithm>
#include <cmath>
#include <set>

#include "base/fail.h"
#include "model/architecture.h"
#include "model/foreign_keys.h"

namespace vernier {

namespace {

/// Without the architecture in front. 0 means "off" for every number that llama.cpp reads here. Windows have no row: its
/// code for llama, qwen2 and qwen3 does not read them. An architecture whose code does has them in its gguf_keys.
const std::vector<ForeignKeys>& foreign_gguf_keys() {
  static const std::vector<ForeignKeys> table = {
      {"caps scores or logits", {0}, {"attn_logit_softcapping", "final_logit_softcapping", "router_logit_softcapping"}},
      {"clips queries, keys and values", {0}, {"attention.clamp_kqv"}},
      {"scales the scores of attention by another number than 1/sqrt(head_dim)",
       {0},
       {"attention.scale"},
       in_use::score_scale},
      {"scales scores with the position", {0}, {"attention.temperature_scale", "attention.temperature_length"}},
      {"scales embeddings, logits or what blocks add",
       {0, 1},
       {"embedding_scale", "residual_scale", "logit_scale", "attention.output_scale", "attention.value_scale"}},
      {"places tokens otherwise than by rotary embedding",
       {0},
       {"attention.max_alibi_bias", "attention.relative_buckets_count"}},
      {"rotates dimensions by several positions", {0}, {"rope.dimension_sections"}},
      {"rotates a part of each head only", {}, {"rope.dimension_count_swa"}, in_use::head_dim},
      {"scales rotary frequencies", {0, 1}, {"rope.scaling.alpha"}},
      {"sets another base of the rotary embedding in some layers", {}, {"rope.freq_base_swa"}, in_use::rope_theta},
      {"shows each token what comes after it", {true}, {"attention.causal"}},
      {"gives heads another size", {}, {"attention.value_length"}, in_use::head_dim},
      {"gives heads another size in some layers",
       {},
       {"attention.key_length_swa", "attention.value_length_swa"},
       in_use::head_dim},
      {"attends to another sequence", {0}, {"cross_attention_layers"}},
      {"runs several residual streams", {0}, {"altup.num_inputs", "hyper_connection.count"}},
      {"clamps or thins activations", {0}, {"activation_sparsity_scale"}},
      {"gives heads other shapes",
       {0},
       {"attention.key_length_mla", "attention.value_length_mla", "attention.q_lora_rank", "attention.kv_lora_rank"}},
      {"shares keys and values between layers", {0}, {"attention.shared_kv_layers"}},
      {"replaces attention in some layers",
       {0},
       {"attention.recurrent_layers", "full_attention_interval", "ssm.state_size", "ssm.conv_kernel"}},
      {"chooses among experts", {0}, {"expert_count", "expert_shared_count", "leading_dense_block_count"}},
      {"runs attention and feed-forward side by side", {false}, {"use_parallel_residual"}},
      {"puts norms elsewhere", {false}, {"swin_norm"}},
      {"scales the rotation", {0}, {"rope.scaling.yarn_log_multiplier"}},
      // -1: as the type says.
      {"bends rotary frequencies otherwise", {1, -1}, {"rope.scaling.yarn_ext_factor"}},
      {"bends rotary frequencies otherwise", {32}, {"rope.scaling.yarn_beta_fast"}},
      {"bends rotary frequencies otherwise", {1}, {"rope.scaling.yarn_beta_slow"}},
  };
  return table;
}

Json as_json(const GgufValue& value) {
  return std::visit([](const auto& typed) { return Json(typed); }, value);
}

}  // namespace

void refuse_foreign_gguf_keys(const GgufFile& file, const Architecture& row, const ModelConfig& config) {
  const std::string origin = "load: " + file.path().string(), prefix = std::string(row.gguf) + ".";
  std::map<std::string, Json> values;
  for (const auto& [key, value] : file.values())
    if (key.starts_with(prefix)) values.emplace(key.substr(prefix.size()), as_json(value));
  const KeyLookup find = [&](const char* key) -> const Json* {
    const auto it = values.find(key);
    return it == values.end() ? nullptr : &it->second;
  };
  refuse_foreign_keys(foreign_gguf_keys(), row.gguf_keys, find, config, origin, prefix);

  // "finetuned" is a note, and the trained context is read where a type needs it.
  std::set<std::string> known = {"rope.freq_base",
                                 "rope.dimension_count",
                                 "rope.scale_linear",
                                 "rope.scaling.type",
                                 "rope.scaling.factor",
                                 "rope.scaling.attn_factor",
                                 "rope.scaling.original_context_length",
                                 "rope.scaling.finetuned",
                                 "rope.scaling.yarn_attn_factor"};  // converters write it; Grok's code alone reads it
  for (const std::vector<ForeignKeys>* rows : {&foreign_gguf_keys(), &row.gguf_keys})
    for (const ForeignKeys& keys : *rows) known.insert(keys.keys.begin(), keys.keys.end());
  for (const auto& [key, value] : values)
    if (key.starts_with("rope.") && !known.contains(key))
      fail(ErrorKind::kUnsupported,
           "{}: key \"{}{}\" is {}: not known, and ignoring it may make every number wrong; use a model without it",
           origin, prefix, key, value_text(value));
}

}  // namespace vernier
