#pragma once

// The innermost loop of the screen: a sequence's gradient of a matrix against the matrix' errors under all schemes, once
// through memory.

#include <cstdint>
#include <span>
#include <vector>

#include "screen/slice_grid.h"

namespace vernier {

/// Sums of one sequence over one matrix, per cell of its grid; those of schemes one scheme after the other.
struct GradientSums {
  std::vector<double> squares;   ///< g^2 [cells]
  std::vector<double> dots;      ///< g d [schemes][cells]
  std::vector<double> diagonal;  ///< (g d)^2 [schemes][cells]
  // Per channel, empty unless wanted.
  std::vector<double> row_squares, col_squares;    ///< [rows], [cols]
  std::vector<double> row_diagonal, col_diagonal;  ///< [schemes][rows], [schemes][cols]

  void resize(const SliceGrid& grid, size_t schemes, bool channels);
  /// Adds `factor` times what the other holds.
  void add(const GradientSums& other, double factor = 1);
};

/// Adds rows first_row ... of a matrix: gradient [rows, cols] contiguous, errors likewise, nullptr for one that is zero.
/// Always in the same order, so with the same bits on any machine.
void add_products(const SliceGrid& grid, int64_t first_row, int64_t rows, const float* gradient,
                  std::span<const float* const> errors, GradientSums& sums);

}  // namespace vernier
