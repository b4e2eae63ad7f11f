#include "curvature/loss_surface.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace vernier {

double dot(const WeightVector& a, const WeightVector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] * b[i]).sum(at::kDouble).item<double>();
  return sum;
}

double norm(const WeightVector& a) { return std::sqrt(dot(a, a)); }

std::vector<TensorId> parameters_of(const Model& model, CurvatureOf of) {
  return of == CurvatureOf::kMatrices ? model.matrices() : model.tensors();
}

Model placed(const Model& model, const CurvatureOptions& options, bool differentiable) {
  const at::ScalarType type = options.float64 ? at::kDouble : at::kFloat;
  Model copy(model.config(), model.source());
  for (const TensorId& id : model.tensors())
    copy.set_weight(id, model.weight(id).detach().to(at::Device(options.device), type, false, true).contiguous());
  if (differentiable)
    for (const TensorId& id : parameters_of(model, options.of)) copy.weight(id).set_requires_grad(true);
  return copy;
}

std::vector<int64_t> some_of(const std::string& group, const std::vector<int64_t>& examples, const LossOfExamples& loss,
                             const CurvatureOptions& options) {
  if (examples.empty()) fail(ErrorKind::kInvalidArgument, "curvature: group {}: it has no examples", group);
  for (const int64_t example : examples)
    if (example < 0 || example >= loss.count)
      fail(ErrorKind::kInvalidArgument, "curvature: group {}: example {}: expected 0 to {} of {}", group, example,
           loss.count - 1, loss.name);
  const auto count = static_cast<int64_t>(examples.size());
  if (options.max_examples <= 0 || count <= options.max_examples) return examples;
  std::vector<int64_t> some;
  for (int64_t i = 0; i < options.max_examples; ++i)
    some.push_back(examples[static_cast<size_t>(i * count / options.max_examples)]);
  return some;
}

void require_same_shape(const Model& reference, const Model& quantized) {
  for (const TensorId& id : reference.tensors())
    if (reference.shape(id) != quantized.shape(id))
      fail(ErrorKind::kInvalidArgument, "curvature: {}: {} has the shape [{}], {} [{}]; compare a model with its own",
           name_of(id), reference.source().name, fmt::join(reference.shape(id), ", "), quantized.source().name,
           fmt::join(quantized.shape(id), ", "));
}

LossSurface::LossSurface(const Model& model, const LossOfExamples& loss, const CurvatureOptions& options)
    : loss_(&loss),
      model_(placed(model, options, /*differentiable=*/true)),
      parameters_(parameters_of(model, options.of)) {
  for (const TensorId& id : parameters_) leaves_.push_back(model_.weight(id));
}

void LossSurface::set_examples(std::vector<int64_t> examples) {
  examples_ = std::move(examples);
  total_weight_ = 0;
  for (const int64_t example : examples_) total_weight_ += loss_->weight(example);
}

template <class Fn>
void LossSurface::for_parts(Fn&& fn) const {
  const auto at_once = static_cast<size_t>(std::max<int64_t>(loss_->at_once, 1));
  for (size_t first = 0; first < examples_.size(); first += at_once)
    fn(loss_->sum(model_, std::span(examples_).subspan(first, std::min(at_once, examples_.size() - first))) /
       total_weight_);
}

WeightVector LossSurface::zeros() const {
  WeightVector zeros;
  for (const at::Tensor& leaf : leaves_) zeros.push_back(at::zeros(leaf.sizes(), leaf.options().requires_grad(false)));
  return zeros;
}

namespace {

void add(WeightVector& sum, const std::vector<at::Tensor>& part) {
  const c10::AutoGradMode off(false);
  for (size_t i = 0; i < sum.size(); ++i)
    if (part[i].defined()) sum[i] += part[i];
}

double finite(double loss, const std::string& name) {
  if (!std::isfinite(loss))
    fail(ErrorKind::kInvalidArgument, "curvature: {}: the loss is {}; products of the model's weights overflow", name,
         loss);
  return loss;
}

}  // namespace

double LossSurface::loss() const {
  const c10::AutoGradMode off(false);
  double sum = 0;
  for_parts([&](const at::Tensor& part) { sum += part.item<double>(); });
  return finite(sum, model_.source().name);
}

LossSurface::Slope LossSurface::slope() const {
  const c10::AutoGradMode on(true);
  Slope slope{0, zeros()};
  for_parts([&](const at::Tensor& part) {
    slope.loss += part.item<double>();
    if (part.requires_grad()) add(slope.gradient, torch::autograd::grad({part}, leaves_, {}, {}, false, true));
  });
  finite(slope.loss, model_.source().name);
  return slope;
}

WeightVector LossSurface::hessian_times(const WeightVector& direction) const {
  const c10::AutoGradMode on(true);
  WeightVector product = zeros();
  for_parts([&](const at::Tensor& part) {
    const auto gradient = torch::autograd::grad({part}, leaves_, {}, /*retain_graph=*/true, /*create_graph=*/true,
                                                /*allow_unused=*/true);
    at::Tensor along = at::zeros({}, part.options());
    for (size_t i = 0; i < gradient.size(); ++i)
      if (gradient[i].defined()) along = along + (gradient[i] * direction[i]).sum();
    if (along.requires_grad()) add(product, torch::autograd::grad({along}, leaves_, {}, {}, false, true));
  });
  return product;
}

namespace {

/// Drawn on the CPU, so that every device gets the same.
template <class Draw>
WeightVector drawn(const WeightVector& like, Draw&& draw) {
  WeightVector vector;
  for (const at::Tensor& leaf : like) {
    at::Tensor values = at::empty(leaf.sizes(), at::kFloat);
    for (int64_t i = 0; i < values.numel(); ++i) values.data_ptr<float>()[i] = draw();
    vector.push_back(values.to(leaf.options().requires_grad(false)));
  }
  return vector;
}

}  // namespace

WeightVector LossSurface::random_signs(std::mt19937_64& random) const {
  return drawn(leaves_, [&] { return (random() >> 63) != 0 ? 1.0f : -1.0f; });
}

WeightVector LossSurface::random_normal(std::mt19937_64& random) const {
  std::normal_distribution<float> normal;
  return drawn(leaves_, [&] { return normal(random); });
}

}  // namespace vernier
