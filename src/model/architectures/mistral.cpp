#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

ModelConfig read_mistral(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.kv_heads = 8, .context_length = 131072});
  read_sliding_windows(file, {.every_layer = true}, config);
  return config;
}

}  // namespace

// llama.cpp calls it llama, whose row reads the files.
const Architecture& mistral_architecture() {
  static const Architecture row = {
      .name = "mistral",
      .model_types = {"mistral"},
      .read_config = read_mistral,
      .config_keys = {sliding_window_keys()},
      .gguf = "llama",
      .interleaved_rope = true,
      .rope_factors = true,
  };
  return row;
}

}  // namespace vernier
