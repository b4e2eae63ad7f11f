#pragma once

// Products in bfloat16, what sums and what learns in float32: libtorch's autocast.

#include <ATen/core/Tensor.h>

namespace vernier {

/// Whether there are instructions for such products: on a GPU, and on processors with AVX512_BF16. libtorch multiplies
/// elsewhere as well, but slower than in float32, and versions before 2 with sums that are rounded to 8 bits term by term.
bool multiplies_bfloat16(const at::Device& device);

/// a b, of their type, with sums in float32 also of bfloat16 on such processors.
at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b);

/// For as long as it lives, on this thread.
class MixedArithmetic {
 public:
  /// `on`: whether products are in bfloat16, where there are instructions for it; also within another one that says otherwise.
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
