#include "model/foreign_keys.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/fail.h"
#include "model/architecture.h"

namespace vernier {

namespace {

constexpr double kRelativeTolerance = 1e-6;  // 1/sqrt(head_dim) and the like are written with few digits

bool is_number_in_use(const Json& value, const ForeignKeys& row, const ModelConfig& config) {
  if (row.in_use == nullptr || !value.is_number()) return false;
  const double used = row.in_use(config);
  return std::abs(value.get<double>() - used) <= kRelativeTolerance * std::abs(used);
}

double kv_heads(const ModelConfig& c) { return static_cast<double>(c.layer(0).attention.kv_heads); }
double hidden(const ModelConfig& c) { return static_cast<double>(c.hidden); }
double depth_scale(const ModelConfig& c) { return std::sqrt(static_cast<double>(c.layers.size())); }

}  // namespace

namespace in_use {

double head_dim(const ModelConfig& c) { return static_cast<double>(c.layer(0).attention.head_dim); }
double rope_theta(const ModelConfig& c) { return c.rope.theta; }
double score_scale(const ModelConfig& c) { return 1 / std::sqrt(head_dim(c)); }

}  // namespace in_use

bool is_neutral(const Json& value, const std::vector<Json>& neutral) {
  if (value.is_null()) return true;
  if (value.is_structured())
    return std::all_of(value.begin(), value.end(), [&](const Json& part) { return is_neutral(part, neutral); });
  return std::find(neutral.begin(), neutral.end(), value) != neutral.end();
}

void refuse_foreign_keys(const std::vector<ForeignKeys>& table, const std::vector<ForeignKeys>& own,
                         const KeyLookup& find, const ModelConfig& config, const std::string& origin,
                         const std::string& prefix) {
  std::set<std::string_view> decided;
  for (const std::vector<ForeignKeys>* rows : {&own, &table})
    for (const ForeignKeys& row : *rows)
      for (const char* key : row.keys) {
        if (rows == &own) decided.insert(key);
        if (row.effect == nullptr || (rows == &table && decided.contains(key))) continue;
        const Json* value = find(key);
        if (value == nullptr || is_neutral(*value, row.neutral) || is_number_in_use(*value, row, config)) continue;
        fail(ErrorKind::kUnsupported,
             "{}: key \"{}{}\" is {}: it {}, which a {} model is not known to do, and ignoring it would make every "
             "number wrong; use a model without it, or remove the key if the model's own code does not read it",
             origin, prefix, key, value_text(*value), row.effect, config.family);
      }
}

void refuse_foreign_config_keys(const Json& json, const Architecture& row, const ModelConfig& config,
                                const std::string& origin) {
  const KeyLookup find = [&](const char* key) { return json_find(json, key); };
  refuse_foreign_keys(foreign_config_keys(), row.config_keys, find, config, origin);
}

std::string value_text(const Json& value) {
  constexpr size_t kLongest = 80;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() > kLongest) {
    text.resize(kLongest);
    text += "...";
  }
  return text;
}

