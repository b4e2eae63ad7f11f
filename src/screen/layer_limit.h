#pragma once

// A layer's matrices for the limit: covariances of what entered each and of the gradients at its outputs, over the rows
// of all sequences, and the damage spectra that their eigenvalues make.

#include <map>
#include <vector>

#include "screen/gram.h"
#include "screen/screen_pass.h"

namespace vernier {

class LayerLimit {
 public:
  /// Of these matrices of a layer; nothing at all unless the screen makes a limit.
  LayerLimit(const ScreenPass& pass, const std::vector<TensorId>& matrices);

  /// How many sequences are differentiated before add() is called: all, where there is no limit to make.
  int64_t windows_at_once() const { return windows_at_once_; }
  /// Rows of the `place`-th of them. From any thread, each place by one.
  void keep(int64_t place, const TensorId& id, const at::Tensor& inputs, const at::Tensor& gradients);
  /// What was kept, into the sums.
  void add();
  /// Of all matrices, once all sequences were added. @param weights by matrix, as in the constructor
  void finish(const std::vector<at::Tensor>& weights);

 private:
  struct Sum {
    GramSum gram;
    std::vector<at::Tensor> kept;  // by place
  };
  const ScreenPass& pass_;
  std::vector<TensorId> matrices_;
  int64_t windows_at_once_;
  std::vector<Sum> sums_;
  std::map<TensorId, size_t> input_sum_, gradient_sum_;
  std::map<TensorId, bool> keeps_inputs_;  // of matrices that are fed alike, one
};

}  // namespace vernier
