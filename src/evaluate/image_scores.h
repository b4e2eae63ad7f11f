#pragma once

// Answers to labelled images as scores: the rows of evaluation.json.

#include <cstdint>
#include <span>

#include "vernier/evaluate.h"
#include "vernier/groups.h"

namespace vernier {

/// What image_metrics() lists, over the examples for which `in` holds (empty: all). Errors are over clusters, of each
/// example one. `reference`: what the model is compared with; nullptr: nothing. Answers must have their logits.
/// @throws Error{kInvalidArgument} where they do not, or are of other examples
Scores image_scores(const GroupedExamples& examples, const Answers& answers, const Answers* reference,
                    std::span<const int64_t> clusters, const std::vector<bool>& in = {});

/// Whole and by every value of every attribute, "class cat", "light dim".
Evaluation image_evaluation(const GroupedExamples& examples, const Answers& answers, const Answers* reference,
                            std::span<const int64_t> clusters);

}  // namespace vernier
