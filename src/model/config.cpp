#include "model/config.h"

#include <cmath>

#include "base/fail.h"

namespace vernier {

namespace {

// Far beyond any model; small enough that products of two stay below 2^63.
constexpr int64_t kMaxDimension = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;

int64_t dimension(const Json& json, const char* key, const std::string& origin) {
  return json_int(json, key, origin, 1, kMaxDimension);
}

bool flag(const Json& json, const char* key, bool fallback, const std::string& origin) {
  const Json* value = json_find(json, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected true or false, got {}", origin, key, value->dump());
  return value->get<bool>();
}

double number_or(const Json& json, const char* key, double fallback, const std::string& origin) {
  return json_find(json, key) == nullptr ? fallback : json_number(json, key, origin);
}

double yarn_magnitude(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

void parse_yarn(RopeConfig& rope, const Json& source, const std::string& origin) {
  rope.beta_fast = positive(number_or(source, "beta_fast", 32, origin), "beta_fast", origin);
  rope.beta_slow = positive(number_or(source, "beta_slow", 1, origin), "beta_slow", origin);
  rope.truncate = flag(source, "truncate", true, origin);
  // arXiv:2309.00071, section 3.4; DeepSeek's mscale pair replaces the constant 0.1 ln(s) + 1.
  const double mscale = number_or(source, "mscale", 0, origin);
  const double mscale_all_dim = number_or(source, "mscale_all_dim", 0, origin);
  const double derived = mscale != 0 && mscale_all_dim != 0
                             ? yarn_magnitude(rope.factor, mscale) / yarn_magnitude(rope.factor, mscale_all_dim)
                             : yarn_magnitude(rope.factor, 1);
  rope.attention_factor = positive(number_or(source, "attention_factor", derived, origin), "attention_factor", origin);
}

RopeConfig parse_rope(const Json& json, int64_t context_length, const std::string& origin) {
  RopeConfig rope;
  // New files keep everything in rope_parameters; old ones have rope_theta outside and the rest in rope_scaling.
  const Json* parameters = json_find(json, "rope_parameters");
  const Json* source = parameters != nullptr ? parameters : json_find(json, "rope_scaling");
  const Json& theta_home =
      parameters != nullptr && json_find(*parameters, "rope_theta") != nullptr ? *parameters : json;
  rope.theta = positive(number_or(theta_home, "rope_theta", 10000, origin), "rope_theta", origin);
  if (source == nullptr) return rope;
  if (!source->is_object()) fail(ErrorKind::kBadFile, "{}: rope parameters: expected an object", origin);

  const char* type_key = json_find(*source, "rope_type") != nullptr ? "rope_type" : "type";
  const std::string type = json_find(*source, type_key) != nullptr ? json_string(*source, type_key, origin) : "default";
  if (type == "default") return rope;
  if (type != "linear" && type != "llama3" && type != "yarn")
    fail(ErrorKind::kUnsupported, "{}: rope type \"{}\"; supported: default, linear, llama3, yarn", origin, type);

  rope.factor = positive(json_number(*source, "factor", origin), "factor", origin);
  if (type == "linear") {
    rope.kind = RopeConfig::Kind::kLinear;
    return rope;
  }
  rope.original_context = json_find(*source, "original_max_position_embeddings") != nullptr
                              ? json_int(*source, "original_max_position_embeddings", origin, 1, int64_t{1} << 40)
                              : context_length;
  if (type == "llama3") {
    rope.kind = RopeConfig::Kind::kLlama3;
    rope.low_freq_factor = positive(json_number(*source, "low_freq_factor", origin), "low_freq_factor", origin);
    rope.high_freq_factor = positive(json_number(*source, "high_freq_factor", origin), "high_freq_factor", origin);
    if (rope.high_freq_factor <= rope.low_freq_factor)
      fail(ErrorKind::kBadFile, "{}: rope: expected high_freq_factor > low_freq_factor, got {} and {}", origin,
           rope.high_freq_factor, rope.low_freq_factor);
  } else {
    rope.kind = RopeConfig::Kind::kYarn;
    parse_yarn(rope, *source, origin);
  }
  return rope;
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

std::vector<int64_t> parse_windows(const Json& json, const ModelConfig& config, const std::string& origin) {
  std::vector<int64_t> windows(static_cast<size_t>(config.layers), 0);
  const bool qwen = config.family == "qwen2" || config.family == "qwen3";
  if (qwen && !flag(json, "use_sliding_window", false, origin)) return windows;
  if (!qwen && config.family != "mistral") return windows;
  const FamilyDefaults defaults = defaults_of(config.family, config.heads);
  if (json.contains("sliding_window") && json["sliding_window"].is_null()) return windows;
  const int64_t window = json.contains("sliding_window") ? json_int(json, "sliding_window", origin, 1, int64_t{1} << 40)
                                                         : defaults.sliding_window;

  if (const Json* types = json_find(json, "layer_types")) {
    if (!types->is_array() || types->size() != windows.size())
      fail(ErrorKind::kBadFile, "{}: layer_types: expected {} entries", origin, config.layers);
    for (size_t i = 0; i < windows.size(); ++i) {
      const std::string type = (*types)[i].is_string() ? (*types)[i].get<std::string>() : (*types)[i].dump();
      if (type != "sliding_attention" && type != "full_attention")
        fail(ErrorKind::kUnsupported, "{}: layer_types[{}] = {}; supported: full_attention, sliding_attention", origin,
             i, type);
      windows[i] = type == "sliding_attention" ? window : 0;
    }
    return windows;
  }
  const int64_t first = qwen ? json_find(json, "max_window_layers") == nullptr
                                   ? defaults.max_window_layers
                                   : json_int(json, "max_window_layers", origin, 0, kMaxLayers)
                             : 0;
  for (int64_t i = first; i < config.layers; ++i) windows[static_cast<size_t>(i)] = window;
  return windows;
}

}  // namespace

double positive(double value, const std::string& key, const std::string& origin) {
  if (!(value > 0) || !std::isfinite(value))
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a positive number, got {}", origin, key, value);
  return value;
}

ModelConfig parse_config(const Json& json, const std::string& origin) {
  if (!json.is_object()) fail(ErrorKind::kBadFile, "{}: expected a JSON object, got {}", origin, json.type_name());
  ModelConfig config;
  config.family = json_string(json, "model_type", origin);
  const bool llama = config.family == "llama", mistral = config.family == "mistral";
  const bool qwen2 = config.family == "qwen2", qwen3 = config.family == "qwen3";
  if (!llama && !mistral && !qwen2 && !qwen3)
    fail(ErrorKind::kUnsupported, "{}: model_type \"{}\"; supported: llama, mistral, qwen2, qwen3", origin,
         config.family);

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
  config.norm_epsilon = positive(number_or(json, "rms_norm_eps", 1e-6, origin), "rms_norm_eps", origin);
  config.tied_embedding = flag(json, "tie_word_embeddings", false, origin);

  const std::string activation =
      json_find(json, "hidden_act") == nullptr ? "silu" : json_string(json, "hidden_act", origin);
  if (activation != "silu" && activation != "swish")
    fail(ErrorKind::kUnsupported, "{}: hidden_act \"{}\"; supported: silu", origin, activation);

  const bool attention_bias = !mistral && flag(json, "attention_bias", false, origin);
  config.qkv_bias = qwen2 || attention_bias;  // Qwen2 has no key for it: always there
  config.attn_output_bias = !qwen2 && attention_bias;
  config.ffn_bias = llama && flag(json, "mlp_bias", false, origin);
  config.qk_norm = qwen3;
  config.rope = parse_rope(json, config.context_length, origin);
  check_config(config, origin);
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
