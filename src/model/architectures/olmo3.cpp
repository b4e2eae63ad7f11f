#include <fmt/format.h>

#include "model/architectures/decoder.h"
#include "model/architectures/olmo2.h"
#include "model/architectures/rows.h"
#include "model/rope_config.h"

namespace vernier {

namespace {

constexpr int64_t kFullEvery = 4;
constexpr double kTheta = 500000;

/// Where a file of before transformers 5 has one theta it is that of all layers, as it was then (transformers 5 gives those
/// with a window the default of the family, which released models have).
ModelConfig read_olmo3(const ConfigFile& file) {
  const double theta = file.positive_number("rope_theta", kTheta);
  ModelConfig config = read_decoder(ConfigFile(rotation_of(file, {.full = true}), file.origin()),
                                    {.epsilon = 1e-5, .rope_theta = kTheta});
  read_attention_bias(file, config);
  place_olmo2_norms(config);
  read_sliding_windows(file, {.full_every = kFullEvery}, config);
  if (has_window(config))
    config.window_rope =
        parse_rope(rotation_of(file, {.full = false, .theta = theta}), config.context_length, file.origin(), kTheta);
  return config;
}

bool claims_olmo3_gguf(const GgufFile& file) {
  constexpr const char* kWindow = "olmo2.attention.sliding_window";
  return file.find(kWindow) != nullptr && file.get_int(kWindow, 0, kMaxContext) > 0;
}

ModelConfig read_olmo3_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  place_olmo2_norms(config);
  read_gguf_windows(file, kFullEvery, config);
  // Neither scaled nor bent where there is a window, whatever the others are.
  constexpr const char* kBase = "olmo2.rope.freq_base_swa";
  config.window_rope.emplace().theta = file.find(kBase) == nullptr
                                           ? config.rope.theta
                                           : positive(file.get_number(kBase), kBase, "load: " + file.path().string());
  return config;
}

std::optional<std::string> why_not_olmo3_gguf(const ModelConfig& config) {
  if (!has_window(config))
    return "no layer has a window: as a file for llama.cpp this is an olmo2; name it so in config.json";
  if (config.window_rope && config.window_rope->kind != RopeConfig::Kind::kDefault)
    return "the rotation of layers with a window is bent: llama.cpp's olmo2 bends that of the others alone";
  // The build that files are checked with knows no other base for them.
  if (config.window_rope && config.window_rope->theta != config.rope.theta)
    return fmt::format("rope_theta of layers with a window is {}, of the others {}: llama.cpp's olmo2 takes one",
                       config.window_rope->theta, config.rope.theta);
  if (const auto reason = why_not_gguf_windows(config, kFullEvery, "olmo2")) return reason;
  return why_not_olmo2_gguf(config);
}

}  // namespace

// llama.cpp calls it olmo2, with a window.
const Architecture& olmo3_architecture() {
  static const Architecture row = {
      .name = "olmo3",
      .model_types = {"olmo3"},
      .read_config = read_olmo3,
      .config_keys = olmo2_config_keys(/*windows=*/true),
      .gguf = "olmo2",
      .claims_gguf = claims_olmo3_gguf,
      .read_gguf = read_olmo3_gguf,
      .gguf_keys = {{nullptr,
                     {},
                     {"attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa"}}},
      .gguf_windows = true,
      .why_not_gguf = why_not_olmo3_gguf,
  };
  return row;
}

}  // namespace vernier
