#include "model/architectures/olmo2.h"

#include <fmt/format.h>

#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

void place_olmo2_norms(ModelConfig& config) {
  for (LayerConfig& layer : config.layers) {
    layer.pre_norm = false;
    layer.post_norm = true;
    layer.attention.qk_norm = AttentionConfig::QkNorm::kAllHeads;
  }
}

std::vector<ForeignKeys> olmo2_config_keys(bool windows) {
  std::vector<ForeignKeys> keys = {
      qk_norm_keys(),
      {"leaves out the norms after attention and feed-forward", {true}, {"use_post_norm", "post_norm", "norm_after"}},
      {"norms what attention and feed-forward read",
       {false},
       {"do_layer_norm_before", "pre_norm", "normalize_before"}}};
  if (windows) keys.push_back(sliding_window_keys());
  return keys;
}

std::optional<std::string> why_not_olmo2_gguf(const ModelConfig& config) {
  const AttentionConfig& attention = config.layer(0).attention;
  if (attention.qkv_bias) return "blk.0.attn_q.bias: llama.cpp's olmo2 adds no biases";
  if (config.tied_embedding)
    return "output.weight: llama.cpp's olmo2 requires it and refuses a file with tied embeddings";
  if (attention.query_columns() != config.hidden)
    return fmt::format("attention.key_length is {}: llama.cpp's olmo2 takes embedding_length / heads, {} / {}",
                       attention.head_dim, config.hidden, attention.heads);
  return std::nullopt;
}

namespace {

ModelConfig read_olmo2(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.epsilon = 1e-5});
  read_attention_bias(file, config);
  place_olmo2_norms(config);
  return config;
}

ModelConfig read_olmo2_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  place_olmo2_norms(config);
  return config;
}

}  // namespace

const Architecture& olmo2_architecture() {
  static const Architecture row = {
      .name = "olmo2",
      .model_types = {"olmo2"},
      .read_config = read_olmo2,
      .config_keys = olmo2_config_keys(/*windows=*/false),
      .gguf = "olmo2",
      .read_gguf = read_olmo2_gguf,
      .why_not_gguf = why_not_olmo2_gguf,
  };
  return row;
}

}  // namespace vernier
