#pragma once

// What a matrix was before somebody rounded it, where a search had folded scales into it (AWQ, SmoothQuant, `auto`).

#include <ATen/core/Tensor.h>

namespace vernier {

/// `weight` with its rows and columns scaled as those of `values` are: factors of least squares, rows and columns in turn.
/// `weight` itself where that explains less than a tenth of what lies between them, which then is rounding.
/// @shape weight, values float32 [rows, cols]
at::Tensor folded_weight(const at::Tensor& weight, const at::Tensor& values);

}  // namespace vernier
