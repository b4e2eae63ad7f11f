#pragma once

// A control for quantization: noise of the same power, which has none of its structure.

#include <cstdint>

#include "vernier/model.h"

namespace vernier {

/// `original` with Gaussian noise on every matrix whose values differ in `quantized`: of the mean square of that matrix'
/// differences. @throws Error{kInvalidArgument} for models of other tensors @cost float32 copies of these matrices
Model with_matched_noise(const Model& original, const Model& quantized, uint64_t seed);

/// Whether they have the same tensors.
bool same_tensors(const Model& a, const Model& b);

}  // namespace vernier
