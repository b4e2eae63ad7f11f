#pragma once

// How an error in one column of a matrix can be made up for by others: what error feedback and coordinate descent share.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vernier {

/// Of H = (1 - shrink) G + shrink diag(G), G a Gram matrix of the inputs with mean diagonal 1.
struct Curvature {
  at::Tensor gram;             ///< H, float32 [cols, cols]
  std::vector<int64_t> order;  ///< columns by falling diagonal: the costly ones first
  at::Tensor feedback;         ///< float32 [cols, cols], upper: U of H^-1 = U' U, rows and columns in that order
};

/// `shrink` in (0, 1]: what GPTQ calls damping, relative to each channel and not to their mean, which a single massive
/// channel would rule (ffn_down of SmolLM2's layer 11: 5e5 times the median).
/// @cost 5/3 cols^3 operations in float64
Curvature curvature_of(const at::Tensor& gram, double shrink);

}  // namespace vernier
