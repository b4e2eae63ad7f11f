#include "model/architectures/decoder.h"

#include "base/fail.h"
#include "model/rope_config.h"

namespace vernier {

namespace {

/// The epsilon under another family's name would be replaced by the default without a word.
double read_epsilon(const ConfigFile& file, double fallback) {
  if (file.find("rms_norm_eps") == nullptr)
    for (const char* other : {"layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "norm_eps", "norm_epsilon"})
      if (const Json* value = file.find(other))
        fail(ErrorKind::kUnsupported,
             "{}: key \"{}\" is {} and \"rms_norm_eps\" is missing; rename it if the norms "
             "are RMSNorm",
             file.origin(), other, value->dump());
  return file.positive_number("rms_norm_eps", fallback);
}

int64_t read_head_dim(const ConfigFile& file, int64_t hidden, int64_t heads, int64_t fallback) {
  if (file.find("head_dim") != nullptr) return file.dimension("head_dim");
  if (fallback > 0) return fallback;
  return head_dim_of(file.origin(), hidden, heads);
}

}  // namespace

int64_t head_dim_of(const std::string& origin, int64_t hidden, int64_t heads) {
  if (hidden % heads != 0)
    fail(ErrorKind::kBadFile, "{}: {} channels are not divisible by {} attention heads and head_dim is missing", origin,
         hidden, heads);
  return hidden / heads;
}

Activation read_activation(const ConfigFile& file, const char* key, const char* fallback) {
  struct Name {
    const char* name;
    Activation activation;
  };
  static constexpr Name kNames[] = {{"silu", Activation::kSilu},          {"swish", Activation::kSilu},
                                    {"gelu", Activation::kGelu},          {"gelu_new", Activation::kGeluTanh},
                                    {"gelu_tanh", Activation::kGeluTanh}, {"gelu_pytorch_tanh", Activation::kGeluTanh},
                                    {"relu", Activation::kRelu},          {"quick_gelu", Activation::kQuickGelu}};
  const std::string name = file.text(key, fallback);
  std::string known;
  for (const Name& row : kNames) {
    if (name == row.name) return row.activation;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  fail(ErrorKind::kUnsupported, "{}: {} \"{}\"; supported: {}", file.origin(), key, name, known);
}

void read_attention_bias(const ConfigFile& file, ModelConfig& config) {
  const bool bias = file.flag("attention_bias", false);
  for (LayerConfig& layer : config.layers) layer.attention.qkv_bias = layer.attention.output_bias = bias;
}

ForeignKeys qk_norm_keys() {
  return {"leaves queries and keys without their norm",
          {true},
          {"use_qk_norm", "qk_layernorm", "qk_norm", "use_qk_layernorm", "query_key_norm"}};
}

ModelConfig read_decoder(const ConfigFile& file, const DecoderDefaults& defaults) {
  ModelConfig config;
  config.vocabulary = file.dimension("vocab_size");
  config.hidden = file.dimension("hidden_size");
  const int64_t depth = file.integer("num_hidden_layers", 1, kMaxLayers);
  LayerConfig layer;
  AttentionConfig& attention = layer.attention;
  attention.heads = file.dimension("num_attention_heads");
  attention.kv_heads = attention.heads;
  if (file.find("num_key_value_heads") != nullptr)
    attention.kv_heads = file.dimension("num_key_value_heads");
  else if (!file.contains("num_key_value_heads") && defaults.kv_heads > 0)
    attention.kv_heads = defaults.kv_heads;
  layer.feed_forward.intermediate = file.dimension("intermediate_size");
  config.context_length = file.integer_or("max_position_embeddings", defaults.context_length, 1, kMaxContext);
  attention.head_dim = read_head_dim(file, config.hidden, attention.heads, defaults.head_dim);
  layer.norm.epsilon = read_epsilon(file, defaults.epsilon);
  config.output_norm = layer.norm;
  config.tied_embedding = file.flag("tie_word_embeddings", false);
  if (const std::string act = file.text("hidden_act", "silu"); act != "silu" && act != "swish")
    fail(ErrorKind::kUnsupported, "{}: hidden_act \"{}\"; supported: silu", file.origin(), act);
  config.rope = parse_rope(file.json(), config.context_length, file.origin(), defaults.rope_theta);
  config.layers.assign(static_cast<size_t>(depth), layer);
  return config;
}

}  // namespace vernier
