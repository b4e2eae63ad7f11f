#pragma once

// Cholesky factors of matrices so large that one thread would keep all others waiting: by blocks, side by side.
//
//   at::Tensor lower = h.clone();                    // float64
//   if (!cholesky_in_place(lower, threads)) ...      // H is not positive definite; lower.tril() otherwise

#include <ATen/core/Tensor.h>

namespace vernier {

/// Makes of the lower triangle of A that of L, A = L L'; what is above the diagonal has no meaning before and after.
/// @param matrix float64 [n, n], contiguous
/// @param threads the bits do not depend on them (ops/nested_for.h)
/// @return whether A is positive definite and free of NaN; if it is not, nothing of the matrix has a meaning
/// @cost n^3 / 3 operations
bool cholesky_in_place(const at::Tensor& matrix, int threads);

}  // namespace vernier
