#pragma once

// Products in bfloat16 on a GPU, everything that sums in float32 (libtorch's autocast), for as long as it lives.

#include <ATen/core/Tensor.h>

namespace vernier {

class MixedArithmetic {
 public:
  /// `on`: whether anything changes.
  explicit MixedArithmetic(bool on);
  ~MixedArithmetic();
  MixedArithmetic(const MixedArithmetic&) = delete;
  MixedArithmetic& operator=(const MixedArithmetic&) = delete;

 private:
  bool on_, was_on_ = false;
  at::ScalarType type_before_ = at::kHalf;
};

}  // namespace vernier
