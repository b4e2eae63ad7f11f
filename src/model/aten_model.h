#pragma once

// The differentiable forward: gradients and Hessian-vector products come from here, and it is the reference that the
// fused forward is tested against.

#include <ATen/core/Tensor.h>

#include "vernier/model.h"

namespace vernier {

/// ids [batch, time] int64 -> logits [batch, time - first_row, vocabulary], in the type of the model's weights.
/// Differentiable with respect to every weight that requires a gradient; on the device of the weights.
/// @throws Error{kInvalidArgument} for ids outside the vocabulary
at::Tensor forward_logits(const Model& model, const at::Tensor& ids, int64_t first_row = 0);

/// Mean negative log-likelihood of ids[:, 1:] in nats per token.
at::Tensor language_model_loss(const Model& model, const at::Tensor& ids);

}  // namespace vernier
