#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/fail.h"
#include "ops/mixed_arithmetic.h"
#include "ops/packed_linear.h"

namespace vernier {

namespace {
at::Tensor view(const Slab& s) { return at::from_blob(s.data, {s.rows, s.cols}, {s.ld, 1}, at::kFloat); }
}  // namespace

struct PackedLinear::Impl {
  at::Tensor weight, bias;  // [in, out], in the type that multiplies
};

std::shared_ptr<const PackedLinear::Impl> PackedLinear::pack(const void* weight, int64_t out, int64_t in,
                                                             const float* bias, ComputeType type) {
  const auto copied = [](const void* data, at::IntArrayRef shape, at::ScalarType scalar) {
    return at::from_blob(const_cast<void*>(data), shape, scalar).clone();
  };
  auto impl = std::make_shared<Impl>();
  impl->weight = copied(weight, {out, in}, type == ComputeType::kBFloat16 ? at::kBFloat16 : at::kFloat).t();
  if (bias != nullptr) impl->bias = copied(bias, {out}, at::kFloat);
  return impl;
}

void PackedLinear::apply_impl(const Slab& x, const Slab& y, bool accumulate, Arena&) const {
  const c10::NoGradGuard no_grad;
  at::Tensor product = matrix_product(view(x).to(impl_->weight.scalar_type()), impl_->weight).to(at::kFloat);
  if (impl_->bias.defined()) product.add_(impl_->bias);
  if (accumulate)
    view(y).add_(product);
  else
    view(y).copy_(product);
}

// A BLAS takes other kernels for a single row or a few.
bool PackedLinear::impl_rows_are_independent() { return false; }

void multiply(const Slab& a, const Slab& b, bool transpose_b, const Slab& c) {
  const c10::NoGradGuard no_grad;
  view(c).copy_(at::matmul(view(a), transpose_b ? view(b).t() : view(b)));
}

#ifdef VERNIER_FOREIGN_ONEDNN
std::string matmul_backend() { return "ATen (libtorch brings its own oneDNN)"; }
#else
std::string matmul_backend() { return "ATen"; }
#endif

}  // namespace vernier
