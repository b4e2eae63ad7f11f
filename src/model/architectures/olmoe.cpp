#include <fmt/format.h>

#include "model/architectures/decoder.h"
#include "model/architectures/experts.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

/// One RMS norm over all heads of queries and one over all of keys.
void norm_all_heads(ModelConfig& config) {
  for (LayerConfig& layer : config.layers) layer.attention.qk_norm = AttentionConfig::QkNorm::kAllHeads;
}

ModelConfig read_olmoe(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.context_length = 4096, .epsilon = 1e-5});
  const bool bias = file.flag("attention_bias", false);
  for (LayerConfig& layer : config.layers) layer.attention.qkv_bias = layer.attention.output_bias = bias;
  norm_all_heads(config);
  const char* count_key = file.find("num_experts") != nullptr ? "num_experts" : "num_local_experts";
  ExpertsConfig experts;
  experts.count = file.integer_or(count_key, 64, 1, kMaxDimension);
  experts.used = file.integer_or("num_experts_per_tok", 8, 1, experts.count);
  experts.normalize = file.flag("norm_topk_prob", false);
  set_experts(experts, file.origin(), config);
  return config;
}

ModelConfig read_olmoe_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  norm_all_heads(config);
  read_gguf_experts(file, /*normalize=*/false, config);
  return config;
}

std::optional<std::string> why_not_olmoe_gguf(const ModelConfig& config) {
  const AttentionConfig& attention = config.layer(0).attention;
  if (attention.output_bias) return "blk.0.attn_output.bias: llama.cpp's olmoe adds no biases";
  if (config.tied_embedding)
    return "output.weight: llama.cpp's olmoe requires it and refuses a file with tied embeddings";
  if (attention.query_columns() != config.hidden || attention.kv_heads != attention.heads)
    return fmt::format(
        "{} heads and {} key/value heads of {}: llama.cpp's olmoe takes as many of each, of embedding_length / heads, "
        "{} / {}",
        attention.heads, attention.kv_heads, attention.head_dim, config.hidden, attention.heads);
  return why_not_gguf_experts(config, /*normalize=*/false);
}

}  // namespace

const Architecture& olmoe_architecture() {
  static const Architecture row = {
      .name = "olmoe",
      .model_types = {"olmoe"},
      .read_config = read_olmoe,
      .config_keys = {{nullptr, {}, {"num_experts", "num_local_experts"}},
                      {"leaves queries and keys without their norm",
                       {true},
                       {"use_qk_norm", "qk_layernorm", "qk_norm", "use_qk_layernorm", "query_key_norm"}}},
      .gguf = "olmoe",
      .read_gguf = read_olmoe_gguf,
      .gguf_keys = {{nullptr, {}, {"expert_count"}}},
      .why_not_gguf = why_not_olmoe_gguf,
  };
  return row;
}

}  // namespace vernier
