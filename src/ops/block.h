#pragma once

// One layer's weights in the layout of some set of operations, with the description that says how they are used.

#include <ATen/core/Tensor.h>

#include <vector>

#include "vernier/activation_grid.h"
#include "vernier/layer_config.h"

namespace vernier {

template <class Linear>
struct FeedForwardWeights {
  Linear in;    ///< gate and up side by side, or up alone
  Linear down;  ///< [hidden, intermediate]
};

/// What the attention of a layer keeps of its tokens.
struct BlockCache {
  CacheFormat keys, values;
};

template <class Linear, class Norm>
struct BlockWeights {
  int layer = 0;
  LayerConfig config;
  Norm attn_norm, attn_post_norm, ffn_norm, ffn_post_norm;
  at::Tensor q_norm, k_norm;  ///< [head_dim] or [all heads], undefined where there is none
  at::Tensor sinks;           ///< [heads]
  BlockCache cache;
  Linear qkv, attn_output;
  FeedForwardWeights<Linear> ffn;  ///< of a dense layer
  Linear router;
  std::vector<FeedForwardWeights<Linear>> experts;
  FeedForwardWeights<Linear> shared;
  Linear shared_switch;
};

}  // namespace vernier
