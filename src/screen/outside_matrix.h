#pragma once

// A matrix outside of the layers whose gradient is a product of rows, as a layer's are: a classifier, a projection, the
// patch embedding. Rows are not gathered: of what answers for a whole input there is one each.

#include <vector>

#include "screen/output_pass.h"
#include "screen/screen_pass.h"

namespace vernier {

class OutsideMatrix {
 public:
  /// Nothing at all unless it is screened. `pass` must outlive it.
  OutsideMatrix(const ScreenPass& pass, const TensorId& id);

  /// A window's gradient: gradients [..., out] by what the matrix puts out, inputs [..., in]. From any thread, each
  /// window by one.
  void add(size_t window, const at::Tensor& gradients, const at::Tensor& inputs);
  /// Adds the matrix to the pass, once all windows were added.
  void finish();
  /// Or hands what was found to add_embeddings, which adds it.
  OutputGradients as_output() &&;

 private:
  const ScreenPass& pass_;
  TensorId id_;
  std::vector<at::Tensor> errors_;
  std::vector<const float*> values_;
  WeightSums weights_;
  std::vector<GradientSums> windows_;
};

}  // namespace vernier
