#pragma once

// A bias that takes off what an error of its matrix adds to the outputs on average.

#include <ATen/core/Tensor.h>

#include "vernier/calibrate.h"

namespace vernier {

/// b - E E[x], E the stored matrix minus the original; `bias` itself where the mean of some parts of the text does not
/// lessen the error on every other.
/// @source Nagel et al. 2019 (arXiv:1906.04721), section 4.2, with means from the text
/// @shape bias [rows], error [rows, cols], both float32
at::Tensor corrected_bias(const at::Tensor& bias, const at::Tensor& error, const InputGrams& grams);

}  // namespace vernier
