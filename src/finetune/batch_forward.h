#pragma once

// Examples through a model in differentiable ATen: what each row answers, and what would be right.

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "finetune/losses.h"
#include "vernier/finetune.h"

namespace vernier {

/// Some examples as a model takes them, on its device.
struct ExampleBatch {
  at::Tensor inputs;  ///< int64 [examples, rows], short texts padded at their end; or pixels
  at::Tensor labels;  ///< int64 [examples, rows], -1 where nothing is scored
};

/// @throws Error{kUnsupported} for models that are neither language models nor classifiers of images; {kInvalidArgument}
/// for data of the other kind, and ids outside the vocabulary
void check_trainable(const Model& model, const TrainingData& data);

ExampleBatch batch_of(const TrainingData& data, std::span<const int64_t> examples, const at::Device& device);

/// The model's own tensors, in their type, on their device: gradients flow to each that requires one.
/// @return [examples, rows, classes]
at::Tensor batch_logits(const Model& model, const ExampleBatch& batch);

}  // namespace vernier
