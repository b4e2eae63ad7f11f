#pragma once

// What quantization does to a matrix, under all candidate schemes: Q(W) - W as an isolated sweep puts it there.

#include <ATen/core/Tensor.h>

#include <vector>

#include "screen/slice_grid.h"
#include "vernier/calibrate.h"
#include "vernier/model.h"
#include "vernier/screen.h"

namespace vernier {

/// Sums over weights, per cell of a matrix' grid.
struct WeightSums {
  std::vector<double> squares;      ///< w^2 [cells]
  std::vector<double> errors;       ///< (q - w)^2 [schemes][cells]
  std::vector<double> products;     ///< w (q - w) [schemes][cells]
  std::vector<double> error_power;  ///< [schemes]: E[x_j^2] (q - w)^2
};

class SchemeErrors {
 public:
  /// All must outlive it. Matrices are named as those of one stack by itself (stack_of), and looked up as the model's.
  SchemeErrors(const Model& model, const Calibration& calibration, const std::vector<Scheme>& schemes, int threads,
               Stack stack = Stack::kOnly)
      : model_(model), calibration_(calibration), schemes_(schemes), threads_(threads), stack_(stack) {}

  size_t schemes() const { return schemes_.size(); }
  /// What the matrix gets: the scheme itself or its fallback by shape.
  Scheme scheme_of(const TensorId& id, size_t scheme) const;
  bool kept(const TensorId& id, size_t scheme) const;

  /// Whether rows can be taken alone, under all schemes.
  bool rows_independent(const TensorId& id) const;
  /// By scheme, float32 as `weight`; undefined where the matrix is kept as it is stored.
  /// @param weight float32: all rows of the matrix, or some where rows_independent()
  std::vector<at::Tensor> of(const TensorId& id, const at::Tensor& weight) const;

  /// Adds rows first_row ... of the matrix.
  void add_sums(const TensorId& id, const SliceGrid& grid, int64_t first_row, const at::Tensor& weight,
                const std::vector<at::Tensor>& errors, WeightSums& sums) const;

 private:
  /// Under its name in the whole model.
  TensorId in_model(TensorId id) const;

  const Model& model_;
  const Calibration& calibration_;
  const std::vector<Scheme>& schemes_;
  int threads_;
  Stack stack_;
};

}  // namespace vernier
