#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"
#include "model/rope_config.h"

namespace vernier {

namespace {

constexpr int64_t kPattern = 6;         // every so manieth layer sees everything, those between have a window
constexpr double kWindowTheta = 10000;  // of the rotation in these
constexpr int64_t kDepthOtherwise =
    62;  // Gemma 3 27B, whose scores llama.cpp knows by its depth to be scaled otherwise
constexpr const char* kWindowed = "sliding_attention";

/// RMS norms of what attention and the feed-forward read and of what they add, and of each head's queries and keys; the
/// gate by GELU, embeddings times sqrt(hidden), in float32.
void describe(ModelConfig& config) {
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden));
  for (LayerConfig& layer : config.layers) {
    layer.post_norm = true;
    layer.attention.qk_norm = AttentionConfig::QkNorm::kHead;
    layer.feed_forward.activation = Activation::kGeluTanh;
  }
}

bool has_window(const ModelConfig& config) {
  return std::any_of(config.layers.begin(), config.layers.end(),
                     [](const LayerConfig& layer) { return layer.attention.window > 0; });
}

/// The rotation of one kind of layer as a configuration of its own: of transformers 5 one of two sets of parameters, before
/// it those of all the file for layers that see everything, and a base for the others.
Json rotation_of(const ConfigFile& file, const char* kind) {
  Json config = file.json();
  const bool windowed = std::string_view(kind) == kWindowed;
  const Json* parameters = file.find("rope_parameters");
  const Json* own = parameters == nullptr ? nullptr : json_find(*parameters, kind);
  if (own != nullptr) {
    for (const char* key : {"rope_theta", "rope_scaling"}) config.erase(key);
    config["rope_parameters"] = *own;
  } else if (windowed) {
    for (const char* key : {"rope_parameters", "rope_scaling"}) config.erase(key);
    config["rope_theta"] = file.positive_number("rope_local_base_freq", kWindowTheta);
  }
  return config;
}

ModelConfig read_gemma3(const ConfigFile& file) {
  const Json json = rotation_of(file, "full_attention");
  ModelConfig config = read_decoder(ConfigFile(json, file.origin()),
                                    {.kv_heads = 4, .context_length = 131072, .head_dim = 256, .rope_theta = 1e6});
  config.tied_embedding = file.flag("tie_word_embeddings", true);
  describe(config);
  const bool bias = file.flag("attention_bias", false);
  const double scalar = file.positive_number("query_pre_attn_scalar", 256);
  for (LayerConfig& layer : config.layers) {
    layer.feed_forward.activation = read_activation(file, "hidden_activation", "gelu_pytorch_tanh");
    layer.attention.qkv_bias = layer.attention.output_bias = bias;
    if (scalar != static_cast<double>(layer.attention.head_dim)) layer.attention.scale = 1 / std::sqrt(scalar);
  }
  read_sliding_windows(file, {.full_every = kPattern}, config);
  if (has_window(config))
    config.window_rope = parse_rope(rotation_of(file, kWindowed), config.context_length, file.origin());
  return config;
}

ModelConfig read_gemma3_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  describe(config);
  if (config.depth() == kDepthOtherwise)
    for (LayerConfig& layer : config.layers)
      layer.attention.scale = 1 / std::sqrt(static_cast<double>(config.hidden / layer.attention.heads));
  read_gguf_windows(file, kPattern, config);
  if (has_window(config)) {
    config.window_rope.emplace();
    constexpr const char* kBase = "gemma3.rope.freq_base_swa";
    if (file.find(kBase) != nullptr)
      config.window_rope->theta = positive(file.get_number(kBase), kBase, "load: " + file.path().string());
  }
  return config;
}

std::optional<std::string> why_not_gemma3_gguf(const ModelConfig& config) {
  const AttentionConfig& attention = config.layer(0).attention;
  if (attention.output_bias) return "blk.0.attn_output.bias: llama.cpp's gemma3 adds none";
  if (config.layer(0).feed_forward.activation != Activation::kGeluTanh)
    return "the activation: llama.cpp's gemma3 always takes GELU in its tanh form";
  const double assumed = config.depth() == kDepthOtherwise ? static_cast<double>(config.hidden / attention.heads)
                                                           : static_cast<double>(attention.head_dim);
  const double scale = attention.scale > 0 ? attention.scale : 1 / std::sqrt(static_cast<double>(attention.head_dim));
  if (std::abs(scale * std::sqrt(assumed) - 1) > 1e-6)
    return fmt::format("scores are scaled by {}: llama.cpp's gemma3 takes 1/sqrt({}) with {} layers", scale, assumed,
                       config.depth());
  if (!has_window(config)) return std::nullopt;
  if (config.window_rope->kind != RopeConfig::Kind::kDefault)
    return "the rotation of layers with a window is bent: llama.cpp's gemma3 bends that of the others alone";
  const int64_t window = attention.window;
  for (int layer = 0; layer < config.depth(); ++layer) {
    const int64_t expected = (layer + 1) % kPattern == 0 ? 0 : window;
    if (const int64_t own = config.layer(layer).attention.window; own != expected || window == 0)
      return fmt::format(
          "layer {} has a window of {} (0: none): llama.cpp's gemma3 has one window in all layers but "
          "every sixth",
          layer, own);
  }
  return std::nullopt;
}

/// Hugging Face stores the weights of norms less 1.
std::vector<TensorName> hugging_face_names() {
  using Role = TensorRole;
  std::vector<TensorName> names;
  for (const auto& [role, name] :
       std::initializer_list<std::pair<Role, const char*>>{{Role::kAttnNorm, "input_layernorm"},
                                                           {Role::kAttnQNorm, "self_attn.q_norm"},
                                                           {Role::kAttnKNorm, "self_attn.k_norm"},
                                                           {Role::kAttnPostNorm, "post_attention_layernorm"},
                                                           {Role::kFfnNorm, "pre_feedforward_layernorm"},
                                                           {Role::kFfnPostNorm, "post_feedforward_layernorm"}})
    names.push_back({role, fmt::format("model.layers.{{layer}}.{}.weight", name), false, false, nullptr, true});
  names.push_back({Role::kOutputNorm, "model.norm.weight", false, false, nullptr, true});
  return names;
}

}  // namespace

const Architecture& gemma3_architecture() {
  static const Architecture row = {
      .name = "gemma3",
      .model_types = {"gemma3_text"},
      .read_config = read_gemma3,
      .hugging_face = hugging_face_names(),
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
