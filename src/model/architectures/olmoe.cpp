#include "base/fail.h"
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
  read_attention_bias(file, config);
  norm_all_heads(config);
  const ExpertsConfig experts = read_experts(file, 64, 8);
  if (experts.count == 0) fail(ErrorKind::kBadFile, "{}: num_experts: expected at least 1, got 0", file.origin());
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
      .config_keys = {{nullptr, {}, {"num_experts", "num_local_experts"}}, qk_norm_keys()},
      .gguf = "olmoe",
      .read_gguf = read_olmoe_gguf,
      .gguf_keys = {{nullptr, {}, {"expert_count"}}},
      .why_not_gguf = why_not_olmoe_gguf,
  };
  return row;
}

}  // namespace vernier
