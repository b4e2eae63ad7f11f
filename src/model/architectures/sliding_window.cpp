#include <algorithm>

#include "base/fail.h"
#include "base/json.h"
#include "model/architectures/decoder.h"

namespace vernier {

namespace {

/// The kind of every layer, "full_attention" or "sliding_attention"; empty when the file does not say.
std::vector<std::string> read_layer_types(const ConfigFile& file, size_t layers) {
  const Json* types = file.find("layer_types");
  if (types == nullptr) return {};
  if (!types->is_array() || types->size() != layers)
    fail(ErrorKind::kBadFile, "{}: layer_types: expected {} entries, got {}", file.origin(), layers,
         types->is_array() ? std::to_string(types->size()) : types->type_name());
  std::vector<std::string> kinds;
  for (const Json& type : *types) {
    const std::string kind = type.is_string() ? type.get<std::string>() : type.dump();
    if (kind != "sliding_attention" && kind != "full_attention")
      fail(ErrorKind::kUnsupported, "{}: layer_types[{}] is {}; supported: full_attention, sliding_attention",
           file.origin(), kinds.size(), kind);
    kinds.push_back(kind);
  }
  return kinds;
}

/// The window of the layers that have one; 0 when none has.
int64_t read_window(const ConfigFile& file, const SlidingRule& rule) {
  if (rule.needs_flag && !file.flag("use_sliding_window", false)) return 0;
  if (!file.contains("sliding_window")) return rule.window;
  return file.find("sliding_window") == nullptr ? 0 : file.integer("sliding_window", 1, kMaxContext);
}

/// In all layers but every `full_every`-th.
void slide_but_every(int64_t full_every, int64_t window, ModelConfig& config) {
  for (int i = 0; i < config.depth(); ++i)
    config.layers[static_cast<size_t>(i)].attention.window = (i + 1) % full_every == 0 ? 0 : window;
}

}  // namespace

void read_sliding_windows(const ConfigFile& file, const SlidingRule& rule, ModelConfig& config) {
  const int64_t window = read_window(file, rule);
  const std::vector<std::string> kinds = read_layer_types(file, config.layers.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    const bool sliding = kinds[i] == "sliding_attention";
    if (sliding && window == 0)
      fail(ErrorKind::kUnsupported,
           "{}: layer_types[{}] is sliding_attention, but no window is in use; set sliding_window{}, or the layer to "
           "full_attention",
           file.origin(), i, rule.needs_flag ? " and use_sliding_window" : "");
    if (!sliding && window != 0 && rule.every_layer)
      fail(ErrorKind::kUnsupported,
           "{}: layer_types[{}] is full_attention, but a {} with sliding_window {} slides in every layer; set "
           "sliding_window to null, or remove layer_types",
           file.origin(), i, file.text("model_type"), window);
    config.layers[i].attention.window = sliding ? window : 0;
  }
  if (!kinds.empty() || window == 0) return;
  if (rule.full_every > 0) {
    const char* key =
        file.find("sliding_window_pattern") != nullptr ? "sliding_window_pattern" : "_sliding_window_pattern";
    slide_but_every(file.integer_or(key, rule.full_every, 1, kMaxLayers), window, config);
    return;
  }
  const int64_t first = rule.every_layer ? 0 : file.integer_or("max_window_layers", rule.first_layer, 0, kMaxLayers);
  for (int64_t i = first; i < config.depth(); ++i) config.layers[static_cast<size_t>(i)].attention.window = window;
}

void read_gguf_windows(const GgufFile& file, int64_t full_every, ModelConfig& config, int64_t fallback) {
  const std::string prefix = file.get_string("general.architecture") + ".attention.sliding_window";
  const int64_t window = file.find(prefix) == nullptr ? fallback : file.get_int(prefix, 0, kMaxContext);
  if (window == 0) return;
  const std::string pattern = prefix + "_pattern";
  const GgufValue* value = file.find(pattern);
  const auto* slides = value == nullptr ? nullptr : std::get_if<std::vector<bool>>(value);
  if (slides == nullptr) {
    slide_but_every(value == nullptr ? full_every : file.get_int(pattern, 1, kMaxLayers), window, config);
    return;
  }
  if (slides->size() != config.layers.size())
    fail(ErrorKind::kBadFile, "load: {}: {}: expected {} entries, one per layer, got {}", file.path().string(), pattern,
         config.depth(), slides->size());
  for (size_t i = 0; i < slides->size(); ++i) config.layers[i].attention.window = (*slides)[i] ? window : 0;
}

bool has_window(const ModelConfig& config) {
  return std::any_of(config.layers.begin(), config.layers.end(),
                     [](const LayerConfig& layer) { return layer.attention.window > 0; });
}

std::optional<std::string> why_not_gguf_windows(const ModelConfig& config, int64_t full_every,
                                                std::string_view architecture) {
  if (!has_window(config)) return std::nullopt;
  const int64_t first = config.layer(0).attention.window;
  for (int layer = 0; layer < config.depth(); ++layer) {
    const int64_t own = config.layer(layer).attention.window;
    if ((layer + 1) % full_every == 0 ? own != 0 : own == 0 || own != first)
      return fmt::format(
          "layer {} has a window of {} (0: none): llama.cpp's {} has one window in all layers but every {}", layer, own,
          architecture, full_every == 2 ? std::string("second") : fmt::format("{}th", full_every));
  }
  return std::nullopt;
}

Json rotation_of(const ConfigFile& file, const RotationOf& of) {
  Json config = file.json();
  const Json* parameters = file.find("rope_parameters");
  const Json* own =
      parameters == nullptr ? nullptr : json_find(*parameters, of.full ? "full_attention" : "sliding_attention");
  if (own == nullptr && of.full) return config;
  for (const char* key : {"rope_theta", "rope_scaling", "rope_parameters"}) config.erase(key);
  if (own != nullptr)
    config["rope_parameters"] = *own;
  else
    config["rope_theta"] = of.theta;
  return config;
}

ForeignKeys sliding_window_keys() { return {nullptr, {}, {"use_sliding_window", "layer_types"}}; }

}  // namespace vernier
