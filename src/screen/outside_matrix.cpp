#include "screen/outside_matrix.h"

#include <ATen/ATen.h>

namespace vernier {

OutsideMatrix::OutsideMatrix(const ScreenPass& pass, const TensorId& id) : pass_(pass), id_(id) {
  if (!pass.sums.has(id)) return;
  const at::Tensor weight = pass.model.weight(id).detach().to(at::kFloat).contiguous();
  errors_ = pass.errors.of(id, weight);
  for (const at::Tensor& error : errors_) values_.push_back(error.defined() ? error.data_ptr<float>() : nullptr);
  pass.errors.add_sums(id, pass.sums.grid(id), 0, weight, errors_, weights_);
  windows_.resize(pass.sums.windows().size());
}

void OutsideMatrix::add(size_t window, const at::Tensor& gradients, const at::Tensor& inputs) {
  if (windows_.empty()) return;
  const at::Tensor rows = gradients.reshape({-1, gradients.size(-1)});
  const at::Tensor gradient = at::mm(rows.t(), inputs.reshape({-1, inputs.size(-1)})).contiguous();
  GradientSums& own = windows_[window];
  own.resize(pass_.sums.grid(id_), pass_.errors.schemes(), false);
  add_products(pass_.sums.grid(id_), 0, gradient.size(0), gradient.data_ptr<float>(), values_, own);
}

void OutsideMatrix::finish() {
  if (windows_.empty()) return;
  std::vector<const GradientSums*> windows;
  for (const GradientSums& window : windows_) windows.push_back(&window);
  add_matrix(pass_, id_, windows, weights_, {});
  pass_.sums.without_rows(id_);
}

OutputGradients OutsideMatrix::as_output() && {
  OutputGradients output;
  output.sums = std::move(windows_);
  output.weights = std::move(weights_);
  return output;
}

}  // namespace vernier
