#include <fmt/format.h>

#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

/// RMS norms of what attention and the feed-forward add, none of what they read, and one over all heads of queries and
/// one over all of keys.
void place_norms(ModelConfig& config) {
  for (LayerConfig& layer : config.layers) {
    layer.pre_norm = false;
    layer.post_norm = true;
    layer.attention.qk_norm = AttentionConfig::QkNorm::kAllHeads;
  }
}

ModelConfig read_olmo2(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.epsilon = 1e-5});
  const bool bias = file.flag("attention_bias", false);
  for (LayerConfig& layer : config.layers) layer.attention.qkv_bias = layer.attention.output_bias = bias;
  place_norms(config);
  return config;
}

ModelConfig read_olmo2_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  place_norms(config);
  return config;
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

}  // namespace

const Architecture& olmo2_architecture() {
  static const Architecture row = {
      .name = "olmo2",
      .model_types = {"olmo2"},
      .read_config = read_olmo2,
      .config_keys = {{"leaves queries and keys without their norm",
                       {true},
                       {"use_qk_norm", "qk_layernorm", "qk_norm", "use_qk_layernorm", "query_key_norm"}},
                      {"leaves out the norms after attention and feed-forward",
                       {true},
                       {"use_post_norm", "post_norm", "norm_after"}},
                      {"norms what attention and feed-forward read",
                       {false},
                       {"do_layer_norm_before", "pre_norm", "normalize_before"}}},
      .gguf = "olmo2",
      .read_gguf = read_olmo2_gguf,
      // llama.cpp reads Olmo3 under the same name: with a window, in which it also rotates otherwise.
      .gguf_keys = {{"limits what tokens see in some layers", {0}, {"attention.sliding_window"}}},
      .why_not_gguf = why_not_olmo2_gguf,
  };
  return row;
}

}  // namespace vernier
