#include "ops/packed_product.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace vernier {

namespace {

/// Rows of tensors are not padded as those of slabs are: the last few go through memory that is.
at::Tensor multiplied(const PackedLinear& matrix, const at::Tensor& x) {
  static thread_local Arena arena;
  const Arena::Scope scope(arena);
  const at::Tensor in = x.contiguous();
  std::vector<int64_t> shape = in.sizes().vec();
  shape.back() = matrix.out();
  at::Tensor out = at::empty(shape, in.options());
  const int64_t rows = in.numel() / matrix.in(), whole = rows / kRowPadding * kRowPadding, rest = rows - whole;
  const Slab from{in.data_ptr<float>(), rows, matrix.in(), matrix.in()};
  const Slab to{out.data_ptr<float>(), rows, matrix.out(), matrix.out()};
  if (whole > 0) matrix.apply(from.row_range(0, whole), to.row_range(0, whole), /*accumulate=*/false, arena);
  if (rest > 0) {
    const Slab last = arena.slab(rest, matrix.in()), result = arena.slab(rest, matrix.out());
    std::copy_n(from.row(whole), rest * matrix.in(), last.data);
    matrix.apply(last, result, /*accumulate=*/false, arena);
    std::copy_n(result.data, rest * matrix.out(), to.row(whole));
  }
  return out;
}

struct Multiply : torch::autograd::Function<Multiply> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const PackedProduct* product) {
    context->saved_data["product"] = reinterpret_cast<int64_t>(product);
    return multiplied(product->forward(), x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto* product = reinterpret_cast<const PackedProduct*>(context->saved_data["product"].toInt());
    return {multiplied(product->backward(), gradients[0]), at::Tensor()};
  }
};

}  // namespace

at::Tensor PackedProduct::of(const at::Tensor& x) const { return Multiply::apply(x, this); }

}  // namespace vernier
