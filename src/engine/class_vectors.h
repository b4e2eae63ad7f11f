#pragma once

// The classifier that prompts make of a model of images and texts.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <span>
#include <vector>

#include "vernier/model.h"

namespace vernier {

/// Per class the renormalized mean of its prompts' unit vectors times e^logit_scale, so that logits are its products with
/// those of images, as OpenAI's notebook on zero-shot classification has it (arXiv 2103.00020). `units`
/// [classes * prompts][width], class after class. @return [classes][width]
std::vector<std::vector<double>> class_vectors(const Model& model, std::span<const std::vector<float>> units,
                                               size_t classes);

/// The same, differentiable: units [classes * prompts, width] -> [classes, width], in their type.
/// @param log_scale the model's logit scale, a logarithm
at::Tensor class_vectors_of(const at::Tensor& units, int64_t classes, const at::Tensor& log_scale);

}  // namespace vernier
