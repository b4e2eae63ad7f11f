#include "reliability/image_features.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "engine/aten_model.h"

namespace vernier {

struct ImageFeatures::Ready {
  AtenModel model;
  at::Device device;
  bool unit = false;
};

namespace {

at::Tensor bias_or_zeros(const AtenLinear& linear) {
  return linear.bias.defined() ? linear.bias.to(at::kCPU, at::kDouble)
                               : at::zeros({linear.weight.size(0)}, at::kDouble);
}

}  // namespace

ImageFeatures::ImageFeatures(const ImageClassifier& classifier, at::Device device) {
  const Model& seeing = classifier.seeing();
  const PrepareOptions& prepared = classifier.prepared();
  const int64_t rows = seeing.config().patches.rows();
  ready_ = std::make_unique<Ready>(Ready{
      AtenModel(seeing, rows, AtenModel::Place{.device = device, .inputs = {prepared.activations, &prepared.ranges}}),
      device, !classifier.class_vectors().empty()});
  if (ready_->unit) {
    std::vector<at::Tensor> vectors;
    for (const std::vector<float>& vector : classifier.class_vectors()) vectors.push_back(at::tensor(vector));
    weight_ = at::stack(vectors).to(at::kDouble);
    bias_ = at::zeros({weight_.size(0)}, at::kDouble);
    return;
  }
  const AtenLinear& head = ready_->model.head()[0];
  weight_ = head.weight.to(at::kCPU, at::kDouble);
  bias_ = bias_or_zeros(head);
  if (!seeing.config().read_out.distilled) return;
  const AtenLinear& second = ready_->model.distilled_head()[0];
  weight_ = at::cat({weight_, second.weight.to(at::kCPU, at::kDouble)}, 1) / 2;
  bias_ = (bias_ + bias_or_zeros(second)) / 2;
}

ImageFeatures::~ImageFeatures() = default;

at::Tensor ImageFeatures::of(const at::Tensor& pixels) const {
  const c10::NoGradGuard no_gradients;
  const AtenModel& model = ready_->model;
  const PatchConfig& patches = model.config().patches;
  const AtenOps ops = model.ops(patches.rows());
  const at::Tensor normed = model.finish(ops, model.embed_images(ops, pixels.to(ready_->device)), 0, patches.count());
  if (ready_->unit) {
    const at::Tensor rows = at::zeros({pixels.size(0)}, at::TensorOptions(ready_->device).dtype(at::kLong));
    return model.read_out(ops, normed, rows).to(at::kCPU);
  }
  const bool distilled = model.config().read_out.distilled;
  return (distilled ? normed : normed.narrow(1, 0, 1)).flatten(1).to(at::kCPU).contiguous();
}

at::Tensor ImageFeatures::logits(const at::Tensor& features) const {
  return at::matmul(features.to(at::kDouble), weight_.t()) + bias_;
}

}  // namespace vernier
