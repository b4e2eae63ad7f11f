#pragma once

// How much rounding may change a loss to first order: half a step in every weight, in the worst direction, changes it by
// half a step times the sum of the gradient's magnitudes (arXiv 2002.07520, equation 4). What is trained with that sum as
// a penalty is hurt less when it is rounded later.

#include <ATen/core/Tensor.h>

#include <vector>

namespace vernier {

/// Sum of |d loss / d weight| over all weights, itself differentiable. The paper adds the same of activations, and scales
/// by tensor; here all weights count alike.
/// @cost what comes back must be differentiated through both passes: about three times a step
at::Tensor gradient_l1(const at::Tensor& loss, const std::vector<at::Tensor>& weights);

}  // namespace vernier
