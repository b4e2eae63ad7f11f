#include "base/fail.h"
#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

using Role = TensorRole;

constexpr int64_t kMostExperts = 1 << 18;  // of all layers; a tensor is expected for each of their matrices

void set_experts(ModelConfig& config, int64_t count, int64_t used, const std::string& origin) {
  if (count > kMostExperts / static_cast<int64_t>(config.layers.size()))
    fail(ErrorKind::kBadFile, "{}: {} layers of {} experts: expected at most {} experts in all", origin,
         config.layers.size(), count, kMostExperts);
  for (LayerConfig& layer : config.layers) {
    layer.feed_forward.experts.count = count;
    layer.feed_forward.experts.used = used;
  }
}

ModelConfig read_mixtral(const ConfigFile& file) {
  ModelConfig config =
      read_decoder(file, {.kv_heads = 8, .context_length = 131072, .epsilon = 1e-5, .rope_theta = 1e6});
  set_experts(config, file.integer_or("num_local_experts", 8, 1, kMaxDimension),
              file.integer_or("num_experts_per_tok", 2, 1, kMaxDimension), file.origin());
  read_sliding_windows(file, {.every_layer = true, .window = 0}, config);
  return config;
}

bool claims_mixtral_gguf(const GgufFile& file) {
  return file.find("llama.expert_count") != nullptr && file.get_int("llama.expert_count", 0, kMaxDimension) > 0;
}

ModelConfig read_mixtral_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  set_experts(config, file.get_int("llama.expert_count", 1, kMaxDimension),
              file.get_int("llama.expert_used_count", 1, kMaxDimension), file.path().string());
  return config;
}

}  // namespace

// llama.cpp calls it llama, with experts.
const Architecture& mixtral_architecture() {
  static const Architecture row = {
      .name = "mixtral",
      .model_types = {"mixtral"},
      .read_config = read_mixtral,
      .hugging_face = {{Role::kRouter, "model.layers.{layer}.block_sparse_moe.gate.weight"},
                       {Role::kFfnGate, "model.layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight", true},
                       {Role::kFfnUp, "model.layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight", true},
                       {Role::kFfnDown, "model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight", true}},
      .config_keys = {sliding_window_keys(), {nullptr, {}, {"num_local_experts"}}},
      .gguf = "llama",
      .claims_gguf = claims_mixtral_gguf,
      .read_gguf = read_mixtral_gguf,
      .gguf_keys = {{nullptr, {}, {"expert_count"}}},
      .interleaved_rope = true,
      .rope_factors = true,
  };
  return row;
}

}  // namespace vernier
