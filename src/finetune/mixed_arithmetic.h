#pragma once

// Products in bfloat16, what sums and what learns in float32 (libtorch's autocast of the device), for as long as it lives.

#include <ATen/core/Tensor.h>

namespace vernier {

class MixedArithmetic {
 public:
  /// `on`: whether anything changes.
  MixedArithmetic(bool on, const at::Device& device);
  ~MixedArithmetic();
  MixedArithmetic(const MixedArithmetic&) = delete;
  MixedArithmetic& operator=(const MixedArithmetic&) = delete;

 private:
  bool on_, was_on_ = false;
  at::DeviceType device_;
  at::ScalarType type_before_ = at::kHalf;
};

}  // namespace vernier
