#pragma once

// Sums of outer products of rows, and their eigenvalues: what a covariance needs.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace vernier {

/// sum x x' over rows of `width` in float32, the upper triangle alone. Tiles can be added by different threads; each adds
/// sequence by sequence, so that the bits do not depend on who does.
class GramSum {
 public:
  explicit GramSum(int64_t width);
  int64_t width() const { return sum_.size(0); }
  int64_t tiles() const;
  /// @shape rows: of each sequence [n, width], undefined where there are none
  void add(int64_t tile, std::span<const at::Tensor> rows);
  /// What was added altogether; the rank is at most that.
  void count(int64_t rows) { rows_ += rows; }
  int64_t rows() const { return rows_; }
  /// Symmetric, float64; undefined entries of the lower triangle.
  at::Tensor upper() const;

 private:
  at::Tensor sum_;
  int64_t rows_ = 0;
};

/// Of a symmetric float64 matrix whose upper triangle is given, by falling size; those beyond `rank` and negative ones
/// are rounding errors of zero. @cost 4/3 n^3 operations, half of them at the speed of memory
std::vector<double> eigenvalues(const at::Tensor& upper, int64_t rank);

}  // namespace vernier
