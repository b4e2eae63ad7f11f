#include "ops/packed_linear.h"

#include <ATen/ATen.h>

#include "base/fail.h"

namespace vernier {

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, ComputeType type)
    : in_(weight.size(1)), out_(weight.size(0)), type_(type) {
  const at::Tensor plain = weight.detach().to(type == ComputeType::kBFloat16 ? at::kBFloat16 : at::kFloat).contiguous();
  const at::Tensor added = bias.defined() ? bias.detach().to(at::kFloat).contiguous() : at::Tensor();
  const float* values = added.defined() ? added.data_ptr<float>() : nullptr;
  if (const Avx512Kernels* kernels = PanelMatrix::kernels_for(type, out_, in_))
    panels_ = std::make_shared<PanelMatrix>(*kernels, plain.data_ptr(), out_, in_, values);
  else
    impl_ = pack(plain.data_ptr(), out_, in_, values, type);
}

void PackedLinear::apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
  if (x.cols != in_ || y.cols != out_ || x.rows != y.rows)
    fail(ErrorKind::kInternal, "linear [{}, {}]: x [{}, {}], y [{}, {}]", out_, in_, x.rows, x.cols, y.rows, y.cols);
  if (panels_)
    panels_->apply(x, y, accumulate, scratch);
  else
    apply_impl(x, y, accumulate, scratch);
}

}  // namespace vernier
