#pragma once

// A product by a constant matrix that is packed both ways: x W^T + b forward, and the gradient of x back. What attacks and
// nothing else differentiate by: their weights are constants, and the CPU's matrix units run packed ones at full speed.

#include <ATen/core/Tensor.h>

#include "ops/packed_linear.h"

namespace vernier {

class PackedProduct {
 public:
  /// weight [out, in]; bias [out] or undefined. @cost converts and copies the weight twice
  PackedProduct(const at::Tensor& weight, const at::Tensor& bias, ComputeType type)
      : forward_(weight, bias, type), backward_(weight.t(), {}, type) {}

  /// @shape x [..., in] float32 on the CPU -> [..., out]. Differentiable once, by x. This must outlive what is made of it.
  at::Tensor of(const at::Tensor& x) const;

  const PackedLinear& forward() const { return forward_; }
  const PackedLinear& backward() const { return backward_; }

 private:
  PackedLinear forward_, backward_;
};

}  // namespace vernier
