#pragma once

// Images beside texts through a model that reads both: the classifier that prompts make, and the pairs of a batch.

#include "finetune/batch_forward.h"

namespace vernier {

/// The prompts of all classes and, where there are any, the captions of these examples, padded at their end. `labels`
/// [examples]: their classes.
void add_texts(const TrainingData& data, std::span<const int64_t> examples, const at::Tensor& labels,
               ExampleBatch& batch);

/// Logits are e^logit_scale times the cosine between an image and the renormalized mean of its class' unit vectors
/// (arXiv 2103.00020), an example's pair its caption or that mean. @see batch_answers
Answered pair_answers(const Model& model, const ExampleBatch& batch, const RoundedInputs& inputs);

}  // namespace vernier
