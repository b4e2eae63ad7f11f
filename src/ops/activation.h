#pragma once

// Activation functions of feed-forwards, a row each: the kernel of the fused path and its differentiable counterpart.

#include <ATen/core/Tensor.h>

#include <string_view>

#include "ops/arena.h"
#include "vernier/layer_config.h"

namespace vernier {

/// out [rows, n]: act(gate) * up of in [rows, 2n] = gate | up, or act(in) of in [rows, n].
void apply_activation(const FeedForwardConfig& config, const Slab& in, const Slab& out);

/// The same for tensors: `up` is undefined unless the feed-forward is gated.
at::Tensor apply_activation(const FeedForwardConfig& config, const at::Tensor& gate, const at::Tensor& up);

}  // namespace vernier
