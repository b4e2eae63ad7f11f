#include "model/architectures/gemma.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

const GemmaRules kGemma2{
    .name = "gemma2",
    .full_every = 2,
    .depth_otherwise = 46,
    .defaults = {.kv_heads = 4, .context_length = 8192, .head_dim = 256},
};
constexpr int64_t kDefaultWindow = 4096;
constexpr double kScoreCap = 50, kLogitCap = 30;  // where a file does not say

void cap(double scores, double logits, ModelConfig& config) {
  config.logit_soft_cap = logits;
  for (LayerConfig& layer : config.layers) layer.attention.soft_cap = scores;
}

/// null: none.
double read_cap(const ConfigFile& file, const char* key, double fallback) {
  if (file.contains(key) && file.find(key) == nullptr) return 0;
  return file.positive_number(key, fallback);
}

ModelConfig read_gemma2(const ConfigFile& file) {
  ModelConfig config = read_gemma(file, file.json(), kGemma2);
  cap(read_cap(file, "attn_logit_softcapping", kScoreCap), read_cap(file, "final_logit_softcapping", kLogitCap),
      config);
  return config;
}

ModelConfig read_gemma2_gguf(const GgufFile& file) {
  ModelConfig config = read_gemma_gguf(file, kGemma2);
  const auto number = [&](const std::string& key, double fallback) {
    if (file.find(key) == nullptr) return fallback;
    return positive(file.get_number(key), key, "load: " + file.path().string());
  };
  cap(number("gemma2.attn_logit_softcapping", kScoreCap), number("gemma2.final_logit_softcapping", kLogitCap), config);
  read_gguf_windows(file, kGemma2.full_every, config, kDefaultWindow);
  return config;
}

std::optional<std::string> why_not_gemma2_gguf(const ModelConfig& config) {
  if (config.logit_soft_cap <= 0 || config.layer(0).attention.soft_cap <= 0)
    return "scores or logits without a cap: llama.cpp's gemma2 always caps both";
  if (!config.tied_embedding) return "output.weight: llama.cpp's gemma2 always takes the embedding";
  if (!has_window(config)) return "no layer has a window: llama.cpp's gemma2 has one in every second";
  return why_not_gemma_gguf(config, kGemma2);
}

}  // namespace

const Architecture& gemma2_architecture() {
  static const Architecture row = {
      .name = "gemma2",
      .model_types = {"gemma2"},
      .read_config = read_gemma2,
      .hugging_face = gemma_norm_names(),
      .config_keys = {sliding_window_keys(),
                      {nullptr,
                       {},
                       {"hidden_activation", "query_pre_attn_scalar", "attn_logit_softcapping",
                        "final_logit_softcapping"}}},
      .gguf = "gemma2",
      .read_gguf = read_gemma2_gguf,
      .gguf_keys = {{nullptr,
                     {},
                     {"attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window_pattern"}}},
      .gguf_windows = true,
      .why_not_gguf = why_not_gemma2_gguf,
  };
  return row;
}

}  // namespace vernier
