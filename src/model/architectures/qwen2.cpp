#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

ModelConfig read_qwen2(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.kv_heads = 32, .context_length = 32768});
  for (LayerConfig& layer : config.layers) layer.attention.qkv_bias = true;  // no key says so: it is always there
  read_sliding_windows(file, {.needs_flag = true, .first_layer = 28}, config);
  return config;
}

}  // namespace

const Architecture& qwen2_architecture() {
  static const Architecture row = {
      .name = "qwen2",
      .model_types = {"qwen2"},
      .read_config = read_qwen2,
      .config_keys = {sliding_window_keys()},
      .gguf = "qwen2",
      .read_gguf = read_gguf_decoder,
  };
  return row;
}

}  // namespace vernier
