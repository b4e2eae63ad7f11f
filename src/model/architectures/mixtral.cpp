#include "model/architectures/decoder.h"
#include "model/architectures/experts.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

using Role = TensorRole;

ModelConfig read_mixtral(const ConfigFile& file) {
  ModelConfig config =
      read_decoder(file, {.kv_heads = 8, .context_length = 131072, .epsilon = 1e-5, .rope_theta = 1e6});
  ExpertsConfig experts;
  experts.count = file.integer_or("num_local_experts", 8, 1, kMaxDimension);
  experts.used = file.integer_or("num_experts_per_tok", 2, 1, kMaxDimension);
  set_experts(experts, file.origin(), config);
  read_sliding_windows(file, {.every_layer = true, .window = 0}, config);
  return config;
}

bool claims_mixtral_gguf(const GgufFile& file) {
  return file.find("llama.expert_count") != nullptr && file.get_int("llama.expert_count", 0, kMaxDimension) > 0;
}

ModelConfig read_mixtral_gguf(const GgufFile& file) {
  ModelConfig config = read_gguf_decoder(file);
  read_gguf_experts(file, /*normalize=*/true, config);
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
