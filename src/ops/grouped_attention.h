#pragma once

// Attention in plain operations: all heads at once, or those of one key/value head after the other, whose scores are made
// again for the gradient. Scores are what takes the memory where a layer of a long sequence is differentiated.

#include <ATen/core/Tensor.h>

#include "vernier/layer_config.h"

namespace vernier {

/// Which positions queries at `first` ... do not see, bool [time - first, time]; undefined where they see all.
at::Tensor hidden_positions(const AttentionConfig& config, int64_t time, const at::Device& device, int64_t first = 0);

/// Shares of the positions, [batch, heads, queries, time]. @shape q [batch, heads, queries, width], k [batch, heads, time,
/// width] or with one head for all; `hidden` as above; `sinks` [heads] or undefined
at::Tensor attention_weights(const AttentionConfig& config, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& hidden, const at::Tensor& sinks);

/// softmax(q kᵀ) v, differentiable once, by q, k and v. In memory: q, k, v and what comes out, and the scores of the query
/// heads of one key/value head.
/// @shape q [batch, heads, time, width]; k, v [batch, kv_heads, time, width]; out as q. `config` must outlive the gradient.
at::Tensor attention_by_group(const AttentionConfig& config, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const at::Tensor& sinks);

/// softmax(q kᵀ) v of the last tokens alone, without gradients.
/// @shape q [batch, heads, last, width]; k, v [batch, kv_heads, time, width]; out as q
at::Tensor attention_of_last(const AttentionConfig& config, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& v, const at::Tensor& sinks);

}  // namespace vernier
