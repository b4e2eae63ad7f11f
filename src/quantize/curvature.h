#pragma once

// How an error in one column of a matrix can be made up for by others: what error feedback and coordinate descent share.
//
// With the columns in the order of their turn, H = M D M', M upper triangular with ones on its diagonal and D diagonal,
// an error E costs tr(E H E') = sum_j D_j |E_j + sum_{i<j} E_i M_ij|^2: column j is best at w_j - sum_{i<j} E_i M_ij,
// and D_j is what a distance from there costs. M comes from a Cholesky factor of H in reverse order, without H^-1.
// @source LDLQ, the same as GPTQ's feedback by the factor of H^-1 (QuIP, arXiv:2307.13304, theorem 6)

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vernier {

/// Of H = (1 - shrink) G + shrink diag(G), G a Gram matrix of the inputs with mean diagonal 1.
struct Curvature {
  at::Tensor gram;  ///< H, float32 [cols, cols]
  std::vector<int64_t>
      order;            ///< columns by falling diagonal: the costly ones first; sets of `joint_cols` stay together
  at::Tensor feedback;  ///< M, float32 [cols, cols], rows and columns in that order
  /// What an error of each column alone costs once the columns after its set make up for it: the diagonal of the set's
  /// block of M D M', in that order; empty for sets of one. @shape float32 [cols]
  at::Tensor set_weights;
};

/// `shrink` in (0, 1]: what GPTQ calls damping, relative to each channel and not to their mean, which a single massive
/// channel would rule (ffn_down of SmolLM2's layer 11: 5e5 times the median).
/// @param gram float32 [cols, cols]
/// @param joint_cols columns that are chosen together (Grid::joint_cols); divides the number of columns
/// @param threads the bits do not depend on them
/// @cost cols^3 / 3 operations in float64; memory: 16 bytes for each of cols^2
Curvature curvature_of(const at::Tensor& gram, double shrink, int64_t joint_cols = 1, int threads = 1);

/// The same of rows: how an error in some rows of a matrix can be made up for by others.
struct OutputCurvature {
  /// Rows in the order of their turn, in blocks of which each is rounded at once: rows of a block are far apart, since
  /// neighbours, of one head, are those that can make up for each other.
  std::vector<int64_t> order, block_ends;
  at::Tensor feedback;  ///< float32 [rows, rows], in that order, as Curvature::feedback
};

/// @param gram second moments of gradients by the outputs, float32 [rows, rows]
/// @cost as curvature_of
OutputCurvature output_curvature_of(const at::Tensor& gram, double shrink, int threads = 1);

}  // namespace vernier
