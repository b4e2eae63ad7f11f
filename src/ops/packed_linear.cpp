#include "ops/packed_linear.h"

#include <ATen/ATen.h>

namespace vernier {

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, ComputeType type)
    : in_(weight.size(1)), out_(weight.size(0)) {
  const at::Tensor plain = weight.detach().to(type == ComputeType::kBFloat16 ? at::kBFloat16 : at::kFloat).contiguous();
  const at::Tensor added = bias.defined() ? bias.detach().to(at::kFloat).contiguous() : at::Tensor();
  impl_ = pack(plain.data_ptr(), out_, in_, added.defined() ? added.data_ptr<float>() : nullptr, type);
}

}  // namespace vernier
