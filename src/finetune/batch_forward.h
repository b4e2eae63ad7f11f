#pragma once

// Examples through a model in differentiable ATen: what each row answers, and what would be right.

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "engine/rounded_inputs.h"
#include "finetune/losses.h"
#include "vernier/finetune.h"

namespace vernier {

/// Some examples as a model takes them, on its device.
struct ExampleBatch {
  at::Tensor inputs;       ///< int64 [examples, rows], short texts padded at their end; or pixels
  at::Tensor labels;       ///< int64 [examples, rows], -1 where nothing is scored
  at::Tensor texts;        ///< of a model of images and texts: int64 [texts, time], on the CPU: prompts, then captions
  int64_t classes = 0;     ///< that the prompts name
  int64_t captions = 0;    ///< the last so many texts: of each example its own; 0: the prompts of its class
  at::Tensor same_text{};  ///< bool [examples, examples]
};

/// @throws Error{kUnsupported} for models that answer nothing; {kInvalidArgument} for data of the other kind, and ids
/// outside the vocabulary
void check_trainable(const Model& model, const TrainingData& data);

ExampleBatch batch_of(const TrainingData& data, std::span<const int64_t> examples, const at::Device& device);

/// The model's own tensors, in float32, on their device: gradients flow to each that requires one.
/// @param inputs how the inputs of its matrices are rounded
/// @return logits [examples, rows, classes], of a model of images and texts also its pairs
Answered batch_answers(const Model& model, const ExampleBatch& batch, const RoundedInputs& inputs = {});

/// `judged` beside `teacher`.
Answered beside(Answered judged, const Answered& teacher);

}  // namespace vernier
