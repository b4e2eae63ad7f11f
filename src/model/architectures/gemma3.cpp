#include "model/architectures/gemma.h"
#include "model/architectures/rows.h"
#include "model/rope_config.h"

namespace vernier {

namespace {

const GemmaRules kGemma3{
    .name = "gemma3",
    .full_every = 6,
    .depth_otherwise = 62,
    .defaults = {.kv_heads = 4, .context_length = 131072, .head_dim = 256, .rope_theta = 1e6},
};
constexpr double kWindowTheta = 10000;  // of the rotation in layers with a window

void norm_heads(ModelConfig& config) {
  for (LayerConfig& layer : config.layers) layer.attention.qk_norm = AttentionConfig::QkNorm::kHead;
}

ModelConfig read_gemma3(const ConfigFile& file) {
  ModelConfig config = read_gemma(file, rotation_of(file, {.full = true}), kGemma3);
  norm_heads(config);
  if (has_window(config))
    config.window_rope = parse_rope(
        rotation_of(file, {.full = false, .theta = file.positive_number("rope_local_base_freq", kWindowTheta)}),
        config.context_length, file.origin());
  return config;
}

ModelConfig read_gemma3_gguf(const GgufFile& file) {
  ModelConfig config = read_gemma_gguf(file, kGemma3);
  norm_heads(config);
  read_gguf_windows(file, kGemma3.full_every, config);
  if (!has_window(config)) return config;
  constexpr const char* kBase = "gemma3.rope.freq_base_swa";
  config.window_rope.emplace().theta = kWindowTheta;
  if (file.find(kBase) != nullptr)
    config.window_rope->theta = positive(file.get_number(kBase), kBase, "load: " + file.path().string());
  return config;
}

std::optional<std::string> why_not_gemma3_gguf(const ModelConfig& config) {
  if (config.window_rope && config.window_rope->kind != RopeConfig::Kind::kDefault)
    return "the rotation of layers with a window is bent: llama.cpp's gemma3 bends that of the others alone";
  return why_not_gemma_gguf(config, kGemma3);
}

}  // namespace

const Architecture& gemma3_architecture() {
  static const Architecture row = {
      .name = "gemma3",
      .model_types = {"gemma3_text"},
      .read_config = read_gemma3,
      .hugging_face = gemma_norm_names(),
      .config_keys = {sliding_window_keys(),
                      {nullptr,
                       {},
                       {"hidden_activation", "query_pre_attn_scalar", "rope_local_base_freq", "sliding_window_pattern",
                        "_sliding_window_pattern"}}},
      .gguf = "gemma3",
      .read_gguf = read_gemma3_gguf,
      .gguf_keys = {{nullptr, {}, {"attention.sliding_window_pattern", "rope.freq_base_swa"}}},
      .gguf_windows = true,
      .why_not_gguf = why_not_gemma3_gguf,
  };
  return row;
}

}  // namespace vernier
