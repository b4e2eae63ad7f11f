#pragma once

// A layer as data: the description that the forward pass follows, whatever the family.

#include <cstdint>
#include <vector>

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

struct NormConfig {
  enum class Kind { kRms, kLayer };
  Kind kind = Kind::kRms;
  double epsilon = 1e-6;
  bool bias = false;
};

/// Softmax attention with grouped queries.
struct AttentionConfig {
  /// RMS norm of queries and keys before the rotation: of each head on its own, or of all heads together.
  enum class QkNorm { kNone, kHead, kAllHeads };

  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  bool qkv_bias = false;
  bool output_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  bool rotary = true;   ///< queries and keys are rotated as ModelConfig::rope says
  bool causal = true;   ///< no token sees what comes after it
  int64_t window = 0;   ///< positions that a token sees, itself included; 0: every earlier one
  double scale = 0;     ///< of scores; 0: 1 / sqrt(head_dim)
  double soft_cap = 0;  ///< scores become cap * tanh(score / cap); 0: they stay
  bool sinks = false;   ///< every query also attends to nothing, with a learned score per head

  int64_t query_columns() const { return heads * head_dim; }
  int64_t kv_columns() const { return kv_heads * head_dim; }
  int64_t queries_per_kv() const { return heads / kv_heads; }
};

enum class Activation {
  kSilu,
  kGelu,
  kGeluTanh,
  kRelu,
  kQuickGelu,  ///< x sigmoid(1.702 x)
};

/// Which experts a token takes and how much of each.
struct ExpertsConfig {
  int64_t count = 0;  ///< 0: one dense feed-forward
  int64_t used = 0;   ///< per token
  /// Weights are the softmax over all experts, of those used divided by their sum; otherwise they are left as they are.
  bool normalize = true;
  int64_t shared_intermediate = 0;  ///< of an expert that every token passes; 0: none
  bool shared_switch = false;       ///< its output times sigmoid(shared_switch x)
};

struct FeedForwardConfig {
  bool gated = true;  ///< down(act(gate x) * up x), otherwise down(act(up x))
  Activation activation = Activation::kSilu;
  int64_t intermediate = 0;  ///< of each expert where there are several
  bool bias = false;
  ExpertsConfig experts;
};

struct LayerConfig {
  NormConfig norm;
  bool pre_norm = true;    ///< attention and feed-forward read the normed stream
  bool post_norm = false;  ///< what they add is normed
  AttentionConfig attention;
  FeedForwardConfig feed_forward;
  bool parallel = false;     ///< the feed-forward reads the same stream as attention
  bool shared_norm = false;  ///< and, where it is parallel, the same normed stream
};

}  // namespace vernier
