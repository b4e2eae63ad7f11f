#pragma once

#include <ATen/core/Tensor.h>

#include "vernier/model.h"

namespace vernier {

/// Every value, before a model is run and once: kernels assume numbers and would turn a broken model into a harmless one.
/// @throws Error{kBadFile} naming tensor, row and column
void require_finite(const Model& model);
/// Those of one tensor.
void require_finite(const Model& model, const TensorId& id, at::Tensor values);

}  // namespace vernier
