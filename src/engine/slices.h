#pragma once

// The weights of a perturbed component inside the whole matrix.

#include "engine/engine.h"

namespace vernier {

/// The model's matrix with those of `slices` that are its own taken from `changed`; `changed` itself where a slice is
/// the whole matrix. float32 [rows, cols]
at::Tensor with_slices(const Model& model, const std::vector<WeightSlice>& slices, const TensorId& id,
                       const WeightSource& changed);

}  // namespace vernier
