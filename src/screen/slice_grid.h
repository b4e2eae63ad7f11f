#pragma once

// A matrix cut along the borders of the components' slices, so that sums over its cells give those of every slice.
//
//   const SliceGrid grid(rows, cols, slices);          // a head's columns of attn_output: one cell each
//   for (size_t cell : grid.cells_of(slice)) sum += sums[cell];

#include <cstdint>
#include <vector>

#include "vernier/component.h"

namespace vernier {

class SliceGrid {
 public:
  /// `slices`: of this matrix.
  SliceGrid(int64_t rows, int64_t cols, const std::vector<WeightSlice>& slices);

  size_t cells() const { return (rows_.size() - 1) * (cols_.size() - 1); }
  /// Borders, from 0 to the number of rows or columns.
  const std::vector<int64_t>& row_borders() const { return rows_; }
  const std::vector<int64_t>& col_borders() const { return cols_; }
  /// First cell of the rows that `row` lies in; the others follow.
  size_t first_cell(int64_t row) const;
  std::vector<size_t> cells_of(const WeightSlice& slice) const;

 private:
  std::vector<int64_t> rows_, cols_;
};

}  // namespace vernier
