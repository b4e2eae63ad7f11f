#pragma once

// How an error in one column of a matrix can be made up for by others: what error feedback and coordinate descent share.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vernier {

/// Of H = (1 - shrink) G + shrink diag(G), G a Gram matrix of the inputs with mean diagonal 1.
struct Curvature {
  at::Tensor gram;  ///< H, float32 [cols, cols]
  std::vector<int64_t>
      order;            ///< columns by falling diagonal: the costly ones first; sets of `joint_cols` stay together
  at::Tensor feedback;  ///< float32 [cols, cols], upper: U of H^-1 = U' U, rows and columns in that order
  /// What an error of each column alone costs once the columns after its set make up for it: the diagonal of the inverse
  /// of the set's (H^-1)_ss, in that order; empty for sets of one. @shape float32 [cols]
  at::Tensor set_weights;
};

/// `shrink` in (0, 1]: what GPTQ calls damping, relative to each channel and not to their mean, which a single massive
/// channel would rule (ffn_down of SmolLM2's layer 11: 5e5 times the median).
/// @param joint_cols columns that are chosen together (Grid::joint_cols); divides the number of columns
/// @cost 5/3 cols^3 operations in float64
Curvature curvature_of(const at::Tensor& gram, double shrink, int64_t joint_cols = 1);

/// The same of rows: how an error in some rows of a matrix can be made up for by others.
struct OutputCurvature {
  /// Rows in the order of their turn, in blocks of which each is rounded at once: rows of a block are far apart, since
  /// neighbours, of one head, are those that can make up for each other.
  std::vector<int64_t> order, block_ends;
  at::Tensor feedback;  ///< float32 [rows, rows], upper, in that order, as Curvature::feedback
};

/// @param gram second moments of gradients by the outputs [rows, rows]
/// @cost as curvature_of
OutputCurvature output_curvature_of(const at::Tensor& gram, double shrink);

}  // namespace vernier
