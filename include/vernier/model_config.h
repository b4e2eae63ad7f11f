#pragma once

// The shape of a model as numbers: what config.json or a GGUF header says, and the tensors that follow from it.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "vernier/component.h"

namespace vernier {

/// Rotary position embedding: frequencies theta^(-2i/head_dim), then bent for contexts beyond the trained one.
struct RopeConfig {
  enum class Kind { kDefault, kLinear, kLlama3, kYarn, kFactors };
  Kind kind = Kind::kDefault;
  double theta = 10000;
  double factor = 1;             ///< context extension
  int64_t original_context = 0;  ///< llama3, yarn: the trained context
  double low_freq_factor = 1;    ///< llama3
  double high_freq_factor = 4;   ///< llama3
  double beta_fast = 32;         ///< yarn: rotations at which a frequency is kept
  double beta_slow = 1;          ///< yarn: rotations at which it is interpolated
  bool truncate = true;          ///< yarn: round the ramp's ends to whole dimensions
  std::vector<float> factors;    ///< kFactors: divisor of each pair's frequency [head_dim / 2], as GGUF stores llama3's
  double attention_factor = 1;   ///< yarn: scale of cos and sin, already derived when the file leaves it out
};

struct ModelConfig {
  std::string family;  ///< llama, mistral, qwen2, qwen3
  int64_t vocabulary = 0;
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate = 0;
  int64_t context_length = 0;
  double norm_epsilon = 1e-6;
  RopeConfig rope;
  std::vector<int64_t> sliding_window;  ///< per layer; 0: every earlier position is seen
  bool tied_embedding = false;          ///< the output matrix is the embedding
  bool qkv_bias = false;
  bool attn_output_bias = false;
  bool ffn_bias = false;
  bool qk_norm = false;  ///< RMS norm of each query and key head before the rotation
};

/// Shape every tensor of this configuration must have; a Model whose tensors differ is refused by the loaders.
std::vector<int64_t> expected_shape(const ModelConfig& config, TensorRole role);
/// The tensors a model of this configuration consists of.
std::vector<TensorId> expected_tensors(const ModelConfig& config);

/// All components of these kinds, in the order they are measured.
std::vector<Component> components_of(const ModelConfig& config, const std::set<ComponentKind>& kinds);

}  // namespace vernier
