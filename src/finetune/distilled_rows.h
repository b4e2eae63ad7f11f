#pragma once

// How far a model's answers are from its teacher's, with the gradient worked out: softmax(logits) - softmax(teacher). A chain
// of plain operations would write and read the probabilities of every row half a dozen times, which for a vocabulary is most
// of what a step moves.

#include <ATen/core/Tensor.h>

namespace vernier {

/// KL(teacher || model) of each row in nats, differentiable once, by `logits`. Probabilities in float32 (float64 of float64
/// logits), a few hundred rows at a time; in memory until the gradient: as many numbers as logits, of their type.
/// @shape logits, teacher [..., classes] -> [...]
at::Tensor distilled_rows(const at::Tensor& logits, const at::Tensor& teacher);

}  // namespace vernier
