#pragma once

// The one pass over a text that everything measured on language models comes from: a batch of windows at a time through
// the reference and all models, then token by token.

#include <functional>
#include <vector>

#include "ops/scored_tokens.h"
#include "vernier/evaluate.h"

namespace vernier {

using TokenVisitor = std::function<void(const ScoredToken&)>;

/// @param visitor_of what sees the scored tokens of a window, in the order of for_each_scored_token; called and visited
///        by one thread for each window, by several at once for different ones
/// @param reference nullptr for none; runs in float32 whatever the models use: it is what "no damage" means
/// @param stage names the pass in messages and to `progress`
/// @throws as evaluate
void score_windows(const std::vector<const Model*>& models, const Model* reference, const EvaluationData& data,
                   const EvaluateOptions& options, const char* stage, ProgressSink* progress,
                   const std::function<TokenVisitor(size_t window)>& visitor_of);

/// How many layers' work the products with the vocabulary are, for a window of which `scored_share` of the rows are scored:
/// what progress counts them as. At least 1. Of a small model with a large vocabulary they are most of the work.
int64_t layers_worth_of_scoring(const ModelConfig& config, double scored_share);

}  // namespace vernier
