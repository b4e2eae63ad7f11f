#pragma once

// A matrix as a source: what is known of it before any gradient.

#include <ATen/core/Tensor.h>

#include "vernier/limit.h"
#include "vernier/tensor_id.h"

namespace vernier {

/// Name, shape and variance. @param weight in any type
DamageSpectrum empty_spectrum(const TensorId& id, const at::Tensor& weight);

}  // namespace vernier
