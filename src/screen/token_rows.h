#pragma once

// A sample of the rows that enter a matrix and one of the gradients at its outputs: what the estimators by factors are made
// of. A row stands for as many as it was drawn from, by a weight with whose root it is multiplied.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "vernier/component.h"

namespace vernier {

/// Which side of a matrix: the two samples are drawn independently.
enum class RowSide : uint64_t { kInputs = 0x496E, kGradients = 0x4772 };

/// About `wanted` of a sequence's rows [rows, width], or all where there are no more, times the roots of their weights, so
/// that sums of products of two are those over all rows in expectation. Half of the chance is shared by a row's square
/// (length-squared sampling, Frieze, Kannan and Vempala 2004), half evenly: single rows may hold almost all of it, such
/// as the first token's, where attention goes that has nothing to do.
at::Tensor sample_rows(uint64_t seed, uint64_t window, RowSide side, const at::Tensor& rows, int64_t wanted);

/// Of one matrix and one domain.
struct TokenRows {
  at::Tensor inputs, gradients;                         ///< [rows, in], [rows, out]; undefined without any
  std::vector<size_t> input_windows, gradient_windows;  ///< the sequence of each row
  double entered = 0;                                   ///< rows that entered the matrix, sampled or not

  /// Those of one more sequence, of whose `rows` rows these are samples.
  void add(size_t window, int64_t rows, const at::Tensor& inputs, const at::Tensor& gradients);
  /// After the last one.
  void finish();

 private:
  std::vector<at::Tensor> parts_[2];
};

/// What the rows say about an error in a slice of the matrix, per row of a sequence: added at its window.
struct RowSums {
  std::vector<double> kfac_twice;    ///< sum over pairs with the sequence's gradients, and with its inputs, of
                                     ///< (g' d x)^2 / 2 / rows that entered
  std::vector<double> output_error;  ///< sum of |d x|^2
};

/// @param error of the whole matrix [out, in]
void add_row_sums(const TokenRows& rows, const WeightSlice& slice, const at::Tensor& error, RowSums& sums);

/// Largest eigenvalues of sum g g' and of sum x x' of the slice's rows and columns, multiplied and divided by the rows
/// that entered: lambda(G) lambda(H) per row. By power iteration, to 1%.
double top_eigenvalue(const TokenRows& rows, const WeightSlice& slice);

}  // namespace vernier
