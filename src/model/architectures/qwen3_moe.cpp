#include "model/architectures/decoder.h"
#include "model/architectures/experts.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

ModelConfig read_qwen3_moe(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.kv_heads = 4, .context_length = 32768});
  read_attention_bias(file, config);
  for (LayerConfig& layer : config.layers) layer.attention.qk_norm = AttentionConfig::QkNorm::kHead;
  read_sparse_layers(file, {.count = 128, .used = 8, .intermediate = 768}, config);
  read_sliding_windows(file, {.needs_flag = true, .every_layer = true}, config);
  return config;
}

ModelConfig read_qwen3_moe_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  read_gguf_experts(file, /*normalize=*/true, config);
  return config;
}

std::optional<std::string> why_not_qwen3_moe_gguf(const ModelConfig& config) {
  if (config.layer(0).attention.output_bias)
    return "blk.0.attn_output.bias: llama.cpp's qwen3moe has no bias there and refuses the file";
  return why_not_gguf_experts(config, /*normalize=*/true);
}

}  // namespace

const Architecture& qwen3_moe_architecture() {
  static const Architecture row = {
      .name = "qwen3_moe",
      .model_types = {"qwen3_moe"},
      .read_config = read_qwen3_moe,
      .config_keys = {sliding_window_keys(), expert_keys(), qk_norm_keys()},
      .gguf = "qwen3moe",
      .read_gguf = read_qwen3_moe_gguf,
      .gguf_keys = {{nullptr, {}, {"expert_count"}}},
      .why_not_gguf = why_not_qwen3_moe_gguf,
  };
  return row;
}

}  // namespace vernier
