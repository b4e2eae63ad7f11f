#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

using Role = TensorRole;

LayerConfig gpt2_layer(int64_t heads, int64_t head_dim, int64_t intermediate, double epsilon, Activation activation) {
  LayerConfig layer;
  layer.norm = {NormConfig::Kind::kLayer, epsilon, /*bias=*/true};
  layer.attention.heads = layer.attention.kv_heads = heads;
  layer.attention.head_dim = head_dim;
  layer.attention.qkv_bias = layer.attention.output_bias = true;
  layer.attention.rotary = false;
  layer.feed_forward.gated = false;
  layer.feed_forward.activation = activation;
  layer.feed_forward.intermediate = intermediate;
  layer.feed_forward.bias = true;
  return layer;
}

ModelConfig read_gpt2(const ConfigFile& file) {
  ModelConfig config;
  config.vocabulary = file.dimension("vocab_size");
  config.hidden = file.dimension("n_embd");
  config.context_length = config.positions = file.integer_or("n_positions", 1024, 1, kMaxDimension);
  config.tied_embedding = file.flag("tie_word_embeddings", true);
  const int64_t heads = file.dimension("n_head");
  const int64_t intermediate = file.integer_or("n_inner", 4 * config.hidden, 1, kMaxDimension);
  const LayerConfig layer = gpt2_layer(heads, head_dim_of(file.origin(), config.hidden, heads), intermediate,
                                       file.positive_number("layer_norm_epsilon", 1e-5),
                                       read_activation(file, "activation_function", "gelu_new"));
  config.output_norm = layer.norm;
  config.layers.assign(static_cast<size_t>(file.integer("n_layer", 1, kMaxLayers)), layer);
  return config;
}

ModelConfig read_gpt2_gguf(const GgufFile& file) {
  const std::string origin = "load: " + file.path().string();
  const auto dimension = [&](const char* part) { return file.get_int(std::string("gpt2.") + part, 1, kMaxDimension); };
  ModelConfig config;
  config.vocabulary = gguf_vocabulary(file);
  config.hidden = dimension("embedding_length");
  config.context_length = config.positions = dimension("context_length");
  config.tied_embedding = file.find_tensor("output.weight") == nullptr;
  const int64_t heads = dimension("attention.head_count");
  const LayerConfig layer = gpt2_layer(
      heads, head_dim_of(origin, config.hidden, heads), dimension("feed_forward_length"),
      positive(file.get_number("gpt2.attention.layer_norm_epsilon"), "gpt2.attention.layer_norm_epsilon", origin),
      Activation::kGeluTanh);
  config.output_norm = layer.norm;
  config.layers.assign(static_cast<size_t>(file.get_int("gpt2.block_count", 1, kMaxLayers)), layer);
  return config;
}

std::optional<std::string> why_not_gpt2_gguf(const ModelConfig& config) {
  if (config.layer(0).feed_forward.activation == Activation::kGeluTanh) return std::nullopt;
  return "the activation is not gelu_new, which llama.cpp's gpt2 always takes";
}

}  // namespace

// Matrices are stored [in, out], as Conv1D.
const Architecture& gpt2_architecture() {
  static const Architecture row = {
      .name = "gpt2",
      .model_types = {"gpt2"},
      .read_config = read_gpt2,
      .body = "transformer.",
      .hugging_face = {{Role::kTokenEmbedding, "transformer.wte.weight"},
                       {Role::kPositionEmbedding, "transformer.wpe.weight"},
                       {Role::kAttnNorm, "transformer.h.{layer}.ln_1.weight"},
                       {Role::kAttnNormBias, "transformer.h.{layer}.ln_1.bias"},
                       {Role::kAttnQ, "transformer.h.{layer}.attn.c_attn.weight", false, true},
                       {Role::kAttnK, "transformer.h.{layer}.attn.c_attn.weight", false, true},
                       {Role::kAttnV, "transformer.h.{layer}.attn.c_attn.weight", false, true},
                       {Role::kAttnQBias, "transformer.h.{layer}.attn.c_attn.bias"},
                       {Role::kAttnKBias, "transformer.h.{layer}.attn.c_attn.bias"},
                       {Role::kAttnVBias, "transformer.h.{layer}.attn.c_attn.bias"},
                       {Role::kAttnOutput, "transformer.h.{layer}.attn.c_proj.weight", false, true},
                       {Role::kAttnOutputBias, "transformer.h.{layer}.attn.c_proj.bias"},
                       {Role::kFfnNorm, "transformer.h.{layer}.ln_2.weight"},
                       {Role::kFfnNormBias, "transformer.h.{layer}.ln_2.bias"},
                       {Role::kFfnUp, "transformer.h.{layer}.mlp.c_fc.weight", false, true},
                       {Role::kFfnUpBias, "transformer.h.{layer}.mlp.c_fc.bias"},
                       {Role::kFfnDown, "transformer.h.{layer}.mlp.c_proj.weight", false, true},
                       {Role::kFfnDownBias, "transformer.h.{layer}.mlp.c_proj.bias"},
                       {Role::kOutputNorm, "transformer.ln_f.weight"},
                       {Role::kOutputNormBias, "transformer.ln_f.bias"}},
      .unread = {".attn.bias", ".attn.masked_bias"},  // the causal mask, which old files store
      .config_keys = {{nullptr, {}, {"activation_function"}}},
      .gguf = "gpt2",
      .read_gguf = read_gpt2_gguf,
      .gguf_names = {{Role::kAttnQ, "blk.{layer}.attn_qkv.weight"},
                     {Role::kAttnK, "blk.{layer}.attn_qkv.weight"},
                     {Role::kAttnV, "blk.{layer}.attn_qkv.weight"},
                     {Role::kAttnQBias, "blk.{layer}.attn_qkv.bias"},
                     {Role::kAttnKBias, "blk.{layer}.attn_qkv.bias"},
                     {Role::kAttnVBias, "blk.{layer}.attn_qkv.bias"}},
      .why_not_gguf = why_not_gpt2_gguf,
  };
  return row;
}

}  // namespace vernier
