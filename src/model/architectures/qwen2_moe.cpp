#include "base/fail.h"
#include "model/architectures/decoder.h"
#include "model/architectures/experts.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

ModelConfig read_qwen2_moe(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.kv_heads = 16, .context_length = 32768});
  const bool bias = file.flag("qkv_bias", true);
  for (LayerConfig& layer : config.layers) layer.attention.qkv_bias = bias;
  read_sparse_layers(file, {.count = 60, .used = 4, .intermediate = 1408, .shared_intermediate = 5632}, config);
  if (file.flag("use_sliding_window", false) && file.find("layer_types") == nullptr)
    fail(ErrorKind::kUnsupported,
         "{}: use_sliding_window without layer_types, of which versions of transformers make different layers; list "
         "them",
         file.origin());
  read_sliding_windows(file, {.needs_flag = true}, config);
  return config;
}

ModelConfig read_qwen2_moe_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  read_gguf_experts(file, /*normalize=*/false, config);
  return config;
}

std::optional<std::string> why_not_qwen2_moe_gguf(const ModelConfig& config) {
  const AttentionConfig& attention = config.layer(0).attention;
  if (!attention.qkv_bias) return "blk.0.attn_q.bias: llama.cpp's qwen2moe requires biases";
  if (config.tied_embedding)
    return "output.weight: llama.cpp's qwen2moe requires it and refuses a file with tied embeddings";
  if (attention.query_columns() != config.hidden)
    return fmt::format("attention.key_length is {}: llama.cpp's qwen2moe takes embedding_length / heads, {} / {}",
                       attention.head_dim, config.hidden, attention.heads);
  return why_not_gguf_experts(config, /*normalize=*/false);
}

}  // namespace

const Architecture& qwen2_moe_architecture() {
  static const Architecture row = {
      .name = "qwen2_moe",
      .model_types = {"qwen2_moe"},
      .read_config = read_qwen2_moe,
      .config_keys = {sliding_window_keys(), expert_keys()},
      .gguf = "qwen2moe",
      .read_gguf = read_qwen2_moe_gguf,
      .gguf_keys = {{nullptr, {}, {"expert_count"}}, {"shares otherwise", {0, 1}, {"expert_shared_count"}}},
      .why_not_gguf = why_not_qwen2_moe_gguf,
  };
  return row;
}

}  // namespace vernier
