#pragma once

// A matrix that learns by its singular values alone: W + U B V', where W = U S V' is where it began and B is zero but for
// some diagonals about the main one (singular-value diagonal expansion, arXiv 2407.15508; with the main one alone the
// learned singular values of its predecessor). Few numbers learn, so that little data cannot be learned by heart. The paper
// fits B layer by layer to outputs two layers ahead; here it learns from the model's loss, like everything else.

#include <ATen/core/Tensor.h>

namespace vernier {

class SingularBand {
 public:
  /// @param weight float32 [rows, cols]; `beside`: diagonals on each side of the main one
  /// @cost a singular value decomposition, on the CPU
  SingularBand(const at::Tensor& weight, int64_t beside);

  /// What learns: diagonals of B from the lowest to the highest, [2 * beside + 1, min(rows, cols)]; of those beside the main
  /// one the last numbers are not used. The caller's to change.
  const at::Tensor& band() const { return band_; }
  /// Differentiable with respect to band(); exactly the weight it began with while that is 0.
  at::Tensor values() const;

 private:
  at::Tensor start_, left_, right_, band_;
};

}  // namespace vernier
