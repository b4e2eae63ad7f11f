#pragma once

// softmax(q kᵀ) v by the tensor library's own kernel, in bfloat16: no scores in memory, forwards and backwards.

#include <ATen/core/Tensor.h>

namespace vernier {

/// From libtorch 2.1 on.
bool has_attention_kernel();

/// @shape q, k, v and out [batch, heads, time, width]; out bfloat16. `scale`: 0 for 1 / sqrt(width)
/// On a GPU gradients are summed in any order: not the same bits every time.
/// @throws Error{kInternal} unless has_attention_kernel()
at::Tensor attention_by_kernel(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                               double scale);

}  // namespace vernier
