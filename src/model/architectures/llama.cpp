#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

ModelConfig read(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {});
  const bool attention_bias = file.flag("attention_bias", false), mlp_bias = file.flag("mlp_bias", false);
  for (LayerConfig& layer : config.layers) {
    layer.attention.qkv_bias = layer.attention.output_bias = attention_bias;
    layer.feed_forward.bias = mlp_bias;
  }
  return config;
}

}  // namespace

const Architecture& llama_architecture() {
  static const Architecture row = {
      .name = "llama",
      .model_types = {"llama"},
      .read_config = read,
      .config_keys = {{nullptr, {}, {"mlp_bias"}}},
      .gguf = "llama",
      .read_gguf = read_gguf_decoder,
      .interleaved_rope = true,
      .rope_factors = true,
  };
  return row;
}

}  // namespace vernier
