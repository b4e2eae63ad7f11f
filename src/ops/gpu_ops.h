#pragma once

// What training in bfloat16 does on a GPU in one pass over memory (gpu_kernels.h), with its gradient, once
// differentiable. Each says what it takes; others ask by `takes_...` and go on with plain operations where it is false: on
// the CPU, in other types, and in builds without CUDA (gpu_ops_none.cpp).

#include <ATen/core/Tensor.h>

#include <utility>

#include "ops/gpu_kernels.h"
#include "vernier/layer_config.h"

namespace vernier::gpu {

bool takes_norm(const at::Tensor& x, const at::Tensor& weight);
/// Root mean square norm of rows in float32. @return bfloat16, as the products that read it would round it
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

struct TurnedHeads {
  at::Tensor q, k, v;  ///< [texts, heads, time, width], keys and values once for each query head that reads them
};
bool takes_heads(const AttentionConfig& config, const at::Tensor& qkv);
/// @shape qkv: bfloat16 [texts, time, (heads + 2 kv_heads) width]; cos, sin: float32 [time, width]
TurnedHeads turned_heads(const AttentionConfig& config, const at::Tensor& qkv, const at::Tensor& cos,
                         const at::Tensor& sin);

bool takes_gate(const FeedForwardConfig& config, const at::Tensor& gate, const at::Tensor& up);
/// silu(gate) * up, in bfloat16 with one rounding.
at::Tensor gated_silu(const at::Tensor& gate, const at::Tensor& up);

bool takes_logits(const at::Tensor& logits);
/// KL(teacher || own) in nats of each row, float32, and the gradient by `own` for a weight of 1 (undefined unless
/// `learns`). @shape own, teacher: bfloat16 [rows, classes]
std::pair<at::Tensor, at::Tensor> distilled_rows(const at::Tensor& own, const at::Tensor& teacher, bool learns);
/// rows *= factors in place. @shape factors: float32 [rows]
void scale_rows(const at::Tensor& rows, const at::Tensor& factors);

/// `ids` with those `drawn` taken from the answers at the place before: the class at which the running sum of shares
/// reaches `until`. @shape ids, drawn, until: [texts, time]; logits: bfloat16 [texts, time, classes]
at::Tensor drawn_tokens(const at::Tensor& ids, const at::Tensor& logits, const at::Tensor& drawn,
                        const at::Tensor& until);

/// A step of AdamW in one pass (src/finetune/adamw.h), in place. All float32 and in sequence.
struct AdamWTensors {
  at::Tensor value, first, second, gradient;
  at::Tensor widths = {};  ///< undefined: 1
  at::Tensor factor = {};  ///< of the gradient, one number on the device; undefined: 1
};
bool takes_step(const at::Tensor& value);
void adamw_step(const AdamWTensors& tensors, const AdamWRates& rates);

}  // namespace vernier::gpu
