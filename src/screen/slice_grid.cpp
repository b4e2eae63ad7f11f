#include "screen/slice_grid.h"

#include <algorithm>

namespace vernier {

namespace {

void sort_unique(std::vector<int64_t>& borders) {
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
}

size_t place(const std::vector<int64_t>& borders, int64_t index) {
  return static_cast<size_t>(std::upper_bound(borders.begin(), borders.end(), index) - borders.begin()) - 1;
}

}  // namespace

SliceGrid::SliceGrid(int64_t rows, int64_t cols, const std::vector<WeightSlice>& slices)
    : rows_{0, rows}, cols_{0, cols} {
  for (const WeightSlice& slice : slices) {
    rows_.insert(rows_.end(), {slice.first_row, slice.first_row + slice.rows});
    cols_.insert(cols_.end(), {slice.first_col, slice.first_col + slice.cols});
  }
  sort_unique(rows_);
  sort_unique(cols_);
}

size_t SliceGrid::first_cell(int64_t row) const { return place(rows_, row) * (cols_.size() - 1); }

std::vector<size_t> SliceGrid::cells_of(const WeightSlice& slice) const {
  std::vector<size_t> cells;
  const size_t width = cols_.size() - 1;
  const size_t row_end = place(rows_, slice.first_row + slice.rows - 1) + 1;
  const size_t col_end = place(cols_, slice.first_col + slice.cols - 1) + 1;
  for (size_t r = place(rows_, slice.first_row); r < row_end; ++r)
    for (size_t c = place(cols_, slice.first_col); c < col_end; ++c) cells.push_back(r * width + c);
  return cells;
}

}  // namespace vernier
