#include "model/architectures/gemma.h"

#include <fmt/format.h>

#include <cmath>

namespace vernier {

namespace {

void describe(ModelConfig& config) {
  config.embedding_scale =
      std::sqrt(static_cast<float>(config.hidden));  // in float32, as transformers and llama.cpp do
  for (LayerConfig& layer : config.layers) {
    layer.post_norm = true;
    layer.feed_forward.activation = Activation::kGeluTanh;
  }
}

/// By whose root llama.cpp divides scores.
int64_t score_divisor(const ModelConfig& config, const GemmaRules& rules) {
  const AttentionConfig& attention = config.layer(0).attention;
  return config.depth() == rules.depth_otherwise ? config.hidden / attention.heads : attention.head_dim;
}

void scale_scores(double divisor, ModelConfig& config) {
  for (LayerConfig& layer : config.layers)
    if (divisor != static_cast<double>(layer.attention.head_dim)) layer.attention.scale = 1 / std::sqrt(divisor);
}

}  // namespace

ModelConfig read_gemma(const ConfigFile& file, const Json& json, const GemmaRules& rules) {
  Json decoder = json;
  decoder.erase("hidden_act");  // files have it beside hidden_activation, and only that counts
  ModelConfig config = read_decoder(ConfigFile(decoder, file.origin()), rules.defaults);
  config.tied_embedding = file.flag("tie_word_embeddings", true);
  describe(config);
  const bool bias = file.flag("attention_bias", false);
  for (LayerConfig& layer : config.layers) {
    layer.feed_forward.activation = read_activation(file, "hidden_activation", "gelu_pytorch_tanh");
    layer.attention.qkv_bias = layer.attention.output_bias = bias;
  }
  scale_scores(file.positive_number("query_pre_attn_scalar", 256), config);
  read_sliding_windows(file, {.full_every = rules.full_every}, config);
  return config;
}

ModelConfig read_gemma_gguf(const GgufFile& file, const GemmaRules& rules) {
  ModelConfig config = read_gguf_decoder(file);
  describe(config);
  scale_scores(static_cast<double>(score_divisor(config, rules)), config);
  return config;
}

std::optional<std::string> why_not_gemma_gguf(const ModelConfig& config, const GemmaRules& rules) {
  const AttentionConfig& attention = config.layer(0).attention;
  if (attention.output_bias) return fmt::format("blk.0.attn_output.bias: llama.cpp's {} adds none", rules.name);
  if (config.layer(0).feed_forward.activation != Activation::kGeluTanh)
    return fmt::format("the activation: llama.cpp's {} always takes GELU in its tanh form", rules.name);
  const auto divisor = static_cast<double>(score_divisor(config, rules));
  const double scale = attention.scale > 0 ? attention.scale : 1 / std::sqrt(static_cast<double>(attention.head_dim));
  if (std::abs(scale * std::sqrt(divisor) - 1) > 1e-6)
    return fmt::format("scores are scaled by {}: llama.cpp's {} takes 1/sqrt({}) with {} layers", scale, rules.name,
                       divisor, config.depth());
  return why_not_gguf_windows(config, rules.full_every, rules.name);
}

std::vector<TensorName> gemma_norm_names() {
  using Role = TensorRole;
  struct Norm {
    Role role;
    const char* pattern;
  };
  std::vector<TensorName> names;
  for (const auto& [role, pattern] :
       {Norm{Role::kAttnNorm, "model.layers.{layer}.input_layernorm.weight"},
        Norm{Role::kAttnQNorm, "model.layers.{layer}.self_attn.q_norm.weight"},
        Norm{Role::kAttnKNorm, "model.layers.{layer}.self_attn.k_norm.weight"},
        Norm{Role::kAttnPostNorm, "model.layers.{layer}.post_attention_layernorm.weight"},
        Norm{Role::kFfnNorm, "model.layers.{layer}.pre_feedforward_layernorm.weight"},
        Norm{Role::kFfnPostNorm, "model.layers.{layer}.post_feedforward_layernorm.weight"},
        Norm{Role::kOutputNorm, "model.norm.weight"}}) {
    names.push_back({role, pattern});
    names.back().less_one = true;
  }
  return names;
}

}  // namespace vernier
