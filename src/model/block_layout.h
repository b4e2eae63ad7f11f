#pragma once

// Which tensors make up the parts of a block, once for every set of operations.

#include <vector>

#include "ops/block.h"
#include "vernier/tensor_id.h"

namespace vernier {

/// Calls fn(part, ids) for every product of the block: the matrices whose outputs lie side by side in it.
template <class Linear, class Norm, class Fn>
void for_each_product(BlockWeights<Linear, Norm>& block, Fn&& fn) {
  using Role = TensorRole;
  const FeedForwardConfig& config = block.config.feed_forward;
  const int layer = block.layer;
  const auto feed_forward = [&](FeedForwardWeights<Linear>& part, Role gate, Role up, Role down, int expert) {
    std::vector<TensorId> in{{up, layer, expert}};
    if (config.gated) in.insert(in.begin(), {gate, layer, expert});
    fn(part.in, in);
    fn(part.down, std::vector<TensorId>{{down, layer, expert}});
  };
  fn(block.qkv, std::vector<TensorId>{{Role::kAttnQ, layer}, {Role::kAttnK, layer}, {Role::kAttnV, layer}});
  fn(block.attn_output, std::vector<TensorId>{{Role::kAttnOutput, layer}});
  if (config.experts.count == 0) feed_forward(block.ffn, Role::kFfnGate, Role::kFfnUp, Role::kFfnDown, -1);
  if (config.experts.count > 0) fn(block.router, std::vector<TensorId>{{Role::kRouter, layer}});
  block.experts.resize(static_cast<size_t>(config.experts.count));
  for (size_t e = 0; e < block.experts.size(); ++e)
    feed_forward(block.experts[e], Role::kFfnGate, Role::kFfnUp, Role::kFfnDown, static_cast<int>(e));
  if (config.experts.shared_intermediate > 0)
    feed_forward(block.shared, Role::kSharedGate, Role::kSharedUp, Role::kSharedDown, -1);
  if (config.experts.shared_switch) fn(block.shared_switch, std::vector<TensorId>{{Role::kSharedSwitch, layer}});
}

/// Calls fn(norm, id) for every norm on the stream.
template <class Linear, class Norm, class Fn>
void for_each_norm(BlockWeights<Linear, Norm>& block, Fn&& fn) {
  using Role = TensorRole;
  if (block.config.pre_norm) fn(block.attn_norm, TensorId{Role::kAttnNorm, block.layer});
  if (block.config.post_norm) fn(block.attn_post_norm, TensorId{Role::kAttnPostNorm, block.layer});
  if (block.config.pre_norm && !(block.config.parallel && block.config.shared_norm))
    fn(block.ffn_norm, TensorId{Role::kFfnNorm, block.layer});
  if (block.config.post_norm) fn(block.ffn_post_norm, TensorId{Role::kFfnPostNorm, block.layer});
}

}  // namespace vernier
