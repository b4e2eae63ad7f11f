#include <fmt/format.h>

#include "base/fail.h"
#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

constexpr int64_t kUnrotatedEvery = 4;  // what both transformers and llama.cpp take where nothing is said

/// Every so manieth layer places its tokens by what comes before them alone.
void rotate_all_but(int64_t every, ModelConfig& config) {
  for (int64_t i = 0; i < config.depth(); ++i)
    config.layers[static_cast<size_t>(i)].attention.rotary = (i + 1) % every != 0;
}

/// A list of 1 (rotated) and 0 (not), a layer each, or how often one is not.
void read_rotated_layers(const ConfigFile& file, ModelConfig& config) {
  const Json* list = file.find("no_rope_layers");
  if (list == nullptr)
    return rotate_all_but(file.integer_or("no_rope_layer_interval", kUnrotatedEvery, 1, kMaxLayers), config);
  if (!list->is_array() || list->size() < config.layers.size())
    fail(ErrorKind::kBadFile, "{}: no_rope_layers: expected {} numbers, one per layer", file.origin(), config.depth());
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const Json& rotated = (*list)[i];
    if (rotated != 0 && rotated != 1)
      fail(ErrorKind::kBadFile, "{}: no_rope_layers[{}]: expected 0 or 1, got {}", file.origin(), i, rotated.dump());
    config.layers[i].attention.rotary = rotated == 1;
  }
}

ModelConfig read_smollm3(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.kv_heads = 4, .context_length = 32768, .rope_theta = 2e6});
  config.tied_embedding = file.flag("tie_word_embeddings", true);
  read_attention_bias(file, config);
  const bool feed_forward_bias = file.flag("mlp_bias", false);
  for (LayerConfig& layer : config.layers) layer.feed_forward.bias = feed_forward_bias;
  read_rotated_layers(file, config);
  if (file.flag("use_sliding_window", false) && file.find("layer_types") == nullptr)
    fail(ErrorKind::kUnsupported, "{}: use_sliding_window without layer_types; list which layers have a window",
         file.origin());
  read_sliding_windows(file, {.needs_flag = true, .window = 0}, config);
  return config;
}

ModelConfig read_smollm3_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  rotate_all_but(kUnrotatedEvery, config);
  return config;
}

std::optional<std::string> why_not_smollm3_gguf(const ModelConfig& config) {
  if (config.layer(0).attention.output_bias) return "blk.0.attn_output.bias: llama.cpp's smollm3 adds no biases";
  if (config.layer(0).feed_forward.bias) return "blk.0.ffn_down.bias: llama.cpp's smollm3 adds no biases";
  for (int i = 0; i < config.depth(); ++i)
    if (config.layer(i).attention.rotary != ((i + 1) % kUnrotatedEvery != 0))
      return fmt::format("layer {} is {}: llama.cpp's smollm3 rotates all layers but every fourth", i,
                         config.layer(i).attention.rotary ? "rotated" : "not rotated");
  return std::nullopt;
}

}  // namespace

const Architecture& smollm3_architecture() {
  static const Architecture row = {
      .name = "smollm3",
      .model_types = {"smollm3"},
      .read_config = read_smollm3,
      .config_keys = {sliding_window_keys(), {nullptr, {}, {"no_rope_layers", "no_rope_layer_interval", "mlp_bias"}}},
      .gguf = "smollm3",
      .read_gguf = read_smollm3_gguf,
      .interleaved_rope = true,
      .why_not_gguf = why_not_smollm3_gguf,
  };
  return row;
}

}  // namespace vernier
