#pragma once

// A running mean of what learns: rounding it leaves fewer weights to chance that wander about a boundary between levels.

#include <ATen/core/Tensor.h>

#include <vector>

#include "finetune/adamw.h"

namespace vernier {

/// Exponential, with a shorter memory at first, so that the beginning is soon forgotten.
class AveragedWeights {
 public:
  /// Begins with the values of now, to which it keeps handles.
  AveragedWeights(const std::vector<AdamWParameter>& parameters, double decay);

  /// The values after the `count`-th step, from 1.
  void add(int64_t count);
  /// The values and their means change places; twice: as before.
  void exchange();
  /// By parameter.
  std::vector<at::Tensor>& means() { return means_; }

 private:
  std::vector<at::Tensor> values_, means_;
  double decay_;
};

}  // namespace vernier