// What shows in the names or shapes of tensors needs no row: a tensor too many or too few is refused by itself.
const std::vector<ForeignKeys>& foreign_config_keys() {
  static const std::vector<ForeignKeys> table = {
      {"caps scores or logits",
       {0, false},
       {"attn_logit_softcapping", "final_logit_softcapping", "attn_logit_softcap", "final_logit_softcap",
        "logits_soft_cap", "attention_logit_cap", "output_logit_cap"}},
      {"clips queries, keys and values", {0, false}, {"clip_qkv", "attn_clip_qkv"}},
      {"scales the scores of attention by another number than 1/sqrt(head_dim)",
       {},
       {"attention_multiplier", "attention_scale", "softmax_scale", "attn_softmax_scale"},
       in_use::score_scale},
      {"scales the scores of attention by another number than 1/sqrt(head_dim)",
       {},
       {"query_pre_attn_scalar"},
       in_use::head_dim},
      {"leaves scores unscaled", {true}, {"scale_attn_weights", "scale_qk", "use_attention_scale"}},
      {"scales attention by layer", {false}, {"scale_attn_by_inverse_layer_idx"}},
      {"scales scores with the position",
       {false, 0},
       {"attn_temperature_tuning", "use_logn_attn", "log_scale_attn", "llama_4_scaling_beta"}},
      {"scales embeddings, logits, keys or what blocks add",
       {1, false},
       {"embedding_multiplier",
        "embedding_scale",
        "embed_scale",
        "scale_emb",
        "scale_embedding",
        "scale_embeddings",
        "normalize_embeddings",
        "embedding_multiplier_scale",
        "mup_embeddings_multiplier",
        "mup_embeddings_scale",
        "mup_attn_multiplier",
        "mup_width_multiplier",
        "mup_width_scale",
        "mup_use_scaling",
        "mup_scale_qk_dot_by_d",
        "residual_multiplier",
        "residual_scale",
        "residual_scaling",
        "logits_scaling",
        "logit_scale",
        "logits_scale",
        "output_multiplier",
        "output_multiplier_scale",
        "output_logits_scale",
        "lm_head_multiplier",
        "key_multiplier",
        "attention_in_multiplier",
        "attention_out_multiplier",
        "mlp_multipliers",
        "norm_head",
        "normalize_lm_head",
        "use_mup",
        "mup"}},
      {"scales what blocks add by scale_depth / sqrt(layers)", {}, {"scale_depth"}, depth_scale},
      {"divides logits by hidden_size / dim_model_base", {}, {"dim_model_base"}, hidden},

      {"rotates a part of each head only",
       {1},
       {"partial_rotary_factor", "rotary_pct", "rope_pct", "rotary_percent", "rope_percent", "rope_fraction"}},
      {"rotates a part of each head only", {}, {"rotary_dim", "rotary_ndims", "rotary_emb_dim"}, in_use::head_dim},
      {"sets another base of the rotary embedding",
       {},
       {"rotary_emb_base", "rope_base", "rotary_base", "rope_freq_base", "global_rope_theta", "local_rope_theta",
        "rope_local_base_freq", "rope_global_base_freq", "swa_rope_theta"},
       in_use::rope_theta},
      {"scales rotary frequencies",
       {1, false},
       {"rope_ratio", "rope_scaling_factor", "use_dynamic_ntk", "rotary_scaling_factor", "rotary_emb_scale_base"}},
      {"rotates neighbouring dimensions instead of the two halves of a head",
       {false},
       {"rope_interleaved", "rope_interleave", "rotary_interleaved", "rotary_emb_interleaved"}},
      {"rotates neighbouring dimensions instead of the two halves of a head", {true}, {"is_neox_style"}},
      {"rotates dimensions by several positions", {false}, {"use_mrope", "mrope_section", "use_2d_rope"}},
      {"leaves layers without rotary embedding", {1, true}, {"no_rope_layers", "rope_layers", "use_rope"}},
      {"leaves layers without rotary embedding",
       {0, false},
       {"no_rope_layer_interval", "nope_layer_interval", "nope_layers", "use_nope"}},
      {"places tokens otherwise than by rotary embedding",
       {"rope", "rotary", "Rope", "RoPE", "rotary_embedding"},
       {"position_embedding_type", "pos_emb_type", "position_encoding_type"}},
      {"places tokens otherwise than by rotary embedding",
       {false},
       {"alibi", "use_alibi", "learned_pos_emb", "use_position_embedding", "add_absolute_position_embedding"}},

      {"normalises queries and keys",
       {false},
       {"use_qk_norm", "qk_layernorm", "qk_norm", "use_qk_layernorm", "query_key_norm", "qk_layer_norms"}},
      {"is another norm than RMSNorm",
       {"rmsnorm", "rms_norm", "RMSNorm", "rms", "RMSnorm"},
       {"norm_type", "layernorm_type", "layer_norm_type", "normalization_type", "normalization"}},
      {"adds 1 to the weights of norms",
       {false},
       {"apply_layernorm_1p", "layernorm_zero_centered_gamma", "zero_centered_gamma", "rms_norm_add_unit_offset",
        "add_unit_offset"}},
      {"puts norms elsewhere",
       {false},
       {"use_post_norm", "post_norm", "norm_after", "use_sandwich_norm", "sandwich_norm", "use_peri_ln",
        "apply_residual_connection_post_layernorm", "swin_norm", "layer_norm_scaling"}},
      {"puts norms elsewhere", {true}, {"do_layer_norm_before", "pre_norm", "normalize_before"}},
      {"runs attention and feed-forward side by side",
       {false},
       {"parallel_attn", "use_parallel_residual", "parallel_residual", "parallel_attn_mlp_res", "use_parallel_block",
        "parallel_block"}},

      {"shows each token what comes after it", {true}, {"is_causal", "causal"}},
      {"shows each token what comes after it",
       {false},
       {"bidirectional", "use_bidirectional_attention", "is_prefix_lm", "prefix_lm", "use_bidirectional",
        "is_encoder_decoder"}},
      {"is another rotary embedding than the rope parameters say", {"default"}, {"rope_type"}},
      {"attends to another sequence",
       {false, 0},
       {"cross_attention", "add_cross_attention", "cross_attention_layers", "cross_attention_hidden_size",
        "cross_attn_every_n_layers"}},
      {"limits what tokens see", {false}, {"use_sliding_window"}},
      {"limits what tokens see", {"full_attention"}, {"layer_types"}},
      {"limits what tokens see",
       {0, false},
       {"attention_chunk_size", "sliding_window_pattern", "_sliding_window_pattern", "interleaved_sliding_window",
        "local_attention_window", "global_attn_every_n_layers", "global_attention_layers", "attn_types",
        "attention_types", "sparse_attention", "use_sparse_attention", "sparse_config", "index_topk"}},
      {"lets tokens attend to nothing",
       {false, 0},
       {"use_attention_sinks", "attention_sinks", "num_sink_tokens", "attention_sink_size", "use_attn_sinks",
        "softmax_off_by_one"}},
      {"gates what attention gives",
       {false},
       {"attn_output_gate", "gated_attention", "use_output_gate", "use_gated_attention", "headwise_attn_output_gate",
        "elementwise_attn_output_gate"}},
      {"subtracts attention maps", {false}, {"use_diff_attn", "differential_attention", "use_differential_attention"}},
      {"replaces attention in some layers",
       {1, 0, false},
       {"full_attention_interval", "attn_layer_period", "attn_layer_indices", "hybrid_override_pattern",
        "layers_block_type", "linear_attn_config", "use_mamba"}},
      {"shares keys and values between layers",
       {0, 1, false},
       {"num_kv_shared_layers", "cla_share_factor", "use_cla", "kv_sharing_layers", "attention_k_eq_v"}},
      {"gives heads other shapes", {0}, {"q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim"}},
      {"gives heads another size",
       {},
       {"v_head_dim", "value_head_dim", "kv_channels", "qk_head_dim"},
       in_use::head_dim},
      {"counts key/value heads otherwise", {}, {"num_kv_heads", "n_kv_heads", "n_head_kv", "num_kv"}, kv_heads},
      {"shares one key/value head", {false}, {"multi_query", "multi_query_attention", "use_mqa"}},

      {"chooses among experts",
       {0, false},
       {"num_local_experts", "num_experts", "n_routed_experts", "num_routed_experts", "moe_num_experts",
        "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "first_k_dense_replace",
        "interleave_moe_layer_step", "enable_moe_block", "moe_layers", "mlp_only_layers", "use_moe"}},
      {"is another activation than SiLU with a gate",
       {"silu", "swish", "swiglu", "SwiGLU"},
       {"hidden_activation", "activation", "activation_function", "mlp_activation", "act_fn", "ffn_act", "ffn_act_type",
        "ffn_activation"}},
      {"is another activation than SiLU with a gate",
       {true},
       {"use_gated_mlp", "gated_mlp", "glu", "use_glu", "use_swiglu", "swiglu", "gated_linear_unit"}},
      {"clamps or thins activations",
       {0, false},
       {"swiglu_limit", "activation_sparsity_pattern", "activation_limit", "activation_clip"}},
      {"adds a bias", {false}, {"mlp_bias"}},

      {"gives layers shapes of their own, leaves layers out or repeats them",
       {1, false},
       {"block_configs", "per_layer_config", "layer_sharing", "num_key_value_heads_per_layer",
        "num_attention_heads_per_layer", "ffn_hidden_sizes", "intermediate_sizes", "pruned_heads", "layer_skip",
        "skip_layers", "num_loops", "total_ut_steps", "num_recurrences", "mean_recurrence", "share_layers",
        "num_hidden_groups"}},
  };
  return table;
}

}  // namespace vernier
