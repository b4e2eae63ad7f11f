#pragma once

// Products in bfloat16, what sums and what learns in float32: libtorch's autocast.

#include <ATen/core/Tensor.h>

namespace vernier {

/// For as long as it lives, on this thread.
class MixedArithmetic {
 public:
  /// `on`: whether products are in bfloat16, also within another one that says otherwise.
  MixedArithmetic(bool on, const at::Device& device);
  ~MixedArithmetic();
  MixedArithmetic(const MixedArithmetic&) = delete;
  MixedArithmetic& operator=(const MixedArithmetic&) = delete;

 private:
  at::DeviceType device_;
  bool was_on_;
  at::ScalarType type_before_;
};

/// Whether what is multiplied on this thread now is narrowed first.
bool products_are_mixed(const at::Device& device);

/// A product of mixed arithmetic on the CPU in float32, anything else as it is: for sums over it and for shares. On a GPU
/// autocast does so by itself, operation by operation; on the CPU it has no norms, powers and softmax on its list.
at::Tensor widened(const at::Tensor& x);

}  // namespace vernier
