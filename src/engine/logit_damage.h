#pragma once

// How far distributions are from others, row by row in float64, where all logits are there as tensors (ReferenceTile is
// for logits that come in tiles).

#include <ATen/core/Tensor.h>

namespace vernier {

/// [rows], float64: KL in nats, how much more the label surprises, and 1 where both rank the same first.
struct LogitDamage {
  at::Tensor kl, delta_nll, same_top;
};

/// z of the reference, y of the other, float64 [rows, classes]; labels int64 [rows, 1]. KL is made from the differences of
/// the logits, log sum p e^d - sum p d, so that it is exactly 0 where they are.
LogitDamage logit_damage(const at::Tensor& z, const at::Tensor& y, const at::Tensor& labels);

}  // namespace vernier
