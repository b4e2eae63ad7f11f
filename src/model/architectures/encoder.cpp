#include "model/architectures/encoder.h"

#include "base/fail.h"
#include "model/architectures/decoder.h"

namespace vernier {

namespace {

/// The side of a square: a number, or two equal ones.
int64_t read_side(const ConfigFile& file, const char* key, int64_t fallback) {
  const Json* value = file.find(key);
  if (value == nullptr || !value->is_array()) return file.integer_or(key, fallback, 1, kMaxDimension);
  if (value->size() != 2 || (*value)[0] != (*value)[1])
    fail(ErrorKind::kUnsupported, "{}: {} is {}; supported: squares, as one number", file.origin(), key, value->dump());
  const Json side = {{key, (*value)[0]}};
  return ConfigFile(side, file.origin()).dimension(key);
}

}  // namespace

ModelConfig read_encoder(const ConfigFile& file, const EncoderDefaults& defaults) {
  const auto dimension = [&](const char* key, int64_t fallback) {
    return file.integer_or(key, fallback, 1, kMaxDimension);
  };
  ModelConfig config;
  config.hidden = dimension("hidden_size", defaults.hidden);
  LayerConfig layer;
  layer.norm = {NormConfig::Kind::kLayer, file.positive_number("layer_norm_eps", defaults.epsilon), /*bias=*/true};
  layer.attention.heads = layer.attention.kv_heads = dimension("num_attention_heads", defaults.heads);
  layer.attention.head_dim = head_dim_of(file.origin(), config.hidden, layer.attention.heads);
  layer.attention.qkv_bias = layer.attention.output_bias = true;
  layer.attention.rotary = layer.attention.causal = false;
  layer.feed_forward.gated = false;
  layer.feed_forward.activation = read_activation(file, "hidden_act", defaults.activation);
  layer.feed_forward.intermediate = dimension("intermediate_size", defaults.intermediate);
  layer.feed_forward.bias = true;
  config.output_norm = layer.norm;
  config.layers.assign(static_cast<size_t>(file.integer_or("num_hidden_layers", defaults.layers, 1, kMaxLayers)),
                       layer);
  return config;
}

void read_patches(const ConfigFile& file, const EncoderDefaults& defaults, bool distillation_token,
                  ModelConfig& config) {
  PatchConfig& patches = config.patches;
  patches.image_size = read_side(file, "image_size", defaults.image_size);
  patches.patch_size = read_side(file, "patch_size", defaults.patch_size);
  patches.channels = file.integer_or("num_channels", 3, 1, kMaxDimension);
  patches.distillation_token = distillation_token;
  if (patches.patch_size > patches.image_size)
    fail(ErrorKind::kBadFile, "{}: patch_size {}: expected at most image_size, {}", file.origin(), patches.patch_size,
         patches.image_size);
  constexpr int64_t kMaxSide = 1 << 15;  // the pixels of an image can be counted
  if (patches.image_size > kMaxSide || patches.channels > kMaxSide)
    fail(ErrorKind::kBadFile, "{}: images of {} channels of {} x {} pixels: expected at most {} of each", file.origin(),
         patches.channels, patches.image_size, patches.image_size, kMaxSide);
  config.positions = config.context_length = patches.rows();
}

std::vector<int64_t> convolution_shape(const ModelConfig& config, const std::vector<int64_t>& shape) {
  const PatchConfig& patches = config.patches;
  return {shape[0], patches.channels, patches.patch_size, patches.patch_size};
}

std::vector<int64_t> batch_of_one(const ModelConfig&, const std::vector<int64_t>& shape) {
  std::vector<int64_t> stored = shape;
  stored.insert(stored.begin(), shape.size() == 1 ? 2 : 1, 1);
  return stored;
}

std::vector<int64_t> scalar_shape(const ModelConfig&, const std::vector<int64_t>&) { return {}; }

}  // namespace vernier
