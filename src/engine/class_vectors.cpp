#include "engine/class_vectors.h"

#include <ATen/ATen.h>

#include <cmath>

namespace vernier {

std::vector<std::vector<double>> class_vectors(const Model& model, std::span<const std::vector<float>> units,
                                               size_t classes) {
  const double scale = std::exp(model.weight({TensorRole::kLogitScale}).to(at::kDouble).item<double>());
  const size_t each = units.size() / classes, width = units.front().size();
  std::vector<std::vector<double>> vectors;
  for (size_t c = 0; c < classes; ++c) {
    std::vector<double>& vector = vectors.emplace_back(width, 0.0);
    for (size_t t = 0; t < each; ++t)
      for (size_t j = 0; j < width; ++j) vector[j] += static_cast<double>(units[c * each + t][j]);
    double squares = 0;
    for (const double value : vector) squares += value * value;
    for (double& value : vector) value = scale * value / std::sqrt(squares);
  }
  return vectors;
}

at::Tensor class_vectors_of(const at::Tensor& units, int64_t classes, const at::Tensor& log_scale) {
  const at::Tensor mean = units.view({classes, -1, units.size(-1)}).mean(1);
  return mean / mean.norm(2, -1, /*keepdim=*/true) * log_scale.to(units.options()).exp();
}

}  // namespace vernier
