#pragma once

// Answers to labelled images as scores: the rows of evaluation.json.

#include <cstdint>
#include <span>

#include "vernier/evaluate.h"
#include "vernier/groups.h"

namespace vernier {

/// What image_metrics() lists, whole and by every value of every attribute, "class cat", "light dim". Errors are over
/// `clusters`, of each example one. `reference`: what the model is compared with; nullptr: nothing. Answers must have their
/// logits. @throws Error{kInvalidArgument} where they do not, or are of other examples
Evaluation image_evaluation(const GroupedExamples& examples, const Answers& answers, const Answers* reference,
                            std::span<const int64_t> clusters);

}  // namespace vernier
