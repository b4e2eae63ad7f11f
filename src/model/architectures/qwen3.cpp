#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

ModelConfig read_qwen3(const ConfigFile& file) {
  // head_dim has a default of its own, whatever hidden / heads is.
  ModelConfig config = read_decoder(file, {.kv_heads = 32, .context_length = 32768, .head_dim = 128});
  read_attention_bias(file, config);
  for (LayerConfig& layer : config.layers) layer.attention.qk_norm = AttentionConfig::QkNorm::kHead;
  read_sliding_windows(file, {.needs_flag = true, .first_layer = 28}, config);
  return config;
}

std::optional<std::string> why_not_qwen3_gguf(const ModelConfig& config) {
  if (!config.layer(0).attention.output_bias) return std::nullopt;
  return "blk.0.attn_output.bias: llama.cpp's qwen3 has no bias there and refuses the file";
}

}  // namespace

const Architecture& qwen3_architecture() {
  static const Architecture row = {
      .name = "qwen3",
      .model_types = {"qwen3"},
      .read_config = read_qwen3,
      .config_keys = {sliding_window_keys(), qk_norm_keys(), {nullptr, {}, {"qk_layer_norms"}}},
      .gguf = "qwen3",
      .read_gguf = read_gguf_decoder,
      .why_not_gguf = why_not_qwen3_gguf,
  };
  return row;
}

}  // namespace vernier
