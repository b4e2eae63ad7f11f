#include "model/config.h"

#include <fmt/ranges.h>

#include "base/fail.h"
#include "model/architecture.h"

namespace vernier {

ModelConfig parse_config(const Json& json, const std::string& origin) {
  const ConfigFile file(json, origin);
  if (file.find("model_type") == nullptr)
    fail(ErrorKind::kBadFile,
         "{}: key \"model_type\" is missing; is this the config.json that transformers wrote with the model?", origin);
  const Architecture& row = architecture_of_config(file);
  ModelConfig config = row.read_config(file);
  config.family = row.name;
  check_config(config, origin);
  refuse_foreign_config_keys(json, row, config, origin);
  return config;
}

ModelConfig read_gguf_config(const GgufFile& file) {
  const std::string origin = "load: " + file.path().string();
  if (file.find("general.type") != nullptr && file.get_string("general.type") != "model")
    fail(ErrorKind::kUnsupported, "{}: holds \"{}\" (general.type), expected a model; pass the model's own file",
         origin, file.get_string("general.type"));
  const Architecture& row = architecture_of_gguf(file);
  ModelConfig config = row.read_gguf(file);
  config.family = row.name;
  check_config(config, origin);
  refuse_foreign_gguf_keys(file, row, config);
  return config;
}

void check_config(const ModelConfig& config, const std::string& origin) {
  for (const ModelConfig& stack : config.stacks) check_config(stack, origin);
  for (const LayerConfig& layer : config.layers) {
    const AttentionConfig& a = layer.attention;
    if (a.heads % a.kv_heads != 0)
      fail(ErrorKind::kBadFile, "{}: {} attention heads are not divisible by {} key/value heads", origin, a.heads,
           a.kv_heads);
    if (a.rotary && a.head_dim % 2 != 0)
      fail(ErrorKind::kBadFile, "{}: head_dim {}: expected an even number, rotary embedding pairs dimensions", origin,
           a.head_dim);
    if (a.query_columns() > kMaxDimension)
      fail(ErrorKind::kBadFile, "{}: {} heads of {} dimensions: expected at most {} in all", origin, a.heads,
           a.head_dim, kMaxDimension);
    const ExpertsConfig& e = layer.feed_forward.experts;
    if (e.count > 0 && (e.used < 1 || e.used > e.count))
      fail(ErrorKind::kBadFile, "{}: {} experts per token: expected 1 to {}, the number of experts", origin, e.used,
           e.count);
  }
}

}  // namespace vernier
