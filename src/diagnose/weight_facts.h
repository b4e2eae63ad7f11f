#pragma once

// What a matrix tells about itself without a forward pass.

#include <ATen/core/Tensor.h>

#include <vector>

#include "vernier/diagnose.h"

namespace vernier {

/// weight, quantized [rows, cols]; importance empty or [cols] (mean square of the inputs).
WeightFacts weight_facts(const TensorId& tensor, const at::Tensor& weight, const at::Tensor& quantized,
                         const std::vector<float>& importance);

/// Sum over entries of importance_j (quantized - weight)^2: the error power that reaches the output. Without importance
/// every column counts 1.
double weighted_error_power(const at::Tensor& weight, const at::Tensor& quantized,
                            const std::vector<float>& importance);

}  // namespace vernier
