#pragma once

// A matrix of a model in another scheme. Where its file already stores it in that scheme, its own bytes are kept:
// decoded values encoded again would not give them back, and what is kept costs nothing.

#include <vector>

#include "vernier/model.h"

namespace vernier {

/// Whether `scheme` changes nothing about the matrix because it is stored so already.
bool keeps_stored(const Model& model, const TensorId& id, const Scheme& scheme);

/// The values that it stores then, float32 [rows, cols]. @throws Error{kInvalidArgument} as quantize_values
at::Tensor requantized_values(const Model& model, const TensorId& id, const Scheme& scheme,
                              const std::vector<float>& importance, int threads);

}  // namespace vernier
