#include "model/config.h"

#include <cmath>

#include "base/fail.h"
#include "model/foreign_keys.h"
#include "model/rope_config.h"

namespace vernier {

namespace {

// Far beyond any model; small enough that products of two stay below 2^63.
constexpr int64_t kMaxDimension = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;

int64_t dimension(const Json& json, const char* key, const std::string& origin) {
  return json_int(json, key, origin, 1, kMaxDimension);
}

/// What transformers takes where a key is absent; null is a value of its own there.
struct FamilyDefaults {
  int64_t kv_heads, context_length, sliding_window, max_window_layers;
};

FamilyDefaults defaults_of(const std::string& family, int64_t heads) {
  if (family == "mistral") return {8, 131072, 4096, 0};
  if (family == "qwen2" || family == "qwen3") return {32, 32768, 4096, 28};
  return {heads, 2048, 0, 0};
}

/// The kind of every layer, "full_attention" or "sliding_attention"; empty when the file does not say.
std::vector<std::string> parse_layer_types(const Json& json, int64_t layers, const std::string& origin) {
  const Json* types = json_find(json, "layer_types");
  if (types == nullptr) return {};
  if (!types->is_array() || types->size() != static_cast<size_t>(layers))
    fail(ErrorKind::kBadFile, "{}: layer_types: expected {} entries, got {}", origin, layers,
         types->is_array() ? std::to_string(types->size()) : types->type_name());
  std::vector<std::string> kinds;
  for (const Json& type : *types) {
    const std::string kind = type.is_string() ? type.get<std::string>() : type.dump();
    if (kind != "sliding_attention" && kind != "full_attention")
      fail(ErrorKind::kUnsupported, "{}: layer_types[{}] is {}; supported: full_attention, sliding_attention", origin,
           kinds.size(), kind);
    kinds.push_back(kind);
  }
  return kinds;
}

/// The window of the layers that have one; 0 when none has.
int64_t parse_window(const Json& json, const ModelConfig& config, const std::string& origin) {
  const bool qwen = config.family == "qwen2" || config.family == "qwen3";
  if (qwen && !flag_or(json, "use_sliding_window", false, origin)) return 0;
  if (!qwen && config.family != "mistral") return 0;
  if (!json.contains("sliding_window")) return defaults_of(config.family, config.heads).sliding_window;
  return json["sliding_window"].is_null() ? 0 : json_int(json, "sliding_window", origin, 1, int64_t{1} << 40);
}

std::vector<int64_t> parse_windows(const Json& json, const ModelConfig& config, const std::string& origin) {
  std::vector<int64_t> windows(static_cast<size_t>(config.layers), 0);
  const int64_t window = parse_window(json, config, origin);
  const std::vector<std::string> kinds = parse_layer_types(json, config.layers, origin);
  for (size_t i = 0; i < kinds.size(); ++i) {
    const bool sliding = kinds[i] == "sliding_attention";
    if (sliding && window == 0)
      fail(ErrorKind::kUnsupported,
           "{}: layer_types[{}] is sliding_attention, but no window is in use; set sliding_window{}, or the layer to "
           "full_attention",
           origin, i, config.family == "mistral" ? "" : " and use_sliding_window");
    // transformers gives every layer of a mistral the window and does not look at layer_types.
    if (!sliding && window != 0 && config.family == "mistral")
      fail(ErrorKind::kUnsupported,
           "{}: layer_types[{}] is full_attention, but a mistral with sliding_window {} slides in every layer; set "
           "sliding_window to null, or remove layer_types",
           origin, i, window);
    windows[i] = sliding ? window : 0;
  }
  if (!kinds.empty() || window == 0) return windows;
  const int64_t first = config.family == "mistral" ? 0
                        : json_find(json, "max_window_layers") == nullptr
                            ? defaults_of(config.family, config.heads).max_window_layers
                            : json_int(json, "max_window_layers", origin, 0, kMaxLayers);
  for (int64_t i = first; i < config.layers; ++i) windows[static_cast<size_t>(i)] = window;
  return windows;
}

/// The epsilon under another family's name would be replaced by the default without a word.
double parse_epsilon(const Json& json, const std::string& origin) {
  if (json_find(json, "rms_norm_eps") == nullptr)
    for (const char* other : {"layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "norm_eps", "norm_epsilon"})
      if (const Json* value = json_find(json, other))
        fail(ErrorKind::kUnsupported,
             "{}: key \"{}\" is {} and \"rms_norm_eps\" is missing; rename it if the norms "
             "are RMSNorm",
             origin, other, value->dump());
  return positive(number_or(json, "rms_norm_eps", 1e-6, origin), "rms_norm_eps", origin);
}

std::string parse_family(const Json& json, const std::string& origin) {
  if (json_find(json, "model_type") == nullptr)
    fail(ErrorKind::kBadFile,
         "{}: key \"model_type\" is missing, expected llama, mistral, qwen2 or qwen3; is this the config.json that "
         "transformers wrote with the model?",
         origin);
  const std::string family = json_string(json, "model_type", origin);
  if (family != "llama" && family != "mistral" && family != "qwen2" && family != "qwen3")
    fail(ErrorKind::kUnsupported, "{}: model_type \"{}\"; supported: llama, mistral, qwen2, qwen3", origin, family);
  return family;
}

}  // namespace

bool flag_or(const Json& json, const char* key, bool fallback, const std::string& origin) {
  const Json* value = json_find(json, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected true or false, got {}", origin, key, value->dump());
  return value->get<bool>();
}

double number_or(const Json& json, const char* key, double fallback, const std::string& origin) {
  return json_find(json, key) == nullptr ? fallback : json_number(json, key, origin);
}

double positive(double value, const std::string& key, const std::string& origin) {
  if (!(value > 0) || !std::isfinite(value))
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a positive number, got {}", origin, key, value);
  return value;
}

ModelConfig parse_config(const Json& json, const std::string& origin) {
  if (!json.is_object())
    fail(ErrorKind::kBadFile, "{}: expected a JSON object, got {}; fetch the model's own config.json", origin,
         json.type_name());
  ModelConfig config;
  config.family = parse_family(json, origin);
  const bool llama = config.family == "llama", mistral = config.family == "mistral";
  const bool qwen2 = config.family == "qwen2", qwen3 = config.family == "qwen3";

  config.vocabulary = dimension(json, "vocab_size", origin);
  config.hidden = dimension(json, "hidden_size", origin);
  config.layers = json_int(json, "num_hidden_layers", origin, 1, kMaxLayers);
  config.heads = dimension(json, "num_attention_heads", origin);
  const FamilyDefaults defaults = defaults_of(config.family, config.heads);
  if (json_find(json, "num_key_value_heads") != nullptr)
    config.kv_heads = dimension(json, "num_key_value_heads", origin);
  else
    config.kv_heads = json.contains("num_key_value_heads") ? config.heads : defaults.kv_heads;
  config.intermediate = dimension(json, "intermediate_size", origin);
  config.context_length = json_find(json, "max_position_embeddings") == nullptr
                              ? defaults.context_length
                              : json_int(json, "max_position_embeddings", origin, 1, int64_t{1} << 40);
  if (json_find(json, "head_dim") != nullptr)
    config.head_dim = dimension(json, "head_dim", origin);
  else if (qwen3)
    config.head_dim = 128;  // the family's default, not hidden / heads
  else if (config.hidden % config.heads == 0)
    config.head_dim = config.hidden / config.heads;
  else
    fail(ErrorKind::kBadFile, "{}: hidden_size {} is not divisible by num_attention_heads {} and head_dim is missing",
         origin, config.hidden, config.heads);
  config.norm_epsilon = parse_epsilon(json, origin);
  config.tied_embedding = flag_or(json, "tie_word_embeddings", false, origin);

  const std::string activation =
      json_find(json, "hidden_act") == nullptr ? "silu" : json_string(json, "hidden_act", origin);
  if (activation != "silu" && activation != "swish")
    fail(ErrorKind::kUnsupported, "{}: hidden_act \"{}\"; supported: silu", origin, activation);

  const bool attention_bias = !mistral && flag_or(json, "attention_bias", false, origin);
  config.qkv_bias = qwen2 || attention_bias;  // Qwen2 has no key for it: always there
  config.attn_output_bias = !qwen2 && attention_bias;
  config.ffn_bias = llama && flag_or(json, "mlp_bias", false, origin);
  config.qk_norm = qwen3;
  config.rope = parse_rope(json, config.context_length, origin);
  check_config(config, origin);
  const KeyLookup find = [&](const char* key) { return json_find(json, key); };
  refuse_foreign_keys(foreign_config_keys(), find, config, origin);
  config.sliding_window = parse_windows(json, config, origin);
  return config;
}

void check_config(const ModelConfig& config, const std::string& origin) {
  if (config.heads % config.kv_heads != 0)
    fail(ErrorKind::kBadFile, "{}: {} attention heads are not divisible by {} key/value heads", origin, config.heads,
         config.kv_heads);
  if (config.head_dim % 2 != 0)
    fail(ErrorKind::kBadFile, "{}: head_dim {}: expected an even number, rotary embedding pairs dimensions", origin,
         config.head_dim);
  if (config.heads * config.head_dim > kMaxDimension)
    fail(ErrorKind::kBadFile, "{}: {} heads of {} dimensions: expected at most {} in all", origin, config.heads,
         config.head_dim, kMaxDimension);
}

std::string hugging_face_name(const TensorId& id) {
  const auto in_layer = [&](const char* part) { return fmt::format("model.layers.{}.{}", id.layer, part); };
  switch (id.role) {
    case TensorRole::kTokenEmbedding: return "model.embed_tokens.weight";
    case TensorRole::kAttnNorm: return in_layer("input_layernorm.weight");
    case TensorRole::kAttnQ: return in_layer("self_attn.q_proj.weight");
    case TensorRole::kAttnQBias: return in_layer("self_attn.q_proj.bias");
    case TensorRole::kAttnQNorm: return in_layer("self_attn.q_norm.weight");
    case TensorRole::kAttnK: return in_layer("self_attn.k_proj.weight");
    case TensorRole::kAttnKBias: return in_layer("self_attn.k_proj.bias");
    case TensorRole::kAttnKNorm: return in_layer("self_attn.k_norm.weight");
    case TensorRole::kAttnV: return in_layer("self_attn.v_proj.weight");
    case TensorRole::kAttnVBias: return in_layer("self_attn.v_proj.bias");
    case TensorRole::kAttnOutput: return in_layer("self_attn.o_proj.weight");
    case TensorRole::kAttnOutputBias: return in_layer("self_attn.o_proj.bias");
    case TensorRole::kFfnNorm: return in_layer("post_attention_layernorm.weight");
    case TensorRole::kFfnGate: return in_layer("mlp.gate_proj.weight");
    case TensorRole::kFfnGateBias: return in_layer("mlp.gate_proj.bias");
    case TensorRole::kFfnUp: return in_layer("mlp.up_proj.weight");
    case TensorRole::kFfnUpBias: return in_layer("mlp.up_proj.bias");
    case TensorRole::kFfnDown: return in_layer("mlp.down_proj.weight");
    case TensorRole::kFfnDownBias: return in_layer("mlp.down_proj.bias");
    case TensorRole::kOutputNorm: return "model.norm.weight";
    case TensorRole::kOutput: return "lm_head.weight";
  }
  fail(ErrorKind::kInternal, "tensor role {}", static_cast<int>(id.role));
}

}  // namespace vernier
