#include "model/architectures/decoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

using Role = TensorRole;

ModelConfig read_phi3(const ConfigFile& file) {
  ModelConfig config = read_decoder(file, {.context_length = 4096, .epsilon = 1e-5});
  read_sliding_windows(file, {.every_layer = true, .window = 0}, config);
  return config;
}

}  // namespace

// Queries, keys and values are the rows of one matrix, and so are gate and up.
const Architecture& phi3_architecture() {
  static const Architecture row = {
      .name = "phi3",
      .model_types = {"phi3"},
      .read_config = read_phi3,
      .hugging_face = {{Role::kAttnQ, "model.layers.{layer}.self_attn.qkv_proj.weight"},
                       {Role::kAttnK, "model.layers.{layer}.self_attn.qkv_proj.weight"},
                       {Role::kAttnV, "model.layers.{layer}.self_attn.qkv_proj.weight"},
                       {Role::kFfnGate, "model.layers.{layer}.mlp.gate_up_proj.weight"},
                       {Role::kFfnUp, "model.layers.{layer}.mlp.gate_up_proj.weight"}},
      .config_keys = {sliding_window_keys()},
      .gguf = "phi3",
      .read_gguf = read_gguf_decoder,
      .gguf_names = {{Role::kAttnQ, "blk.{layer}.attn_qkv.weight"},
                     {Role::kAttnK, "blk.{layer}.attn_qkv.weight"},
                     {Role::kAttnV, "blk.{layer}.attn_qkv.weight"},
                     {Role::kFfnGate, "blk.{layer}.ffn_up.weight"},
                     {Role::kFfnUp, "blk.{layer}.ffn_up.weight"}},
  };
  return row;
}

}  // namespace vernier
