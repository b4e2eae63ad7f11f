#include <ATen/ATen.h>

#include <array>
#include <memory>

#include "base/fail.h"
#include "engine/aten_answers.h"
#include "vernier/attacks.h"

namespace vernier {

namespace {

at::Tensor per_channel(const std::array<double, 3>& values, const at::TensorOptions& where) {
  return at::tensor(std::vector<double>(values.begin(), values.end()), at::kDouble).to(where).view({1, 3, 1, 1});
}

at::Tensor matrix_of(const std::vector<std::vector<float>>& rows, const at::TensorOptions& where) {
  std::vector<float> values;
  for (const std::vector<float>& row : rows) values.insert(values.end(), row.begin(), row.end());
  return at::tensor(values, at::kFloat).view({static_cast<int64_t>(rows.size()), -1}).to(where);
}

}  // namespace

ImageLogits differentiable_logits(const Model& seeing, const std::vector<std::vector<float>>& class_vectors,
                                  const ImagePreprocessor& preprocessor, const AttackedPlace& place,
                                  const Activations& activations, const ActivationRanges& ranges) {
  const ModelConfig& config = seeing.config();
  if (!config.reads_images())
    fail(ErrorKind::kUnsupported, "attacks: {} ({}) sees no images", seeing.source().name, config.family);
  const auto model = std::make_shared<AtenModel>(
      seeing, config.patches.rows(),
      AtenModel::Place{
          .device = place.device, .type = place.type, .inputs = {activations, &ranges}, .packed = place.packed});
  const at::TensorOptions there = at::TensorOptions(place.device).dtype(place.type);
  // Values are 8 bits times `rescale` where the preprocessor normalizes; pictures here are in [0, 1].
  const at::Tensor scale = at::full({1}, 255 * preprocessor.rescale, there);
  const at::Tensor mean = per_channel(preprocessor.mean, there), deviation = per_channel(preprocessor.deviation, there);
  const at::Tensor classes = class_vectors.empty() ? at::Tensor() : matrix_of(class_vectors, there);
  return [=](const at::Tensor& images) {
    const at::Tensor pixels = (images.to(there) * scale - mean) / deviation;
    const at::Tensor answers = image_answers(*model, pixels);
    return (classes.defined() ? at::matmul(answers, classes.t()) : answers).to(images.device());
  };
}

}  // namespace vernier
